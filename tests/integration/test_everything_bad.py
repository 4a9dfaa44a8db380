"""All that is ever wrong with a corpus, in one: the command finishes and names each of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from helpers.bad_audio import CASES, RATE, READ, voice
from helpers.shell import Shell

HIDDEN = {"AppleDouble", "a folder", "WAV without suffix"}
"""What a reader does not take for audio, so that it has no label in this corpus."""

LABELLED = {what: case for what, case in CASES.items() if what not in HIDDEN}


def make_corpus(root: Path) -> list[str]:
    """Write a corpus in the layout of MSP-Podcast, whose files may be called anything.

    Returns:
        The names of the files that are labelled.
    """
    audio = root / "Audios"
    audio.mkdir(parents=True)
    (root / "Labels").mkdir()
    files = []
    lines = ["FileName,EmoClass,SpkrID,Gender,Split_Set"]
    for number, case in enumerate(LABELLED.values()):
        files.append(f"{number:02d} {case.name}")
        case.write(audio / files[-1])
        lines.append(f"{files[-1]},{'AHNS'[number % 4]},{number % 5},Female,Train")
    lines.append(lines[1])  # a turn that is listed twice
    lines.append("gone.wav,A,1,Female,Train")  # a turn without audio
    CASES["24 bit"].write(audio / "unlabelled.wav")
    CASES["AppleDouble"].write(audio / "._unlabelled.wav")
    table = root / "Labels" / "labels_consensus.csv"
    table.write_text("\n".join(lines), encoding="utf-16")
    return files


def test_a_corpus_with_every_fault_is_read_to_its_end_and_each_fault_is_named(
    sercli: Shell,
) -> None:
    files = make_corpus(sercli.folder / "corpus")
    command = ["extract", "dataset=msp_podcast", "dataset.root=corpus", "--format", "json"]
    done = sercli(*command)
    assert done.returncode == 1, done.stderr
    audit = json.loads(done.stdout)
    refused = {(Path(each["file"]).name, each["reason"]) for each in audit["refused"]}
    bad = [case for case in LABELLED.values() if case.reason != READ]
    assert audit["utterances"] == len(LABELLED) - len(bad)
    for file, case in zip(files, LABELLED.values(), strict=True):
        reasons = [reason for name, reason in refused if name == file]
        assert len(reasons) == (case.reason != READ)
        assert all(case.reason in reason for reason in reasons)
    others = [each for each in audit["refused"] if Path(each["file"]).name not in files]
    assert len(others) == 3
    said = " ".join(f"{each['file']} {each['reason']}" for each in others)
    for words in ("already labelled", "gone.wav is missing", "unlabelled.wav has no label"):
        assert words in said

    assert sercli(*command).stdout == done.stdout
    assert sercli(*command, "--allow-refused").returncode == 0
    assert " 0 faults " in sercli.ok(*command[:-2], "--verify")


def test_a_full_disk_is_one_line_and_the_extraction_goes_on_when_there_is_room(
    sercli: Shell, small_disk: Path
) -> None:
    root = sercli.folder / "corpus"
    root.mkdir()
    lines = ["utterance,audio,speaker,emotion"]
    for each in range(60):
        soundfile.write(root / f"{each}.wav", voice(1.0, seed=each), RATE)
        lines.append(f"u{each},{each}.wav,s{each % 3},A")
    (root / "mine.csv").write_text("\n".join(lines), encoding="utf-8")
    command = [
        *("extract", "dataset=manifest", "dataset.root=corpus/mine.csv"),
        *("dataset.classes={A: a}", f"paths.store={small_disk / 'store'}", "--workers", "1"),
    ]
    filling = small_disk / "something else"
    filling.write_bytes(bytes(700_000))
    line = sercli.refused(*command, status=1)
    for words in (str(small_disk), "No space left", "stays", "run the command again"):
        assert words in line
    filling.unlink()
    done = sercli(*command)
    assert done.returncode == 0, done.stderr
    extracted, known = re.findall(r"(\d+) (?:utterances extracted|known)", done.stderr)
    assert int(known) > 0
    assert int(extracted) + int(known) == 60
    assert " 0 faults " in sercli.ok(*command[:-2], "--verify")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.6 MB in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", str(place)]
    done = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False)
    if not done or done.returncode:
        pytest.skip("no small file system can be mounted here (needs root)")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def few_turns(sercli: Shell, tree: Path, count: int) -> list[str]:
    """Return overrides for a table of ``count`` recordings."""
    lines = ["utterance,audio,speaker,emotion"]
    for number, wav in enumerate(sorted(tree.glob("Session1/sentences/wav/*/Ses*.wav"))[:count]):
        lines.append(f"u{number},{wav},s,A")
    (sercli.folder / "mine.csv").write_text("\n".join(lines), encoding="utf-8")
    return ["dataset=manifest", "dataset.root=mine.csv", "dataset.classes={A: a}"]


def test_verify_and_prune_from_the_shell(sercli: Shell, tree: Path) -> None:
    corpus = [*few_turns(sercli, tree, 6), "paths.store=store", "--workers", "1"]
    missing = sercli.refused("extract", *corpus, "--verify", status=1)
    assert "store cannot be opened: No such file" in missing
    sercli.ok("extract", *corpus)
    found = sercli.json("extract", *corpus, "--verify")
    assert (found["utterances"], found["stored"], found["faults"]) == (6, 6, [])

    other = [*corpus, "features.sampling_rate=8000"]
    done = sercli("extract", *other, "--verify", "--format", "json")
    assert done.returncode == 1
    reasons = [fault["reason"] for fault in json.loads(done.stdout)["faults"]]
    assert reasons == 6 * ["missing: run `sercli extract`"]
    assert " 6 faults " in sercli("extract", *other, "--verify").stdout

    sercli.ok("extract", *other)
    pruned = sercli.json("extract", "paths.store=store", "--prune")
    assert (pruned["unused"], pruned["freed"], pruned["kept"]) == (0, 0, 12)
    assert list(pruned["uses"].values()) == [6, 6]
    assert "one of the two" in sercli.refused("extract", *corpus, "--verify", "--prune")


def test_the_benchmark_of_extraction_is_one_json_document(
    sercli: Shell, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.bench.extract._MOST_COPIES", 2)
    monkeypatch.setattr("sercli.bench.extract.available_cores", lambda: 2)
    made = sercli.json("bench", "extract", *few_turns(sercli, tree, 2))
    assert made["utterances"] == 2
    assert made["ratio_to_alone"] > 0
    assert made["ratio_to_package"] > 0
    assert [pool["workers"] for pool in made["pools"]][:2] == [1, 2]
    assert made["again_seconds"] > 0
    assert not (sercli.folder / "store").exists()
