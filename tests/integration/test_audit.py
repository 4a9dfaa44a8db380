"""Output and exit status of `sercli extract`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from helpers.shell import Shell


def table(folder: Path, *lines: str) -> str:
    """Write a manifest beside the audio of ``folder``, and return the overrides that read it."""
    header = "utterance,audio,speaker,emotion,split"
    (folder / "mine.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(folder / "mine.csv")


def mine(path: str) -> list[str]:
    classes = "dataset.classes={ang: anger, sad: sadness}"
    return ["dataset=manifest", f"dataset.root={path}", classes, "--workers", "1"]


def audio(tree: Path, count: int) -> list[Path]:
    return sorted(tree.glob("Session1/sentences/wav/*/Ses*.wav"))[:count]


def test_what_is_doubtful_is_told_and_an_error_only_where_it_is_to_be(
    sercli: Shell, tree: Path
) -> None:
    one, two, three, four = audio(tree, 4)
    path = table(
        sercli.folder,
        f"a,{one},S1,ang,train",
        f"b,{two},S1,sad,test",
        f"c,{three},S2,ang,train",
        f"d,{four},S3,sad,test",
        f"e,{one},S3,sad,test",
    )
    told = sercli("extract", *mine(path))
    assert told.returncode == 0, told.stderr
    assert "Findings that make results doubtful: 2" in told.stdout
    strict = sercli("extract", *mine(path), "--strict", "--format", "json")
    assert strict.returncode == 1
    assert [finding["kind"] for finding in json.loads(strict.stdout)["findings"]] == [
        *("split", "repeated")
    ]
    shown = [line for line in strict.stderr.splitlines() if line.startswith("sercli: ")]
    assert len(shown) == 2
    assert "1 of 3 speakers are in several parts of the official split (S1)" in shown[0]
    assert shown[1].endswith("the same audio, but speaker S1 and S3, emotion ang and sad: a, e")


def test_strict_is_content_with_a_sound_corpus(sercli: Shell, tree: Path) -> None:
    one, two = audio(tree, 2)
    path = table(sercli.folder, f"a,{one},S1,ang,", f"b,{two},S1,sad,")
    assert sercli("extract", *mine(path), "--strict").returncode == 0


def test_a_part_of_a_corpus_is_not_as_published(sercli: Shell, small: list[str]) -> None:
    done = sercli("extract", *small, "--strict", "--quiet")
    assert done.returncode == 1
    assert "sercli: iemocap: Session1: utterances 12, published 1819" in done.stderr.splitlines()
    assert "60 utterances" in done.stdout
    assert sercli("extract", *small).returncode == 0


def test_refused_utterances_are_an_error_unless_they_are_allowed(sercli: Shell, tree: Path) -> None:
    one, two = audio(tree, 2)
    (sercli.folder / "empty.wav").touch()
    lines = [f"a,{one},S1,ang,", f"b,{two},S1,sad,", "c,empty.wav,S1,sad,", f"a,{two},S1,sad,"]
    path = table(sercli.folder, *lines)
    refused = sercli("extract", *mine(path))
    allowed = sercli("extract", *mine(path), "--allow-refused", "--strict")
    assert (refused.returncode, allowed.returncode) == (1, 0)
    for done in (refused, allowed):
        assert "Refused: 2" in done.stdout
        text = " ".join(done.stdout.split())  # a long refusal takes several lines
        assert "mine.csv:5: a is already listed in mine.csv:2" in text
        assert "empty file (0 bytes)" in text


def test_manifest_refusals_and_audit_are_kept(sercli: Shell, tree: Path) -> None:
    (one,) = audio(tree, 1)
    path = table(sercli.folder, f"a,{one},S1,ang,", "b,nowhere.wav,S1,sad,")
    first = sercli("extract", *mine(path), "--format", "json")
    (folder,) = (sercli.folder / "data" / "manifests").iterdir()
    assert str(folder.relative_to(sercli.folder)) in first.stderr
    assert pd.read_parquet(folder / "manifest.parquet")["utterance"].tolist() == ["a"]
    (refusal,) = pd.read_parquet(folder / "refused.parquet").to_dict("records")
    assert refusal == {"file": "mine.csv:3", "reason": "nowhere.wav is missing"}
    page = json.loads((folder / "audit.json").read_text(encoding="utf-8"))
    assert page["audio"]["sampling_rates"] == {"16000": 1}
    assert {name: page[name] for name in page if name != "configuration"} == json.loads(
        first.stdout
    )


def test_an_audit_that_cannot_be_kept_is_printed_all_the_same(sercli: Shell, tree: Path) -> None:
    one, two = audio(tree, 2)
    (sercli.folder / "data").write_text("a file where a folder should be", encoding="utf-8")
    path = table(sercli.folder, f"a,{one},S1,ang,", f"b,{two},S1,sad,")
    done = sercli("extract", *mine(path))
    assert done.returncode == 0, done.stderr
    assert "2 utterances, 2 targets" in done.stdout
    assert "manifest and audit cannot be kept under paths.data" in done.stderr


def test_the_context_of_a_configuration_is_audited(sercli: Shell, small: list[str]) -> None:
    audits = {
        choice: sercli.json("extract", *small, f"dataset.context.{choice}")["context"]
        for choice in ("window=8", "choose=none", "choose=random", "past_only=true")
    }
    usual, past = audits["window=8"], audits["past_only=true"]
    assert usual["not_over"] >= past["not_over"] == 0
    assert past["no_interlocutor"] >= usual["no_interlocutor"] > 0
    assert audits["choose=random"]["no_interlocutor"] == 0
    assert audits["choose=none"]["neither"] > usual["neither"]


def test_a_choice_of_context_that_is_none_is_refused(sercli: Shell) -> None:
    line = sercli.refused("extract", "dataset.context.choose=randon")
    assert "dataset.context.choose=randon is not known. Did you mean 'random'?" in line
