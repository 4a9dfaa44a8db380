"""Duration of training steps of recurrent layers relative to torch.nn.

All variants run in one process in turns, so that a busy moment of the machine affects all of them;
the result is the ratio of medians to torch's layer of the same shape.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sercli.errors import RequestError
from sercli.models.iaan import IAAN
from sercli.models.interface import Batch, Turns
from sercli.nn import GRU, run_parallel, use_backend
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.cells import CELLS
from sercli.nn.cells.gru import AFTER as GRU_CELL
from sercli.nn.device import choose_device, describe_device
from sercli.nn.layer import RecurrentLayer
from sercli.nn.recurrence.backend import chosen_backend, describe_backend, why_not_fused
from sercli.nn.stack_pass import StackPass
from sercli.progress import SILENT, Progress
from sercli.reporting.table import (
    Columns,
    View,
    make_table,
    number_cell,
    number_column,
    text_column,
)

INPUTS = 45
"""Features per step (IAAN)."""

SHAPES = ((100, 32, 64), (200, 64, 128), (400, 64, 512))
"""Shapes (T, B, H): small, medium, and IAAN at the paper's size."""

TOGETHER = 4
"""Recurrences in one call."""


@dataclass(frozen=True)
class Row:
    """One timing.

    Attributes:
        what: ``layer``, ``together`` (several layers in one call) or ``iaan`` (a whole
            training step).
        cell: The cell.
        activation: The activation.
        backend: ``cpp``, ``triton`` or ``eager``.
        precision: Precision of the products.
        steps: T.
        batch: B.
        hidden: H; of IAAN, that of its context encoders, and half of it per direction of the
            current turn's.
        ms: Median duration of a training step, milliseconds.
        reference: Name of the reference.
        reference_ms: Median duration of the reference.
        ratio: ``ms`` / ``reference_ms``.
        gflops: Rate of the recurrent layers' products, 10⁹ operations per second.
        of_matmul: ``gflops`` / ``matmul_gflops``.
    """

    what: str
    cell: str
    activation: str
    backend: str
    precision: str
    steps: int
    batch: int
    hidden: int
    ms: float
    reference: str
    reference_ms: float
    ratio: float
    gflops: float
    of_matmul: float


@dataclass(frozen=True)
class Benchmark:
    """Timings and machine.

    Attributes:
        machine: Device, threads, backend, version of torch.
        matmul_gflops: Best rate of torch.mm in float32.
        rows: The timings.
    """

    machine: dict[str, Any]
    matmul_gflops: float
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class _Task:
    """A training step and the name of its reference."""

    what: str
    cell: str
    activation: str
    backend: str
    precision: str
    run: Callable[[], object]
    reference: str
    work: float


def bench_recurrent(
    shapes: Sequence[tuple[int, int, int]] = SHAPES,
    activations: Sequence[str] = (),
    repeats: int = 7,
    device: str = "cpu",
    progress: Progress = SILENT,
) -> Benchmark:
    """Time cells × activations × backends, several layers in one call, and IAAN.

    Args:
        shapes: T, B and H of each series.
        activations: Activations to time in the GRU; empty: all.
        repeats: Repetitions after a warm-up.
        device: ``cpu`` or ``cuda``.
        progress: Notes of each series.

    Raises:
        RequestError: An activation is unknown, a number is below 1, or there is no such device.
    """
    if repeats < 1 or any(min(shape) < 1 for shape in shapes):
        raise RequestError("bench: repeats and shapes are numbers from 1 up")
    names = list(activations) or ACTIVATIONS.names()
    for name in names:
        ACTIVATIONS[name]  # an unknown one is refused before anything is measured
    chosen = chosen_backend()
    rows: list[Row] = []
    try:
        chosen_device = choose_device(device)
        with torch.device(chosen_device):
            matmul = matmul_gflops()
            for shape in shapes:
                progress.note(f"timing T={shape[0]} B={shape[1]} H={shape[2]}")
                rows += _series(shape, names, repeats, matmul)
    finally:
        use_backend(chosen)
    machine = {
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "backend": describe_backend(GRU(1, 1), chosen_device.type),
        "torch": torch.__version__,
    }
    return Benchmark(machine, matmul, tuple(rows))


def read_shapes(texts: Sequence[str]) -> list[tuple[int, int, int]]:
    """Read shapes such as ``100,32,64``; none: `SHAPES`.

    Raises:
        RequestError: A text is no three numbers.
    """
    shapes = []
    for text in texts:
        parts = text.split(",")
        if len(parts) != 3 or not all(part.strip().isdecimal() for part in parts):
            raise RequestError(f"--shape {text}: expected T,B,H as in 100,32,64")
        steps, batch, hidden = map(int, parts)
        shapes.append((steps, batch, hidden))
    return shapes or list(SHAPES)


def recurrent_view(benchmark: Benchmark) -> View:
    """Show the times and their ratios to torch.nn."""
    names = {"layer": "", "together": f"{TOGETHER} × ", "iaan": "IAAN, "}
    columns: Columns[Row] = [
        text_column("T,B,H", lambda row: f"{row.steps},{row.batch},{row.hidden}"),
        text_column("task", lambda row: f"{names[row.what]}{row.cell} {row.activation}"),
        text_column("backend", lambda row: row.backend + " bf16" * (row.precision == "bf16")),
        number_column("ms", lambda row: number_cell(row.ms, ".1f")),
        number_column("ratio", lambda row: number_cell(row.ratio, ".2f")),
        number_column("GFLOP/s", lambda row: number_cell(row.gflops, ".0f")),
        number_column("of torch.mm", lambda row: number_cell(row.of_matmul, ".2f")),
        text_column("ratio to", lambda row: row.reference),
    ]
    machine = benchmark.machine
    title = (
        f"Training steps on {_place(machine)}, {machine['backend']}, "
        f"torch {machine['torch']}; torch.mm reaches {benchmark.matmul_gflops:.0f} GFLOP/s"
    )
    return View((make_table(title, columns, benchmark.rows),), benchmark.to_json())


def _place(machine: Mapping[str, Any]) -> str:
    return f"{machine['threads']} threads" if machine["device"] == "cpu" else machine["device"]


def matmul_gflops() -> float:
    """Return the best rate of torch.mm on square float32 matrices, 10⁹ operations per second."""
    best = 0.0
    for size in (512, 1024, 2048) if _device() == "cpu" else (2048, 4096, 8192):
        a, b = torch.randn(size, size), torch.randn(size, size)
        for _ in range(5):
            _wait()
            start = time.perf_counter()
            torch.mm(a, b)
            _wait()
            best = max(best, 2e-9 * size**3 / (time.perf_counter() - start))
    return best


def _series(
    shape: tuple[int, int, int], names: Sequence[str], repeats: int, matmul: float
) -> list[Row]:
    use_backend("auto")
    references = _references(shape)
    tasks = [*_layers(shape, names), *_other_cells(shape), *_together(shape), *_iaan(shape)]
    runs = list(references.values()) + [task.run for task in tasks]
    medians = interleaved(runs, repeats)
    reference_ms = dict(zip(references, medians, strict=False))
    return [
        Row(
            *(task.what, task.cell, task.activation, task.backend, task.precision, *shape),
            ms=ms,
            reference=task.reference,
            reference_ms=reference_ms[task.reference],
            ratio=ms / reference_ms[task.reference],
            gflops=task.work / ms * 1e-6,
            of_matmul=task.work / ms * 1e-6 / matmul,
        )
        for task, ms in zip(tasks, medians[len(references) :], strict=True)
    ]


def interleaved(runs: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Run the variants in turns; return the median of each in milliseconds."""
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for run, seen in zip(runs, times, strict=True):
            _wait()
            start = time.perf_counter()
            run()
            _wait()
            seen.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(seen[1:]) for seen in times]


def _device() -> str:
    return torch.get_default_device().type


def _wait() -> None:
    """Wait until the device has done what it was given."""
    if _device() == "cuda":
        torch.cuda.synchronize()


def _fused_backend() -> str:
    return "cpp" if _device() == "cpu" else "triton"


def _references(shape: tuple[int, int, int]) -> dict[str, Callable[[], object]]:
    steps, batch, hidden = shape
    x = torch.randn(steps, batch, INPUTS)
    layers = {kind.__name__: kind(INPUTS, hidden) for kind in (nn.GRU, nn.LSTM, nn.RNN)}
    runs = {f"torch.nn.{name}": _training([layer], x) for name, layer in layers.items()}
    four = [nn.GRU(INPUTS, hidden) for _ in range(TOGETHER)]
    model = _iaan_model(hidden, _TorchGRU)
    return runs | {
        f"{TOGETHER} × torch.nn.GRU": _training(four, x),
        "IAAN on torch.nn.GRU": _training_step(model, _batch(shape)),
    }


def _training(layers: Sequence[nn.Module], x: Tensor) -> Callable[[], object]:
    """Forward and backward passes through layers, one after the other."""
    parameters = [list(layer.parameters()) for layer in layers]

    def run() -> None:
        for layer, own in zip(layers, parameters, strict=True):
            output, _ = layer(x)
            torch.autograd.grad(output, own, torch.ones_like(output), allow_unused=True)

    return run


def _with(backend: str, precision: str, run: Callable[[], object]) -> Callable[[], object]:
    def chosen() -> None:
        use_backend(backend)
        bf16 = torch.autocast(_device(), torch.bfloat16) if precision == "bf16" else nullcontext()
        with bf16:
            run()

    return chosen


def _layers(shape: tuple[int, int, int], names: Sequence[str]) -> list[_Task]:
    steps, batch, hidden = shape
    x = torch.randn(steps, batch, INPUTS)
    fused = _fused(GRU(1, 1))
    kinds = [(name, _fused_backend() if fused else "eager", "float32") for name in names]
    if fused:
        kinds += [("tanh", "eager", "float32"), ("arelu", "eager", "float32")]
        kinds += [("arelu", _fused_backend(), "bf16")]
    return [
        _Task(
            *("layer", "gru", name, backend, precision),
            run=_with(backend, precision, _training([GRU(INPUTS, hidden, activation=name)], x)),
            reference="torch.nn.GRU",
            work=_work(shape, hidden, gates=3),
        )
        for name, backend, precision in kinds
    ]


def _other_cells(shape: tuple[int, int, int]) -> list[_Task]:
    """Return a task per cell other than the GRU, with tanh, in its fastest backend."""
    steps, batch, hidden = shape
    x = torch.randn(steps, batch, INPUTS)
    tasks = []
    for name in CELLS.names():
        if name == "gru":
            continue
        layer = CELLS[name](INPUTS, hidden, activation="tanh")
        kind = {"rnn": "RNN", "li_gru": "GRU"}.get(name, "LSTM")
        backend = _fused_backend() if _fused(layer) else "eager"
        run = _with(backend, "float32", _training([layer], x))
        work = _work(shape, hidden, layer.cell.gates)
        tasks.append(
            _Task("layer", name, "tanh", backend, "float32", run, f"torch.nn.{kind}", work)
        )
    return tasks


def _together(shape: tuple[int, int, int]) -> list[_Task]:
    steps, batch, hidden = shape
    x = torch.randn(steps, batch, INPUTS)
    layers = [GRU(INPUTS, hidden, activation="arelu") for _ in range(TOGETHER)]
    parameters = [each for layer in layers for each in layer.parameters()]

    def run() -> None:
        outputs = [output for output, _ in run_parallel([each.stack_pass(x) for each in layers])]
        torch.autograd.grad(outputs, parameters, [torch.ones_like(each) for each in outputs])

    work = TOGETHER * _work(shape, hidden, gates=3)
    return [
        _Task(
            *("together", "gru", "arelu", backend, "float32"),
            run=_with(backend, "float32", run),
            reference=f"{TOGETHER} × torch.nn.GRU",
            work=work,
        )
        for backend in (_fused_backend(), "eager")
        if backend == "eager" or _fused(layers[0])
    ]


def _iaan(shape: tuple[int, int, int]) -> list[_Task]:
    hidden = shape[2]
    model = _iaan_model(
        hidden, lambda i, h, **given: GRU(i, h, batch_first=True, activation="arelu", **given)
    )
    work = 2 * _work(shape, hidden, gates=3) + 2 * _work(shape, hidden // 2, gates=3)
    return [
        _Task(
            *("iaan", "gru", "arelu", backend, "float32"),
            run=_with(backend, "float32", _training_step(model, _batch(shape))),
            reference="IAAN on torch.nn.GRU",
            work=work,
        )
        for backend in (_fused_backend(), "eager")
        if backend == "eager" or _fused(GRU(1, 1, activation="arelu"))
    ]


def _fused(layer: RecurrentLayer) -> bool:
    return not why_not_fused(layer, _device())


def _work(shape: tuple[int, int, int], hidden: int, gates: int) -> float:
    """Return the operations of a training step: W x, U h and their gradients except dx."""
    steps, batch, _ = shape
    return 2.0 * steps * batch * gates * hidden * (2 * (INPUTS + hidden) + hidden)


class _TorchGRU(nn.Module):
    """torch.nn.GRU with the interface of our layers."""

    def __init__(self, inputs: int, hidden: int, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.layer = nn.GRU(inputs, hidden, batch_first=True, bidirectional=bidirectional)
        self.output_size = hidden * (2 if bidirectional else 1)

    def stack_pass(self, x: Tensor, *, lengths: Tensor) -> StackPass:
        """Run alone, after the levels, of which there is none."""
        return StackPass(GRU_CELL, [], x, lambda steps, _: self.layer(steps))


def _iaan_model(hidden: int, new_cell: Any) -> IAAN:
    return IAAN(
        inputs=INPUTS,
        classes=4,
        new_cell=new_cell,
        hidden=max(hidden // 2, 1),
        context_hidden=hidden,
    )


def _batch(shape: tuple[int, int, int]) -> Batch:
    steps, batch, _ = shape
    lengths = torch.full((batch,), steps)
    turns = [Turns(torch.randn(batch, steps, INPUTS), lengths) for _ in range(3)]
    return Batch(*turns)


def _training_step(model: nn.Module, batch: Batch) -> Callable[[], object]:
    """Compute loss and gradients, and take a step of Adam."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4)
    targets = torch.arange(len(batch.current.lengths)) % 4

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(batch), targets).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return run
