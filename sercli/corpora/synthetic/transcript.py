"""The transcript of a dialogue (``dialog/transcriptions``), with IEMOCAP's irregularities.

The words are drawn from a few harmless phrases and say nothing about emotion or sound.
"""

from __future__ import annotations

import numpy as np

from sercli.corpora.synthetic.dialogue import Dialogue, Turn

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


def transcript_file(dialogue: Dialogue, random: np.random.Generator) -> str:
    """Return the text of a dialogue's transcript.

    More than a third of IEMOCAP's transcripts leave the order of time somewhere, here those
    whose markers the man wears; some improvised ones have a line without an id, and a turn that was
    never cut out and labelled (``XX``).
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
    """Exchange two neighbouring turns of different speakers, if there are any."""
    places = [i for i in range(len(turns) - 1) if turns[i].gender != turns[i + 1].gender]
    if places:
        i = int(random.choice(places))
        turns[i], turns[i + 1] = turns[i + 1], turns[i]
