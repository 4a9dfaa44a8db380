"""The settings of activations: their ranges, and the files that list them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from helpers.nodes import node_of

from sercli.config.component import build
from sercli.errors import RequestError
from sercli.nn.activations import ACTIVATIONS
from sercli.resources import packaged

INFINITE, NOTHING = float("inf"), float("nan")
OF_THE_MODEL = {"share", "per_unit"}
"""Settings of learned activations that models read: the sharing of parameters."""


def takes_units(name: str) -> bool:
    return "units" in inspect.signature(ACTIVATIONS[name]).parameters


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("leaky_relu", {"slope": INFINITE}, r"activation\.slope=inf: must be a finite number"),
        ("prelu", {"slope": NOTHING}, r"activation\.slope=nan: must be a finite number"),
        ("rrelu", {"lower": NOTHING}, r"activation\.lower=nan: must be a finite number"),
        ("rrelu", {"upper": INFINITE}, r"activation\.upper=inf: must be a finite number"),
        ("rrelu", {"lower": 0.5}, r"activation\.lower=0\.5 lies above activation\.upper.*swap"),
        ("elu", {"alpha": 0.0}, r"activation\.alpha=0\.0: must be above 0"),
        ("celu", {"alpha": -1.0}, r"activation\.alpha=-1\.0: must be above 0"),
        ("celu", {"alpha": NOTHING}, r"activation\.alpha=nan: must be above 0, and finite"),
        ("eelu", {"a": -0.1}, r"activation\.a=-0\.1: must be 0 or more"),
        ("eelu", {"b": INFINITE}, r"activation\.b=inf: must be 0 or more, and finite"),
        ("eelu", {"epsilon": -1.0}, r"activation\.epsilon=-1\.0: must be 0 or more"),
        ("arelu", {"alpha": 1.5}, r"activation\.alpha=1\.5 lies outside .* change alpha_min"),
        ("arelu", {"beta": NOTHING}, r"activation\.beta=nan: must be a finite number"),
        ("comb", {"hull": "convx"}, r"activation\.hull=convx is not known\. Did you mean 'convex'"),
        ("comb", {"basis": "relu+than"}, r"activation\.basis=than is not known\. .*'tanh'"),
        ("comb", {"basis": ""}, r"activation\.basis= is not known\. Known: identity, relu, tanh"),
        ("comb", {"basis": "relu+relu"}, r"activation\.basis=relu\+relu: name each .* only once"),
        ("pau", {"init": "relu"}, r"activation\.init=relu is not known\. Known: leaky_relu, tanh"),
        ("pau", {"denominator": "x"}, r"activation\.denominator=x is not known\. .*code, paper"),
        ("apl", {"hinges": 0}, r"activation\.hinges=0: must be 1 or more"),
        ("snake", {"a": INFINITE}, r"activation\.a=inf: must be a finite number"),
    ],
)
def test_invalid_setting_is_refused_with_the_remedy(
    name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        ACTIVATIONS[name](**settings)


@pytest.mark.parametrize(
    "path", sorted((packaged("conf") / "activation").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_file_builds_the_activation_that_it_names_with_its_defaults(path: Any) -> None:
    own = node_of("activation", path.stem)
    settings = {key: value for key, value in own.items() if key not in OF_THE_MODEL}
    given = {"units": None} if takes_units(own["name"]) else {}
    built = build("activation", ACTIVATIONS[own["name"]], settings, **given)
    x = torch.linspace(-2, 2, 9)
    assert built.eval()(x).isfinite().all()
    parameters = inspect.signature(type(built)).parameters
    if own["name"] != "arelu":  # its defaults in a configuration are those of AR-GRU (V)
        assert all(parameters[k].default == v for k, v in settings.items() if k != "name")
    taken = {k for k, p in parameters.items() if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert taken - {"units"} == settings.keys() - {"name"}


@pytest.mark.parametrize("name", ACTIVATIONS.names())
def test_every_activation_has_a_file_and_learned_ones_can_be_shared(name: str) -> None:
    own = node_of("activation", name)
    assert own["name"] == name
    found = {key: own[key] for key in OF_THE_MODEL & own.keys()}
    assert found == ({"share": "layer", "per_unit": False} if takes_units(name) else {})
