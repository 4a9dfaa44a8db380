"""Workers of a sweep as the jobs of a Slurm array, submitted by submitit.

Nobody waits for a job: what became of it stands in the storage of the study. The command that
submitted the jobs, given again, submits as many more.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sercli.config.schema import LauncherConfig
from sercli.errors import RequestError, SercliError, one_line
from sercli.search.worker.options import WorkerOptions

if TYPE_CHECKING:
    from submitit import AutoExecutor


def submit(
    target: Callable[[WorkerOptions], int],
    options: WorkerOptions,
    launcher: LauncherConfig,
    folder: Path,
) -> list[str]:
    """Submit workers, and return at once.

    They run in the directory of this command, with its Python and its environment. Their logs, and
    what submitit starts them with, lie in ``.slurm`` in ``folder``, which only the user may read:
    the options can hold a password. Before its time limit a job gets SIGTERM, as it does when it is
    cancelled or gives way to another.

    Args:
        target: What a worker does, a function of a module. It handles SIGTERM; with the executor
            ``local`` it gets SIGUSR2 before its time limit.
        options: What each worker is told.
        launcher: How many there are, and what each may use.
        folder: Folder of the experiment.

    Returns:
        The ids of the jobs: ``7_0``, ``7_1``, … of array 7.

    Raises:
        RequestError: submitit is missing, other machines cannot use the storage, or a job would
            be given too little time to leave.
        SercliError: The cluster does not take the jobs.
    """
    _check(options, launcher)
    own = replace(
        options, fold_workers=options.fold_workers or (1 if launcher.gpus else launcher.cpus)
    )
    private = folder / ".slurm"
    private.mkdir(parents=True, exist_ok=True, mode=0o700)
    executor = _executor(launcher, private)
    try:
        executor.update_parameters(**_parameters(options, launcher))
        with redirect_stderr(io.StringIO()):  # what sbatch says there is in the error, too
            jobs = executor.map_array(target, [own] * launcher.array)
    except Exception as error:  # submitit has no class for what sbatch refuses
        said = one_line(error)
        raise SercliError(f"submitit could not submit the workers: {said}") from error
    return [job.job_id for job in jobs]


def _check(options: WorkerOptions, launcher: LauncherConfig) -> None:
    """Refuse what the jobs would fail of when nobody looks."""
    shared = options.storage is not None and not options.storage.startswith("sqlite")
    if launcher.executor == "slurm" and not shared:
        raise RequestError(
            "launcher=submitit needs a storage that all machines reach, and an SQLite file on a "
            "network file system is none: give --storage postgresql+psycopg://USER@HOST/DATABASE"
        )
    if launcher.signal_seconds <= options.grace:
        raise RequestError(
            f"launcher.signal_seconds={launcher.signal_seconds}: must be more than the "
            f"{options.grace:.0f} s that a worker has to finish a fold"
        )


def _executor(launcher: LauncherConfig, folder: Path) -> AutoExecutor:
    try:
        import submitit
    except ImportError as error:
        raise RequestError(
            "launcher=submitit needs submitit: pip install 'sercli[slurm]'"
        ) from error
    try:
        return submitit.AutoExecutor(folder, cluster=launcher.executor)
    except RuntimeError as error:
        raise RequestError(
            "there is no srun here: launcher=submitit is for a machine from which Slurm takes jobs"
        ) from error


def _parameters(options: WorkerOptions, launcher: LauncherConfig) -> dict[str, Any]:
    """The settings in submitit's words; None is left out."""
    return {
        "name": f"sercli-{options.study}",
        "timeout_min": launcher.minutes,
        "cpus_per_task": launcher.cpus,
        "mem_gb": launcher.memory_gb,
        "gpus_per_node": launcher.gpus or None,
        "local_setup": launcher.setup or None,
        "slurm_setup": launcher.setup or None,
        "slurm_partition": launcher.partition,
        "slurm_account": launcher.account,
        # since 22.05 srun does not know what sbatch was told: the worker would get one core
        "slurm_srun_args": [f"--cpus-per-task={launcher.cpus}"],
        # submitit's own SIGUSR2 would kill a worker's processes, which are deaf to SIGTERM alone
        "slurm_additional_parameters": {
            "signal": f"TERM@{launcher.signal_seconds}",
            **launcher.sbatch,
        },
    }
