from __future__ import annotations

import pytest
import torch

from sercli.errors import RequestError
from sercli.models.interface import Batch, Turns
from sercli.models.superb_linear import SuperbLinear


def test_means_of_layers_give_what_the_head_gives_of_all_frames() -> None:
    torch.manual_seed(0)
    model = SuperbLinear(inputs=6, classes=4, layers=3, projection=5).double()
    torch.nn.init.normal_(model.weights)
    states = torch.randn(2, 3, 7, 6, dtype=torch.float64)  # of a batch of equal length
    mixed = torch.einsum("l,bltf->btf", model.weights.softmax(0), states)
    expected = model.head(model.projector(mixed).mean(1))
    turns = Turns(states.mean(2), torch.tensor([3, 3]))
    torch.testing.assert_close(model(Batch(turns, turns, turns)), expected)
    assert not SuperbLinear(inputs=6, classes=4).weights.any()


def test_another_number_of_layers_is_refused() -> None:
    turns = Turns(torch.zeros(1, 13, 6), torch.tensor([13]))
    with pytest.raises(RequestError, match=r"model.layers=25: .*13 rows.*set model.layers=13"):
        SuperbLinear(inputs=6, classes=4, layers=25)(Batch(turns, turns, turns))
