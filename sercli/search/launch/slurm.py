"""Workers of a sweep as the jobs of a Slurm array, submitted by submitit.

Jobs are not waited for: the storage of the study has their results. The same command, given again,
submits as many more.
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


def submit_workers(
    target: Callable[[WorkerOptions], int],
    options: WorkerOptions,
    launcher: LauncherConfig,
    folder: Path,
) -> list[str]:
    """Submit workers, and return at once.

    They run in the directory of this command, with its Python and its environment. Their logs and
    submitit's files lie in ``.slurm`` in ``folder``, which only the user may read: the options can
    hold a password. A job gets SIGTERM before its time limit, as when it is cancelled or preempted.

    Args:
        target: Runs one worker; a function of a module. It handles SIGTERM; with the executor
            ``local`` it gets SIGUSR2 before its time limit.
        options: The options of each worker.
        launcher: Number of workers, and the resources of each.
        folder: Folder of the experiment.

    Returns:
        The ids of the jobs: ``7_0``, ``7_1``, … of array 7.

    Raises:
        RequestError: submitit is missing, other machines cannot use the storage, or the grace time
            is longer than a job has.
        SercliError: The cluster refuses the jobs.
    """
    _check(options, launcher)
    processes = options.fold_workers or (1 if launcher.gpus else launcher.cpus)
    private = folder / ".slurm"
    private.mkdir(parents=True, exist_ok=True, mode=0o700)
    executor = _executor(launcher, private)
    try:
        executor.update_parameters(**_parameters(options, launcher))
        with redirect_stderr(io.StringIO()):  # the error repeats what sbatch prints there
            each = replace(options, fold_workers=processes)
            jobs = executor.map_array(target, [each] * launcher.array)
    except Exception as error:  # submitit has no class for what sbatch refuses
        raise SercliError(f"submitit could not submit the workers: {one_line(error)}") from error
    return [job.job_id for job in jobs]


def _check(options: WorkerOptions, launcher: LauncherConfig) -> None:
    """Refuse jobs that would fail when nobody watches."""
    shared = options.storage is not None and not options.storage.startswith("sqlite")
    if launcher.executor == "slurm" and not shared:
        raise RequestError(
            "launcher=submitit needs a storage that all machines reach, not an SQLite file: "
            "give --storage postgresql+psycopg://USER@HOST/DATABASE"
        )
    if launcher.signal_seconds <= options.grace:
        raise RequestError(
            f"launcher.signal_seconds={launcher.signal_seconds}: must be more than the "
            f"{options.grace:.0f} s that a worker has to finish a fold (--grace)"
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
            "there is no srun here: use launcher=submitit on a machine that submits to Slurm"
        ) from error


def _parameters(options: WorkerOptions, launcher: LauncherConfig) -> dict[str, Any]:
    """Return submitit's parameters, where None is left out."""
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
        # since 22.05 srun does not inherit this of sbatch: the worker would get one core
        "slurm_srun_args": [f"--cpus-per-task={launcher.cpus}"],
        # submitit's own SIGUSR2 would kill a worker's processes, which ignore SIGTERM only
        "slurm_additional_parameters": {
            "signal": f"TERM@{launcher.signal_seconds}",
            **launcher.sbatch,
        },
    }
