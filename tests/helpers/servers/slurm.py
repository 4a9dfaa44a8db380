"""A real Slurm of two nodes on this machine, for one test.

The programs are Debian's, downloaded once into the user's cache and unpacked there; nothing is
installed.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from filelock import FileLock
from helpers.servers.postgres import free_port

_PACKAGES = (
    "slurmctld",
    "slurmd",
    "slurm-client",
    "slurm-wlm-basic-plugins",
    "libhwloc15",
    "liblua5.1-0",
    "libmunge2",
)
_NODES = ("n1", "n2")
_START_SECONDS = 30
_CONFIGURATION = """
ClusterName=sercli
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
PluginDir={plugins}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000
ReturnToService=2
"""


class Slurm:
    """A running cluster.

    Args:
        environment: With which its commands, and ``sercli``, find it.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def __call__(self, *command: str) -> str:
        """Run a command such as ``squeue`` and return its output."""
        path = shutil.which(command[0], path=self.environment["PATH"])
        assert path is not None
        done = subprocess.run(
            [path, *command[1:]], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def states(self) -> dict[str, str]:
        """Return job id (``3_0``: the first of array 3) → state, for all unfinished jobs."""
        lines = self("squeue", "--noheader", "--array", "--format=%i %T").splitlines()
        return dict(line.split() for line in lines)

    def processes(self, job: str) -> list[int]:
        """Return the Python processes of a job of an array."""
        array, _, task = job.partition("_")
        marks = {f"SLURM_ARRAY_JOB_ID={array}", f"SLURM_ARRAY_TASK_ID={task}"}
        return [
            process
            for process, environment in _environments()
            if marks <= environment
            and f"SLURM_CONF={self.environment['SLURM_CONF']}" in environment
            and Path(f"/proc/{process}/cmdline").read_text().startswith(sys.executable)
        ]


@contextmanager
def slurm() -> Iterator[Slurm]:
    """Run a cluster within the block; skip the test where Slurm is not available."""
    root = _unpacked()
    folder = Path(tempfile.mkdtemp(prefix="sercli-slurm-"))
    environment = _environment(root, folder)
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        _configure(root, folder)
        controller = [str(root / "usr/sbin/slurmctld-wlm"), "-D"]
        stepd = str(root / "usr/sbin/slurmstepd-wlm")
        node = [str(root / "usr/sbin/slurmd-wlm"), "-D", "-d", stepd, "-N"]
        for command in (controller, *([*node, name] for name in _NODES)):
            daemons.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
        cluster = Slurm(environment)
        _wait_for_nodes(cluster)
        yield cluster
    finally:
        _stop(daemons, folder)
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked() -> Path:
    """Return the folder of the unpacked packages; download those that are missing."""
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons are started as root only")
    for program in ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            pytest.skip(f"Slurm is taken from Debian's packages, and there is no {program}")
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "sercli-tests"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / "slurm"
    with FileLock(cache / "slurm.lock"):
        if not root.is_dir():
            _download(cache, root)
    return root


def _download(cache: Path, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        folder = Path(temporary)
        got = subprocess.run(
            ["apt-get", "download", *_PACKAGES],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if got.returncode != 0:
            reason = " ".join(got.stderr.split())[:300]
            pytest.skip(f"Slurm's packages cannot be downloaded: {reason}")
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder / "root"], check=True)
        (folder / "root").replace(root)


def _environment(root: Path, folder: Path) -> dict[str, str]:
    libraries = root / "usr/lib" / _architecture(root)
    return {
        **os.environ,
        "PATH": f"{root / 'usr/bin'}{os.pathsep}{os.environ['PATH']}",
        "LD_LIBRARY_PATH": f"{libraries}{os.pathsep}{libraries / 'slurm-wlm'}",
        "SLURM_CONF": str(folder / "slurm.conf"),
    }


def _architecture(root: Path) -> str:
    return next((root / "usr/lib").glob("*/slurm-wlm")).parent.name


def _configure(root: Path, folder: Path) -> None:
    host = os.uname().nodename.partition(".")[0]
    text = _CONFIGURATION.format(
        host=host,
        user=getpass.getuser(),
        port=free_port(),
        plugins=root / "usr/lib" / _architecture(root) / "slurm-wlm",
        folder=folder,
    )
    for name in _NODES:
        text += (
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} "
            "CPUs=2 RealMemory=4000 State=UNKNOWN\n"
        )
        (folder / f"spool-{name}").mkdir()
    text += "PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n"
    (folder / "state").mkdir()
    (folder / "slurm.conf").write_text(text)


def _wait_for_nodes(cluster: Slurm) -> None:
    deadline = time.monotonic() + _START_SECONDS
    states = ""
    while time.monotonic() < deadline:
        try:
            states = cluster("sinfo", "--noheader", "--Node", "--format=%t")
        except AssertionError as error:  # the controller does not answer yet
            states = str(error)
        if states.split() == ["idle"] * len(_NODES):
            return
        time.sleep(0.2)
    pytest.skip(f"Slurm does not start here: {' '.join(states.split())[:300]}")


def _stop(daemons: list[subprocess.Popen[bytes]], folder: Path) -> None:
    """Stop the daemons, then all processes that they started."""
    for daemon in daemons:
        daemon.terminate()
    for daemon in daemons:
        try:
            daemon.wait(timeout=10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
    for process, environment in _environments():
        if f"SLURM_CONF={folder / 'slurm.conf'}" in environment:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def _environments() -> Iterator[tuple[int, set[str]]]:
    """Yield every process with its initial environment."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended by itself
            yield int(path.parent.name), set(path.read_bytes().decode(errors="replace").split("\0"))
