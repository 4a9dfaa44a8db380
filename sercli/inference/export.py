"""Export a trained model to a self-contained folder.

    DIR/
      README.md                   the model card
      model.json                  format, configuration, classes, features, card, metrics
      weights/                    one safetensors file per network
      seen.parquet                ids and hashes of the utterances that each fold has seen
      normalisation.safetensors   mean and deviation of the training speakers of every fold
      features.conf               the openSMILE configuration, if it is the user's own
      onnx/                       an ONNX graph per network, if asked for

It holds no path of the machine that trained it, and no code.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sercli import __version__
from sercli.config.schema import corpus_name
from sercli.errors import RequestError
from sercli.features.smile_config import read_configuration, write_text
from sercli.files import absolute, check_new_folder, folder_written_whole
from sercli.inference.card import model_card
from sercli.inference.network import build_network, check_recordings, new_network
from sercli.progress import SILENT, Progress
from sercli.results.run_record import NORMALISATION, read_record
from sercli.results.seal import hide_sealed
from sercli.results.seen import seen_by_all, write_seen
from sercli.results.weights import write_weights
from sercli.training.source import (
    FEATURES_FILE,
    FILE,
    GRAPHS,
    Member,
    Source,
    check_classifies,
    describe,
)


@dataclass(frozen=True)
class RefitOptions:
    """Training of new networks on all utterances of a run.

    Attributes:
        steps: Number of steps; None: the lower median of the selected steps.
        overrides: Settings of this machine (`sercli.training.rerun.HOW_TO_RUN`).
        workers: Number of processes; None: one per core.
    """

    steps: int | None = None
    overrides: Sequence[str] = ()
    workers: int | None = None


def export_model(
    source: Source,
    folder: Path,
    *,
    onnx: bool = False,
    refit: RefitOptions | None = None,
    progress: Progress = SILENT,
) -> Source:
    """Load every network of a run, and write its model folder, whole or not at all.

    Args:
        source: A run (`sercli.training.source.open_source`).
        folder: The folder to write, new or empty.
        onnx: True to write ONNX graphs, too.
        refit: Train one network per seed on all utterances, and export those instead; None:
            export the networks of the run.
        progress: Progress bars.

    Returns:
        The exported model.

    Raises:
        RequestError: ``source`` is not a run, or its features are read from a folder; ``folder``
            is not empty; packages for ONNX are missing; or the run cannot be refitted
            (`sercli.training.refit.refit`).
        SercliError: The run is damaged.
    """
    check_classifies(source, "export")
    if source.is_folder:
        raise RequestError(f"{source.path} is a model folder already: copy it")
    check_recordings(source)
    if source.config.features.path is not None:
        raise RequestError(
            f"{source.name} reads features={source.config.features.name} from a folder, which "
            "is no part of a model folder: use the run itself"
        )
    check_new_folder(folder)
    (visible,), _ = hide_sealed([read_record(source.path)])
    source = replace(source, summary=visible.summary)
    with tempfile.TemporaryDirectory() as place:
        if refit is not None:
            if onnx:
                _try_graph(source, Path(place))
            source = _refitted(source, refit, Path(place), progress)
        _write_folder(source, folder, onnx, progress)
    return source


def _try_graph(source: Source, folder: Path) -> None:
    """Export an untrained network, so that a model without a graph is refused before training."""
    from sercli.inference.onnx import export_onnx

    export_onnx(new_network(source), len(source.columns), folder / "untrained.onnx")


def _refitted(source: Source, options: RefitOptions, folder: Path, progress: Progress) -> Source:
    """Train networks on all utterances, and write their weights below a folder."""
    from sercli.training.refit import ALL, refit

    seeds = list(dict.fromkeys(member.seed for member in source.members))
    made = refit(
        read_record(source.path),
        seeds,
        steps=options.steps,
        overrides=options.overrides,
        workers=options.workers,
        progress=progress,
    )
    facts = {
        "utterances": made.utterances,
        "steps": made.steps,
        "steps_from": "median of the selected steps" if options.steps is None else "given",
        "test_figure": None,
        "cross_validation": source.summary["metrics"],
    }
    features = replace(source.config.features, config=made.config.features.config)
    refitted = replace(
        source,
        path=folder,
        config=replace(source.config, features=features),
        folds=(ALL,),
        members=tuple(Member(seed, ALL, 0) for seed in seeds),
        summary={"card": source.summary["card"], "metrics": {}, "refit": facts},
    )
    seen = seen_by_all(source.path, corpus_name(source.config.dataset))
    write_seen(folder, {ALL: seen})
    (folder / "weights").mkdir()
    for member, result in zip(refitted.members, made.results, strict=True):
        write_weights(refitted.weights(member), result.weights)
    if made.normalisation is not None:
        write_weights(refitted.normalisation, made.normalisation)
    return refitted


def _write_folder(source: Source, folder: Path, onnx: bool, progress: Progress) -> None:
    counts = _load_all(source)
    with folder_written_whole(folder) as written:
        (written / "weights").mkdir()
        for member in source.members:
            path = source.weights(member)
            shutil.copyfile(path, written / "weights" / path.name)
        write_seen(written, source.seen())
        if source.normalisation.is_file():
            shutil.copyfile(source.normalisation, written / NORMALISATION)
        if (own := source.config.features.config) is not None:
            text = read_configuration(absolute(own).resolve())
            write_text(written / FEATURES_FILE, text)
        if onnx:
            _write_graphs(source, written, progress)
        _write(written / "README.md", model_card(source, folder.name))
        content = describe(source, counts, __version__)
        _write(written / FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        if folder.exists():
            folder.rmdir()


def _load_all(source: Source) -> dict[str, int]:
    """Load each network; return column → number of its values, of those that a network asks for."""
    counts: dict[str, int] = {}

    def values(column: str) -> Sequence[Any]:
        found = source.values(column)
        counts[column] = len(found)
        return found

    for member in source.members:
        build_network(replace(source, values=values), member)
    return counts


def _write_graphs(source: Source, folder: Path, progress: Progress) -> None:
    from sercli.inference.onnx import export_onnx

    (folder / GRAPHS).mkdir()
    with progress.task("exporting to ONNX", total=len(source.members)) as bar:
        for member in source.members:
            graph = folder / GRAPHS / source.graph(member).name
            export_onnx(build_network(source, member), len(source.columns), graph)
            bar.advance()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
