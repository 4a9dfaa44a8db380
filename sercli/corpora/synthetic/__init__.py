"""The embedded corpus: dyadic dialogues of synthetic speech, in IEMOCAP's layout.

It lets anybody try the whole program without a signed licence, and gives tests something that
behaves like the real corpus: emotions that show in the sound and carry over from turn to turn,
speakers that differ more than emotions do, labels that nobody gets all right, and the
irregularities of real files. It is never evidence about human emotion.

One file holds one idea: `dialogues` (who speaks when), `affect` (moods and labels), `speakers`,
`expression` (the effect of an emotion on a voice), `articulation` and `voice` (the signal),
`annotations` (label files and transcripts), `tree` (the corpus on disk).
"""

from __future__ import annotations

from sercli.corpora.synthetic.dialogues import FULL_SIZE, SyntheticSize
from sercli.corpora.synthetic.tree import GENERATOR, STAMP, ensure, generate

__all__ = ["FULL_SIZE", "GENERATOR", "STAMP", "SyntheticSize", "ensure", "generate"]
