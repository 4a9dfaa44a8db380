from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from sercli.corpora.audit import Audit, Comparison, ContextCounts, Expected
from sercli.corpora.manifest import Refusal
from sercli.reporting.audit import render_audit

SESSION = {"anger": 229, "happiness": 278, "neutral": 384, "sadness": 194}
FOUND = {"anger": 1103, "happiness": 1636, "neutral": 1708, "sadness": 1084}
AUDIT = Audit(
    dataset="iemocap",
    synthetic=False,
    utterances=10039,
    targets=5531,
    hours=12.44,
    classes=FOUND,
    emotions={"xxx": 2507, "fru": 1849, "neu": 1708},
    speakers={f"Ses0{n}_{letter}": SESSION for n in range(1, 6) for letter in "FM"},
    sessions={f"Session{n}": SESSION for n in range(1, 6)},
    context=ContextCounts("transcript", 8, 190, 146, 94),
    expected=Expected(True, {label: Comparison(n, n) for label, n in FOUND.items()}),
    refused=(),
)


def shown(audit: Audit, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render_audit(audit))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def flat(audit: Audit) -> str:
    """Return what is shown as one line, wherever it was broken."""
    return " ".join(shown(audit).split())


def test_the_headline_says_what_the_corpus_holds() -> None:
    assert flat(AUDIT).startswith("iemocap: 10 039 utterances, 5 531 targets, 12.44 h")


def test_generated_speech_is_called_so() -> None:
    assert "generated speech" in flat(replace(AUDIT, synthetic=True))
    assert "generated" not in flat(AUDIT)


def test_an_unmeasured_duration_is_not_shown() -> None:
    assert " h class" not in flat(replace(AUDIT, hours=None))


def test_every_class_has_its_count_and_share() -> None:
    assert "happiness 1 636 29.6 %" in flat(AUDIT)


def test_every_speaker_and_session_has_its_counts_and_their_sum() -> None:
    text = flat(AUDIT)
    assert "Ses03_M 229 278 384 194 1 085" in text
    assert "Session5 229 278 384 194 1 085" in text


def test_a_corpus_without_sessions_shows_no_table_of_them() -> None:
    assert "session" not in shown(replace(AUDIT, sessions={}))


def test_emotions_of_the_corpus_are_listed_with_those_that_the_task_leaves_out() -> None:
    assert "xxx 2 507, fru 1 849" in flat(AUDIT)


def test_missing_context_is_counted_and_rated() -> None:
    text = flat(AUDIT)
    assert "missing in the 8 preceding turns (order: transcript) targets share" in text
    assert "a turn of the same speaker 190 3.4 %" in text
    assert "a turn of an interlocutor 146 2.6 %" in text
    assert "both 94 1.7 %" in text


def test_a_corpus_without_dialogues_says_so() -> None:
    alone = ContextCounts("transcript", 8, 5531, 5531, 5531)
    assert "every target stands alone" in flat(replace(AUDIT, context=alone))


def test_a_corpus_as_published_says_so() -> None:
    assert "5 531 of 5 531: as published" in flat(AUDIT)


def test_a_corpus_that_differs_says_where() -> None:
    expected = Expected(False, {"anger": Comparison(1103, 1000), "sadness": Comparison(10, 10)})
    text = flat(replace(AUDIT, expected=expected))
    assert "not as published (anger 1 000 of 1 103)" in text


def test_refusals_are_listed_up_to_twenty() -> None:
    refused = tuple(Refusal(f"file{n}.txt:1", "is stray") for n in range(1, 26))
    text = flat(replace(AUDIT, refused=refused))
    assert "Refused: 25" in text
    assert "file20.txt:1: is stray" in text
    assert "file21.txt" not in text
    assert "… and 5 more" in text
    assert "more" not in flat(replace(AUDIT, refused=refused[:20]))


def test_brackets_in_names_are_no_markup() -> None:
    audit = replace(
        AUDIT,
        dataset="[red]mine",
        classes={"[b]": 1},
        emotions={"[/b]": 1},
        speakers={"[i]S1": {"[b]": 1}},
        sessions={"[u]1": {"[b]": 1}},
        refused=(Refusal("take [1].wav", "[/nonsense] in line 1"),),
    )
    text = flat(audit)
    for name in (
        "[red]mine",
        "[b]",
        "[/b]",
        "[i]S1",
        "[u]1",
        "take [1].wav",
        "[/nonsense] in line 1",
    ):
        assert name in text


def test_a_corpus_without_targets_is_shown() -> None:
    empty = replace(AUDIT, targets=0, classes={"anger": 0}, speakers={"S1": {"anger": 0}})
    assert "0 targets" in flat(empty)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_wider_than_the_terminal_or_cut_off(width: int) -> None:
    long = Refusal("Session1/dialog/EmoEvaluation/Ses01F_script01_1.txt:12", "is stray " * 20)
    text = shown(replace(AUDIT, refused=(long,)), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text
