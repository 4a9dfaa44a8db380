from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sercli.features.claims import Claims

KEY, OTHER = "a" * 64, "b" * 64

_HOLD = """
import sys
from pathlib import Path
from sercli.features.claims import Claims
claims = Claims(Path(sys.argv[1]))
print(claims.take(sys.argv[2]), flush=True)
sys.stdin.readline()
claims.give_back(sys.argv[2])
print("given back", flush=True)
sys.stdin.readline()
"""


@contextmanager
def another_process(folder: Path, key: str) -> Iterator[subprocess.Popen[str]]:
    """One that claims ``key``, and gives it back when it reads a line."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder), key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_what_another_process_has_claimed_cannot_be_claimed_until_it_is_given_back(
    tmp_path: Path,
) -> None:
    with another_process(tmp_path, KEY) as other, Claims(tmp_path) as claims:
        assert not claims.take(KEY)
        assert claims.take(OTHER)
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "given back\n"
        assert claims.take(KEY)


def test_the_claims_of_a_killed_process_end_with_it(tmp_path: Path) -> None:
    with another_process(tmp_path, KEY) as other, Claims(tmp_path) as claims:
        assert not claims.take(KEY)
        other.kill()
        began = time.monotonic()
        claims.wait_for(KEY)
        assert time.monotonic() - began < 10
        assert claims.take(KEY)


def test_claims_take_no_room(tmp_path: Path) -> None:
    with Claims(tmp_path) as claims:
        assert all(claims.take(f"{each:064x}"[::-1]) for each in range(1000))
    assert (tmp_path / "claims").stat().st_size == 0
