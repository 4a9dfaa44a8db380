"""SUPERB's emotion head: a weighted sum of an encoder's layers, two linear layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models import MODELS
from sercli.models.interface import Batch
from sercli.models.parts import check_sizes


@MODELS.register("superb_linear")
class SuperbLinear(nn.Module):
    """The emotion recognition head of SUPERB (Yang et al., Interspeech 2021; s3prl's code).

    Σ_l softmax(w)_l h_l over all layers h of a frozen encoder, w starting at 0; Linear F → 256;
    the mean over time; Linear 256 → classes. The head is linear in the frames, so that it is
    computed exactly from the mean over time of each layer: ``features=encoder
    features.options.layer=all features.level=functionals``.

    Published with Adam at 1e-4, batches of 32 (8 × 4), 30 000 steps and gradients clipped at 1;
    there a random fifth of the training turns is dev.

    Args:
        inputs: Features of a layer.
        classes: Number of classes.
        layers: Layers of the encoder, including its input (base: 13; large: 25).
        projection: Features of the first linear layer (published: 256).

    Raises:
        RequestError: A size is below 1.
    """

    level = "functionals"

    def __init__(
        self, *, inputs: int, classes: int, layers: int = 13, projection: int = 256
    ) -> None:
        super().__init__()
        check_sizes(layers=layers, projection=projection)
        self.weights = nn.Parameter(torch.zeros(layers))
        self.projector = nn.Linear(inputs, projection)
        self.head = nn.Linear(projection, classes)

    def forward(self, batch: Batch) -> Tensor:
        """Classify a batch: logits (B, classes).

        Raises:
            RequestError: The features have another number of layers.
        """
        means = batch.current.frames
        if means.shape[1] != len(self.weights):
            raise RequestError(
                f"model.layers={len(self.weights)}: the features have {means.shape[1]} rows per "
                f"utterance; set model.layers={means.shape[1]}, with features.options.layer=all "
                "if there is one row"
            )
        pooled = torch.einsum("l,blf->bf", self.weights.softmax(0), means)
        logits: Tensor = self.head(self.projector(pooled))
        return logits
