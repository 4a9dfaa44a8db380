"""The classifier of MetaSER: two recurrent layers and the last state."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, Turns
from sercli.models.parts import check_sizes
from sercli.nn import last_state
from sercli.nn.checks import check_at_least


@MODELS.register("metaser")
class MetaSER(nn.Module):
    """The network of Chopra, Mathur, Sawhney and Shah (ICASSP 2021).

    The last state of two stacked recurrent layers goes through two dense layers, without
    activation between them (as in their code). It has ``cell=lstm cell.layers=2 activation=tanh``
    and, with 20 features and four classes, 225 924 parameters.

    They read 20 MFCCs every 23 ms (librosa's, at 22 050 Hz; nearest: ``features=mfcc
    features.options.bands=128 features.options.coefficients=20 features.pool=2
    features.normalise=none``) of the first 120 frames of a turn, 2.8 s, padded with zeros, so that
    the last state of a short turn is one after its padding: ``window=120``. By default (ours) the
    whole turn is read, and the state after its last step is classified.

    Their training is ``sercli pretrain pretrain.objective=fomaml``, and ``sequential`` and
    ``alternating`` for the two baselines, with tasks drawn from SAVEE, TESS, RAVDESS, IEMOCAP and
    EmoDB; then five inner steps on the target corpus, EMOVO, ShEMO or URDU. Turns of one speaker
    are in their training and test sets.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        hidden: Features of the recurrent layers (paper: 128).
        dense: Features of the dense layer before the classifier (paper: 128).
        window: Steps to read from the beginning of a turn, shorter ones padded with zeros that are
            read too (paper: 120); 0: all steps of a turn.

    Raises:
        RequestError: A size is below 1, or the window is below 0.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        hidden: int = 128,
        dense: int = 128,
        window: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, dense=dense)
        check_at_least("model.window", window, 0)
        self.window = window
        self.recurrent = new_cell(inputs, hidden)
        self.dense = nn.Linear(self.recurrent.output_size, dense)
        self.head = nn.Linear(dense, classes)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        turns = padded_window(batch.current, self.window) if self.window else batch.current
        _, final = self.recurrent(turns.frames, lengths=turns.lengths)
        logits: Tensor = self.head(self.dense(last_state(self.recurrent, final)))
        return logits


def padded_window(turns: Turns, steps: int) -> Turns:
    """Return the first ``steps`` steps of each turn, after shorter turns zeros as real steps.

    >>> import torch
    >>> turns = Turns(torch.ones(2, 3, 1), torch.tensor([3, 1]))
    >>> window = padded_window(turns, 2)
    >>> window.frames.squeeze(-1), window.lengths
    (tensor([[1., 1.],
            [1., 0.]]), tensor([2, 2]))
    """
    missing = steps - turns.frames.shape[1]  # negative: cut
    frames = F.pad(turns.real_frames, (0, 0, 0, missing))
    return Turns(frames, turns.lengths.new_full(turns.lengths.shape, steps))
