"""The synthetic corpus: dyadic dialogues of generated speech, in IEMOCAP's layout.

It runs the whole program without a signed licence, and gives tests the properties of the real
corpus: emotions that change the signal and carry over from turn to turn, speakers that differ
more than emotions do, labels that no model predicts perfectly, and irregular files. Results on
it say nothing about human emotion.

One file holds one idea: `dialogues` (who speaks when), `affect` (moods and labels), `speakers`,
`expression` (the effect of an emotion on a voice), `articulation` and `voice` (the signal),
`annotations` (label files and transcripts), `tree` (the corpus on disk).
"""

from __future__ import annotations

from sercli.corpora.synthetic.dialogues import FULL_SIZE, SyntheticSize
from sercli.corpora.synthetic.tree import GENERATOR, STAMP, ensure, generate

__all__ = ["FULL_SIZE", "GENERATOR", "STAMP", "SyntheticSize", "ensure", "generate"]
