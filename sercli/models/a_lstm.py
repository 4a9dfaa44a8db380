"""The weighted-pooling network of the A-LSTM paper: emotion, speaker and gender at once."""

from __future__ import annotations

from torch import nn

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, CorpusInfo, Output
from sercli.models.parts import TaskHeads, check_dropout, check_sizes, dense
from sercli.nn.attention import DotAttention


@MODELS.register("a_lstm")
class WeightedPooling(nn.Module):
    """The network of Tao and Liu (ICASSP 2018, arXiv 1710.10197), for any cell.

    A fully connected layer with ReLU works on each frame; a bidirectional layer reads its
    output; attention α_t = softmax_t(u·y_t) pools it; three softmax layers classify the emotion,
    the speaker and the gender. It is their A-LSTM with ``cell=a_lstm activation=tanh``, and
    their baselines are ``cell=lstm`` and ``cell=mean_lstm``. They normalise each utterance and
    read 36 descriptors: zero crossings, energy, its entropy, spectral centroid, spread, entropy,
    flux and roll-off, 13 MFCCs, 12 chroma values and their deviation, harmonic ratio, F0. No
    packaged set has them all; this reads any. (Our source lists fewer than 36; spread, entropy and
    the number of MFCCs are our reading.)

    They classify 4 490 utterances of IEMOCAP, those of happiness without excitement
    (``dataset=iemocap_happy protocol=tao2018``), and report a relative improvement of 5.5 % over
    the LSTM. A secondary source gives macro F1 46.2 and accuracy 55.3 % for this network with the
    A-LSTM, on one split with two test speakers.

    They do not mention dropout: ours is 0 by default. The auxiliary losses are plain cross entropy
    (our choice).

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        corpus: Facts of the corpus: numbers of speakers and genders.
        dense_units: Features of the dense layer (paper: 256).
        hidden: Features of the recurrent layer in each direction (paper: 256 in both together).
        dropout: Dropout probability after the dense layer.
        speaker_weight: Weight of the speaker's loss beside that of the emotion
            (paper: 0.3); 0: not learned.
        gender_weight: The same of the gender (paper: 0.6).

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), a weight is below 0, or the
            corpus states no speaker or gender that has a weight.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        corpus: CorpusInfo,
        dense_units: int = 256,
        hidden: int = 128,
        dropout: float = 0.0,
        speaker_weight: float = 0.3,
        gender_weight: float = 0.6,
    ) -> None:
        super().__init__()
        check_sizes(dense_units=dense_units, hidden=hidden)
        check_dropout(dropout)
        self.dense = dense(inputs, dense_units, dropout=dropout)
        self.recurrent = new_cell(dense_units, hidden, bidirectional=True)
        size = self.recurrent.output_size
        self.pool = DotAttention(size)
        self.head = nn.Linear(size, classes)
        self.tasks = TaskHeads(size, {"speaker": speaker_weight, "gender": gender_weight}, corpus)

    def forward(self, batch: Batch) -> Output:
        """Classify a batch."""
        turns = batch.current
        states, _ = self.recurrent(self.dense(turns.frames), lengths=turns.lengths)
        pooled = self.pool(states, turns.valid)
        return Output(self.head(pooled), self.tasks(pooled, batch.criterion))
