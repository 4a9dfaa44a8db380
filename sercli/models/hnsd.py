"""HNSD: recurrences on static and on dynamic features, fused by a gate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.models import MODELS
from sercli.models.cell_factory import CellFactory
from sercli.models.interface import Batch, Turns
from sercli.models.parts import check_dropout, check_sizes, dense
from sercli.nn import run_parallel
from sercli.nn.attention import SelfAttention
from sercli.nn.checks import check_one_of
from sercli.nn.layer import RecurrentLayer

FUSIONS = ("gate", "concat", "static", "dynamic")
REACH = 2


@MODELS.register("hnsd")
class HNSD(nn.Module):
    """The network of Cao, Hou, Chen, Zhang and Lu (ICASSP 2021), without dialogue context.

    The static features are the frames, the dynamic ones their first and second deltas (`deltas`).
    A unidirectional layer reads each, with states f^s_t and f^d_t. The gated multi-feature unit
    fuses them by one gate per frame,

        h^s = tanh(W_s f^s),   h^d = tanh(W_d f^d),   z_t = σ(W_c [f^s_t; f^d_t]),
        h_t = z_t h^s_t + (1 − z_t) h^d_t,

    and a dense layer and a classifier follow on u = Σ_t softmax_t(V tanh(W h_t + b)) h_t.

    It is theirs with ``cell=lstm activation=tanh``, on 26 log-mel energies every 10 ms, normalised
    per speaker (our reading): ``features=log_mel features.options.bands=26 features.pool=1``. They
    train by Adam with ``optim.lr=1e-4 optim.weight_decay=1e-3``. With pooled frames, the deltas
    are those of the pooled steps.

    Our choices, where our source is silent: the reach of the deltas, which are taken here from
    the normalised frames; the width of h; ReLU after the dense layer; dropout, 0 by default;
    the initial values of the attention, which are IAAN's.

    Args:
        inputs: Features of a step.
        classes: Number of classes.
        new_cell: Factory of recurrent layers.
        hidden: Features of each recurrent layer (paper: 512).
        fused: Features of h^s and h^d.
        attention: Features of the attention space (paper: 16).
        dense_units: Features of the dense layer (paper: 128).
        fusion: ``gate``, or one of the paper's ablations: ``concat`` ([h^s; h^d] without a gate),
            ``static`` (h^s alone), ``dynamic`` (h^d alone).
        dropout: Dropout probability after the dense layer.

    Raises:
        RequestError: A size is below 1, dropout is not in [0, 1), or the fusion is unknown.
    """

    def __init__(
        self,
        *,
        inputs: int,
        classes: int,
        new_cell: CellFactory,
        hidden: int = 512,
        fused: int = 512,
        attention: int = 16,
        dense_units: int = 128,
        fusion: str = "gate",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(hidden=hidden, fused=fused, attention=attention, dense_units=dense_units)
        check_dropout(dropout)
        check_one_of("model.fusion", fusion, FUSIONS)
        sizes = {"static": inputs, "dynamic": 2 * inputs}
        used = [name for name in sizes if fusion in ("gate", "concat", name)]
        self.encoders = nn.ModuleDict({name: new_cell(sizes[name], hidden) for name in used})
        self.project = nn.ModuleDict({name: nn.Linear(hidden, fused, bias=False) for name in used})
        self.gate = nn.Linear(2 * hidden, 1, bias=False) if fusion == "gate" else None
        size = 2 * fused if fusion == "concat" else fused
        self.pool = SelfAttention(size, attention)
        self.head = nn.Sequential(
            dense(size, dense_units, dropout=dropout), nn.Linear(dense_units, classes)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes)."""
        turns = batch.current
        states = self._encode(turns)
        projected = [torch.tanh(self.project[name](each)) for name, each in states.items()]
        if self.gate is None:
            fused = torch.cat(projected, dim=-1)
        else:
            static, dynamic = projected
            share = torch.sigmoid(self.gate(torch.cat(list(states.values()), dim=-1)))
            fused = torch.lerp(dynamic, static, share)
        logits: Tensor = self.head(self.pool(fused, turns.valid))
        return logits

    def _encode(self, turns: Turns) -> dict[str, Tensor]:
        inputs = {"static": turns.frames}
        if "dynamic" in self.encoders:
            first = deltas(turns.real_frames, turns.lengths)
            inputs["dynamic"] = torch.cat([first, deltas(first, turns.lengths)], dim=-1)
        layers: dict[str, RecurrentLayer] = dict(self.encoders.items())  # type: ignore[arg-type]
        passes = [
            layer.stack_pass(inputs[name], lengths=turns.lengths) for name, layer in layers.items()
        ]
        return {
            name: states for name, (states, _) in zip(layers, run_parallel(passes), strict=True)
        }


def deltas(frames: Tensor, lengths: Tensor) -> Tensor:
    """Return the regression slope of each feature around each real step.

    Σ n·(x[t+n] − x[t−n]) / (2 Σ n²) over n = 1, 2, with the first and the last real step repeated
    beyond the ends, as in `sercli.features.spectral.regression_slopes`.

    >>> import torch
    >>> deltas(torch.tensor([[[0.0], [1.0], [2.0], [9.0]]]), torch.tensor([3])).squeeze()
    tensor([0.5000, 0.6000, 0.5000, 0.0000])

    Args:
        frames: (B, T, features).
        lengths: Number of real steps of each turn, (B,).

    Returns:
        (B, T, features), zero at padded steps.
    """
    last = lengths.unsqueeze(1) - 1
    steps = torch.arange(frames.shape[1], device=frames.device)

    def shifted(by: int) -> Tensor:
        at = (steps + by).clamp(min=0).minimum(last)
        return frames.gather(1, at.unsqueeze(-1).expand(-1, -1, frames.shape[2]))

    reach = range(1, REACH + 1)
    rise = sum((n * (shifted(n) - shifted(-n)) for n in reach), torch.zeros_like(frames))
    padding = (steps > last).unsqueeze(-1)
    return rise.masked_fill(padding, 0.0) / (2 * sum(n * n for n in reach))
