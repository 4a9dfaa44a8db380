"""A tree of the size of IEMOCAP, with its irregularities and without its speech.

151 dialogues and 10 039 labelled turns; each session has the same numbers per class and of turns
without context as the licensed corpus. Texts and times are made up. The audio is one short file
of silence under all names.
"""

from __future__ import annotations

import os
import wave
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

APPLE_DOUBLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X"

INVERSIONS = 126
"""Pairs of neighbours in the transcripts of which the second one starts first."""

UNORDERED = 56
"""Dialogues with inversions."""

UNLABELLED = 48
"""Turns of the transcripts without label or audio."""

WITHOUT_DOMINANCE = 36
"""Lines of single raters that lack the dominance."""


@dataclass(frozen=True)
class Session:
    """Counts of the licensed corpus (8 preceding turns, order of the transcript)."""

    number: int
    improvised: int
    scripted: int
    turns: int
    classes: dict[str, int]
    no_same_speaker: int
    no_interlocutor: int
    neither: int

    @property
    def name(self) -> str:
        return f"Session{self.number}"


def _session(number: int, dialogues: tuple[int, int], turns: int, *counts: int) -> Session:
    classes = dict(zip(("ang", "hap", "neu", "sad"), counts[:4], strict=True))
    return Session(number, *dialogues, turns, classes, *counts[4:])


SESSIONS = (
    _session(1, (14, 14), 1819, 229, 278, 384, 194, 36, 27, 18),
    _session(2, (16, 14), 1811, 137, 327, 362, 197, 37, 28, 19),
    _session(3, (18, 14), 2136, 240, 286, 320, 305, 41, 37, 20),
    _session(4, (16, 14), 2103, 327, 303, 258, 143, 33, 27, 16),
    _session(5, (16, 15), 2170, 170, 442, 384, 245, 43, 27, 21),
)

OTHERS = {"xxx": 2507, "fru": 1849, "sur": 107, "fea": 40, "oth": 3, "dis": 2}
"""Labels of turns that are no targets, in all sessions."""

_OPENING = 4
"""Turns at the beginning of a dialogue, which decide who lacks which context."""


@dataclass(frozen=True)
class Turn:
    utterance: str
    start: float
    end: float
    emotion: str


@dataclass
class Dialogue:
    """The turns of a dialogue in the order of the transcript.

    ``speakers`` begins with A A B A or A B A B. ``target`` says which turns are targets.
    """

    name: str
    speakers: str
    target: list[bool]
    turns: list[Turn] = field(default_factory=list)


def make_iemocap_tree(root: Path, seed: int = 0) -> Path:
    """Write the tree below ``root``."""
    random = np.random.default_rng(seed)
    sessions = [(session, _dialogues(session, random)) for session in SESSIONS]
    others = random.permutation(np.repeat(list(OTHERS), list(OTHERS.values()))).tolist()
    for session, dialogues in sessions:
        _speak(session, dialogues, others, random)
    everything = [dialogue for _, dialogues in sessions for dialogue in dialogues]
    _invert(everything, random)
    unlabelled = _shares(UNLABELLED, len(everything), random)
    incomplete = _shares(WITHOUT_DOMINANCE, len(everything), random)
    silence = root / "silence.wav"
    _write_silence(silence)
    for at, dialogue in enumerate(everything):
        _write(root, dialogue, silence, unlabelled[at], incomplete[at])
    silence.unlink()
    return root


def _dialogues(session: Session, random: np.random.Generator) -> list[Dialogue]:
    """Divide the turns of a session among dialogues, and say which of them are targets."""
    names = _names(session)
    lengths = 30 + _shares(session.turns - 30 * len(names), len(names), random)
    first = _some(len(names), session.neither, random)
    second = _some(len(names), session.no_interlocutor - session.neither, random)
    reply = _some(len(names), session.no_same_speaker - session.neither, random)
    dialogues = []
    for at, name in enumerate(names):
        # The second turn of a speaker who begins has no interlocutor, the reply nobody else.
        opening = "AABA" if second[at] else "ABAB"
        speakers = opening + _alternate(int(lengths[at]) - _OPENING, random)
        replies = speakers.index("B")
        target = [False] * len(speakers)
        target[0] = first[at]
        target[1] = second[at]
        target[replies] = reply[at]
        dialogues.append(Dialogue(name, speakers, target))
    _spread_targets(dialogues, sum(session.classes.values()), random)
    return dialogues


def _names(session: Session) -> list[str]:
    takes = ["01", "02", "03", "04", "05a", "05b", "06", "07", "08"]
    scenes = ["01_1", "01_2", "01_3", "02_1", "02_2", "03_1", "03_2", "01_1b"]
    kinds = (("impro", takes, session.improvised), ("script", scenes, session.scripted))
    names = []
    for kind, numbers, count in kinds:
        for side, many in (("F", count - count // 2), ("M", count // 2)):
            names += [f"Ses0{session.number}{side}_{kind}{n}" for n in numbers[:many]]
    return sorted(names)


def _some(many: int, chosen: int, random: np.random.Generator) -> list[bool]:
    return [bool(x) for x in random.permutation([True] * chosen + [False] * (many - chosen))]


def _shares(total: int, many: int, random: np.random.Generator) -> np.ndarray:
    """Divide a number into random whole parts."""
    return random.multinomial(total, [1 / many] * many)


def _alternate(turns: int, random: np.random.Generator) -> str:
    """Make speakers that take turns, and now and then speak twice or three times in a row."""
    speakers = ""
    while len(speakers) < turns:
        speaker = "AB"[speakers.endswith("A")]
        speakers += speaker * int(random.choice([1, 2, 3], p=[0.8, 0.15, 0.05]))
    return speakers[:turns]


def _spread_targets(dialogues: list[Dialogue], total: int, random: np.random.Generator) -> None:
    """Choose the targets that follow the openings, so that the session has ``total``."""
    places = [
        (dialogue, turn) for dialogue in dialogues for turn in range(_OPENING, len(dialogue.target))
    ]
    missing = total - sum(sum(dialogue.target) for dialogue in dialogues)
    for place in random.choice(len(places), missing, replace=False):
        dialogue, turn = places[place]
        dialogue.target[turn] = True


def _speak(
    session: Session, dialogues: list[Dialogue], others: list[str], random: np.random.Generator
) -> None:
    """Give every turn its id, its times and its emotion; take the others' from ``others``."""
    labels = random.permutation(np.repeat(list(session.classes), list(session.classes.values())))
    emotions = iter(labels.tolist())
    for dialogue in dialogues:
        sides = dict(zip("AB", random.permutation(["F", "M"]), strict=True))
        spoken = {"F": 0, "M": 0}
        clock = 5.0
        for speaker, target in zip(dialogue.speakers, dialogue.target, strict=True):
            side = sides[speaker]
            emotion = next(emotions) if target else others.pop()
            if emotion == "hap" and random.random() < 0.6:
                emotion = "exc"
            seconds = float(random.gamma(3, 1.5)) + 0.6
            utterance = f"{dialogue.name}_{side}{spoken[side]:03}"
            dialogue.turns.append(Turn(utterance, clock, clock + seconds, emotion))
            spoken[side] += 1
            # Most turns begin before the one before them has ended.
            clock += max(0.05, seconds + float(random.normal(-0.4, 0.6)))


def _invert(dialogues: list[Dialogue], random: np.random.Generator) -> None:
    """Exchange neighbours in the transcripts, so that the second one starts before the first."""
    chosen = random.choice(len(dialogues), UNORDERED, replace=False)
    extra = _shares(INVERSIONS - UNORDERED, UNORDERED, random)
    for dialogue, more in zip(chosen, extra, strict=True):
        turns = dialogues[dialogue].turns
        # Three places apart, so that an exchange makes one inversion and no other.
        places = np.arange(_OPENING + 2, len(turns) - 1, 3)
        for place in random.choice(places, 1 + int(more), replace=False):
            turns[place], turns[place + 1] = turns[place + 1], turns[place]


def _write(root: Path, dialogue: Dialogue, silence: Path, unlabelled: int, incomplete: int) -> None:
    session = root / f"Session{dialogue.name[4]}"
    labels = "\n".join(_label_lines(dialogue, incomplete)) + "\n"
    transcript = "\n".join(_transcript_lines(dialogue, unlabelled)) + "\n"
    for folder, text in (("EmoEvaluation", labels), ("transcriptions", transcript)):
        place = session / "dialog" / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{dialogue.name}.txt").write_text(text, encoding="latin-1")
        (place / f"._{dialogue.name}.txt").write_bytes(APPLE_DOUBLE)
    audio = session / "sentences" / "wav" / dialogue.name
    audio.mkdir(parents=True)
    for turn in dialogue.turns:
        os.link(silence, audio / f"{turn.utterance}.wav")
    (audio / f"._{dialogue.turns[0].utterance}.wav").write_bytes(APPLE_DOUBLE)


def _label_lines(dialogue: Dialogue, incomplete: int) -> Iterator[str]:
    yield "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
    yield ""
    for place, turn in enumerate(sorted(dialogue.turns, key=lambda turn: turn.start)):
        times = f"[{turn.start:.4f} - {turn.end:.4f}]"
        yield f"{times}\t{turn.utterance}\t{turn.emotion}\t[2.5000, 2.5000, 2.5000]"
        yield "C-E2:\tNeutral;\t()"
        yield "C-F1:\tOther;\t(mixed)"
        yield "A-E3:\tval 3; act 2; dom  2;\t()"
        dominance = "" if place < incomplete else " dom 2;"
        yield f"A-F1:\tval 2; act 2;{dominance}\t()"
        yield ""


def _transcript_lines(dialogue: Dialogue, unlabelled: int) -> Iterator[str]:
    for place, turn in enumerate(dialogue.turns):
        if place < unlabelled:
            yield f"{dialogue.name}_MXX{place} [000.0000-001.0000]: (BREATHING)"
        times = f"[{turn.start:08.4f}-{turn.end:08.4f}]"
        yield f"{turn.utterance} {times}: Caf\xe9, number {place}."
        if place % 20 == 7:
            yield "M: Yeah."


def _write_silence(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(3200))
