"""Parts of networks: activations, recurrent layers and attention. Usable on their own."""

from sercli.nn.activations.arelu import AReLU
from sercli.nn.cells.gru import GRU
from sercli.nn.cells.lstm import LSTM
from sercli.nn.cells.rnn import RNN
from sercli.nn.layer import last_state
from sercli.nn.recurrence.backend import use_backend
from sercli.nn.stack_pass import run_parallel

__all__ = ["GRU", "LSTM", "RNN", "AReLU", "last_state", "run_parallel", "use_backend"]
