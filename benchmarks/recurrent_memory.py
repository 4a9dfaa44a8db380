"""Peak memory and time of training steps by length, each in a process of its own.

    .venv/bin/python benchmarks/recurrent_memory.py

Prints, for torch.nn.GRU and both backends, how far the peak of resident memory rises above that
before the steps, and the fastest of three steps.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import torch

from sercli.nn import GRU, use_backend

SHAPES = ((400, 64, 512), (100, 32, 64), (300, 32, 64), (1000, 32, 64), (3000, 32, 64))


def measure(kind: str, steps: int, batch: int, hidden: int) -> str:
    """Run three training steps of one layer in this process."""
    if kind == "torch":
        layer: torch.nn.Module = torch.nn.GRU(45, hidden)
    else:
        use_backend(kind)
        layer = GRU(45, hidden, activation="arelu")
    output, _ = layer(torch.randn(2, 2, 45))
    output.sum().backward()
    x = torch.randn(steps, batch, 45)
    before = _peak()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        output, _ = layer(x)
        output.backward(torch.ones_like(output))
        times.append(1e3 * (time.perf_counter() - start))
        del output
    return f"{kind:6} {steps:5} {batch:3} {hidden:4} {_peak() - before:6.0f} {min(times):9.1f}"


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if len(sys.argv) > 1:
        kind, *shape = sys.argv[1:]
        print(measure(kind, *map(int, shape)))
    else:
        print("layer      T   B    H    MiB        ms")
        for shape in SHAPES:
            for kind in ("torch", "cpp", "eager"):
                numbers = [str(number) for number in shape]
                subprocess.run([sys.executable, __file__, kind, *numbers], check=True)
