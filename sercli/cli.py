"""The whole command line on one page.

A verb parses, composes, calls one function and prints. Settings that change a result are overrides
(Hydra's grammar); options only control the execution. Imports are inside the verbs, so that
``sercli --help`` does not wait for torch.
"""

from __future__ import annotations

import shlex
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sercli.errors import visible
from sercli.streams import write_data_in_utf8

if TYPE_CHECKING:
    from sercli.config.schema import Config
    from sercli.progress import Progress
    from sercli.reporting.table import View
    from sercli.search.sweep import SweepResult

WATCH_SECONDS = 5
"""Interval between updates of ``status --watch`` (our choice)."""

app = typer.Typer(
    name="sercli",
    help="Run speech-emotion-recognition experiments, from feature extraction to "
    "significance-tested tables.",
    epilog="Start with `sercli extract`, then `sercli train`. Settings are overrides such as "
    "`model=iaan arelu.alpha=0.1`; `sercli config explain` explains them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # joins the lines of a docstring's paragraph
    context_settings={"help_option_names": ["-h", "--help"]},
)
config_app = typer.Typer(no_args_is_help=True, help="Show, explain and compare configurations.")
runs_app = typer.Typer(help="List, delete and rename experiments.")
bench_app = typer.Typer(no_args_is_help=True, help="Measure speed against named references.")


_MAIN = "From audio to tables"
_SWEEPS = "Sweeps"
_RECORDS = "Records"
_MODELS = "Trained models"
_MORE = "Configuration and speed"


class Format(StrEnum):
    """Output formats."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"


class PredictFormat(StrEnum):
    """Output formats of ``predict``."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


class ReportFormat(StrEnum):
    """Output formats of ``report``."""

    TABLE = "table"
    MARKDOWN = "markdown"
    LATEX = "latex"
    CSV = "csv"
    JSON = "json"
    HTML = "html"


def _proposals(name: str) -> Any:
    """Return the function of `sercli.completion` that proposes values, imported when called."""

    def propose(incomplete: str) -> list[str]:
        from sercli import completion

        found: list[str] = getattr(completion, name)(incomplete)
        return found

    return propose


def _own_runs(context: typer.Context, folder: Path) -> Path:
    """Return the runs folder: that of ``--runs``, else of the user's own defaults."""
    from sercli.config.sources import own_runs_folder

    source = context.get_parameter_source("runs")
    return own_runs_folder() if source is not None and source.name == "DEFAULT" else folder


def _set_config_dir(folder: Path | None) -> None:
    if folder is not None:
        from sercli.config.sources import start

        start(folder)


def _print_version(wanted: bool) -> None:
    if wanted:
        from sercli import __version__

        typer.echo(f"sercli {__version__}")
        raise typer.Exit


def _flag(*names_and_help: str) -> Any:
    """Return an option without a value; help shows none."""
    *names, text = names_and_help
    return typer.Option(*names, metavar="", help=text)


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="OVERRIDE",
        help="Settings, e.g. dataset=nemo.",
        autocompletion=_proposals("OVERRIDES"),
    ),
]
RunOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="OVERRIDE",
        help="Settings of this machine, e.g. device=cuda, dataset.root=…, paths.store=…",
        autocompletion=_proposals("OVERRIDES"),
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Processes (default: one per core; on a GPU, one)."),
]
ConfigDir = Annotated[
    Path | None,
    typer.Option(
        callback=_set_config_dir,
        is_eager=True,
        metavar="FOLDER",
        help="Folder of your own configuration files, searched before conf/.",
    ),
]
Quiet = Annotated[bool, _flag("--quiet", "-q", "Suppress progress and notes.")]
Debug = Annotated[bool, _flag("--debug", "Show the traceback of an error.")]
OutputFormat = Annotated[
    Format,
    typer.Option("--format", metavar="FORMAT", help="table, markdown, latex, csv or json."),
]
Output = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write to this file, not to standard output.")
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="EXPERIMENT|RUN",
        help="Experiments or runs (default: all).",
        autocompletion=_proposals("RUNS"),
    ),
]
OneRun = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run: its key, its folder, or EXPERIMENT/KEY.",
        autocompletion=_proposals("RUNS"),
    ),
]
OneModel = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="A model folder, or a run: its key, folder or EXPERIMENT/KEY."
    ),
]
OneFold = Annotated[
    str | None, typer.Option("--fold", metavar="NAME", help="Only the networks of this fold.")
]
OneSeed = Annotated[
    int | None, typer.Option("--seed", metavar="N", help="Only the networks of this seed.")
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Device of the model.")]
Runs = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER", help="Folder of the run records (paths.runs).", callback=_own_runs
    ),
]
SweepRuns = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Folder of the run records (default: the sweep's; without --storage, runs).",
    ),
]
Experiment = Annotated[
    str,
    typer.Argument(
        metavar="EXPERIMENT",
        help="Name of the experiment.",
        autocompletion=_proposals("EXPERIMENTS"),
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        envvar="SERCLI_STORAGE",
        show_envvar=True,
        metavar="URL",
        help="Database of the sweep, e.g. postgresql+psycopg://user@host/name (default: SQLite "
        "in the sweep's folder, for one machine).",
    ),
]
Yes = Annotated[bool, _flag("--yes", "-y", "Do not ask for confirmation.")]
FoldWorkers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Processes per worker, each training one fold (default: one per core).",
    ),
]
Grace = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="Time to finish a fold after SIGTERM."),
]


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            metavar="",
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=_MAIN)
def extract(
    overrides: Overrides = None,
    form: OutputFormat = Format.TABLE,
    workers: Workers = None,
    strict: Annotated[
        bool,
        _flag("--strict", "Treat the findings of the audit as errors."),
    ] = False,
    allow_refused: Annotated[
        bool,
        _flag("--allow-refused", "Accept refused utterances (exit status 0)."),
    ] = False,
    verify: Annotated[bool, _flag("--verify", "Only check the features in the store.")] = False,
    prune: Annotated[
        bool,
        _flag("--prune", "Only remove features that no corpus uses."),
    ] = False,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Extract the features of a corpus and print its audit.

    With augment=speed, noise or vtlp, the training copies are extracted too.

    Exit status 1 if utterances were refused (the audit lists them) or, with --verify, if the
    store has faults.
    """
    from sercli.config.compose import compose
    from sercli.processes import available_cores
    from sercli.progress import Progress
    from sercli.reporting.views.audit import audit_view
    from sercli.training.data import extract_corpus

    config = compose(overrides or [])
    progress = Progress(quiet=quiet)
    if verify or prune:
        raise typer.Exit(_maintain_store(config, verify, prune, form, progress))
    audit = extract_corpus(config, workers=workers or available_cores(), progress=progress)
    _print(audit_view(audit), form)
    doubtful = audit.findings if strict else ()
    for finding in doubtful:
        typer.echo(visible(f"sercli: {audit.dataset}: {finding.text}"), err=True)
    raise typer.Exit(bool(doubtful) or bool(audit.refused and not allow_refused))


def _maintain_store(
    config: Config, verify: bool, prune: bool, form: Format, progress: Progress
) -> bool:
    """Verify or prune the store; return True if it has faults."""
    from sercli.errors import RequestError
    from sercli.features.store_uses import prune as prune_store
    from sercli.reporting.views.store import pruning_view, verification_view
    from sercli.training.data import verify_corpus

    if verify and prune:
        raise RequestError("--verify and --prune exclude each other: give one of the two")
    if prune:
        done = prune_store(Path(config.paths.store), progress)
        _print(pruning_view(done), form)
        return False
    found = verify_corpus(config, progress)
    _print(verification_view(found), form)
    return bool(found.faults)


@app.command(rich_help_panel=_MAIN)
def train(
    overrides: Overrides = None,
    form: OutputFormat = Format.TABLE,
    workers: Workers = None,
    force: Annotated[bool, _flag("--force", "Retrain and replace the record.")] = False,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train all folds and seeds of one configuration and print the result.

    A finished run is not trained again. Exit status 1 if the run diverged.
    """
    from sercli.config.compose import compose
    from sercli.progress import Progress
    from sercli.reporting.views.results import run_view
    from sercli.training.run import train_configuration

    config = compose(overrides or [])
    record = train_configuration(
        config, workers=workers, force=force, progress=Progress(quiet=quiet)
    )
    _print(run_view(record), form)
    raise typer.Exit(record.status != "complete")


@app.command(rich_help_panel=_MAIN)
def sweep(
    overrides: Overrides = None,
    plan: Annotated[
        str | None,
        typer.Option(
            metavar="PLAN",
            help="A plan in sweeps/ or a YAML file; overrides extend it.",
            autocompletion=_proposals("PLANS"),
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="grid (default), random, qmc, tpe, gp or cmaes.",
            autocompletion=_proposals("SAMPLERS"),
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Trials of a sampler, over all workers and restarts."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Seed of the sampler.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="dev_ua (default); repeat with parameters or seconds for several objectives.",
            autocompletion=_proposals("OBJECTIVES"),
        ),
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Prune poor trials between folds: wilcoxon, median, halving or none.",
            autocompletion=_proposals("PRUNERS"),
        ),
    ] = None,
    comparison: Annotated[
        bool,
        _flag(
            "--comparison",
            "Treat trials as pre-registered systems: report test results of all, select no winner.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, _flag("--dry-run", "List the trials and count new fold runs; train nothing.")
    ] = False,
    form: OutputFormat = Format.TABLE,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Workers on this machine, which share its cores."),
    ] = None,
    fold_workers: FoldWorkers = None,
    storage: Storage = None,
    grace: Grace = 20.0,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Search hyperparameters over a grid or with a sampler.

    Lists and ranges span the search space: `sercli sweep arelu.alpha=0.01,0.9
    'arelu.beta=range(-4,5,2)'`. The objective is UA on dev; test results stay sealed, except the
    winner's.

    After an interruption the same command resumes; each trial is finished once. `sercli status`
    shows the progress, `sercli stop` stops all workers, `sercli worker` adds one. Exit status 1
    if a trial diverged or failed.
    """
    from sercli.progress import Progress
    from sercli.reporting.views.results import sweep_view
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
        comparison=comparison,
    )
    if dry_run:
        from dataclasses import asdict

        from sercli.reporting.views.preview import preview_view
        from sercli.search.preview import preview

        _print(preview_view(asdict(preview(planned, storage))), form)
        return
    result = run_sweep(
        planned, SweepOptions(workers, fold_workers, storage, grace), progress=Progress(quiet=quiet)
    )
    lines = [*result.lines(), f"Results: sercli report {planned.experiment}{_runs_of(result)}"]
    _print(sweep_view(result.records, lines, result.to_json()), form)
    raise typer.Exit(not result.succeeded)


def _runs_of(result: SweepResult) -> str:
    """Return the option ``--runs`` for a folder other than the default; else empty."""
    folders = {str(record.path.parents[1]) for record in result.records} - {"runs"}
    return f" --runs {shlex.quote(folders.pop())}" if folders else ""


@app.command(rich_help_panel=_SWEEPS)
def worker(
    experiment: Experiment,
    overrides: RunOverrides = None,
    runs: SweepRuns = None,
    storage: Storage = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Worker name (default: from host and process)."),
    ] = None,
    fold_workers: FoldWorkers = None,
    grace: Grace = 20.0,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run trials of a sweep, here or on another machine, until none is waiting.

    On SIGTERM a worker finishes its fold within the grace time, requeues its trial and exits
    with status 0.
    """
    from sercli.search.worker.options import WorkerOptions
    from sercli.search.worker.worker import run_worker

    options = WorkerOptions(
        experiment, runs, storage, name, fold_workers, tuple(overrides or ()), grace, quiet
    )
    raise typer.Exit(run_worker(options))


@app.command(rich_help_panel=_SWEEPS)
def status(
    experiment: Experiment,
    form: OutputFormat = Format.TABLE,
    runs: SweepRuns = None,
    storage: Storage = None,
    watch: Annotated[
        bool, _flag("--watch", f"Repeat every {WATCH_SECONDS} s until no trial is left.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Show the progress of a sweep: trial states, failures, the best trial so far on dev."""
    from sercli.progress import Progress
    from sercli.reporting.views.status import status_view
    from sercli.search.study.study import Study

    while True:
        opened = Study(experiment, runs, storage, note=Progress().note, read_only=True)
        summary, trials = opened.summarize()
        if watch and sys.stdout.isatty():
            typer.echo("\033[H\033[2J", nl=False)  # clear the screen
        _print(status_view(summary, trials, opened.stop_reason, opened.tracebacks()), form)
        if not watch or summary.complete or opened.stop_reason:
            break
        time.sleep(WATCH_SECONDS)


@app.command(rich_help_panel=_SWEEPS)
def stop(
    experiment: Experiment,
    runs: SweepRuns = None,
    storage: Storage = None,
    debug: Debug = False,
) -> None:
    """Stop a sweep: workers exit after their current trial.

    Run the sweep command again to resume.
    """
    from sercli.progress import Progress
    from sercli.search.study.study import Study

    opened = Study(experiment, runs, storage, note=Progress().note)
    opened.stop("by sercli stop")
    typer.echo(
        f"{experiment}: workers exit after their current trial; "
        "run the sweep command again to resume"
    )


@app.command(rich_help_panel=_MAIN)
def report(
    names: Names = None,
    form: Annotated[
        ReportFormat,
        typer.Option(
            "--format", metavar="FORMAT", help="table, markdown, latex, csv, json or html."
        ),
    ] = ReportFormat.TABLE,
    rows: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Tabulate UA by this setting, e.g. activation or arelu.alpha; its values become "
            "rows.",
        ),
    ] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="KEY", help="Setting whose values become columns.")
    ] = None,
    table1: Annotated[
        bool,
        _flag("--table1", "Compare with Table 1 of the AR-GRU paper."),
    ] = False,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Run (key or name) to test all others against.",
            autocompletion=_proposals("RUNS"),
        ),
    ] = None,
    parameters: Annotated[
        bool,
        _flag("--parameters", "Show the learned parameters of activations."),
    ] = False,
    diagnostics: Annotated[
        bool,
        _flag("--diagnostics", "Show errors by subgroup and by utterance."),
    ] = False,
    unseal: Annotated[
        bool,
        _flag("--unseal", "Show test results of all trials, and test curves; reports say so."),
    ] = False,
    baselines: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML file of further published results."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Draw figures here, as SVG, PNG and PDF."),
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Export the runs here for TensorBoard.")
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Export to MLflow, e.g. sqlite:///mlflow.db."),
    ] = None,
    output: Output = None,
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Tabulate runs beside published results, test differences, draw figures.

    Exit status 1 if a record could not be read; the others are reported.
    """
    from sercli.progress import Progress
    from sercli.reporting.load import ReportRequest
    from sercli.reporting.report import make_report

    request = ReportRequest(
        names or [],
        runs,
        format_name=form.value,
        plain=output is not None,
        rows=rows,
        columns=columns,
        table1=table1,
        parameters=parameters,
        diagnostics=diagnostics,
        against=against,
        baselines=baselines,
        unseal=unseal,
        figures=figures,
        tensorboard=tensorboard,
        mlflow=mlflow,
    )
    made = make_report(request)
    progress = Progress(quiet=quiet)
    for line in made.notes:
        progress.note(line)
    _write(made.text, form, output)
    raise typer.Exit(made.status)


@app.command(rich_help_panel=_MAIN)
def fuse(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="At least two runs: keys, folders, or experiments.",
            autocompletion=_proposals("RUNS"),
        ),
    ],
    form: OutputFormat = Format.TABLE,
    output: Output = None,
    runs: Runs = Path("runs"),
    debug: Debug = False,
) -> None:
    """Fuse runs of the same utterances, folds and seeds, and compare with the best on dev.

    Class probabilities are combined with one weight per run, fitted on dev per fold and seed.
    """
    from sercli.reporting.views.fusion import fuse_view

    _print(fuse_view(names, runs), form, output)


@app.command(rich_help_panel=_MODELS)
def attend(
    run: OneRun,
    utterance: Annotated[str, typer.Argument(metavar="UTTERANCE", help="A test utterance.")],
    figures: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the figure.")] = Path(
        "figures"
    ),
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw the attention weights of a trained network over the time of one utterance."""
    from sercli.progress import Progress
    from sercli.reporting.figures.attention import draw_attention

    for path in draw_attention(run, utterance, runs, figures, Progress(quiet=quiet)):
        typer.echo(path)


@app.command(rich_help_panel=_MODELS)
def pretrain(
    folder: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Output folder, new or empty."),
    ],
    overrides: Overrides = None,
    workers: Workers = None,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Pre-train a model, for `sercli train init.run=DIR`.

    pretrain.objective=cpc needs no labels; fomaml, sequential and alternating train on the
    corpora of dataset=several.
    """
    from sercli.config.compose import compose
    from sercli.progress import Progress
    from sercli.training.fold_pool import pool_size
    from sercli.training.pretrain import pretrain as run

    config, progress = compose(overrides or []), Progress(quiet=quiet)
    run(config, folder, workers=pool_size(config, workers), progress=progress)
    progress.note(f"{folder}: start from it with sercli train init.run={folder}")


@app.command(rich_help_panel=_MODELS)
def predict(
    model: OneModel,
    audio: Annotated[
        list[str],
        typer.Argument(
            metavar="AUDIO",
            help="Audio files, folders, tables of recordings (.csv, .tsv, .txt, .parquet), or - "
            "for standard input: one audio file or a list of paths.",
        ),
    ],
    fold: OneFold = None,
    seed: OneSeed = None,
    normalize: Annotated[
        str | None,
        typer.Option(
            metavar="training|file|speaker|PATH",
            help="Data for the mean and standard deviation of z-scores: training speakers, each "
            "file, all recordings of the speaker, or reference recordings (default: speaker if a "
            "table names it, else training).",
        ),
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS|vad",
            help="Cut recordings into windows of this length, or into segments of speech "
            "(extra vad).",
        ),
    ] = None,
    dialogue: Annotated[
        bool,
        _flag("--dialogue", "Use the speakers and dialogues of the table as context."),
    ] = False,
    attention: Annotated[
        bool, _flag("--attention", "Add the attention weight of each time step.")
    ] = False,
    form: Annotated[
        PredictFormat,
        typer.Option(
            "--format", metavar="FORMAT", help="table, markdown, latex, csv, json or jsonl."
        ),
    ] = PredictFormat.TABLE,
    output: Output = None,
    workers: Workers = None,
    device: Device = "auto",
    runtime: Annotated[
        str,
        typer.Option(metavar="torch|onnx", help="Inference runtime; onnx needs `export --onnx`."),
    ] = "torch",
    allow_refused: Annotated[
        bool,
        _flag("--allow-refused", "Accept refused recordings (exit status 0)."),
    ] = False,
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Classify recordings with a trained model.

    Probabilities are averaged over all networks (folds and seeds) of a run.
    Exit status 1 if recordings were refused (one line each on standard error).
    """
    from sercli.inference.model import TrainedModel
    from sercli.processes import available_cores
    from sercli.progress import Progress
    from sercli.reporting.views.predict import predictions_view
    from sercli.training.source import open_source

    source = open_source(model, runs, fold=fold, seed=seed)
    found = TrainedModel(source, device, runtime).classify(
        audio,
        normalize=normalize,
        segment=segment,
        dialogue=dialogue,
        attention=attention,
        workers=workers or available_cores(),
        progress=Progress(quiet=quiet),
    )
    _print(predictions_view(found, model), form, output)
    for refusal in found.refused:
        typer.echo(visible(f"sercli: {refusal.file}: {refusal.reason}"), err=True)
    raise typer.Exit(bool(found.refused) and not allow_refused)


@app.command(rich_help_panel=_MODELS)
def serve(
    model: OneModel,
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="TCP port; 0: any free port.")
    ] = 8765,
    browser: Annotated[bool, _flag("--open", "Open the page in the browser.")] = False,
    fold: OneFold = None,
    seed: OneSeed = None,
    normalize: Annotated[
        str | None,
        typer.Option(
            metavar="training|file|PATH",
            help="Data for the mean and standard deviation of z-scores: training speakers, the "
            "recording, or reference recordings (default: training).",
        ),
    ] = None,
    runs: Runs = Path("runs"),
    debug: Debug = False,
) -> None:
    """Serve a page on this machine that classifies recordings with a trained model.

    Record or drop a file; the page shows the class probabilities and the attention over the
    spectrogram. No other machine can reach it, and no recording is kept. Needs the extra `serve`.
    """
    from sercli.inference.serve.app import serve as run
    from sercli.inference.serve.worker import Chosen

    chosen = Chosen(model, runs, fold, seed, normalize)
    run(chosen, port, browser=browser, tell=typer.echo)


@app.command(rich_help_panel=_MODELS)
def export(
    run: OneRun,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder.")],
    overrides: RunOverrides = None,
    fold: OneFold = None,
    seed: OneSeed = None,
    onnx: Annotated[bool, _flag("--onnx", "Add an ONNX graph of each network.")] = False,
    refit: Annotated[
        bool,
        _flag("--refit", "Train one network per seed on all utterances, and export those instead."),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Training steps of --refit (default: median of the selected steps of the run).",
        ),
    ] = None,
    workers: Workers = None,
    runs: Runs = Path("runs"),
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Export a trained model: weights, configuration, normalisation, classes, model card.

    `sercli predict DIR` classifies recordings with it on any machine. README.md is a model card
    in the format of the Hugging Face Hub. A model of --refit has no test figure; its corpus is
    read again, with OVERRIDES such as dataset.root=PATH.
    """
    from sercli.errors import RequestError, counted
    from sercli.inference.export import RefitOptions, export_model
    from sercli.progress import Progress
    from sercli.training.source import open_source

    if not refit and (overrides or steps is not None):
        raise RequestError("overrides and --steps apply to --refit")
    if refit and fold is not None:
        raise RequestError("--refit trains on all folds: remove --fold")
    source = open_source(run, runs, fold=fold, seed=seed)
    progress = Progress(quiet=quiet)
    options = RefitOptions(steps, overrides or (), workers) if refit else None
    made = export_model(source, folder, onnx=onnx, refit=options, progress=progress)
    networks = counted(len(made.members), "network")
    progress.note(f"{folder}: {networks}; README.md is its model card")
    if made.no_test_figure:
        progress.note(f"{folder} has no test figure: {made.no_test_figure}")


@app.command(rich_help_panel=_RECORDS)
def verify(
    names: Names = None,
    form: OutputFormat = Format.TABLE,
    workers: Workers = None,
    runs: Runs = Path("runs"),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check that records are complete and consistent.

    Metrics are recomputed from the predictions. Exit status 1 if there are faults.
    """
    from sercli.processes import available_cores
    from sercli.progress import Progress
    from sercli.reporting.views.verify import verify_runs

    progress = Progress(quiet=quiet)
    found = verify_runs(names or [], runs, workers=workers or available_cores(), progress=progress)
    _print(found.view(), form)
    raise typer.Exit(bool(found.faults))


@app.command(rich_help_panel=_RECORDS)
def rerun(
    run: OneRun,
    overrides: RunOverrides = None,
    form: OutputFormat = Format.TABLE,
    workers: Workers = None,
    runs: Runs = Path("runs"),
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Repeat a run from its record and compare the results.

    The record is not changed. Exit status 1 if the results differ.
    """
    from sercli.progress import Progress
    from sercli.reporting.views.rerun import repeat_run

    progress = Progress(quiet=quiet)
    view, agrees = repeat_run(run, overrides or [], runs, workers=workers, progress=progress)
    _print(view, form)
    raise typer.Exit(not agrees)


@runs_app.callback(invoke_without_command=True)
def list_runs(
    context: typer.Context,
    form: OutputFormat = Format.TABLE,
    runs: Runs = Path("runs"),
    debug: Debug = False,
) -> None:
    """List experiments: trials, states, best UA on dev, size, last change.

    `sercli runs delete EXPERIMENT` and `sercli runs rename EXPERIMENT NAME` change them.
    """
    if context.invoked_subcommand is not None:
        return
    from sercli.reporting.views.experiments import experiments_view
    from sercli.results.experiments import list_experiments

    _print(experiments_view(list_experiments(runs)), form)


@runs_app.command("delete")
def delete_runs(
    experiment: Experiment,
    yes: Yes = False,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    debug: Debug = False,
) -> None:
    """Delete an experiment: its records and its sweep.

    Refused while a process is at work on it. Other experiments keep the runs that they share.
    """
    from sercli.search.experiments import delete_experiment

    _confirm(f"Delete {runs / experiment} and its sweep?", yes)
    delete_experiment(experiment, runs, storage)
    typer.echo(f"{experiment}: deleted")


@runs_app.command("rename")
def rename_runs(
    experiment: Experiment,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    yes: Yes = False,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    debug: Debug = False,
) -> None:
    """Rename an experiment: its records and its sweep.

    Refused while a process is at work on it.
    """
    from sercli.search.experiments import rename_experiment

    _confirm(f"Rename {runs / experiment} to {name}?", yes)
    rename_experiment(experiment, name, runs, storage)
    typer.echo(f"{experiment}: renamed to {name}")


def _confirm(question: str, yes: bool) -> None:
    from sercli.errors import RequestError

    if yes:
        return
    if not sys.stdin.isatty():
        raise RequestError(f"{question} Confirm with --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


@config_app.command()
def show(
    overrides: Overrides = None,
    config_dir: ConfigDir = None,
    debug: Debug = False,
) -> None:
    """Print a composed configuration as YAML.

    Comments at the top list the settings from your own configuration files.
    """
    from sercli.config.compose import compose, effective_defaults, to_yaml

    config = compose(overrides or [])
    for own in effective_defaults(overrides or []):
        typer.echo(f"# {own.key} from {own.file}")
    typer.echo(to_yaml(config), nl=False)


@config_app.command()
def explain(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY|GROUP",
            help="Keys, groups, or choices, e.g. optim.lr, trainer, cell=a_lstm (default: all).",
            autocompletion=_proposals("SETTINGS"),
        ),
    ] = None,
    form: OutputFormat = Format.TABLE,
    config_dir: ConfigDir = None,
    debug: Debug = False,
) -> None:
    """Explain settings (default, type, allowed values, meaning) and the choices of groups."""
    from sercli.reporting.views.explain import explain_view

    _print(explain_view(names or []), form)


@config_app.command()
def diff(
    left: OneRun,
    right: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Another run.", autocompletion=_proposals("RUNS")),
    ],
    everything: Annotated[
        bool,
        _flag(
            "--all",
            "Include environments, protocol cards and settings that cannot change a result.",
        ),
    ] = False,
    form: OutputFormat = Format.TABLE,
    runs: Runs = Path("runs"),
    debug: Debug = False,
) -> None:
    """Show the differences between two runs."""
    from sercli.reporting.views.config import difference_view
    from sercli.results.find import find_run

    view = difference_view(find_run(left, runs), find_run(right, runs), everything=everything)
    _print(view, form)


@config_app.command()
def groups(
    form: OutputFormat = Format.TABLE,
    config_dir: ConfigDir = None,
    debug: Debug = False,
) -> None:
    """List the configuration groups and their choices; * marks the default."""
    from sercli.config.compose import list_choices
    from sercli.config.settings import GROUPS
    from sercli.reporting.views.config import groups_view

    choices = [choice for group in GROUPS for choice in list_choices(group)]
    _print(groups_view(choices), form)


@bench_app.command("extract")
def bench_extract(
    overrides: Overrides = None,
    form: OutputFormat = Format.TABLE,
    output: Output = None,
    config_dir: ConfigDir = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Time feature extraction against openSMILE, and by number of processes."""
    from sercli.bench.extract import bench_extract, extract_view
    from sercli.config.compose import compose
    from sercli.progress import Progress

    made = bench_extract(compose(overrides or []), Progress(quiet=quiet))
    _print(extract_view(made), form, output)


@bench_app.command("sweep")
def bench_sweep(
    trials: Annotated[
        int, typer.Option(min=400, metavar="N", help="Trials of the large grid.")
    ] = 10_000,
    storage: Storage = None,
    form: OutputFormat = Format.TABLE,
    output: Output = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Time the training of a trial, and the planning, claiming and finishing of trials."""
    from sercli.bench.sweep import bench_sweep as measure
    from sercli.bench.sweep import sweep_view
    from sercli.progress import Progress

    made = measure(trials, storage, Progress(quiet=quiet))
    _print(sweep_view(made), form, output)


@bench_app.command()
def recurrent(
    shape: Annotated[
        list[str] | None,
        typer.Option(
            metavar="T,B,H",
            help="Time steps, batch size and hidden size, e.g. 100,32,64; repeatable.",
        ),
    ] = None,
    activation: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Activations to time in the GRU (default: all)."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Repetitions.")] = 7,
    device: Annotated[str, typer.Option(metavar="cpu|cuda", help="Device to time.")] = "cpu",
    form: OutputFormat = Format.TABLE,
    output: Output = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Time cells, activations and backends against torch.nn, and IAAN's training step."""
    from sercli.bench.recurrent import bench_recurrent, read_shapes, recurrent_view
    from sercli.progress import Progress

    made = bench_recurrent(
        read_shapes(shape or []), activation or [], repeats, device, Progress(quiet=quiet)
    )
    _print(recurrent_view(made), form, output)


app.add_typer(runs_app, name="runs", rich_help_panel=_RECORDS)
app.add_typer(config_app, name="config", rich_help_panel=_MORE)
app.add_typer(bench_app, name="bench", rich_help_panel=_MORE)


def _print(view: View, form: Format | PredictFormat, output: Path | None = None) -> None:
    """Print a result to standard output, or write it to a file."""
    from sercli.reporting.formats import to_text

    _write(to_text(view, form.value, plain=output is not None), form, output)


def _write(text: str, form: Format | PredictFormat | ReportFormat, output: Path | None) -> None:
    if output is None:
        if form.value != "table":  # read by programs
            write_data_in_utf8()
        typer.echo(text, nl=False)
    else:
        from sercli.files import write_text

        write_text(output, text)
