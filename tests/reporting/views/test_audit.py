"""The audit of a corpus, as it is printed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sercli.corpora.audio_stats import AudioStats, Durations
from sercli.corpora.audit import Audit
from sercli.corpora.context import ContextCounts
from sercli.corpora.expected_counts import CountComparison, ExpectedCounts
from sercli.corpora.findings import Finding
from sercli.corpora.manifest import Refusal
from sercli.reporting.formats import to_text
from sercli.reporting.views.audit import audit_view

SESSION = {"anger": 229, "happiness": 278, "neutral": 384, "sadness": 194}
FOUND = {"anger": 1103, "happiness": 1636, "neutral": 1708, "sadness": 1084}
CONTEXT = ContextCounts("last", "transcript", 8, False, 190, 146, 94, 3982)
AUDIO = AudioStats(
    utterances=Durations(44784.0, 0.585, 1.2, 3.5, 4.46, 11.25, 34.125),
    targets=Durations(25000.0, 0.6, 1.3, 3.58, 4.5, 11.5, 34.1),
    sampling_rates={"16000": 10038, "44100": 1},
    channels={"1": 10037, "2": 2},
    silent=(),
    clipped=(),
    repeated=(),
)
AUDIT = Audit(
    dataset="iemocap",
    synthetic=False,
    utterances=10039,
    targets=5531,
    hours=12.44,
    classes=FOUND,
    emotions={"xxx": 2507, "fru": 1849, "neu": 1708},
    corpora={},
    speakers={f"Ses0{n}_{letter}": SESSION for n in range(1, 6) for letter in "FM"},
    sessions={f"Session{n}": SESSION for n in range(1, 6)},
    splits={},
    context=CONTEXT,
    audio=AUDIO,
    expected=ExpectedCounts(
        tuple(CountComparison(None, label, n, n) for label, n in FOUND.items())
    ),
    findings=(),
    refused=(),
)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def shown(audit: Audit) -> str:
    return to_text(audit_view(audit))


def flat(audit: Audit) -> str:
    """Return what is shown as one line, wherever it was broken."""
    return " ".join(shown(audit).split())


def test_the_headline_says_what_the_corpus_holds() -> None:
    assert flat(AUDIT).startswith("iemocap: 10 039 utterances, 5 531 targets, 12.44 h")


def test_generated_speech_is_called_so() -> None:
    assert "generated speech" in flat(replace(AUDIT, synthetic=True))
    assert "generated" not in flat(AUDIT)


def test_an_unmeasured_duration_is_not_shown() -> None:
    assert "12.44" not in flat(replace(AUDIT, hours=None))


def test_every_class_has_its_count_and_share() -> None:
    assert "happiness 1 636 29.6" in flat(AUDIT)


def test_every_speaker_and_session_has_its_counts_and_their_sum() -> None:
    text = flat(AUDIT)
    assert "Ses03_M 229 278 384 194 1 085" in text
    assert "Session5 229 278 384 194 1 085" in text


def test_a_corpus_without_sessions_shows_no_table_of_them() -> None:
    assert "Targets by session" not in flat(replace(AUDIT, sessions={}))


def test_emotions_of_the_corpus_are_listed_with_those_that_the_task_leaves_out() -> None:
    assert "xxx 2 507, fru 1 849" in flat(AUDIT)


def test_the_parts_of_an_official_split_have_their_counts() -> None:
    assert "train 229 278 384 194 1 085" in flat(replace(AUDIT, splits={"train": SESSION}))
    assert "Targets by split" not in flat(AUDIT)


def test_missing_context_is_counted_and_rated() -> None:
    text = flat(AUDIT)
    assert "Context in the 8 preceding turns (order: transcript)" in text
    assert "turn of the same speaker 190 3.4" in text
    assert "turn of the interlocutor 146 2.6" in text
    assert "both 94 1.7" in text
    assert "overlapping 3 982 72.0" in text


def test_what_is_unknown_of_the_context_is_not_shown() -> None:
    assert "overlapping" not in flat(replace(AUDIT, context=replace(CONTEXT, not_over=None)))


def test_another_choice_of_context_is_named() -> None:
    past = flat(replace(AUDIT, context=replace(CONTEXT, past_only=True)))
    assert "(order: transcript), finished turns only" in past
    drawn = flat(replace(AUDIT, context=replace(CONTEXT, choose="random")))
    assert "Context in the dialogue (choice: random)" in drawn


def test_a_corpus_without_dialogues_says_so() -> None:
    alone = ContextCounts("last", "transcript", 8, False, 5531, 5531, 5531, 0)
    assert "no target has a context turn" in flat(replace(AUDIT, context=alone))


def test_durations_have_their_distribution() -> None:
    text = flat(AUDIT)
    assert "durations min 5 % median mean 95 % max" in text.replace("\u00a0", " ")
    assert "targets 0.60 1.30 3.58 4.50 11.50 34.10" in text
    assert "targets 0.60" not in flat(replace(AUDIT, audio=replace(AUDIO, targets=None)))


def test_sampling_rates_and_channels_are_counted() -> None:
    text = flat(AUDIT).replace("\u00a0", " ")
    assert "16 000 Hz (10 038), 44 100 Hz (1); by channels: 1 (10 037), 2 (2)." in text


def test_sound_that_was_not_measured_is_not_shown() -> None:
    assert "Durations" not in flat(replace(AUDIT, audio=None))


def test_a_corpus_as_published_says_so() -> None:
    assert "4 published counts: all agree." in flat(AUDIT)


def test_a_corpus_that_differs_says_how_often() -> None:
    counts = (
        CountComparison(None, "anger", 1103, 1000),
        CountComparison("Session1", "sadness", 10, 10),
    )
    text = flat(replace(AUDIT, expected=ExpectedCounts(counts)))
    assert "2 published counts of the corpus and 1 parts of it: 1 differ." in text


def test_a_corpus_of_which_nothing_is_known_is_not_compared() -> None:
    assert "published" not in flat(replace(AUDIT, expected=None))


def test_what_is_doubtful_is_listed() -> None:
    findings = tuple(Finding("count", f"Session{n}: anger 1, published 2") for n in range(25))
    text = flat(replace(AUDIT, findings=findings))
    assert "doubtful: 25 finding" in text
    assert "Session0: anger 1, published 2" in text
    assert "5 more are not shown" in text
    assert "doubtful" not in flat(AUDIT)


def test_refusals_are_listed_up_to_twenty() -> None:
    refused = tuple(Refusal(f"file{n}.txt:1", "is stray") for n in range(1, 26))
    text = flat(replace(AUDIT, refused=refused))
    assert "Refused: 25" in text
    assert "file20.txt:1: is stray" in text
    assert "file21.txt" not in text
    assert "5 more are not shown" in text
    assert "more" not in flat(replace(AUDIT, refused=refused[:20]))


def test_brackets_in_names_are_no_markup() -> None:
    audit = replace(
        AUDIT,
        dataset="[red]mine",
        classes={"[b]": 1},
        emotions={"[/b]": 1},
        speakers={"[i]S1": {"[b]": 1}},
        sessions={"[u]1": {"[b]": 1}},
        findings=(Finding("count", "[s]Session1: [b] 1"),),
        refused=(Refusal("take [1].wav", "[/nonsense] in line 1"),),
    )
    text = flat(audit)
    for name in (
        "[red]mine",
        "[b]",
        "[/b]",
        "[i]S1",
        "[u]1",
        "[s]Session1",
        "take [1].wav",
        "[/nonsense] in line 1",
    ):
        assert name in text


def test_a_corpus_without_targets_is_shown() -> None:
    empty = replace(AUDIT, targets=0, classes={"anger": 0}, speakers={"S1": {"anger": 0}})
    assert "0 targets" in flat(empty)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_wider_than_the_terminal_or_cut_off(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    long = Refusal("Session1/dialog/EmoEvaluation/Ses01F_script01_1.txt:12", "is stray " * 20)
    text = shown(replace(AUDIT, refused=(long,)))
    assert all(len(line) <= width for line in text.splitlines())
    assert "…" not in text


def test_csv_has_the_counts_of_the_classes() -> None:
    assert to_text(audit_view(AUDIT), "csv").splitlines()[:2] == ["class,targets", "anger,1103"]
