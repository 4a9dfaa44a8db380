"""Measure the CPU time of `sercli predict`: its start, its files per core, its runtimes.

    .venv/bin/python benchmarks/predict.py MODEL AUDIO_FOLDER [FILES]

MODEL is a model folder, exported with ``--onnx`` for the last figure. Each figure is measured in
turn with its reference, so that both meet the same load: the start with the imports of torch and
openSMILE alone, the files with openSMILE alone on the same decoded signals, ONNX with torch on
single files.
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch

import sercli
from sercli.corpora.audio_files import find_audio
from sercli.features.audio import load_audio
from sercli.features.sets import feature_set, frame_seconds
from sercli.inference.graph import OnnxNetwork
from sercli.inference.network import build_network
from sercli.inference.onnx import Graph
from sercli.training.source import open_source

STARTS = 5
SINGLE_FILES = 50


def child_seconds(*words: str) -> tuple[float, float]:
    """Run Python with arguments; return its CPU time and wall time in seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - began


def starts(model: Path, file: Path) -> None:
    """Print the least CPU and wall time of a prediction, and of its two imports alone."""
    imports = ("-c", "import torch, opensmile")
    predict = ("-m", "sercli", "predict", str(model), str(file), "-q")
    child_seconds(*predict)  # fills the caches
    runs = [(child_seconds(*imports), child_seconds(*predict)) for _ in range(STARTS)]
    least = [[min(run[i][j] for run in runs) for j in (0, 1)] for i in (0, 1)]
    print(f"imports of torch and openSMILE: {least[0][0]:.2f} CPU s, {least[0][1]:.2f} s")
    print(f"sercli predict, one file:       {least[1][0]:.2f} CPU s, {least[1][1]:.2f} s")
    print(f"own share: {least[1][0] - least[0][0]:.2f} CPU s")


def throughput(model: Path, files: list[Path]) -> None:
    """Print the speed of classification, and of openSMILE alone, in × real time per CPU second."""
    trained = sercli.load(model)
    trained.classify(files[:2])
    began = time.process_time()
    found = trained.classify(files)
    whole = time.process_time() - began
    features = trained.source.config.features
    rate = features.sampling_rate
    signals = [load_audio(file, math.nan, math.nan, rate)[0] for file in files]
    extract = feature_set(features).extractor(rate)
    extract(signals[0])
    began = time.process_time()
    for signal in signals:
        extract(signal)
    alone = time.process_time() - began
    audio = float((found.table["end"] - found.table["start"]).sum())
    print(f"{len(files)} files, {audio:.0f} s: {audio / whole:.0f} × real time per CPU s")
    print(f"openSMILE alone: {audio / alone:.0f} × ({alone / whole:.0%} of the time)")


def runtimes(model: Path, file: Path) -> None:
    """Print the CPU time of torch and ONNX for one network and one file, without features."""
    source = open_source(str(model), Path("runs"))
    member = source.members[0]
    network, other = Graph(build_network(source, member)), OnnxNetwork(source.graph(member))
    row = sercli.load(model).classify([file]).table.iloc[0]
    features = source.config.features
    steps = round((row["end"] - row["start"]) / frame_seconds(features) / features.pool)
    tensors = [torch.randn(1, steps, len(source.columns)), torch.tensor([steps])] * network.turns
    arrays = [each.numpy() for each in tensors]
    for name, run in {
        "torch": lambda: network(*tensors),
        "onnx": lambda: other.probabilities(arrays),
    }.items():
        with torch.inference_mode():
            run()
            began = time.process_time()
            for _ in range(SINGLE_FILES):
                run()
        print(f"{name}: {1000 * (time.process_time() - began) / SINGLE_FILES:.2f} CPU ms, batch 1")


if __name__ == "__main__":
    model, folder = Path(sys.argv[1]), Path(sys.argv[2])
    files = find_audio(folder, [])[: int(sys.argv[3]) if len(sys.argv) > 3 else None]
    torch.set_num_threads(1)
    starts(model, files[0])
    throughput(model, files)
    if (model / "onnx").is_dir():
        runtimes(model, files[0])
