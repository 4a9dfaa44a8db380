r"""CPU time of each part of a training step, in milliseconds.

    .venv/bin/python benchmarks/step.py model=iaan_small activation=arelu
    .venv/bin/python benchmarks/step.py model=bigru_att_small dataset=nemo dataset.root=NEMO \
        protocol=loso_speaker features.pool=1

One fold is trained on one thread, without a profiler: a clock is read around each part, and the
trimmed mean of a step is printed. Results and notes: benchmarks/step.md.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sercli.config.compose import compose
from sercli.models import MODELS
from sercli.nn import fused_attention
from sercli.nn.recurrence.cpp import launch
from sercli.training import trainer
from sercli.training.data import read_data
from sercli.training.folds import make_folds
from sercli.training.loss import TrainingLoss
from sercli.training.optim import VectorOptimiser

WARM_UP = 20
STEPS = 120
KERNELS = ("kernel", "attention")


class Clock:
    """CPU time of this thread by part, from wrappers around functions."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def around(self, owner: Any, name: str, part: str) -> None:
        """Replace a function of a module or class by one whose time is added to a part."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[part] += time.thread_time() - began

        setattr(owner, name, timed)


def main(overrides: list[str]) -> None:
    """Print the milliseconds of each part of a step."""
    torch.set_num_threads(1)
    many = WARM_UP + STEPS
    config = compose([*overrides, f"trainer.steps={many}", f"trainer.eval_every={many}"])
    data = read_data(config)
    fold = make_folds(data.manifest, config.protocol)[0]
    clock = Clock()
    clock.around(trainer, "collate", "collate")
    clock.around(launch, "call_kernel", "kernel")
    clock.around(fused_attention, "call_kernel", "attention")
    clock.around(MODELS[config.model["system"]], "forward", "forward")
    clock.around(TrainingLoss, "total", "loss")
    clock.around(torch.autograd, "grad", "backward")
    clock.around(VectorOptimiser, "step", "optimiser")
    marks = []
    trainer.train_fold(
        config, data, fold, 1, lambda _: marks.append((time.thread_time(), dict(clock.seconds)))
    )
    marks = marks[WARM_UP - 1 : many]
    each = np.sort(np.diff([at for at, _ in marks]))
    step = each[len(each) // 10 : -len(each) // 10].mean()
    (_, first), (_, last) = marks[0], marks[-1]
    parts = {name: (last[name] - first.get(name, 0.0)) / (len(marks) - 1) for name in last}
    parts["optimiser"] -= parts["backward"]
    print(f"{1000 * step:8.2f} step")
    for name, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"{1000 * seconds:8.2f} {name}{' (in forward and backward)' * (name in KERNELS)}")


if __name__ == "__main__":
    main(sys.argv[1:])
