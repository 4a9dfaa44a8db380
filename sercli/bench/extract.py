"""Cost of feature extraction relative to openSMILE, and by number of processes."""

from __future__ import annotations

import importlib.metadata
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import opensmile
import pandas as pd

from sercli.config.schema import Config, FeaturesConfig
from sercli.corpora.manifest import Manifest
from sercli.corpora.read import read_corpus
from sercli.errors import RequestError
from sercli.features.audio import AudioError, read_audio
from sercli.features.extract import extract
from sercli.features.sets import feature_set
from sercli.features.smile import SmileSet, start_opensmile
from sercli.features.smile_config import SINK, SOURCE
from sercli.processes import available_cores
from sercli.progress import SILENT, Progress
from sercli.reporting.table import (
    Cell,
    Columns,
    View,
    make_table,
    number_cell,
    number_column,
    text_column,
)

_PART = 300
"""Utterances timed before the next variant, so that a busy moment of the machine hits all."""

_MOST_COPIES = 6
"""Maximum repetitions of a short corpus."""

_LONG = 3 * 3600
"""Seconds of audio on which processes are compared, so that their start-up matters little."""


@dataclass(frozen=True)
class PoolTiming:
    """Extraction of about three hours of audio by several processes, start-up included.

    Attributes:
        workers: Number of processes.
        seconds: Wall time.
        speedup: Ratio to one process.
    """

    workers: int
    seconds: float
    speedup: float


@dataclass(frozen=True)
class ExtractBenchmark:
    """Timings of extraction.

    Attributes:
        machine: Cores, load before the measurement, version of opensmile.
        corpus: Name of the corpus.
        features: Feature set.
        utterances: Number of readable utterances.
        hours: Hours of audio.
        cpu_seconds: CPU time of extraction by one process: hashing, decoding, resampling,
            openSMILE, storing.
        package_cpu_seconds: CPU time of ``opensmile.Smile.process_signal`` on the same signals,
            already decoded and resampled.
        alone_cpu_seconds: CPU time of openSMILE set up once and reset between signals.
        real_time: Seconds of audio per second of CPU time.
        ratio_to_package: ``cpu_seconds`` / ``package_cpu_seconds``.
        ratio_to_alone: ``cpu_seconds`` / ``alone_cpu_seconds``.
        pools: Wall times by number of processes.
        again_seconds: Wall time of another extraction, with all features in the store.
    """

    machine: dict[str, Any]
    corpus: str
    features: str
    utterances: int
    hours: float
    cpu_seconds: float
    package_cpu_seconds: float
    alone_cpu_seconds: float
    real_time: float
    ratio_to_package: float
    ratio_to_alone: float
    pools: tuple[PoolTiming, ...]
    again_seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


def bench_extract(config: Config, progress: Progress = SILENT) -> ExtractBenchmark:
    """Time the extraction of a corpus into temporary stores.

    Raises:
        RequestError: The feature set is none of openSMILE's, or the corpus is not there.
    """
    chosen = feature_set(config.features)
    if not isinstance(chosen, SmileSet):
        raise RequestError(f"features={config.features.name}: only openSMILE's sets are timed")
    machine = {
        "cores": available_cores(),
        "load": round(os.getloadavg()[0], 1),
        "opensmile": importlib.metadata.version("opensmile"),
    }
    manifest = read_corpus(config.dataset, progress)
    signals, manifest = _decoded(manifest, config.features)
    seconds = sum(len(signal) for signal in signals) / config.features.sampling_rate
    ours, package, alone = _paired(manifest, signals, chosen, config.features, progress)
    pools, again = _time_pools(_longer(manifest, seconds), config.features, progress)
    return ExtractBenchmark(
        machine=machine,
        corpus=manifest.dataset,
        features=config.features.name,
        utterances=len(signals),
        hours=seconds / 3600,
        cpu_seconds=ours,
        package_cpu_seconds=package,
        alone_cpu_seconds=alone,
        real_time=seconds / ours,
        ratio_to_package=ours / package,
        ratio_to_alone=ours / alone,
        pools=pools,
        again_seconds=again,
    )


def _decoded(manifest: Manifest, features: FeaturesConfig) -> tuple[list[np.ndarray], Manifest]:
    """Decode the readable utterances, and drop the others from the manifest."""
    signals, used = [], []
    columns = ["audio", "audio_start", "audio_end"]
    for audio, start, end in manifest.table[columns].itertuples(index=False, name=None):
        try:
            signals.append(read_audio(Path(audio), start, end, features.sampling_rate))
            used.append(True)
        except AudioError:
            used.append(False)
    return signals, replace(manifest, table=manifest.table[used])


def _paired(
    manifest: Manifest,
    signals: Sequence[np.ndarray],
    chosen: SmileSet,
    features: FeaturesConfig,
    progress: Progress,
) -> tuple[float, float, float]:
    """Return CPU seconds of extraction, of the opensmile package, and of openSMILE set up once."""
    alone = _Alone(chosen, features.sampling_rate)
    took = [0.0, 0.0, 0.0]
    with (
        _package(chosen, features.sampling_rate) as process_signal,
        tempfile.TemporaryDirectory() as store,
        progress.task("timing against openSMILE", total=len(signals)) as bar,
    ):
        for first in range(0, len(signals), _PART):
            part = signals[first : first + _PART]
            rows = replace(manifest, table=manifest.table.iloc[first : first + _PART])
            took[0] += _cpu(partial(extract, rows, features, Path(store)))
            took[1] += _cpu(partial(_run, process_signal, part))
            took[2] += _cpu(partial(_run, alone, part))
            bar.advance(len(part))
    return took[0], took[1], took[2]


def _cpu(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _run(compute: Callable[[np.ndarray], object], signals: Sequence[np.ndarray]) -> None:
    for signal in signals:
        compute(signal)


@contextmanager
def _package(chosen: SmileSet, sampling_rate: int) -> Iterator[Callable[[np.ndarray], object]]:
    """Yield the package's own call, configured by the text of the feature set."""
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder, "features.conf")
        text = chosen.text.replace(SOURCE, r"\{\cm[source{?}:in]}").replace(
            SINK, r"\{\cm[sink{?}:out]}"
        )
        configuration.write_text(text, encoding="latin-1")
        smile = opensmile.Smile(str(configuration), chosen.level)
        yield lambda signal: smile.process_signal(signal, sampling_rate)


class _Alone:
    """openSMILE, set up once and reset between signals.

    Args:
        chosen: The feature set.
        sampling_rate: Hz.
    """

    def __init__(self, chosen: SmileSet, sampling_rate: int) -> None:
        self._smile = start_opensmile(chosen, sampling_rate)

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the frames of a signal."""
        rows: list[np.ndarray] = []
        samples = np.clip(np.rint(signal * 32768), -32768, 32767).astype("<i2").tobytes()
        self._smile.external_sink_set_callback(
            opensmile.config.EXTERNAL_OUTPUT_COMPONENT, lambda row: rows.append(row.copy())
        )
        self._smile.external_audio_source_write_data(
            opensmile.config.EXTERNAL_SOURCE_COMPONENT, samples
        )
        self._smile.external_audio_source_set_eoi(opensmile.config.EXTERNAL_SOURCE_COMPONENT)
        self._smile.run()
        self._smile.reset()
        return np.stack(rows)


def _longer(manifest: Manifest, seconds: float) -> Manifest:
    """Repeat a corpus until it is long, each copy without its first milliseconds."""
    start = manifest.table["audio_start"].fillna(0.0)
    copies = [
        manifest.table.assign(
            utterance=manifest.table["utterance"] + f" {each}", audio_start=start + each / 1000
        )
        for each in range(min(_MOST_COPIES, math.ceil(_LONG / seconds)))
    ]
    return replace(manifest, table=pd.concat(copies, ignore_index=True))


def _time_pools(
    manifest: Manifest, features: FeaturesConfig, progress: Progress
) -> tuple[tuple[PoolTiming, ...], float]:
    pools: list[PoolTiming] = []
    again = math.nan
    for workers in sorted({1, 2, available_cores()}):
        with tempfile.TemporaryDirectory() as store:
            for _ in range(2):
                done = extract(manifest, features, Path(store), workers=workers, progress=progress)
                if done.extracted:
                    one = pools[0].seconds if pools else done.elapsed
                    pools.append(PoolTiming(workers, done.elapsed, one / done.elapsed))
                else:
                    again = done.elapsed
    return tuple(pools), again


def extract_view(made: ExtractBenchmark) -> View:
    """Show times and their ratios."""
    rows = [("extraction, CPU time", made.cpu_seconds, f"{made.real_time:.0f} × real time")]
    for name, seconds, ratio in (
        ("opensmile.Smile on the signals", made.package_cpu_seconds, made.ratio_to_package),
        ("openSMILE set up once, on the signals", made.alone_cpu_seconds, made.ratio_to_alone),
    ):
        rows.append((f"{name}, CPU time", seconds, f"1 / {ratio:.2f}"))
    for pool in made.pools:
        name = f"extraction by {pool.workers}, wall time"
        rows.append((name, pool.seconds, f"{pool.speedup:.2f} × one"))
    rows.append(("extraction again, wall time", made.again_seconds, ""))
    columns: Columns[tuple[str, float, str]] = [
        text_column("task", lambda row: row[0]),
        number_column("seconds", lambda row: number_cell(row[1], ".2f")),
        number_column("relative", lambda row: Cell(row[2])),
    ]
    machine, data = made.machine, made.to_json()
    title = (
        f"{made.corpus}, {made.features}: {made.utterances} utterances, {made.hours:.2f} h; "
        f"{machine['cores']} cores, load {machine['load']}, opensmile {machine['opensmile']}"
    )
    return View((make_table(title, columns, rows),), data, [data])
