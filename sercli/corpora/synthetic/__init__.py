"""The embedded corpus: dyadic dialogues of synthetic speech, in IEMOCAP's layout.

It lets anybody try the whole program without a signed licence, and gives tests something that
behaves like the real corpus: emotions that show in the sound and carry over from turn to turn,
speakers that differ more than emotions do, labels that nobody gets all right, and the
irregularities of real files. It is never evidence about human emotion.

One file holds one idea: `dialogue` (who speaks when), `moods` (what they feel), `expression` (how
it changes a voice), `speakers`, `articulation` and `voice` (the sound), `recording` (all of that
for one turn), `labels` and `transcript` (the text files), `tree` (the corpus on disk).
"""

from __future__ import annotations

from sercli.corpora.synthetic.dialogue import FULL_SIZE, SyntheticSize
from sercli.corpora.synthetic.tree import GENERATOR, STAMP, ensure, generate

__all__ = ["FULL_SIZE", "GENERATOR", "STAMP", "SyntheticSize", "ensure", "generate"]
