from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corpus_factory import add, audited, read, refusals, rows, unused

from sercli.errors import RequestError

RATERS = (
    "f-6; Neutral; Neutral,Sad (a bit); A:3.000; V:3.000; D:NaN; N:4.000;",
    "F-12_x; Other; Other: naïve; A:2.000; V:3.000; D:3.000; N:NaN;",
)


def line(name: str, emotion: str = "N") -> str:
    return f"UTD-IMPROV-{name}.avi; {emotion}; A:2.800000; V:3.000000; D:NaN ; N:4.600000;"


def place(name: str) -> str:
    scene, speaker, kind, _ = name.split("-")
    return f"session{int(speaker[1:])}/{scene}/{kind}/MSP-IMPROV-{name}.wav"


def labels(root: Path, *lines: str, name: str = "Evaluation.txt", encoding: str = "utf-8") -> None:
    add(root, name, content="\r\n".join([*lines, ""]).encode(encoding))


NAMES = ("S01A-F01-S-MF03", "S14H-M06-R-FM01", "S03N-F02-P-FM12", "S20S-M02-T-MF01")


def test_label_file_and_name_tell_all_of_an_utterance(tmp_path: Path) -> None:
    add(tmp_path, *map(place, NAMES))
    lines = [part for name, code in zip(NAMES, "AHNX", strict=True) for part in (line(name, code),)]
    labels(tmp_path, lines[0], *RATERS, "", *lines[1:])
    manifest = read("msp_improv", tmp_path)
    columns = ("utterance", "speaker", "gender", "session", "emotion", "label", "improvised")
    assert rows(manifest, *columns) == [
        (f"MSP-IMPROV-{NAMES[0]}", "F01", "female", "session1", "A", "anger", True),
        (f"MSP-IMPROV-{NAMES[1]}", "M06", "male", "session6", "H", "happiness", False),
        (f"MSP-IMPROV-{NAMES[2]}", "F02", "female", "session2", "N", "neutral", None),
        (f"MSP-IMPROV-{NAMES[3]}", "M02", "male", "session2", "X", None, True),
    ]
    assert rows(manifest, "audio") == [(str(tmp_path / place(name)),) for name in NAMES]
    assert unused(manifest, ("dialogue", "turn", "start", "split", "transcript"))
    assert manifest.refused == ()


def test_utterances_stand_alone(tmp_path: Path) -> None:
    names = ("S01A-F01-S-MF01", "S01A-F01-S-MF02")
    add(tmp_path, *map(place, names))
    labels(tmp_path, *map(line, names))
    context = audited("msp_improv", tmp_path).context
    assert context.neither == 2


def test_other_is_a_class_of_the_full_set(tmp_path: Path) -> None:
    add(tmp_path, *map(place, NAMES[:2]))
    labels(tmp_path, line(NAMES[0], "O"), line(NAMES[1], "A"))
    assert rows(read("msp_improv", tmp_path), "label") == [(None,), ("anger",)]
    assert rows(read("msp_improv_full", tmp_path), "label") == [("other",), ("anger",)]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("name", ["Evaluation.txt", "Evalution.txt"])
def test_the_label_file_is_read_in_both_spellings_and_every_encoding(
    tmp_path: Path, name: str, encoding: str
) -> None:
    add(tmp_path, f"Audio/{place(NAMES[0])}")
    labels(tmp_path, line(NAMES[0]), *RATERS, name=name, encoding=encoding)
    manifest = read("msp_improv", tmp_path)
    assert rows(manifest, "audio") == [(str(tmp_path / "Audio" / place(NAMES[0])),)]
    assert manifest.refused == ()


def test_what_cannot_be_used_is_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    add(tmp_path, place(NAMES[0]), place(NAMES[1]), "session1/S01A/S/test (é).wav")
    add(tmp_path, place(NAMES[0]).replace("/MSP", "/._MSP"))
    labels(
        *(tmp_path, "a stray line", line(NAMES[0]), *RATERS, line(NAMES[0], "A")),
        *(line(NAMES[2]), line("S01A-F01-Q-MF03"), line(NAMES[1])[:48]),
    )
    manifest = read("msp_improv", tmp_path)
    assert rows(manifest, "utterance", "emotion") == [(f"MSP-IMPROV-{NAMES[0]}", "N")]
    assert refusals(manifest) == {
        "Evaluation.txt:1": "is not a label line",
        "Evaluation.txt:5": f"MSP-IMPROV-{NAMES[0]} is already labelled",
        "Evaluation.txt:6": f"MSP-IMPROV-{NAMES[2]}.wav is missing",
        "Evaluation.txt:7": "is not a label line",
        "Evaluation.txt:8": "is not a label line",
        place(NAMES[1]): "has no label",
        "session1/S01A/S/test (é).wav": "has no label",
    }


def test_a_root_without_labels_is_told_what_was_expected(tmp_path: Path) -> None:
    add(tmp_path, place(NAMES[0]))
    with pytest.raises(RequestError, match=r"has no Evaluation\.txt; expected .*dataset\.root="):
        read("msp_improv", tmp_path)


def test_the_complete_corpus_has_the_published_counts(tmp_path: Path) -> None:
    """As many turns as in the corpus; the names are made up but for their form."""
    emotions = "A" * 792 + "H" * 2644 + "N" * 3477 + "S" * 885 + "O" * 85 + "X" * 555
    names = [
        f"S{turn // 100 % 20 + 1:02}A-{'FM'[turn % 2]}{turn % 6 + 1:02}-S-MF{turn:04}"
        for turn in range(len(emotions))
    ]
    add(tmp_path, *map(place, names))
    labels(tmp_path, *map(line, names, emotions))
    found = audited("msp_improv", tmp_path)
    assert (found.utterances, found.targets) == (8438, 7798)
    assert len(found.sessions) == 6
    assert found.expected is not None
    assert found.expected.ok
