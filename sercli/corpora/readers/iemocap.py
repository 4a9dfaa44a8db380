"""IEMOCAP (Busso et al. 2008), and corpora in its layout.

Every labelled turn is kept, whatever its label: a model with context needs them all. The
complete corpus has 10 039 turns in 151 dialogues; the usual four classes, with excitement
counted as happiness, use 5 531.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sercli.config.schema import DatasetConfig
from sercli.corpora.audio_files import in_any_format, wrong_root
from sercli.corpora.manifest import Manifest, Refusal, Row
from sercli.corpora.readers import READERS, NoOptions, dataset_manifest, reader_options
from sercli.corpora.readers.iemocap_lines import (
    Label,
    is_remark,
    parse_label,
    parse_ratings,
    parse_turn,
    speaker_of,
)
from sercli.corpora.validate import DIMENSIONS
from sercli.progress import Progress

_LAYOUT = (
    "Session1/dialog/EmoEvaluation/*.txt, Session1/dialog/transcriptions/*.txt "
    "and Session1/sentences/wav/*/*.wav, and so on for every session"
)
_GENDERS = {"F": "female", "M": "male"}


@dataclass(frozen=True)
class _Dialogue:
    """Paths of the files of a dialogue."""

    session: Path
    name: str

    @property
    def labels(self) -> Path:
        return self.session / "dialog" / "EmoEvaluation" / f"{self.name}.txt"

    @property
    def transcript(self) -> Path:
        return self.session / "dialog" / "transcriptions" / f"{self.name}.txt"

    def audio(self, utterance: str) -> Path:
        """Return the path of a turn; as in the corpus if no other layout has it."""
        folder = self.session / "sentences" / "wav"
        usual = folder / self.name / f"{utterance}.wav"
        return in_any_format(usual, folder / usual.name) or usual

    def shown(self, file: Path) -> str:
        """Return the path relative to the root of the corpus, for messages."""
        return file.relative_to(self.session.parent).as_posix()


@dataclass(frozen=True)
class _Line:
    """A label and its line, and the pairs of rater and emotion below it."""

    place: str
    label: Label
    ratings: list[tuple[str, str]] = field(default_factory=list)


@READERS.register("iemocap")
def read_iemocap(dataset: DatasetConfig, root: Path, progress: Progress) -> Manifest:
    """Read the label files, transcripts and audio paths of all sessions under ``root``.

    The position of a turn counts the labelled turns of its transcript, as in IAAN's code. In a
    session without the folder of the transcripts it counts the labels in the order of their start
    times, which a note says. A session without label files is refused, and the others are read.

    Raises:
        RequestError: ``root`` does not have the layout of IEMOCAP, or no utterance is left.
    """
    reader_options(dataset, NoOptions)
    rows: list[Row] = []
    refused: list[Refusal] = []
    dialogues: list[_Dialogue] = []
    for session in _sessions(root):
        dialogues += _dialogues(session, refused)
        if not _has_transcripts(session):
            progress.note(
                f"{session}: has no dialog/transcriptions; turns are in the order of the labels, "
                "without text"
            )
    if not dialogues:
        raise wrong_root(root, "has no label file in any Session*/dialog/EmoEvaluation", _LAYOUT)
    with progress.task(f"reading {dataset.name}", total=len(dialogues)) as task:
        for dialogue in dialogues:
            rows.extend(_read_dialogue(dialogue, refused))
            task.advance()
    return dataset_manifest(dataset, rows, refused)


def _sessions(root: Path) -> list[Path]:
    if _is_session(root):
        return [root]
    for pattern in ("*", "*/*", "*/*/*"):  # archives and re-uploads add folders
        sessions = sorted(path for path in root.glob(pattern) if _is_session(path))
        if sessions:
            return sessions
    raise wrong_root(root, "has no folder Session1", _LAYOUT)


def _is_session(path: Path) -> bool:
    return re.match(r"Session\d", path.name, re.ASCII) is not None and path.is_dir()


def _has_transcripts(session: Path) -> bool:
    return (session / "dialog" / "transcriptions").is_dir()


def _dialogues(session: Path, refused: list[Refusal]) -> list[_Dialogue]:
    # Names with a leading dot are AppleDouble files, left behind by a copy from a Mac.
    labels = sorted(
        path
        for path in (session / "dialog" / "EmoEvaluation").glob("*.txt")
        if not path.name.startswith(".")
    )
    if not labels:
        reason = "has no label file in dialog/EmoEvaluation; the session is left out"
        refused.append(Refusal(session.name, reason))
    return [_Dialogue(session, path.stem) for path in labels]


def _read_dialogue(dialogue: _Dialogue, refused: list[Refusal]) -> list[Row]:
    """Return the rows of a dialogue in the order of its transcript; add to ``refused``."""
    try:
        texts = _read_transcript(dialogue) if _has_transcripts(dialogue.session) else None
        lines = _read_labels(dialogue, refused)
    except OSError as error:
        reason = f"cannot be read ({error.strerror}); the dialogue {dialogue.name} is left out"
        refused.append(Refusal(dialogue.shown(Path(error.filename)), reason))
        return []
    if texts is None:
        ordered = sorted(lines.values(), key=lambda line: line.label.start)
        return list(_rows(dialogue, ordered, {}, refused))
    for utterance, line in lines.items():
        if utterance not in texts:
            reason = f"{utterance} is not in {dialogue.shown(dialogue.transcript)}"
            refused.append(Refusal(line.place, reason))
    spoken = [lines[utterance] for utterance in texts if utterance in lines]
    return list(_rows(dialogue, spoken, texts, refused))


def _rows(
    dialogue: _Dialogue, lines: list[_Line], texts: dict[str, str], refused: list[Refusal]
) -> Iterator[Row]:
    for turn, line in enumerate(lines):
        label = line.label
        audio = dialogue.audio(label.utterance)
        if not audio.is_file():
            refused.append(Refusal(line.place, f"{dialogue.shown(audio)} is missing"))
            continue
        yield {
            "utterance": label.utterance,
            "audio": str(audio),
            "start": label.start,
            "end": label.end,
            "speaker": speaker_of(label.utterance),
            "gender": _GENDERS[label.utterance[-4]],
            "session": dialogue.session.name,
            "dialogue": dialogue.name,
            "turn": turn,
            "emotion": label.emotion,
            "improvised": "impro" in dialogue.name,
            "transcript": texts.get(label.utterance),
            "ratings": line.ratings,
            **dict(zip(DIMENSIONS, label.dimensions, strict=False)),
        }


def _read_labels(dialogue: _Dialogue, refused: list[Refusal]) -> dict[str, _Line]:
    lines: dict[str, _Line] = {}
    ratings: list[tuple[str, str]] = []  # of the turn whose label line came last
    for number, text in enumerate(_lines(dialogue.labels), start=1):
        place = f"{dialogue.shown(dialogue.labels)}:{number}"
        label = parse_label(text)
        if label is None and is_remark(text):
            ratings += parse_ratings(text)
            continue
        ratings = []
        if label is None:
            refused.append(Refusal(place, "is not a label line"))
        elif label.utterance in lines:
            first = lines[label.utterance].place.rpartition(":")[2]
            refused.append(Refusal(place, f"{label.utterance} is already labelled in line {first}"))
        else:
            lines[label.utterance] = _Line(place, label, ratings)
    return lines


def _read_transcript(dialogue: _Dialogue) -> dict[str, str]:
    """Return utterance → text in the order of the transcript."""
    turns = (parse_turn(line) for line in _lines(dialogue.transcript))
    return {turn.utterance: turn.text for turn in turns if turn is not None}


def _lines(path: Path) -> list[str]:
    # Only "\n" ends a line: in Latin-1, str.splitlines would also break at the byte 0x85.
    return [line.rstrip("\r") for line in _decode(path.read_bytes()).split("\n")]


def _decode(text: bytes) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError:
        return text.decode("latin-1")
