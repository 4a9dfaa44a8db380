from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.config.schema import DatasetConfig
from sercli.corpora.manifest import Manifest, Refusal
from sercli.corpora.read import read_corpus
from sercli.corpora.readers.iemocap_lines import (
    Label,
    Turn,
    is_remark,
    parse_label,
    parse_turn,
    speaker_of,
)
from sercli.errors import RequestError
from sercli.progress import Progress

CLASSES = {"ang": "anger", "exc": "happiness", "hap": "happiness", "neu": "neutral"}
COMMENT = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"


def label_line(utterance: str, emotion: str = "neu", start: float = 1.0) -> str:
    return f"[{start:.4f} - {start + 2:.4f}]\t{utterance}\t{emotion}\t[2.5000, 2.5000, 2.5000]"


def turn_line(utterance: str, text: str = "Yes.") -> str:
    return f"{utterance} [001.0000-003.0000]: {text}"


@dataclass(frozen=True)
class Tree:
    """A small corpus in IEMOCAP's layout, written by hand."""

    root: Path

    def dialogue(
        self,
        name: str,
        labels: Sequence[str],
        transcript: Sequence[str],
        *,
        session: str = "Session1",
        audio: Sequence[str] | None = None,
    ) -> None:
        spoken = [parse_turn(line) for line in transcript]
        ids = [turn.utterance for turn in spoken if turn] if audio is None else audio
        self.write(f"{session}/dialog/EmoEvaluation/{name}.txt", "\n".join(labels) + "\n")
        self.write(f"{session}/dialog/transcriptions/{name}.txt", "\n".join(transcript) + "\n")
        for utterance in ids:
            self.write(f"{session}/sentences/wav/{name}/{utterance}.wav", "RIFF")

    def write(self, path: str, content: str | bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def config(self) -> DatasetConfig:
        return DatasetConfig(
            name="iemocap", reader="iemocap", root=str(self.root), classes=dict(CLASSES)
        )

    def read(self) -> Manifest:
        return read_corpus(self.config())


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "IEMOCAP")


def simple_dialogue(tree: Tree, name: str = "Ses01F_impro01", session: str = "Session1") -> None:
    ids = [f"{name}_F000", f"{name}_M000"]
    labels = [COMMENT, "", *map(label_line, ids)]
    tree.dialogue(name, labels, list(map(turn_line, ids)), session=session)


def test_every_column_of_a_turn_is_read(tree: Tree) -> None:
    name = "Ses02F_script01_1b"
    turn = f"{name}_M003"
    labels = [COMMENT, "", label_line(turn, "exc", 6.25), "C-E2:\tHappiness;\t()", ""]
    tree.dialogue(name, labels, [turn_line(turn, "Oh: really? ")], session="Session2")
    row = tree.read().table.iloc[0]
    expected = {
        "utterance": turn,
        "audio": str(tree.root / f"Session2/sentences/wav/{name}/{turn}.wav"),
        "start": 6.25,
        "end": 8.25,
        "speaker": "Ses02_M",
        "gender": "male",
        "session": "Session2",
        "dialogue": name,
        "turn": 0,
        "emotion": "exc",
        "label": "happiness",
        "improvised": False,
        "transcript": "Oh: really?",
    }
    assert {column: row[column] for column in expected} == expected
    assert row[["audio_start", "audio_end", "split"]].isna().all()


def test_a_dialogue_holds_both_speakers_whoever_wears_the_markers(tree: Tree) -> None:
    simple_dialogue(tree)
    table = tree.read().table
    assert table["speaker"].tolist() == ["Ses01_F", "Ses01_M"]
    assert table["gender"].tolist() == ["female", "male"]
    assert table["improvised"].tolist() == [True, True]


def test_turns_that_the_task_leaves_out_stay_in_the_manifest_as_context(tree: Tree) -> None:
    ids = [f"Ses01F_impro01_F00{i}" for i in range(4)]
    labels = list(map(label_line, ids, ["xxx", "ang", "fru", "hap"]))
    tree.dialogue("Ses01F_impro01", labels, list(map(turn_line, ids)))
    manifest = tree.read()
    assert manifest.table["emotion"].tolist() == ["xxx", "ang", "fru", "hap"]
    assert manifest.targets["label"].tolist() == ["anger", "happiness"]
    assert manifest.classes == ("anger", "happiness", "neutral")


def test_turns_stand_in_the_order_of_the_transcript_and_not_of_the_label_file(tree: Tree) -> None:
    ids = ["Ses01F_impro01_M000", "Ses01F_impro01_F000", "Ses01F_impro01_M001"]
    labels = [label_line(utterance, start=i) for i, utterance in enumerate(sorted(ids))]
    tree.dialogue("Ses01F_impro01", labels, list(map(turn_line, ids)))
    table = tree.read().table
    assert table["utterance"].tolist() == ids
    assert table["turn"].tolist() == [0, 1, 2]
    assert table["start"].tolist() == [1.0, 0.0, 2.0]


def test_turns_without_a_label_or_an_id_are_no_turns_and_no_mistakes(tree: Tree) -> None:
    ids = ["Ses03F_impro05a_F000", "Ses03F_impro05a_M000"]
    transcript = [
        turn_line(ids[0]),
        turn_line("Ses03F_impro05a_MXX0"),
        "M: Yeah.",
        turn_line("Ses03F_impro05a_F001", "never labelled"),
        turn_line(ids[1]),
    ]
    tree.dialogue("Ses03F_impro05a", list(map(label_line, ids)), transcript)
    manifest = tree.read()
    assert manifest.table["utterance"].tolist() == ids
    assert manifest.table["turn"].tolist() == [0, 1]
    assert manifest.refused == ()


def test_apple_double_files_are_passed_over(tree: Tree) -> None:
    simple_dialogue(tree)
    tree.write("Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt", b"\x00\x05\x16\x07\xff")
    tree.write("Session1/dialog/transcriptions/._Ses01F_impro01.txt", b"\x00\x05\x16\x07\xff")
    tree.write("Session1/sentences/wav/Ses01F_impro01/._Ses01F_impro01_F000.wav", b"\x00\x05")
    manifest = tree.read()
    assert len(manifest.table) == 2
    assert manifest.refused == ()


def test_each_emotion_that_a_rater_names_is_read(tree: Tree) -> None:
    turn, other = "Ses01F_impro01_F000", "Ses01F_impro01_M000"
    raters = [
        "C-E2:\tNeutral;\t()",
        "C-E4:\tFrustration; Anger;\t(tired)",
        "C-F1:\tNeutral; Anger;\t(tired)",
        "A-E3:\tval 3; act 2; dom  2;\t()",
        "A-M1:\tval 3; act 2;\t()",
    ]
    lines = [COMMENT, label_line(turn), *raters, label_line(other), raters[0]]
    twice = [label_line(turn), "C-E1:\tSadness;\t()"]
    transcript = [turn_line(turn), turn_line(other)]
    tree.dialogue("Ses01F_impro01", [*lines, *twice], transcript)
    manifest = tree.read()
    assert [refusal.reason for refusal in manifest.refused] == [
        f"{turn} is already labelled in line 2"
    ]
    found = manifest.ratings.astype(object).where(manifest.ratings.notna(), None)
    assert found.to_numpy().tolist() == [
        [turn, "E2", "neu", "neutral"],
        [turn, "E4", "fru", None],
        [turn, "E4", "ang", "anger"],
        [other, "E2", "neu", "neutral"],
    ]
    assert set(manifest.without({turn: manifest.refused[0]}).ratings["utterance"]) == {other}


@pytest.mark.parametrize(
    "stray",
    [
        "this is no label",
        "[6.2901 - 8.2357]\tSes01F_impro01_F001\tneu\t[2.50",
        "[6.2901 - ]\tSes01F_impro01_F001\tneu\t[2.5000, 2.5000, 2.5000]",
        "[6.2901 - 8.2357]\tSes01F_impro01_MXX0\tneu\t[2.5000, 2.5000, 2.5000]",
    ],
)
def test_a_stray_line_is_refused_and_the_rest_is_read(tree: Tree, stray: str) -> None:
    ids = ["Ses01F_impro01_F000", "Ses01F_impro01_M000"]
    labels = [COMMENT, label_line(ids[0]), stray, label_line(ids[1])]
    tree.dialogue("Ses01F_impro01", labels, list(map(turn_line, ids)))
    manifest = tree.read()
    assert manifest.table["utterance"].tolist() == ids
    place = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt:3"
    assert manifest.refused == (Refusal(place, "is not a label line"),)


def test_a_turn_without_audio_is_refused_and_the_rest_is_read(tree: Tree) -> None:
    ids = ["Ses01F_impro01_F000", "Ses01F_impro01_M000"]
    labels = list(map(label_line, ids))
    tree.dialogue("Ses01F_impro01", labels, list(map(turn_line, ids)), audio=ids[1:])
    manifest = tree.read()
    assert manifest.table["utterance"].tolist() == ids[1:]
    (refusal,) = manifest.refused
    assert refusal.file == "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt:1"
    audio = "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert refusal.reason == f"{audio} is missing"


def test_a_turn_missing_from_the_transcript_is_refused_and_the_rest_is_read(tree: Tree) -> None:
    ids = ["Ses01F_impro01_F000", "Ses01F_impro01_M000"]
    tree.dialogue("Ses01F_impro01", list(map(label_line, ids)), [turn_line(ids[1])])
    manifest = tree.read()
    assert manifest.table["utterance"].tolist() == ids[1:]
    (refusal,) = manifest.refused
    assert refusal.file == "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt:1"
    assert "Ses01F_impro01_F000 is not in" in refusal.reason


def test_a_turn_labelled_twice_counts_once(tree: Tree) -> None:
    turn = "Ses01F_impro01_F000"
    labels = [COMMENT, label_line(turn, "ang"), label_line(turn, "neu")]
    tree.dialogue("Ses01F_impro01", labels, [turn_line(turn)])
    manifest = tree.read()
    assert manifest.table["emotion"].tolist() == ["ang"]
    (refusal,) = manifest.refused
    assert refusal.file.endswith("Ses01F_impro01.txt:3")
    assert "already labelled in line 2" in refusal.reason


def test_a_dialogue_without_transcript_is_refused_once_and_the_rest_is_read(tree: Tree) -> None:
    simple_dialogue(tree, "Ses01F_impro01")
    simple_dialogue(tree, "Ses01F_impro02")
    (tree.root / "Session1/dialog/transcriptions/Ses01F_impro01.txt").unlink()
    manifest = tree.read()
    assert set(manifest.table["dialogue"]) == {"Ses01F_impro02"}
    (refusal,) = manifest.refused
    assert refusal.file == "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    assert "the dialogue Ses01F_impro01 is left out" in refusal.reason


def test_a_label_file_that_cannot_be_read_costs_its_dialogue_only(tree: Tree) -> None:
    simple_dialogue(tree, "Ses01F_impro01")
    simple_dialogue(tree, "Ses01F_impro02")
    labels = tree.root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    labels.unlink()
    labels.mkdir()
    manifest = tree.read()
    assert set(manifest.table["dialogue"]) == {"Ses01F_impro02"}
    assert [refusal.file for refusal in manifest.refused] == [
        "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    ]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("utf-8-sig", "Café …"), ("utf-8", "Café …"), ("latin-1", "Café \x85")],
)
def test_files_are_read_in_whatever_encoding_they_came(
    tree: Tree, encoding: str, text: str
) -> None:
    simple_dialogue(tree)
    turns = [turn_line("Ses01F_impro01_F000", f"{text}!"), turn_line("Ses01F_impro01_M000")]
    labels = [label_line("Ses01F_impro01_F000"), label_line("Ses01F_impro01_M000")]
    for folder, lines in {"transcriptions": turns, "EmoEvaluation": labels}.items():
        content = "\r\n".join(lines).encode(encoding)
        tree.write(f"Session1/dialog/{folder}/Ses01F_impro01.txt", content)
    manifest = tree.read()
    assert manifest.refused == ()
    assert manifest.table["transcript"].tolist() == [f"{text}!", "Yes."]


def test_sessions_and_dialogues_come_in_the_order_of_their_names(tree: Tree) -> None:
    simple_dialogue(tree, "Ses02F_impro01", "Session2")
    simple_dialogue(tree, "Ses01F_script01_1")
    simple_dialogue(tree, "Ses01F_impro01")
    table = tree.read().table
    names = ["Ses01F_impro01", "Ses01F_script01_1", "Ses02F_impro01"]
    assert list(dict.fromkeys(table["dialogue"])) == names
    assert list(dict.fromkeys(table["session"])) == ["Session1", "Session2"]


def test_a_root_of_another_layout_is_told_what_is_expected(tree: Tree) -> None:
    tree.write("audio/a.wav", "RIFF")
    with pytest.raises(RequestError, match=r"no folder Session1; expected Session1/dialog/Emo"):
        tree.read()


def test_a_session_without_labels_is_refused_and_the_others_are_read(tree: Tree) -> None:
    simple_dialogue(tree)
    tree.write("Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F000.wav", "RIFF")
    (tree.root / "Session3").mkdir()
    manifest = tree.read()
    assert set(manifest.table["session"]) == {"Session1"}
    assert [refusal.file for refusal in manifest.refused] == ["Session2", "Session3"]


def test_a_corpus_without_any_labels_is_told_what_is_expected(tree: Tree) -> None:
    tree.write("Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F000.wav", "RIFF")
    message = r"no label file in any .*; expected Session1/dialog/Emo.*It holds Session2/"
    with pytest.raises(RequestError, match=message):
        tree.read()


def test_without_transcripts_turns_are_in_the_order_of_their_start(
    tree: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [f"Ses01F_impro01_{turn}" for turn in ("F000", "M000", "F001")]
    starts = dict(zip(ids, (9.0, 1.0, 5.0), strict=True))
    labels = [label_line(turn, start=start) for turn, start in starts.items()]
    tree.dialogue("Ses01F_impro01", labels, [turn_line(turn) for turn in ids])
    shutil.rmtree(tree.root / "Session1/dialog/transcriptions")
    table = read_corpus(tree.config(), Progress()).table
    assert table["start"].tolist() == [1, 5, 9]
    assert table["turn"].tolist() == [0, 1, 2]
    assert table["transcript"].isna().all()
    assert "has no dialog/transcriptions; turns are in the order" in capsys.readouterr().err


@pytest.mark.parametrize("above", ["IEMOCAP_full_release", "kaggle/IEMOCAP_full_release"])
def test_sessions_may_lie_deeper_and_a_session_may_be_the_root(tree: Tree, above: str) -> None:
    deep = Tree(tree.root / above)
    simple_dialogue(deep)
    names = tree.read().table["utterance"].tolist()
    assert names == Tree(deep.root / "Session1").read().table["utterance"].tolist()


@pytest.mark.parametrize("place", ["Ses01F_impro01/{}.WAV", "{}.wav", "Ses01F_impro01/{}.flac"])
def test_audio_may_be_flat_or_in_another_format(tree: Tree, place: str) -> None:
    turn = "Ses01F_impro01_F000"
    tree.dialogue("Ses01F_impro01", [label_line(turn)], [turn_line(turn)], audio=[])
    file = f"Session1/sentences/wav/{place.format(turn)}"
    tree.write(file, "RIFF")
    assert tree.read().table["audio"].tolist() == [str(tree.root / file)]


def test_a_corpus_of_which_nothing_is_left_says_why(tree: Tree) -> None:
    turn = "Ses01F_impro01_F000"
    tree.dialogue("Ses01F_impro01", [label_line(turn)], [turn_line(turn)], audio=[])
    with pytest.raises(RequestError, match=r"all were refused \(1\).*F000\.wav is missing"):
        tree.read()


def test_an_option_is_refused_because_the_reader_takes_none(tree: Tree) -> None:
    simple_dialogue(tree)
    with pytest.raises(RequestError, match=r"dataset\.options\.sede: .* has no options"):
        read_corpus(replace(tree.config(), options={"sede": 1}))


def test_the_synthetic_reader_generates_the_tree_and_reads_it(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = []

    def ensure(root: Path, seed: int, **_: object) -> None:
        seeds.append(seed)
        simple_dialogue(Tree(root))

    monkeypatch.setattr("sercli.corpora.synthetic.ensure", ensure)
    config = replace(tree.config(), reader="synthetic", synthetic=True, options={"seed": 7})
    manifest = read_corpus(config)
    assert seeds == [7]
    assert manifest.synthetic
    assert len(manifest.table) == 2


names = st.from_regex(r"Ses0[1-5][FM]_(impro0[1-8][ab]?|script0[1-3]_[1-3]b?)", fullmatch=True)
utterances = st.builds("{}_{}{:03d}".format, names, st.sampled_from("FM"), st.integers(0, 999))
seconds = st.integers(0, 10**7).map(lambda ticks: ticks / 10**4)


@given(utterances, seconds, seconds, st.from_regex(r"[a-z]{3}", fullmatch=True))
def test_a_label_line_that_was_written_is_read(
    utterance: str, start: float, end: float, emotion: str
) -> None:
    line = f"[{start:.4f} - {end:.4f}]\t{utterance}\t{emotion}\t[2.5000, 3.0000, 1.5000]"
    assert parse_label(line) == Label(utterance, start, end, emotion, (2.5, 3.0, 1.5))
    assert not is_remark(line)


@given(utterances, st.text(st.characters(exclude_characters="\n\r")))
def test_a_transcript_line_that_was_written_is_read(utterance: str, text: str) -> None:
    line = f"{utterance} [006.2901-008.2357]: {text}"
    assert parse_turn(line) == Turn(utterance, text.strip())


@given(utterances)
def test_the_speaker_is_the_session_and_the_letter_of_the_turn(utterance: str) -> None:
    assert 19 <= len(utterance) <= 23
    session, _, letter = speaker_of(utterance).partition("_")
    assert session == utterance[:5]
    assert f"_{letter}{utterance[-3:]}" == utterance[-5:]


fragments = ["[", "]", "1.5", " - ", "\t", "Ses01F_impro01_F000", "neu", ": ", "%", "C-E1:"]
lines = st.text() | st.lists(st.sampled_from(fragments)).map("".join)


@given(lines)
def test_an_arbitrary_line_is_read_or_not_but_never_raises(line: str) -> None:
    label, turn = parse_label(line), parse_turn(line)
    assert label is None or pd.notna(label.start)
    assert turn is None or line.startswith(turn.utterance)
    assert not (label and is_remark(line))


@pytest.mark.parametrize("dimensions", ["2.5, 3.0", "2.5, x, 1.5", "", "2.5, 3.0, 1.5, 2.0"])
def test_a_label_without_three_dimensions_has_none(dimensions: str) -> None:
    label = parse_label(f"[1.0 - 2.0]\tSes01F_impro01_F000\tneu\t[{dimensions}]")
    assert label is not None
    assert label.dimensions == ()
