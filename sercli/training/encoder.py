"""The pretrained encoder that a model fine-tunes, given the outputs of its convolutions."""

from __future__ import annotations

from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError
from sercli.features.encoder import EncoderSet, load_tunable
from sercli.features.sets import feature_set
from sercli.models.interface import Pretrained


def check_encoder(features: FeaturesConfig, model: str) -> EncoderSet:
    """Return the feature set of a model that fine-tunes an encoder, without reading weights.

    Args:
        features: Settings of the features.
        model: The name of the model, for messages.

    Raises:
        RequestError: They are not the outputs of an encoder's convolutions.
    """
    found = feature_set(features)
    if not isinstance(found, EncoderSet):
        raise RequestError(
            f"model {model} fine-tunes an encoder, which features={features.name} is not; set "
            "features=encoder features.path=FOLDER features.options.layer=conv"
        )
    if found.layer != "conv" or found.level != "lld":
        raise RequestError(
            f"features.options.layer={found.layer}: model {model} starts from the outputs of the "
            "encoder's convolutions; set features.options.layer=conv features.level=lld"
        )
    return found


def pretrained_encoder(features: FeaturesConfig, model: str) -> Pretrained:
    """Load a new copy of the encoder whose convolutions compute the features of a model.

    Raises:
        RequestError: The features are not the outputs of an encoder's convolutions, or the encoder
            cannot be loaded.
    """
    found = check_encoder(features, model)
    return Pretrained(*load_tunable(found), path=found.path)
