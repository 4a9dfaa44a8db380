"""IEMOCAP at its real size: every known count comes out, whatever stands in the way."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.corpus_factory import chosen, made_once, read
from helpers.iemocap_tree import (
    INVERSIONS,
    UNLABELLED,
    UNORDERED,
    WITHOUT_DOMINANCE,
    make_iemocap_tree,
)
from helpers.reference_context import Said, every_choice, reference_context

from sercli.config.schema import ContextConfig
from sercli.corpora.audit import Audit, audit
from sercli.corpora.context import find_context
from sercli.corpora.manifest import Manifest
from sercli.corpora.read import read_corpus
from sercli.reporting.views.audit import audit_view


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "whole-iemocap", make_iemocap_tree)


@pytest.fixture(scope="module")
def manifest(whole: Path) -> Manifest:
    return read("iemocap", whole)


@pytest.fixture(scope="module")
def found(whole: Path, manifest: Manifest) -> Audit:
    return audit(manifest, chosen("iemocap", whole))


def test_the_tree_has_the_irregularities_of_the_corpus(whole: Path, manifest: Manifest) -> None:
    dialogues = manifest.table.groupby("dialogue")["start"]
    inversions = dialogues.apply(lambda starts: int((starts.diff() < 0).sum()))
    assert len(inversions) == 151
    assert int(inversions.sum()) == INVERSIONS
    assert int((inversions > 0).sum()) == UNORDERED
    assert set(manifest.table["utterance"].str.len()) == {19, 20, 22, 23}
    texts = [p.read_text(encoding="latin-1") for p in whole.glob("*/dialog/tr*/S*.txt")]
    assert sum(text.count("XX") for text in texts) == UNLABELLED
    assert sum(text.count("\nM: Yeah.") for text in texts) > 151
    labels = [p.read_text(encoding="latin-1") for p in whole.glob("*/dialog/Emo*/S*.txt")]
    assert sum(text.count("act 2;\t()") for text in labels) == WITHOUT_DOMINANCE
    assert sum(1 for _ in whole.rglob("._*")) == 3 * 151


def test_every_known_count_comes_out_and_nothing_is_refused(found: Audit) -> None:
    assert (found.utterances, found.targets) == (10039, 5531)
    assert found.refused == ()
    assert found.findings == ()
    assert found.expected is not None
    assert len(found.expected.counts) == 4 + 5 * 8
    assert found.expected.ok


def test_sessions_have_the_numbers_of_the_corpus(found: Audit) -> None:
    assert [sum(counts.values()) for counts in found.sessions.values()] == [
        *(1085, 1023, 1151, 1031, 1241)
    ]
    context = found.context
    assert (context.no_same_speaker, context.no_interlocutor, context.neither) == (190, 146, 94)


def test_one_line_confirms_it(found: Audit) -> None:
    notes = audit_view(found).tables[0].notes
    assert notes[-1] == "44 published counts of the corpus and 5 parts of it: all agree."


def test_a_lost_dialogue_is_missed_in_its_session(whole: Path, tmp_path: Path) -> None:
    root = tmp_path / "IEMOCAP"
    (root / "Session4/dialog").mkdir(parents=True)
    for part in ("Session1", "Session2", "Session3", "Session5", "Session4/sentences"):
        (root / part).symlink_to(whole / part)
    for part in ("transcriptions", "EmoEvaluation"):
        shutil.copytree(whole / "Session4/dialog" / part, root / "Session4/dialog" / part)
    (root / "Session4/dialog/EmoEvaluation/Ses04F_script01_1.txt").unlink()
    dataset = chosen("iemocap", root)
    found = audit(read_corpus(dataset), dataset)
    lines = [finding.text for finding in found.findings]
    assert {finding.kind for finding in found.findings} == {"count"}
    assert any(line.startswith("Session4: utterances ") for line in lines)
    assert all(line.endswith("published 2103") for line in lines if ": utterances" in line)
    assert not any(line.startswith(("Session1", "Session2", "Session3")) for line in lines)


@pytest.fixture(scope="module")
def session(manifest: Manifest) -> Manifest:
    table = manifest.table
    return replace(manifest, table=table[table["session"] == "Session2"])


@pytest.fixture(scope="module")
def said(session: Manifest) -> list[Said]:
    columns = ["utterance", "speaker", "dialogue", "turn", "start", "end"]
    rows = session.table[columns].itertuples(index=False, name=None)
    return [
        Said._make((*row, target))
        for row, target in zip(rows, session.table["label"].notna(), strict=True)
    ]


@pytest.mark.parametrize("config", every_choice((8, 1000)), ids=str)
def test_the_context_is_what_a_look_turn_by_turn_finds(
    session: Manifest, said: list[Said], config: ContextConfig
) -> None:
    found = find_context(session, config)
    rows = found.astype(object).where(found.notna(), None).itertuples(name=None)
    assert {name: (own, other) for name, own, other in rows} == reference_context(said, config)
