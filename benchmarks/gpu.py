"""The Triton backend on one GPU: correctness against eager, then timings beside cuDNN.

Started by `gpu.sh`. Everything is compiled by a pool of processes first, which also do the
checks; what is timed runs alone afterwards. Times are medians of CUDA events around a training
step (forwards, gradients of the parameters); "graph" is the same step replayed as a CUDA graph,
which leaves out the work of the host.
"""

from __future__ import annotations

import cProfile
import json
import multiprocessing
import os
import pstats
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sercli.nn import run_parallel, use_backend
from sercli.nn.activations import ACTIVATIONS
from sercli.nn.attention import InteractionAttention, SelfAttention
from sercli.nn.cells import CELLS
from sercli.nn.recurrence.triton import launch
from sercli.nn.recurrence.triton.layout import Layout, choose

INPUTS = 45
SHAPES = ((100, 32, 64), (200, 64, 128), (400, 64, 512))
GPU = "cuda"

EVERY_CELL: tuple[tuple[str, dict[str, str]], ...] = (
    ("gru", {}),
    ("gru", {"reset": "before"}),
    ("li_gru", {"norm": "none"}),
    ("lstm", {}),
    ("rnn", {}),
)

LAYOUTS = {
    (100, 32, 64): (),
    (200, 64, 128): (),
    (400, 64, 512): ((16, 16, 8, 8), (16, 16, 32, 8)),
}
MANY_LAYOUTS = {
    (100, 32, 64): ((16, 64, 1, 4),),
    (200, 64, 128): ((16, 64, 1, 8),),
    (400, 64, 512): (),
}
"""Rows, units, parts and warps to try beside what `choose` says."""

ROOM: dict[str, Any] = {}
START = time.monotonic()


def note(text: str) -> None:
    """Print a line of progress."""
    print(f"[{time.monotonic() - START:5.0f} s] {text}", flush=True)


# --- checks -------------------------------------------------------------------------------------


def check(task: dict[str, Any]) -> dict[str, Any]:
    """Compare one layer with eager in double precision; return the largest relative errors."""
    begin = time.monotonic()
    try:
        task |= _checked(task) if task["kind"] == "check" else _warmed(task)
    except Exception as error:  # a failure is a result
        task["error"] = f"{type(error).__name__}: {str(error)[:300]}"
    return task | {"seconds": round(time.monotonic() - begin, 1)}


def _checked(task: dict[str, Any]) -> dict[str, Any]:
    torch.manual_seed(0)
    set_layout(None)  # the process may have done another task before
    hidden, batch, steps = task["hidden"], task.get("batch", 9), task.get("steps", 17)
    options = dict(task["options"])
    made = CELLS[task["cell"]](
        13, hidden, bidirectional=True, activation=task["activation"], **options
    )
    layer = made.to(GPU).eval()
    x = torch.randn(steps, batch, 13, device=GPU)
    lengths = None
    if task.get("padded", True):
        lengths = torch.randint(1, steps + 1, (batch,))
        lengths[0] = steps
        lengths = lengths.to(GPU)
    torch.set_float32_matmul_precision(task.get("matmul", "highest"))
    bf16 = task.get("bf16", False)
    with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
        found = results(layer, x, lengths, "triton")
    torch.set_float32_matmul_precision("highest")
    eager = results(layer, x, lengths, "eager")
    expected = results(layer.double(), x.double(), lengths, "eager")
    return {
        "error_max": max(errors := _errors(found, expected)),
        "errors": errors,
        "eager_errors": _errors(eager, expected),
    }


def _errors(found: Sequence[Tensor], expected: Sequence[Tensor]) -> list[float]:
    pairs = zip(found, expected, strict=True)
    return [float(f"{_error(a.detach().double(), b.detach()):.2g}") for a, b in pairs]


def wrong(task: dict[str, Any]) -> bool:
    """True if an error is larger than rounding explains: three times that of eager."""
    if "error" in task or task["kind"] != "check":
        return "error" in task
    loose = task.get("bf16") or task.get("matmul") == "high"
    limits = [3e-2 if loose else max(2e-5, 3 * each) for each in task["eager_errors"]]
    return any(e > limit for e, limit in zip(task["errors"], limits, strict=True))


def _error(found: Tensor, expected: Tensor) -> float:
    scale = expected.abs().max().clamp(min=1e-3)
    return float((found - expected).abs().nan_to_num(nan=1e9).max() / scale)


def results(layer: nn.Module, inputs: Tensor, lengths: Tensor | None, backend: str) -> list[Tensor]:
    """Return outputs, final states and all gradients in one backend."""
    use_backend(backend)
    given = inputs.clone().requires_grad_()
    output, final = layer(given, lengths=lengths)
    finals = list(final) if isinstance(final, tuple) else [final]
    weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype, device=GPU)
    loss = (weights.view_as(output) * output).sum() / output.numel()
    loss = loss + sum((part.sin().mean() for part in finals), output.new_zeros(()))
    wanted = [given, *(each for each in layer.parameters() if each.requires_grad)]
    return [output, *finals, *torch.autograd.grad(loss, wanted, materialize_grads=True)]


def _warmed(task: dict[str, Any]) -> dict[str, Any]:
    """Compile what a timing needs: the same sizes, two steps."""
    use_backend("triton")
    if task["cell"] == "iaan":
        iaan_step(2, task["case"])()
        torch.cuda.synchronize()
        return {}
    steps, batch, hidden = 2, task["batch"], task["hidden"]
    set_layout(task.get("layout"))
    torch.set_float32_matmul_precision(task.get("matmul", "highest"))
    count = task.get("count", 1)
    layers = [make(task["cell"], hidden, task["activation"]) for _ in range(count)]
    x = torch.randn(steps, batch, INPUTS, device=GPU)
    with torch.autocast("cuda", torch.bfloat16, enabled=task.get("bf16", False)):
        step(layers, x)()
    torch.cuda.synchronize()
    return {}


def check_tasks() -> list[dict[str, Any]]:
    """Return the comparisons with eager."""
    tasks = [
        {"cell": cell, "options": options, "activation": "arelu", "hidden": 24}
        for cell, options in EVERY_CELL
    ]
    tasks += [
        {"cell": cell, "options": options, "activation": "tanh", "hidden": 300}
        for cell, options in EVERY_CELL
    ]
    tasks += [
        {"cell": "gru", "options": {}, "activation": name, "hidden": 24}
        for name in ACTIVATIONS.names()
        if name != "arelu"
    ]
    tasks += [
        {"cell": cell, "options": options, "activation": "arelu", "hidden": 64, "padded": False}
        for cell, options in EVERY_CELL
    ]
    tasks += [
        {"cell": "gru", "options": {}, "activation": "tanh", "hidden": 512, "batch": 64},
        {"cell": "lstm", "options": {}, "activation": "tanh", "hidden": 128, "padded": False},
        {"cell": "lstm", "options": {}, "activation": "tanh", "hidden": 128, "batch": 80},
        {"cell": "gru", "options": {}, "activation": "tanh", "hidden": 128, "batch": 64},
        {"cell": "gru", "options": {}, "activation": "tanh", "hidden": 64, "matmul": "high"},
        {"cell": "gru", "options": {}, "activation": "tanh", "hidden": 64, "bf16": True},
        {"cell": "gru", "options": {}, "activation": "tanh", "hidden": 512, "matmul": "high"},
        {"cell": "gru", "options": {}, "activation": "tanh", "hidden": 512, "bf16": True},
    ]
    return [{"kind": "check", **task} for task in tasks]


def warm_tasks() -> list[dict[str, Any]]:
    """Return the compilations that the timings need."""
    tasks: list[dict[str, Any]] = []
    for _, batch, hidden in SHAPES:
        base = {"batch": batch, "hidden": hidden, "cell": "gru", "activation": "arelu"}
        tasks += [
            base,
            base | {"activation": "tanh"},
            base | {"cell": "lstm", "activation": "tanh"},
        ]
        tasks += [base | {"matmul": "high"}, base | {"bf16": True}]
        tasks.append(base | {"count": many(hidden)})
    for shape, layouts in LAYOUTS.items():
        for layout in dict.fromkeys(layouts + MANY_LAYOUTS[shape]):
            tasks.append(
                {
                    "batch": shape[1],
                    "hidden": shape[2],
                    "cell": "gru",
                    "activation": "arelu",
                    "layout": layout,
                }
            )
    tasks += [base | {"cell": "iaan", "case": case} for case in IAAN.values()]
    return [{"kind": "warm", **task} for task in tasks]


def run_pool(tasks: list[dict[str, Any]], limit: float) -> list[dict[str, Any]]:
    """Run tasks in processes of their own; one that hangs is reported, and ended with its pool."""
    context = multiprocessing.get_context("spawn")
    pool = context.Pool(min(14, os.cpu_count() or 1), maxtasksperchild=None)
    waiting = [(task, pool.apply_async(check, (task,))) for task in tasks]
    end = time.monotonic() + limit
    found = []
    for task, each in waiting:
        try:
            found.append(each.get(max(0.1, end - time.monotonic())))
        except multiprocessing.TimeoutError:
            found.append(task | {"error": "did not end in time"})
        except Exception as error:  # a process that died
            found.append(task | {"error": f"{type(error).__name__}: {error}"})
    pool.terminate()
    return found


# --- timings ------------------------------------------------------------------------------------


def set_layout(given: Sequence[int] | None) -> None:
    """Cut all later calls in a given way, or as `choose` says."""
    if given is None:
        launch.choose = choose
        return
    rows, units, parts, warps = given

    def fixed(recurrences: int, batch: int, hidden: int, *rest: Any) -> Layout:
        usual = choose(recurrences, batch, hidden, *rest)
        once = recurrences
        if units < usual.width:
            once = max(1, 132 // (-(-batch // rows) * (usual.width // units)))
        return replace(usual, rows=rows, units=units, parts=parts, warps=warps, at_once=once)

    launch.choose = fixed


def make(cell: str, hidden: int, activation: str) -> nn.Module:
    """Make a layer on the GPU."""
    return CELLS[cell](INPUTS, hidden, activation=activation).to(GPU)


def step(layers: Sequence[nn.Module], x: Tensor) -> Callable[[], object]:
    """Forwards and backwards through all layers in one call."""
    parameters = [each for layer in layers for each in layer.parameters()]

    def run() -> None:
        if len(layers) == 1:
            outputs = [layers[0](x)[0]]
        else:
            outputs = [
                output for output, _ in run_parallel([each.stack_pass(x) for each in layers])
            ]
        torch.autograd.grad(outputs, parameters, [torch.ones_like(each) for each in outputs])

    return run


def alone(layers: Sequence[nn.Module], x: Tensor) -> Callable[[], object]:
    """Forwards and backwards through layers, one after the other."""
    own = [list(layer.parameters()) for layer in layers]

    def run() -> None:
        for layer, parameters in zip(layers, own, strict=True):
            output, _ = layer(x)
            torch.autograd.grad(output, parameters, torch.ones_like(output))

    return run


def only_forward(layer: nn.Module, x: Tensor) -> Callable[[], object]:
    """Forwards through a layer."""
    return lambda: layer(x)


def timed(run: Callable[[], object], seconds: float = 0.5, most: int = 30) -> dict[str, float]:
    """Return the median time between CUDA events, and the time of the host, in ms."""
    run()
    torch.cuda.synchronize()
    begin, times, host = time.monotonic(), [], []
    run()
    torch.cuda.synchronize()
    least = 1 if time.monotonic() - begin > 0.5 else 5
    while len(times) < least or (time.monotonic() - begin < seconds and len(times) < most):
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        started = time.perf_counter()
        first.record()
        run()
        last.record()
        host.append(1e3 * (time.perf_counter() - started))
        torch.cuda.synchronize()
        times.append(first.elapsed_time(last))
    return {
        "ms": statistics.median(times),
        "host_ms": statistics.median(host),
        "least_ms": min(times),
    }


def graphed(run: Callable[[], object]) -> float | None:
    """Return the median time of the same as a CUDA graph; None: it cannot be captured."""
    try:
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        found = timed(graph.replay, 0.3)["ms"]
        del graph
        return found
    except Exception as error:  # reported beside the figures
        ROOM.setdefault("not_captured", []).append(f"{type(error).__name__}: {str(error)[:200]}")
        torch.cuda.synchronize()
        return None


def many(hidden: int) -> int:
    """Return the number of recurrences in one call."""
    return 64 if hidden < 512 else 16


def series(shape: tuple[int, int, int]) -> list[dict[str, Any]]:
    """Time everything of one shape."""
    steps, batch, hidden = shape
    x = torch.randn(steps, batch, INPUTS, device=GPU)
    rows: list[dict[str, Any]] = []

    def add(what: str, run: Callable[[], object], graph: bool = False, **other: Any) -> None:
        torch.cuda.reset_peak_memory_stats()
        try:
            row = {"shape": shape, "what": what, **timed(run), **other}
            row["peak_mb"] = torch.cuda.max_memory_allocated() / 1e6
            if graph and row["ms"] < 1000:
                row["graph_ms"] = graphed(run)
        except Exception as error:
            row = {
                "shape": shape,
                "what": what,
                "error": f"{type(error).__name__}: {str(error)[:300]}",
            }
        rows.append(row)
        ROOM["rows"] = [*ROOM.get("rows", []), row]
        save()

    gru, lstm = nn.GRU(INPUTS, hidden).to(GPU), nn.LSTM(INPUTS, hidden).to(GPU)
    torch.backends.cudnn.allow_tf32 = True
    add("cudnn gru tf32", alone([gru], x), graph=True)
    torch.backends.cudnn.allow_tf32 = False
    add("cudnn gru", alone([gru], x), graph=True)
    add("cudnn gru forward", only_forward(gru, x))
    add("cudnn lstm", alone([lstm], x))
    use_backend("triton")
    set_layout(None)
    own = make("gru", hidden, "arelu")
    add("gru arelu", step([own], x), graph=True)
    add("gru arelu forward", only_forward(own, x))
    add("gru tanh", step([make("gru", hidden, "tanh")], x), graph=True)
    add("lstm tanh", step([make("lstm", hidden, "tanh")], x), graph=True)
    torch.set_float32_matmul_precision("high")
    add("gru arelu tf32", step([own], x), graph=True)
    torch.set_float32_matmul_precision("highest")

    def bf16() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            step([own], x)()

    add("gru arelu bf16", bf16, graph=True)
    for layout in LAYOUTS[shape]:
        set_layout(layout)
        add(f"gru arelu {layout}", step([own], x), graph=True)
        with torch.no_grad():
            add(f"gru arelu {layout} forward", only_forward(own, x), graph=True)
    set_layout(None)
    with torch.no_grad():
        add("gru arelu forward, nothing kept", only_forward(own, x), graph=True)
    count = many(hidden)
    layers = [make("gru", hidden, "arelu") for _ in range(count)]
    add(f"{count} gru in one call", step(layers, x), graph=True)
    for layout in MANY_LAYOUTS[shape]:
        set_layout(layout)
        add(f"{count} gru in one call {layout}", step(layers, x), graph=True)
    set_layout(None)
    add(f"{count} calls of gru", alone(layers, x))
    add(f"{count} calls of cudnn", alone([nn.GRU(INPUTS, hidden).to(GPU) for _ in range(count)], x))
    use_backend("eager")
    add("eager gru arelu", step([own], x))
    use_backend("triton")
    return rows


def floor(shape: Sequence[int], peak: dict[str, float]) -> dict[str, float]:
    """Return the least time of a training step of a GRU by operations and by memory, in ms.

    Three products of the recurrent weights and two of the input weights; 26 numbers per unit and
    step that are read or written.
    """
    steps, batch, hidden = shape
    products = 3 * 3 * hidden * hidden + 2 * 3 * hidden * INPUTS
    return {
        "operations_ms": 2e-9 * steps * batch * products / peak["float32_tflops"],
        "memory_ms": 1e-6 * steps * batch * hidden * 26 * 4 / peak["copy_gb_s"],
    }


class Encoders(nn.Module):
    """The recurrent part of IAAN at the size of its paper, with its attention and a head."""

    def __init__(self, new: Callable[..., nn.Module], fused_: bool) -> None:
        super().__init__()
        self.fused = fused_
        self.layers = nn.ModuleList(
            [new(INPUTS, 256, bidirectional=True), new(INPUTS, 512), new(INPUTS, 512)]
        )
        self.pool = nn.ModuleList([SelfAttention(512, 16) for _ in range(2)])
        self.attention = InteractionAttention(512, 512, 512, 16)
        self.head = nn.Linear(3 * 512, 4)

    def forward(self, turns: Sequence[Tensor], valid: Tensor, lengths: Tensor | None) -> Tensor:
        """Classify (B, 4)."""
        pairs = zip(self.layers, turns, strict=True)
        if self.fused:
            found = run_parallel([each.stack_pass(x, lengths=lengths) for each, x in pairs])
        else:
            found = [each(x) for each, x in pairs]
        states = [output.transpose(0, 1) for output, _ in found]
        context = [pool(each, valid) for pool, each in zip(self.pool, states[1:], strict=True)]
        pooled = self.attention(states[0], valid, *context)
        return self.head(torch.cat([pooled, *context], -1))


IAAN = {
    "iaan on cudnn": {"cudnn": True},
    "iaan": {},
    "iaan, real lengths": {"padded": True},
    "iaan tf32": {"matmul": "high"},
}


def iaan_step(steps: int, case: dict[str, Any]) -> Callable[[], object]:
    """A training step of IAAN: with cuDNN's tanh, or with AReLU in the kernels."""
    batch = 64
    set_layout(None)
    torch.set_float32_matmul_precision(case.get("matmul", "highest"))
    turns = [torch.randn(steps, batch, INPUTS, device=GPU) for _ in range(3)]
    target = torch.randint(0, 4, (batch,), device=GPU)
    given = torch.randint(1, steps + 1, (batch,)).to(GPU) if case.get("padded") else None
    valid = torch.ones(batch, steps, dtype=torch.bool, device=GPU)
    if given is not None:
        valid = torch.arange(steps, device=GPU) < given.unsqueeze(1)

    def ours(*sizes: int, **options: bool) -> nn.Module:
        return CELLS["gru"](*sizes, activation="arelu", **options)

    cudnn = case.get("cudnn", False)
    model = Encoders(nn.GRU if cudnn else ours, not cudnn).to(GPU)
    optimiser = torch.optim.Adam(model.parameters(), capturable=True, fused=True)

    def run() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(turns, valid, given), target).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()

    return run


def training_steps() -> None:
    """Time training steps of IAAN."""
    shape = 400, 64, 512
    for what, case in IAAN.items():
        torch.cuda.reset_peak_memory_stats()
        try:
            run = iaan_step(shape[0], case)
            row = {"shape": shape, "what": what, **timed(run)}
            row["graph_ms"] = graphed(run)
            row["peak_mb"] = torch.cuda.max_memory_allocated() / 1e6
        except Exception as error:
            row = {"shape": shape, "what": what, "error": str(error)[:300]}
        ROOM["rows"].append(row)
        save()
    torch.set_float32_matmul_precision("highest")
    set_layout(None)


def many_models() -> None:
    """Time a search's 60 points × 5 folds of small BiGRUs, in one call and one by one."""
    x = torch.randn(100, 32, INPUTS, device=GPU)
    layers = [
        CELLS["gru"](INPUTS, 64, bidirectional=True, activation="arelu").to(GPU) for _ in range(300)
    ]
    torch.cuda.reset_peak_memory_stats()
    together = timed(step(layers, x), 0.5, 5)["ms"]
    peak = torch.cuda.max_memory_allocated() / 1e6
    one = timed(alone(layers[:30], x), 0.5, 5)["ms"] / 30
    reference = [nn.GRU(INPUTS, 64, bidirectional=True).to(GPU) for _ in range(30)]
    cudnn = timed(alone(reference, x), 0.5, 5)["ms"] / 30
    found = {"together": 3e5 / together, "one_by_one": 1e3 / one, "cudnn": 1e3 / cudnn}
    ROOM["models_per_second"] = found | {"peak_mb": peak}
    print("steps of small BiGRUs per second:", {k: round(v) for k, v in found.items()})


def host_profile(path: Path) -> None:
    """Profile the host over 100 small training steps."""
    run = step([make("gru", 64, "arelu")], torch.randn(100, 32, INPUTS, device=GPU))
    run()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(100):
        run()
    profile.disable()
    torch.cuda.synchronize()
    with path.open("w", encoding="utf-8") as file:
        pstats.Stats(profile, stream=file).sort_stats("tottime").print_stats(25)


def peaks() -> dict[str, Any]:
    """Find the ceilings of the card: copying, float32 and bfloat16 products."""
    a = torch.empty(1 << 28, device=GPU)
    b = torch.empty_like(a)
    copy = timed(lambda: b.copy_(a), 0.2)["least_ms"]
    m = torch.randn(8192, 8192, device=GPU)
    h = m.bfloat16()
    single = timed(lambda: m @ m, 0.3, 6)["least_ms"]
    half = timed(lambda: h @ h, 0.2, 10)["least_ms"]
    return {
        "copy_gb_s": 2 * a.nbytes / copy * 1e-6,
        "float32_tflops": 2 * 8192**3 / single * 1e-9,
        "bfloat16_tflops": 2 * 8192**3 / half * 1e-9,
    }


def save() -> None:
    """Write the figures found so far."""
    Path(sys.argv[1]).write_text(json.dumps(ROOM, indent=1), encoding="utf-8")


def show() -> None:
    """Print the short table."""
    print("\nshape            what                              ms    graph  least   host   /cudnn")
    reference = {tuple(r["shape"]): r for r in ROOM["rows"] if r["what"] == "cudnn gru"}
    for row in ROOM["rows"]:
        shape = tuple(row["shape"])
        if "error" in row:
            print(f"{shape!s:16} {row['what']:32} {row['error'][:90]}")
            continue
        base = reference.get(shape, {}).get("ms", float("nan"))
        graph = row.get("graph_ms") or float("nan")
        print(
            f"{shape!s:16} {row['what']:32}{row['ms']:7.2f}{graph:8.2f}{row['least_ms']:7.2f}"
            f"{row['host_ms']:7.2f}{row['ms'] / base:8.2f}"
        )


def main() -> int:
    """Check, time and show everything."""
    ROOM["device"] = torch.cuda.get_device_name()
    ROOM["versions"] = [torch.__version__, __import__("triton").__version__]
    tasks = check_tasks() + warm_tasks()
    tasks.sort(key=lambda task: (task["cell"] != "iaan", -task["hidden"]))  # slow ones first
    note(f"{ROOM['device']}: {len(tasks)} checks and compilations")
    done = run_pool(tasks, 90.0)
    ROOM["checks"] = done
    save()
    bad = 0
    for each in done:
        bad += wrong(each)
        if wrong(each) or (each["kind"] == "check" and each.get("error_max", 0) > 2e-5):
            told = each.get("error") or f"{each['errors']} eager {each['eager_errors']}"
            keys = (
                "kind",
                "cell",
                "options",
                "activation",
                "hidden",
                "matmul",
                "bf16",
                "layout",
                "count",
                "padded",
            )
            print("   ", {k: each[k] for k in keys if k in each}, told, flush=True)
    checks = [each for each in done if each["kind"] == "check"]
    worst = max(
        (
            each.get("error_max", 0)
            for each in checks
            if not each.get("bf16") and not each.get("matmul")
        ),
        default=0,
    )
    slow = max(each.get("seconds", 0) for each in done)
    note(
        f"{len(done) - bad} of {len(done)} right; largest relative error {worst:.1e}; "
        f"slowest {slow} s"
    )
    ROOM["peaks"] = peaks()
    note(str({k: round(v) for k, v in ROOM["peaks"].items()}))
    ROOM["floors"] = {str(shape): floor(shape, ROOM["peaks"]) for shape in SHAPES}
    for shape in SHAPES:
        series(shape)
        note(f"{shape} timed")
    for part in (training_steps, many_models):
        try:
            part()
        except Exception as error:  # a failure is a result
            print(part.__name__, type(error).__name__, str(error)[:300])
        note(part.__name__)
    host_profile(Path(sys.argv[1]).with_name("host.txt"))
    show()
    for line in dict.fromkeys(ROOM.get("not_captured", [])):
        print("not captured:", line)
    save()
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
