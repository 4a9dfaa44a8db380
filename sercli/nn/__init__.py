"""Parts of networks: activations, recurrent cells and attention. Usable on their own."""

from sercli.nn.activations.arelu import AReLU
from sercli.nn.cells.gru import GRU

__all__ = ["GRU", "AReLU"]
