"""The whole command line on one page.

A verb parses, composes, calls one function and prints. What changes a result is an override
(Hydra's grammar); the options say only how to run. Imports stand inside the verbs, so that
``sercli --help`` does not wait for torch.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

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


class _SweepGroup(TyperGroup):
    """Runs a sweep unless one of its other verbs is named: overrides hold a "=", verbs do not."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what is no verb for the arguments of ``run``."""
        if not args or args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


sweep_app = typer.Typer(cls=_SweepGroup, help="Search over settings by grid or sampler.")
app.add_typer(sweep_app, name="sweep")


class Form(StrEnum):
    """What a verb prints."""

    TABLE = "table"
    JSON = "json"


class ReportForm(StrEnum):
    """What `report` prints."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"
    HTML = "html"


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
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[EXPERIMENT|RUN]...", help="Which; default: all."),
]
OneRun = Annotated[
    str, typer.Argument(metavar="RUN", help="A run: its key, its folder, or EXPERIMENT/KEY.")
]
Runs = Annotated[Path, typer.Option(help="Where the records lie (paths.runs).")]
Study = Annotated[str, typer.Argument(metavar="EXPERIMENT", help="The name of the sweep.")]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="SERCLI_STORAGE",
        show_envvar=True,
        help="Database of the sweep, as postgresql+psycopg://user@host/name; default: a file in "
        "its folder, for one machine.",
    ),
]
Crew = Annotated[
    int | None,
    typer.Option(min=1, help="Processes of a worker that share a point's folds; default: cores."),
]
Grace = Annotated[
    float, typer.Option(min=0, help="Seconds from SIGTERM to giving up an unfinished fold.")
]


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
    from sercli.reporting.views.audit import render_audit
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
    from sercli.reporting.views.store import show_pruning, show_verification
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
    from sercli.reporting.show import run_as_json, show_run
    from sercli.training.run import train_configuration

    config = compose(overrides or [])
    record = train_configuration(
        config, workers=workers, force=force, progress=Progress(quiet=quiet)
    )
    _print(run_as_json(record) if form is Form.JSON else show_run(record))
    raise typer.Exit(record.status != "complete")


@sweep_app.command("run", context_settings={"help_option_names": ["--help"]})
def sweep(
    overrides: Overrides = None,
    plan: Annotated[
        str | None, typer.Option(help="A plan in sweeps/, or a YAML file; overrides add to it.")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="grid (default), random, qmc, tpe, gp or cmaes.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Points of a sampler, of all runs and workers.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the sampler.")] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(help="dev_ua (default); add parameters or seconds for a trade-off."),
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(help="Stop bad points between folds: wilcoxon, median, halving or none."),
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--open", help="The points are systems to compare: none is sealed, none is chosen."
        ),
    ] = False,
    form: Format = Form.TABLE,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Workers on this machine, each with its share of it."),
    ] = None,
    crew: Crew = None,
    storage: Storage = None,
    grace: Grace = 20.0,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Search by grid or sampler, as in arelu.alpha=0.01,0.9 'arelu.beta=range(-4,5,2)'.

    Stopped or killed, the same command goes on where it was; each point is finished once. The
    objective is UA on dev; test figures stay sealed but for the winner's. Look at it with sercli
    sweep status EXPERIMENT, stop it with sercli sweep stop EXPERIMENT, help it with sercli worker
    EXPERIMENT. Exit status 1 when a point diverged or could not be run.
    """
    from sercli.progress import Progress
    from sercli.reporting.show import show_sweep
    from sercli.search.plan.plan import make_plan
    from sercli.search.sweep import SweepOptions, run_sweep

    planned = make_plan(
        overrides or [],
        plan=plan,
        sampler=sampler,
        trials=trials,
        seed=seed,
        objectives=objective or (),
        pruner=prune,
        comparison=compare,
    )
    result = run_sweep(
        planned, SweepOptions(workers, crew, storage, grace), progress=Progress(quiet=quiet)
    )
    shown = result.to_json() if form is Form.JSON else show_sweep(result.records, result.lines())
    _print(shown)
    raise typer.Exit(not result.all_well)


@sweep_app.command()
def status(
    study: Study,
    form: Format = Form.TABLE,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    debug: Debug = False,
) -> None:
    """Say how far a sweep is: what waits, runs, is done or failed, and the best so far on dev."""
    from sercli.progress import Progress
    from sercli.reporting.views.status import show_status, status_as_json
    from sercli.search.study.study import Study as OpenStudy

    opened = OpenStudy(study, runs, storage, note=Progress().note)
    page, trials = opened.write_page()
    said = opened.stopped, opened.tracebacks()
    _print(
        status_as_json(page, trials, *said)
        if form is Form.JSON
        else show_status(page, trials, *said)
    )


@sweep_app.command()
def stop(
    study: Study,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    debug: Debug = False,
) -> None:
    """Let the workers of a sweep leave after the points they are at; the sweep command goes on."""
    from sercli.progress import Progress
    from sercli.search.study.study import Study as OpenStudy

    opened = OpenStudy(study, runs, storage, note=Progress().note)
    opened.stop("by sercli sweep stop")
    typer.echo(
        f"{study}: its workers leave after the points they are at; "
        "the same sweep command goes on from there"
    )


@app.command()
def worker(
    study: Study,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OVERRIDE]...",
            help="How to run here: device=…, dataset.root=…, paths.…=…",
            autocompletion=_complete,
        ),
    ] = None,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    name: Annotated[
        str | None, typer.Option(help="What to be called; default: host and process.")
    ] = None,
    crew: Crew = None,
    grace: Grace = 20.0,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Work on a sweep, here or on another machine, until nothing waits.

    SIGTERM lets it finish the fold within the grace time, hand the point back and leave with 0.
    """
    from sercli.search.worker.options import WorkerOptions
    from sercli.search.worker.worker import work

    options = WorkerOptions(study, runs, storage, name, crew, tuple(overrides or ()), grace, quiet)
    raise typer.Exit(work(options))


@app.command()
def report(
    names: Names = None,
    form: Annotated[ReportForm, typer.Option("--format", help="What to print.")] = ReportForm.TABLE,
    rows: Annotated[
        str | None, typer.Option(help="Tabulate UA by a setting, as in activation or arelu.alpha.")
    ] = None,
    columns: Annotated[str | None, typer.Option(help="The same, across.")] = None,
    table1: Annotated[
        bool, typer.Option("--table1", help="Lay the AR-GRU paper's Table 1 beside the runs.")
    ] = False,
    against: Annotated[
        str | None, typer.Option(help="The run (key or name) that all others are tested against.")
    ] = None,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="What activations learned.")
    ] = False,
    diagnostics: Annotated[
        bool,
        typer.Option("--diagnostics", help="Where recognition fails: by groups and utterances."),
    ] = False,
    unseal: Annotated[
        bool,
        typer.Option("--open", help="Show test figures of all points of a search, and say so."),
    ] = False,
    baselines: Annotated[
        Path | None, typer.Option(help="Published results of your own, in a YAML file.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="A folder to draw figures into, as SVG and PNG.")
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(help="A folder to export the runs to, for TensorBoard.")
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(help="An MLflow store to export to, as in sqlite:///mlflow.db.")
    ] = None,
    output: Output = None,
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tabulate runs beside published results, test their differences, draw them.

    Exit status 1 when a record could not be read; the others are reported.
    """
    from sercli.progress import Progress
    from sercli.reporting.formats import FORMS
    from sercli.reporting.report import ReportRequest, gather, look

    request = ReportRequest(
        names or [],
        runs,
        form.value,
        rows=rows,
        columns=columns,
        table1=table1,
        parameters=parameters,
        diagnostics=diagnostics,
        against=against,
        baselines=baselines,
        open=unseal,
    )
    progress = Progress(quiet=quiet)
    material = gather(request)
    if form is ReportForm.HTML:
        from sercli.reporting.formats.html.document import make_page

        content: str | RenderableType = make_page(request, material)
    else:
        content = FORMS[form.value](look(request, material))
    if figures or tensorboard or mlflow:
        from sercli.reporting.export.write import write_elsewhere

        for line in write_elsewhere(material, figures, tensorboard, mlflow):
            progress.note(line)
    for line in material.damaged:
        progress.note(f"left out: {line}")
    _print(content, output)
    raise typer.Exit(bool(material.damaged))


@app.command()
def attend(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run: key, folder or EXPERIMENT/KEY.")
    ],
    utterance: Annotated[str, typer.Argument(help="An utterance that was tested.")],
    figures: Annotated[Path, typer.Option(help="The folder to draw into.")] = Path("figures"),
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw where a trained network looks: attention over the time of one utterance."""
    from sercli.progress import Progress
    from sercli.reporting.attend import draw_attention

    for path in draw_attention(run, utterance, runs, figures, Progress(quiet=quiet)):
        typer.echo(path)


@app.command()
def verify(
    names: Names = None,
    form: Format = Form.TABLE,
    workers: Workers = None,
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check that records are whole and agree with themselves.

    Metrics are computed again from the predictions. Exit status 1 where there are faults.
    """
    from sercli.processes import available_cores
    from sercli.progress import Progress
    from sercli.reporting.formats.terminal import as_terminal
    from sercli.reporting.views.verify import verify_runs

    progress = Progress(quiet=quiet)
    found = verify_runs(names or [], runs, workers=workers or available_cores(), progress=progress)
    shown = as_terminal(found.tables()) if found.faults else found.summary
    _print(found.to_json() if form is Form.JSON else shown)
    raise typer.Exit(bool(found.faults))


@app.command()
def rerun(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run: key, folder or EXPERIMENT/KEY.")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[OVERRIDE]...", help="How to run here: device=…, paths.…=…"),
    ] = None,
    form: Format = Form.TABLE,
    workers: Workers = None,
    runs: Runs = Path("runs"),
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Repeat a run from its record, and say whether the numbers agree.

    The record is not touched. Exit status 1 where they do not.
    """
    from sercli.progress import Progress
    from sercli.reporting.find import find_one
    from sercli.reporting.formats.terminal import as_terminal
    from sercli.reporting.views.rerun import rerun_tables
    from sercli.results.seal import keep_sealed, shows_test
    from sercli.training.rerun import rerun as repeat

    record = find_one(run, runs)
    seen = shows_test(keep_sealed([record])[0][0])
    made = repeat(record, overrides or [], workers=workers, progress=Progress(quiet=quiet))
    tables = rerun_tables(made, shows_test=seen)
    _print(made.to_json(shows_test=seen) if form is Form.JSON else as_terminal(tables))
    raise typer.Exit(not made.agrees)


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
def diff(
    left: OneRun,
    right: Annotated[str, typer.Argument(metavar="RUN", help="Another one.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Environments, cards and how to run, too.")
    ] = False,
    form: Format = Form.TABLE,
    runs: Runs = Path("runs"),
    debug: Debug = False,
) -> None:
    """Say what differs between two runs."""
    from sercli.reporting.find import find_one
    from sercli.reporting.formats import FORMS
    from sercli.reporting.views.difference import difference_view

    view = difference_view(find_one(left, runs), find_one(right, runs), everything=everything)
    _print(FORMS[form.value](view))


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


@bench_app.command("sweep")
def bench_sweep(
    points: Annotated[int, typer.Option(min=400, help="Points of the large grid.")] = 10_000,
    storage: Storage = None,
    form: Format = Form.TABLE,
    output: Output = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Time the machinery of a sweep with points that train nothing: planning, claiming, workers."""
    from sercli.bench.sweep import bench_sweep as measure
    from sercli.bench.sweep import render_sweep
    from sercli.progress import Progress

    made = measure(points, storage, Progress(quiet=quiet))
    _print(made.to_json() if form is Form.JSON else render_sweep(made), output)


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
