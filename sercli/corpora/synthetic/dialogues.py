"""Dialogues: speakers, times, moods and labels of all turns, without signals.

Two people talk. A turn lasts 1 to 4 s; the next one usually belongs to the other speaker and
often begins before the last one has ended, as in IEMOCAP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sercli.corpora.synthetic.affect import MoodChain, draw_label
from sercli.errors import RequestError

SESSIONS = (1, 2, 3, 4, 5)
GENDERS = ("F", "M")

_NAMES = (
    "F_impro05",
    "M_script01_1b",
    "M_impro05a",
    "F_script03_1",
    "F_impro01",
    "M_script02_2",
)
"""Dialogues of a session, named as in IEMOCAP: actor with the markers, and scene."""

_CHANGE = 0.7  # probability that the other speaker is next; our choice
_GAP = 0.0, 0.4  # seconds from a turn's end to the reply, mean and standard deviation; our choice
_REST = 0.1, 0.8  # seconds between two turns of one speaker, minimum and maximum; our choice


@dataclass(frozen=True)
class SyntheticSize:
    """Size of the corpus.

    Attributes:
        dialogues_per_session: Dialogues, at most 6; improvised and scripted ones alternate.
        turns_per_dialogue: Turns of both speakers together.
    """

    dialogues_per_session: int = 6
    turns_per_dialogue: int = 30

    def __post_init__(self) -> None:
        if not 1 <= self.dialogues_per_session <= len(_NAMES) or self.turns_per_dialogue < 1:
            raise RequestError(
                f"the synthetic corpus has 1 to {len(_NAMES)} dialogues per session of at least "
                f"1 turn, not {self.dialogues_per_session} of {self.turns_per_dialogue}"
            )


FULL_SIZE = SyntheticSize()
"""900 turns."""


@dataclass(frozen=True)
class Turn:
    """A turn of one speaker.

    Attributes:
        id: Id as in IEMOCAP; the fourth character from the end is the speaker's gender.
        start: Seconds on the clock of the dialogue.
        end: Seconds on the clock of the dialogue.
        mood: Mood of the speaker, which persists from turn to turn.
        label: Label on which the raters agree; ``xxx``: no agreement.
    """

    id: str
    start: float
    end: float
    mood: str
    label: str

    @property
    def speaker(self) -> str:
        """Name of the speaker ("Ses01_F")."""
        return f"{self.id[:5]}_{self.gender}"

    @property
    def gender(self) -> str:
        """F or M."""
        return self.id[-4]

    @property
    def session(self) -> int:
        """Number of the session, from 1."""
        return int(self.id[3:5])

    @property
    def dialogue(self) -> str:
        """Name of the dialogue ("Ses01F_impro05")."""
        return self.id.rpartition("_")[0]


@dataclass(frozen=True)
class Dialogue:
    """The name and the turns of a dialogue, in temporal order."""

    name: str
    turns: Sequence[Turn]

    @property
    def session(self) -> int:
        """Number of the session, from 1."""
        return int(self.name[3:5])


def generate_dialogues(seed: int, size: SyntheticSize = FULL_SIZE) -> list[Dialogue]:
    """Generate all dialogues of the corpus with this ``seed``, in corpus order.

    >>> dialogue = generate_dialogues(0, SyntheticSize(1, 4))[0]
    >>> [turn.id for turn in dialogue.turns]
    ['Ses01F_impro05_M000', 'Ses01F_impro05_F000', 'Ses01F_impro05_M001', 'Ses01F_impro05_F001']
    """
    random = np.random.default_rng([seed, *b"play"])
    return [dialogue for session in SESSIONS for dialogue in _session(session, size, random)]


def _session(session: int, size: SyntheticSize, random: np.random.Generator) -> list[Dialogue]:
    moods = MoodChain()
    names = sorted(f"Ses{session:02d}{name}" for name in _NAMES[: size.dialogues_per_session])
    return [_dialogue(name, size.turns_per_dialogue, moods, random) for name in names]


def _dialogue(name: str, count: int, moods: MoodChain, random: np.random.Generator) -> Dialogue:
    mood: dict[str, str] = {}
    numbers = dict.fromkeys(GENDERS, 0)
    turns: list[Turn] = []
    for _ in range(count):
        who = _next_speaker(turns, random)
        mood[who] = moods.next(mood.get(who), mood.get(_other(who)), random)
        start = _next_start(turns, who, random)
        turns.append(
            Turn(
                id=f"{name}_{who}{numbers[who]:03d}",
                start=start,
                end=round(start + _seconds(random), 4),
                mood=mood[who],
                label=draw_label(mood[who], random),
            )
        )
        numbers[who] += 1
    return Dialogue(name, tuple(turns))


def _other(gender: str) -> str:
    return "M" if gender == "F" else "F"


def _next_speaker(turns: Sequence[Turn], random: np.random.Generator) -> str:
    if not turns:
        return str(random.choice(GENDERS))
    last = turns[-1].gender
    return _other(last) if random.random() < _CHANGE else last


def _next_start(turns: Sequence[Turn], who: str, random: np.random.Generator) -> float:
    """Return the start of a turn: after the speaker's own last end, and after the last start."""
    if not turns:
        return round(float(random.uniform(1, 8)), 4)
    own = max((turn.end for turn in turns if turn.gender == who), default=0.0)
    rest = own + float(random.uniform(*_REST))
    if turns[-1].gender == who:
        return round(rest, 4)
    reply = turns[-1].end + float(random.normal(*_GAP))
    return round(max(reply, rest, turns[-1].start + 0.2), 4)


def _seconds(random: np.random.Generator) -> float:
    """Return a duration between 1 and 4 s, 2 s on average."""
    return round(1 + 3 * float(random.beta(1.5, 3)), 4)
