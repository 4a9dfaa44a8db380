"""The whole command line on one page.

A verb parses, composes, calls one function and prints. What changes a result is an override
(Hydra's grammar); the options say only how to run. Imports stand inside the verbs, so that
``sercli --help`` does not wait for torch.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sercli.config.schema import Config
    from sercli.progress import Progress

app = typer.Typer(
    name="sercli",
    help="Experiments on recurrent speech emotion recognition, from audio to an honest table.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog="Start with: sercli extract, then sercli train. "
    "Settings are overrides, as in model=iaan arelu.alpha=0.1: see sercli config groups.",
)
config_app = typer.Typer(no_args_is_help=True, help="Look at the configuration.")
app.add_typer(config_app, name="config")
bench_app = typer.Typer(no_args_is_help=True, help="Measure speed against named references.")
app.add_typer(bench_app, name="bench")


class Form(StrEnum):
    """What a verb prints."""

    TABLE = "table"
    JSON = "json"


class ReportForm(StrEnum):
    """What `report` prints."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def _complete(incomplete: str) -> list[str]:
    from sercli.config.completion import complete, key_cut_off

    return complete(incomplete, key_cut_off(os.environ))


def _set_config_dir(folder: Path | None) -> None:
    if folder is not None:
        from sercli.config.compose import start

        start(folder)


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[OVERRIDE]...", help="Settings, as in dataset=nemo.", autocompletion=_complete
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; default: one per core, one on a GPU.")
]
ConfigDir = Annotated[
    Path | None,
    typer.Option(
        callback=_set_config_dir, is_eager=True, help="A folder of your own beside conf/."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Format = Annotated[Form, typer.Option("--format", help="What to print.")]
Output = Annotated[Path | None, typer.Option(help="Write to a file instead.")]
Runs = Annotated[Path, typer.Option(help="Where the records lie (paths.runs).")]


@app.command()
def extract(
    overrides: Overrides = None,
    form: Format = Form.TABLE,
    workers: Workers = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="What the audit finds doubtful is an error.")
    ] = False,
    allow_refused: Annotated[
        bool, typer.Option("--allow-refused", help="Refused utterances are no error.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Only read the store again, and name its faults.")
    ] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Only remove from the store what no corpus uses.")
    ] = False,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Read the corpus, fill the feature store, print the audit.

    Exit status 1 when utterances were refused; the audit lists them. With --verify, when the
    store has faults.
    """
    from sercli.config.compose import compose
    from sercli.processes import available_cores
    from sercli.progress import Progress
    from sercli.reporting.audit import render_audit
    from sercli.training.data import extract_corpus

    config = compose(overrides or [])
    progress = Progress(quiet=quiet)
    if verify or prune:
        raise typer.Exit(_tend_store(config, verify, prune, form, progress))
    audit = extract_corpus(config, workers=workers or available_cores(), progress=progress)
    _print(audit.to_json() if form is Form.JSON else render_audit(audit))
    doubtful = audit.findings if strict else ()
    for finding in doubtful:
        typer.echo(f"sercli: {audit.dataset}: {finding.text}", err=True)
    raise typer.Exit(bool(doubtful) or bool(audit.refused and not allow_refused))


def _tend_store(config: Config, verify: bool, prune: bool, form: Form, progress: Progress) -> bool:
    """Do what ``extract`` does to the store alone, and return whether it has faults."""
    from sercli.errors import RequestError
    from sercli.features.prune import prune as prune_store
    from sercli.reporting.store import show_pruning, show_verification
    from sercli.training.data import verify_corpus

    if verify and prune:
        raise RequestError("--verify only looks and --prune removes: give one of the two")
    if prune:
        done = prune_store(Path(config.paths.store), progress)
        _print(done.to_json() if form is Form.JSON else show_pruning(done))
        return False
    found = verify_corpus(config, progress)
    _print(found.to_json() if form is Form.JSON else show_verification(found))
    return bool(found.faults)


@app.command()
def train(
    overrides: Overrides = None,
    form: Format = Form.TABLE,
    workers: Workers = None,
    force: Annotated[
        bool, typer.Option("--force", help="Train again, replace the record.")
    ] = False,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train all folds and seeds of one configuration and print its result.

    A finished run is not computed again. Exit status 1 when the run diverged.
    """
    from sercli.config.compose import compose
    from sercli.progress import Progress
    from sercli.reporting.show import show_run
    from sercli.training.run import train_configuration

    config = compose(overrides or [])
    record = train_configuration(
        config, workers=workers, force=force, progress=Progress(quiet=quiet)
    )
    _print(dict(record.page) if form is Form.JSON else show_run(record))
    raise typer.Exit(record.status != "complete")


@app.command()
def sweep(
    overrides: Overrides = None,
    plan: Annotated[
        str | None, typer.Option(help="A plan in sweeps/, or a YAML file; overrides add to it.")
    ] = None,
    form: Format = Form.TABLE,
    workers: Workers = None,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train every point of a grid, as in arelu.alpha=0.01,0.9 'arelu.beta=range(-4,5,2)'.

    Stopped or killed, the same command goes on where it was; each point is finished once.
    Exit status 1 when a point diverged or could not be run.
    """
    from sercli.progress import Progress
    from sercli.reporting.show import show_sweep
    from sercli.search.plan import plan_points, read_plan
    from sercli.search.sweep import run_sweep

    given = overrides or []
    points = plan_points(*(read_plan(plan, given) if plan else [given]))
    result = run_sweep(points, workers=workers, progress=Progress(quiet=quiet))
    _print(result.to_json() if form is Form.JSON else show_sweep(result.records, result.lines()))
    raise typer.Exit(not result.all_well)


@app.command()
def report(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXPERIMENT|RUN]...", help="What to report; default: all."),
    ] = None,
    form: Annotated[ReportForm, typer.Option("--format", help="What to print.")] = ReportForm.TABLE,
    parameters: Annotated[
        bool,
        typer.Option("--parameters", help="What activations learned, instead of results."),
    ] = False,
    output: Output = None,
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tabulate runs beside published results, and say which of them compare.

    Exit status 1 when a record could not be read; the others are reported.
    """
    from sercli.progress import Progress
    from sercli.reporting.report import make_report, report_parameters

    make = report_parameters if parameters else make_report
    made = make(names or [], runs, form.value)
    for line in made.damaged:
        Progress(quiet=quiet).note(f"left out: {line}")
    _print(made.content, output)
    raise typer.Exit(bool(made.damaged))


@config_app.command()
def show(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    debug: Debug = False,
) -> None:
    """Print a configuration as YAML, every value in its place."""
    from sercli.config.compose import compose, to_yaml

    typer.echo(to_yaml(compose(overrides or [])), nl=False)


@config_app.command()
def groups(
    form: Format = Form.TABLE,
    config_dir: ConfigDir = None,
    debug: Debug = False,
) -> None:
    """List every group with its choices; * marks the default."""
    from sercli.config.compose import GROUPS, list_choices
    from sercli.reporting.show import groups_as_json, show_groups

    choices = [choice for group in GROUPS for choice in list_choices(group)]
    _print(groups_as_json(choices) if form is Form.JSON else show_groups(choices))


@bench_app.command("extract")
def bench_extract(
    overrides: Overrides = None,
    form: Format = Form.TABLE,
    output: Output = None,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Time extraction against openSMILE itself, and one process against several."""
    from sercli.bench.extract import bench_extract, render_extract
    from sercli.config.compose import compose
    from sercli.progress import Progress

    made = bench_extract(compose(overrides or []), Progress(quiet=quiet))
    _print(made.to_json() if form is Form.JSON else render_extract(made), output)


@bench_app.command()
def recurrent(
    shape: Annotated[
        list[str] | None,
        typer.Option(help="Steps, sequences and units, as in 100,32,64; may be given repeatedly."),
    ] = None,
    activation: Annotated[
        list[str] | None, typer.Option(help="Time only these in the GRU; default: all.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of each series.")] = 7,
    form: Format = Form.TABLE,
    output: Output = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Time cells, activations and backends against torch.nn, and IAAN's training step."""
    from sercli.bench.recurrent import bench_recurrent, read_shapes, render_benchmark
    from sercli.progress import Progress

    made = bench_recurrent(
        read_shapes(shape or []), activation or [], repeats, Progress(quiet=quiet)
    )
    _print(made.to_json() if form is Form.JSON else render_benchmark(made), output)


def _print(content: str | dict[str, object] | RenderableType, output: Path | None = None) -> None:
    """Print results to standard output, or write them to a file."""
    from sercli.reporting.show import as_text

    if output is None:
        typer.echo(as_text(content), nl=False)
    else:
        from sercli.files import write_text

        write_text(output, as_text(content, plain=True))
