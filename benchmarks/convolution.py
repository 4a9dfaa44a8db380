"""CPU time of LIGHT-SERNET, relative to the same network without masks.

    .venv/bin/python benchmarks/convolution.py

Both run in turns on one thread, and the clock is that of the thread. An eighth of a batch of 16
turns is padding. Results: benchmarks/convolution.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sercli.models.interface import Batch, Turns
from sercli.models.light_sernet import LightSERNet

ROUNDS = 5
TURNS = 16
FEATURES = 40


def block(
    inputs: int, channels: int, kernel: tuple[int, int], window: tuple[int, int] | None, bias: bool
) -> nn.Sequential:
    """Return a block of layers of torch."""
    around = [(size - 1) // 2 for size in kernel]
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, channels, kernel, padding=around, bias=bias),
        nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01),
        nn.ReLU(inplace=True),
    ]
    if window:
        layers.append(nn.AvgPool2d(window, ceil_mode=True, count_include_pad=False))
    return nn.Sequential(*layers)


class Plain(nn.Module):
    """LIGHT-SERNET at its published size, without lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            block(1, 32, kernel, (2, 2), bias=True) for kernel in ((11, 1), (1, 9), (3, 3))
        )
        self.series = nn.Sequential(
            block(96, 64, (3, 3), (2, 2), bias=False),
            block(64, 96, (3, 3), (2, 2), bias=False),
            block(96, 128, (3, 3), (2, 1), bias=False),
            block(128, 160, (3, 3), (2, 1), bias=False),
            block(160, 320, (1, 1), None, bias=False),
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(320, 4))

    def forward(self, frames: Tensor) -> Tensor:
        """Classify frames (B, T, F)."""
        maps = torch.cat([path(frames.unsqueeze(1)) for path in self.paths], dim=1)
        logits: Tensor = self.head(self.series(maps).mean((2, 3)))
        return logits


def main() -> None:
    """Print milliseconds per batch, and the ratio of the speeds."""
    torch.set_num_threads(1)
    plain, masked = Plain(), LightSERNet(classes=4)
    for steps in (90, 430):
        frames = torch.randn(TURNS, steps, FEATURES)
        lengths = torch.linspace(0.75 * steps, steps, TURNS).long()
        turns = Turns(frames, lengths)
        batch = Batch(turns, turns, turns)
        runs: dict[str, Callable[[], Tensor]] = {
            "plain": lambda frames=frames: plain(frames),
            "masked": lambda batch=batch: masked(batch).logits,
        }
        for training in (True, False):
            plain.train(training)
            masked.train(training)
            best = dict.fromkeys(runs, float("inf"))
            for _ in range(ROUNDS):
                for name, run in runs.items():
                    best[name] = min(best[name], seconds(run, training))
            ratio = best["plain"] / best["masked"]
            kind = "forward and backward" if training else "evaluation"
            times = ", ".join(f"{name} {1000 * best[name]:.0f} ms" for name in best)
            print(f"{steps} steps, {kind}: {times}; speed {ratio:.2f}")


def seconds(run: Callable[[], Tensor], training: bool) -> float:
    """Return the CPU time of a batch."""
    began = time.thread_time()
    with torch.inference_mode(not training):
        loss = run().square().sum()
        if training:
            loss.backward()
    return time.thread_time() - began


if __name__ == "__main__":
    main()
