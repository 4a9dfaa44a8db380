"""The group that says where workers run."""

from __future__ import annotations

import pytest

from sercli.config.compose import compose
from sercli.config.run_key import run_key
from sercli.errors import RequestError


def test_workers_run_on_this_machine_by_default() -> None:
    assert compose([]).launcher.name == "local"
    assert compose(["launcher=submitit"]).launcher.name == "submitit"


def test_any_option_of_sbatch_can_be_given() -> None:
    launcher = compose(
        ["launcher=submitit", "launcher.sbatch.qos=long", "launcher.sbatch.mail-type=END"]
    ).launcher
    assert launcher.sbatch == {"qos": "long", "mail-type": "END"}


def test_the_launcher_is_not_part_of_the_run_key() -> None:
    there = compose(["launcher=submitit", "launcher.array=9", "launcher.sbatch.qos=long"])
    assert run_key(there, "data") == run_key(compose([]), "data")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("launcher.array=0", "launcher.array=0: must be 1 or more"),
        ("launcher.minutes=0", "launcher.minutes=0: must be 1 or more"),
        ("launcher.signal_seconds=0", "launcher.signal_seconds=0: must be 1 or more"),
        ("launcher.cpus=0", "launcher.cpus=0: must be 1 or more"),
        ("launcher.memory_gb=0", "launcher.memory_gb=0.0: must be above 0"),
        ("launcher.gpus=2", "launcher.gpus=2: must be 0 or 1: a worker trains on one GPU"),
        ("launcher.executor=slrum", "launcher.executor=slrum is not known. Did you mean 'slurm'?"),
        ("launcher.partitoin=x", "unknown key 'launcher.partitoin'. Did you mean"),
        ("launcher=slurm", "unknown launcher 'slurm'. Known: local, submitit."),
    ],
)
def test_an_invalid_launcher_is_refused(override: str, message: str) -> None:
    with pytest.raises(RequestError) as error:
        compose(["launcher=submitit", override] if "." in override else [override])
    assert str(error.value).startswith(message)
