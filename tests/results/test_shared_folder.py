"""Records in a folder that two users share: permissions follow the umask, refusals name them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.users import as_colleague, needs_root, shared_folder

from sercli.errors import SercliError
from sercli.results.find import find_runs
from sercli.results.fold_result import FoldResult, read_fold_result, write_fold_result
from sercli.results.run_record import Record
from sercli.results.verify.record import verify_record

UMASK = 0o027


@pytest.fixture(name="umask")
def _umask() -> Iterator[None]:
    before = os.umask(UMASK)
    yield
    os.umask(before)


@pytest.fixture(name="tmp_path")
def _tmp_path() -> Iterator[Path]:
    with shared_folder() as folder:
        yield folder


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("umask")
def test_every_file_has_the_permissions_of_the_umask(
    record: Callable[..., Record], make_result: Callable[..., FoldResult], tmp_path: Path
) -> None:
    write_fold_result(tmp_path / "fold", make_result(["ang"], ["ang"]))

    assert modes(record().path) == modes(tmp_path / "fold") == {0o666 & ~UMASK}


@needs_root
def test_verify_names_permission_and_owner(record: Callable[..., Record]) -> None:
    path = record().path
    for name in ("weights/seed0-fold0.safetensors", "history.parquet"):
        (path / name).chmod(0o600)

    with as_colleague():
        faults = {fault.file: fault.reason for fault in verify_record(path)}

    reason = "permission denied (-rw-------); ask its owner root for read permission"
    assert faults == {"history.parquet": reason, "weights/seed0-fold0.safetensors": reason}


@needs_root
def test_a_private_experiment_is_left_out_of_a_report_by_name(
    record: Callable[..., Record], runs: Path
) -> None:
    record()
    private = record(experiment="private").path.parent
    private.chmod(0o700)

    with as_colleague():
        records, damaged = find_runs([], runs)

    assert [each.experiment for each in records] == ["first"]
    assert damaged == [
        f"{private} cannot be read: permission denied (drwx------); ask its owner root for read "
        "permission"
    ]


@needs_root
def test_a_fold_result_of_another_user_that_is_private_names_its_owner(
    make_result: Callable[..., FoldResult], tmp_path: Path
) -> None:
    write_fold_result(tmp_path / "fold", make_result(["ang"], ["ang"]))
    (tmp_path / "fold" / "weights.safetensors").chmod(0o600)

    with as_colleague(), pytest.raises(SercliError, match=r"permission denied .*owner root"):
        read_fold_result(tmp_path / "fold")
