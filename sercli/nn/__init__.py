"""Parts of networks: activations, recurrent layers and attention. Usable on their own."""

from sercli.nn.activations.arelu import AReLU
from sercli.nn.cells.gru import GRU
from sercli.nn.cells.lstm import LSTM
from sercli.nn.cells.rnn import RNN
from sercli.nn.recurrence.backend import use_backend
from sercli.nn.states import last_state
from sercli.nn.together import run_together

__all__ = ["GRU", "LSTM", "RNN", "AReLU", "last_state", "run_together", "use_backend"]
