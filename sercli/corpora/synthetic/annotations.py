"""The label file and the transcript of a dialogue, as IEMOCAP writes them.

Label file (``dialog/EmoEvaluation``): three raters name the emotion (C-), two rate valence,
activation and dominance from 1 to 5 (A-). Now and then one of them leaves dominance out. The
means of the attributes per emotion are our choice, after the circumplex of Russell (1980).

Transcript (``dialog/transcriptions``): the words are drawn from a few harmless phrases and are
independent of emotion and sound.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from sercli.corpora.synthetic.affect import AMBIGUOUS, SHARES
from sercli.corpora.synthetic.dialogues import Dialogue, Turn

_HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"

_WORDS: Mapping[str, str] = {
    "ang": "Anger",
    "hap": "Happiness",
    "exc": "Excited",
    "neu": "Neutral",
    "sad": "Sadness",
    "fru": "Frustration",
    "sur": "Surprise",
    "fea": "Fear",
    "dis": "Disgust",
    "oth": "Other",
}
_ATTRIBUTES: Mapping[str, tuple[float, float, float]] = {
    "ang": (1.8, 3.9, 4.0),
    "hap": (4.1, 3.2, 3.0),
    "exc": (4.2, 4.0, 3.4),
    "neu": (3.0, 2.6, 2.9),
    "sad": (2.0, 2.0, 2.2),
    "fru": (2.2, 3.1, 3.3),
    "sur": (3.2, 3.8, 2.9),
    "fea": (2.0, 3.6, 2.0),
    "dis": (2.0, 2.9, 3.2),
    "oth": (3.0, 3.0, 3.0),
}
_CATEGORY_RATERS = ("E1", "E2", "E4")
_ATTRIBUTE_RATERS = ("E3", "F1")
_DISAGREEMENT = 0.6  # standard deviation of ratings around an attribute's mean; our choice
_UNANIMOUS = 0.6  # probability that the third rater agrees with two others; our choice
_WITHOUT_DOMINANCE = 0.02  # probability that one rater of a turn omits it; more than in IEMOCAP

_PHRASES = (
    "The train leaves at a quarter to nine.",
    "There is a letter on the kitchen table.",
    "I left the key with the neighbours.",
    "You said that it would take a week.",
    "They have painted the door again.",
    "Then we turn left after the bridge.",
    "It was on the second shelf, next to the lamp.",
    "We can ask them in the morning.",
    "The number is on the back of the card.",
    "And that is what she told you?",
    "Somebody has moved the chairs.",
    "Wait, which of the two do you mean?",
)


def label_file(dialogue: Dialogue, random: np.random.Generator) -> str:
    """Return the text of a dialogue's label file."""
    blocks = [_block(turn, random) for turn in dialogue.turns]
    return "\n\n".join([_HEADER, *blocks]) + "\n\n"


def _block(turn: Turn, random: np.random.Generator) -> str:
    attributes = _rate_attributes(_heard(turn), random)
    means = ", ".join(f"{np.nanmean(column):.4f}" for column in attributes.T)
    head = f"[{turn.start:.4f} - {turn.end:.4f}]\t{turn.id}\t{turn.label}\t[{means}]"
    words = zip(_CATEGORY_RATERS, _name_emotions(turn, random), strict=True)
    rows = zip(_ATTRIBUTE_RATERS, attributes, strict=True)
    return "\n".join(
        [
            head,
            *(f"C-{who}:\t{word};\t()" for who, word in words),
            *(_attribute_line(who, row) for who, row in rows),
        ]
    )


def _rate_attributes(emotion: str, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return valence, activation and dominance of each rater; NaN: omitted."""
    raters = len(_ATTRIBUTE_RATERS)
    exact = random.normal(_ATTRIBUTES[emotion], _DISAGREEMENT, size=(raters, 3))
    ratings = np.clip(np.round(exact), 1, 5)
    if random.random() < _WITHOUT_DOMINANCE:
        ratings[random.integers(raters), 2] = np.nan
    return ratings


def _attribute_line(who: str, row: npt.NDArray[np.float64]) -> str:
    valence, activation, dominance = ("" if np.isnan(value) else f"{value:.0f}" for value in row)
    return f"A-{who}:\tval {valence}; act {activation}; dom {dominance};\t()"


def _name_emotions(turn: Turn, random: np.random.Generator) -> list[str]:
    """Return three votes: at least two for the label, or three different ones for ``xxx``."""
    others = [code for code in SHARES if code not in (AMBIGUOUS, _heard(turn))]
    strangers = list(random.choice(others, size=2, replace=False))
    agreed = turn.label != AMBIGUOUS
    second = _heard(turn) if agreed else strangers[0]
    third = _heard(turn) if agreed and random.random() < _UNANIMOUS else strangers[1]
    return [_WORDS[code] for code in (_heard(turn), second, third)]


def _heard(turn: Turn) -> str:
    """Return an emotion that at least one rater names."""
    return turn.mood if turn.label == AMBIGUOUS else turn.label


def transcript_file(dialogue: Dialogue, random: np.random.Generator) -> str:
    """Return the text of a dialogue's transcript.

    More than a third of IEMOCAP's transcripts leave the temporal order somewhere; here, those of
    dialogues in which the man wears the markers. Improvised ones have a line without an id, and
    some a turn that was never segmented and labelled (``XX``).
    """
    turns = list(dialogue.turns)
    if dialogue.name[5] == "M":
        _swap_somewhere(turns, random)
    lines = [_line(turn.id, turn.start, turn.end, _phrase(random)) for turn in turns]
    if "impro" in dialogue.name:
        lines.insert(len(lines) // 3, "M: Yeah.")
    if dialogue.name.endswith("_impro05"):
        middle = len(lines) // 2
        at = turns[middle].start
        lines.insert(middle, _line(f"{dialogue.name}_MXX0", at, at + 0.6, _phrase(random)))
    return "\n".join(lines) + "\n"


def _line(name: str, start: float, end: float, words: str) -> str:
    return f"{name} [{start:08.4f}-{end:08.4f}]: {words}"


def _phrase(random: np.random.Generator) -> str:
    return str(random.choice(_PHRASES))


def _swap_somewhere(turns: list[Turn], random: np.random.Generator) -> None:
    """Swap two neighbouring turns of different speakers, if there are any."""
    places = [i for i in range(len(turns) - 1) if turns[i].gender != turns[i + 1].gender]
    if places:
        i = int(random.choice(places))
        turns[i], turns[i + 1] = turns[i + 1], turns[i]
