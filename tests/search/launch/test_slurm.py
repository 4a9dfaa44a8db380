"""Workers as the jobs of a Slurm array: parameters, refusals, and the ends of jobs."""

from __future__ import annotations

import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.fake_worker import work
from helpers.servers.slurm import Slurm, slurm

from sercli.config.compose import compose
from sercli.config.schema import LauncherConfig
from sercli.errors import RequestError, SercliError
from sercli.search.launch.slurm import submit_workers
from sercli.search.worker.options import WorkerOptions

pytest.importorskip("submitit", reason="pip install 'sercli[slurm]'")

SHARED = "postgresql+psycopg://user@server/sweeps"
TESTS = str(Path(__file__).parents[2])


def launcher(*settings: str) -> LauncherConfig:
    return compose(["launcher=submitit", *(f"launcher.{setting}" for setting in settings)]).launcher


def options(runs: Path, *overrides: str, storage: str | None = SHARED) -> WorkerOptions:
    return WorkerOptions("study", runs, storage=storage, name="w", overrides=overrides)


def eventually(condition: Callable[[], object], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture(name="sbatch")
def _sbatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for Slurm: takes every job, and keeps the last script under this path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    kept = tmp_path / "script"
    for name, does in (("srun", "exit 0"), ("sbatch", f"cp $1 {kept}; echo Submitted batch job 7")):
        (programs / name).write_text(f"#!/bin/sh\n{does}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return kept


def test_the_jobs_are_an_array_with_the_settings_of_the_launcher(
    tmp_path: Path, sbatch: Path
) -> None:
    chosen = launcher(
        "array=3",
        "minutes=90",
        "signal_seconds=120",
        "cpus=8",
        "memory_gb=12",
        "gpus=1",
        "partition=long",
        "account=lab",
        "setup=[module load cuda]",
        "sbatch.qos=high",
    )
    jobs = submit_workers(work, options(tmp_path), chosen, tmp_path / "study")
    assert jobs == ["7_0", "7_1", "7_2"]

    script = sbatch.read_text()
    told = {line.removeprefix("#SBATCH --") for line in script.splitlines()}
    assert told > {
        "array=0-2%3",
        "time=90",
        "signal=TERM@120",
        "cpus-per-task=8",
        "mem=12GB",
        "gpus-per-node=1",
        "partition=long",
        "account=lab",
        "qos=high",
        "job-name=sercli-study",
    }
    assert "module load cuda" in told
    srun = script.splitlines()[-1]
    assert "--cpus-per-task=8" in srun
    assert sys.executable in srun
    assert str(tmp_path / "study" / ".slurm") in srun


def test_parameters_that_are_not_set_are_left_to_the_cluster(tmp_path: Path, sbatch: Path) -> None:
    submit_workers(work, options(tmp_path), launcher(), tmp_path)
    assert not {"partition", "account", "gpus"} & set(sbatch.read_text().replace("-", " ").split())


def test_nobody_else_may_read_the_options_of_the_jobs(tmp_path: Path, sbatch: Path) -> None:
    submit_workers(work, options(tmp_path), launcher(), tmp_path / "study")
    assert stat.S_IMODE((tmp_path / "study" / ".slurm").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("settings", "storage", "message"),
    [
        ([], None, "launcher=submitit needs a storage that all machines reach"),
        ([], "sqlite:////shared/study.db", "launcher=submitit needs a storage that all machines"),
        (["signal_seconds=20"], SHARED, "launcher.signal_seconds=20: must be more than the 20 s"),
    ],
)
def test_jobs_that_would_fail_unseen_are_not_submitted(
    settings: list[str], storage: str | None, message: str, tmp_path: Path, sbatch: Path
) -> None:
    with pytest.raises(RequestError) as error:
        submit_workers(
            work, options(tmp_path, storage=storage), launcher(*settings), tmp_path / "study"
        )
    assert str(error.value).startswith(message)
    assert not sbatch.exists()
    assert not (tmp_path / "study").exists()


def test_without_submitit_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(RequestError, match=r"pip install 'sercli\[slurm\]'"):
        submit_workers(work, options(tmp_path), launcher(), tmp_path)


def test_without_slurm_the_launcher_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match="there is no srun here"):
        submit_workers(work, options(tmp_path), launcher(), tmp_path)


def test_a_refusal_of_slurm_is_one_line(
    tmp_path: Path, sbatch: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "bin" / "sbatch"
    program.write_text("#!/bin/sh\necho 'sbatch: error: invalid\npartition' >&2; exit 1\n")
    with pytest.raises(SercliError) as error:
        submit_workers(work, options(tmp_path), launcher(), tmp_path)
    assert str(error.value).endswith("sbatch: error: invalid partition")
    assert capfd.readouterr().err == ""


def test_without_a_cluster_submitit_itself_runs_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", TESTS)
    chosen = launcher("executor=local", "array=2")
    folder = tmp_path / "study"
    told = options(tmp_path, "status=0", storage=None)
    jobs = submit_workers(work, told, chosen, folder)
    assert len(set(jobs)) == 2
    results = [folder / ".slurm" / f"{job}_0_result.pkl" for job in jobs]
    assert eventually(lambda: all(result.exists() for result in results))
    assert len((tmp_path / "w").read_text().splitlines()) == 2


@pytest.fixture(name="cluster", scope="module")
def _cluster() -> Iterator[Slurm]:
    with slurm() as cluster:
        yield cluster


def test_a_cancelled_job_of_a_real_slurm_gets_sigterm_and_its_pool_survives(
    tmp_path: Path, cluster: Slurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", TESTS)
    told = options(tmp_path, "pool")
    (job,) = submit_workers(work, told, launcher("array=1", "cpus=1", "memory_gb=1"), tmp_path)
    assert eventually((tmp_path / "w.ready").exists)
    cluster("scancel", job)
    left = tmp_path / "w.left"
    assert eventually(lambda: left.exists() and left.read_text())
    assert left.read_text() == "the pool works"
    assert eventually(lambda: job not in cluster.states())
