"""Pre-training: networks for ``init.run``, from audio without labels or from several corpora."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sercli import __version__
from sercli.config.run_key import KEY_LENGTH, result_relevant
from sercli.config.schema import Config, corpus_name
from sercli.errors import RequestError, SercliError, counted
from sercli.features.sets import column_names
from sercli.files import check_new_folder, folder_written_whole, write_text
from sercli.models import MODELS, is_fitted
from sercli.models.interface import as_output
from sercli.nn.device import autocast, choose_device
from sercli.nn.recurrence.backend import use_backend
from sercli.progress import SILENT, Progress
from sercli.results.seen import identities, write_seen
from sercli.results.weights import write_weights
from sercli.training.batches import collate, seed_fold_run, training_batches
from sercli.training.data import Data, read_data
from sercli.training.folds import make_folds
from sercli.training.loss import TrainingLoss
from sercli.training.meta_learning import draw_task, set_meta_gradient
from sercli.training.optim import Schedule, VectorOptimiser, make_optimiser, parameter_groups
from sercli.training.refit import ALL
from sercli.training.source import FILE, Member, Source, describe
from sercli.training.validate import check_settings, new_model
from sercli.training.weights import kept_weights

HISTORY = "history.parquet"
"""File of the losses in a folder of pre-trained weights."""

Measured = Mapping[str, Tensor]
Step = Callable[[int], Measured]
"""Function from the number of a training step, from 0, to its loss and other measurements."""


@dataclass(frozen=True)
class Material:
    """The training utterances of one network.

    Attributes:
        name: Name of the fold; ``all`` for all utterances.
        utterances: Utterance ids.
    """

    name: str
    utterances: tuple[str, ...]


def pretrain(
    config: Config, folder: Path, *, workers: int = 1, progress: Progress = SILENT
) -> pd.DataFrame:
    """Pre-train a network for each seed, and for each fold if asked, and write a model folder.

    Each is trained for ``trainer.steps`` steps, without dev or selection (our choice).

    Args:
        config: The configuration; ``pretrain`` states the objective.
        folder: The folder to write, new or empty, for ``init.run``.
        workers: Number of processes that extract features.
        progress: Progress bars and notes.

    Returns:
        The history: ``seed``, ``fold``, ``step``, and means since the row before: ``loss``, and
        with ``cpc`` ``accuracy``, the share of true steps that score highest.

    Raises:
        RequestError: The model has no loss without labels, the objective needs several corpora,
            or the folder is not empty.
        SercliError: A loss is not finite.
    """
    check_new_folder(folder)
    if config.dataset.dimensions:
        raise RequestError("dataset.dimensions: pre-training does not use them; leave them out")
    config = _prepared(config)
    check_settings(config)
    data = read_data(config, workers=workers, progress=progress)
    return pretrain_on(config, data, folder, progress=progress)


def pretrain_on(
    config: Config, data: Data, folder: Path, *, progress: Progress = SILENT
) -> pd.DataFrame:
    """Pre-train on data already read; see `pretrain`."""
    config = _prepared(config)
    torch.set_num_threads(1)  # as in training: the result depends on the seed alone
    parts = list(_material(config, data))
    histories, weights = [], {}
    networks = len(parts) * len(config.seeds)
    total = networks * config.trainer.steps
    with progress.task(f"pre-training {counted(networks, 'network')}", total) as bar:
        for seed in config.seeds:
            for number, part in enumerate(parts):
                model, history = _train(config, data, part, seed, bar.advance)
                histories.append(history)
                weights[Member(seed, part.name, number)] = _kept(model, config)
                progress.note(_summary(history))
    history = pd.concat(histories, ignore_index=True)
    _write(folder, config, data, parts, weights, history)
    return history


def _prepared(config: Config) -> Config:
    """Check the objective, and enable the unsupervised loss of the model for ``cpc``."""
    name, system = config.pretrain.objective, cast("Any", MODELS[config.model["system"]])
    if config.init.run is not None or config.init.file is not None:
        raise RequestError("init: pre-training starts from random weights; leave it out")
    for asked, why in (
        (config.streams, "streams: pre-training reads no stream"),
        (config.augment, "augment: pre-training does not augment"),
        (config.trainer.accumulate > 1, "trainer.accumulate: pre-training takes a batch per step"),
    ):
        if asked:
            raise RequestError(f"{why}; leave it out")
    if config.schedule.name == "plateau":
        raise RequestError("schedule=plateau follows dev UA, and pre-training has no dev")
    if is_fitted(config.model):
        raise RequestError(f"model {config.model['name']} is fitted, not trained: use another")
    if name != "cpc":
        return config
    if not hasattr(system, "unlabelled_loss"):
        raise RequestError(
            f"pretrain.objective=cpc: model {config.model['name']} has no loss without labels; use "
            "model=cpc or cpc_small"
        )
    unset = {k: v for k, v in system.unlabelled.items() if not config.model.get(k)}
    return replace(config, model=config.model | unset)


def _material(config: Config, data: Data) -> Iterator[Material]:
    """Yield the utterances of each network: for ``cpc`` all turns, else the targets of the task."""
    manifest = data.manifest
    table = manifest.table if config.pretrain.objective == "cpc" else manifest.targets
    if config.pretrain.use == "all":
        yield Material(ALL, tuple(table["utterance"]))
        return
    for fold in make_folds(manifest, config.protocol):
        trained = {data.speakers[name] for name in fold.train}
        kept = table["speaker"].isin(trained) & ~table["utterance"].isin([*fold.dev, *fold.test])
        yield Material(fold.name, tuple(table["utterance"][kept]))


def _train(
    config: Config, data: Data, part: Material, seed: int, stepped: Callable[[int], None]
) -> tuple[nn.Module, pd.DataFrame]:
    use_backend(config.recurrence.backend)
    random = seed_fold_run(seed, part.name)
    model = new_model(config, data).to(choose_device(config.device)).train()
    step = _OBJECTIVES[config.pretrain.objective](config, data, part, model, random)
    rows: list[dict[str, Any]] = []
    seen: list[Measured] = []
    for number in range(config.trainer.steps):
        seen.append({name: value.detach() for name, value in step(number).items()})
        stepped(1)
        if (number + 1) % config.trainer.eval_every and number + 1 < config.trainer.steps:
            continue
        means = {name: float(torch.stack([x[name] for x in seen]).mean()) for name in seen[0]}
        if not np.isfinite(means["loss"]):
            raise SercliError(
                f"pre-training diverged before step {number + 1} (seed {seed}, fold {part.name}); "
                "set a smaller optim.lr"
            )
        rows.append({"seed": seed, "fold": part.name, "step": number + 1, **means})
        seen.clear()
    return model, pd.DataFrame(rows)


def _batches(
    rows: np.ndarray, config: Config, data: Data, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield batches of rows without end."""
    lengths = data.packed.lengths[rows]
    for positions in training_batches(lengths, config.trainer.batch_size, random):
        yield rows[positions]


def _contrastive(
    config: Config, data: Data, part: Material, model: Any, random: np.random.Generator
) -> Step:
    """Return the training step of the contrastive loss, which uses no labels."""
    turns, device = data.packed, choose_device(config.device)
    batches = _batches(turns.rows(part.utterances), config, data, random)

    def measure(number: int) -> Measured:
        with autocast(device, config.precision):
            batch = collate(next(batches), turns, device)
            loss, accuracy = model.unlabelled_loss(batch.current)
        return {"loss": loss, "accuracy": accuracy}

    return _descent(config, model, measure)


def _by_turns(
    choose: Callable[[int, int, int], int],
) -> Callable[[Config, Data, Material, Any, np.random.Generator], Step]:
    """Return an objective that takes each batch from one corpus.

    Args:
        choose: Returns the index of the corpus, given the step, the number of steps and the
            number of corpora.
    """

    def start(
        config: Config, data: Data, part: Material, model: Any, random: np.random.Generator
    ) -> Step:
        loss_of = _classification(config, data, part, model)
        batches = [_batches(rows, config, data, random) for rows in _rows_of_corpora(data, part)]

        def measure(number: int) -> Measured:
            corpus = choose(number, config.trainer.steps, len(batches))
            return {"loss": loss_of(next(batches[corpus]))}

        return _descent(config, model, measure)

    return start


def _descent(config: Config, model: nn.Module, measure: Step) -> Step:
    """Return the training step down the gradient of a measured loss.

    Args:
        config: Settings of the optimiser and the learning rate schedule.
        model: The model.
        measure: Returns the loss and other measurements of a step, given its number.
    """
    optimiser = VectorOptimiser(model, config.optim)
    schedule = Schedule(optimiser.inner, config.schedule, config.trainer.steps)

    def step(number: int) -> Measured:
        measured = measure(number)
        optimiser.step(measured["loss"])
        schedule.step()
        return measured

    return step


def _meta(
    config: Config, data: Data, part: Material, model: Any, random: np.random.Generator
) -> Step:
    """Return the step of first-order MAML, a task per corpus (Chopra et al., ICASSP 2021)."""
    settings, loss_of = config.pretrain, _classification(config, data, part, model)
    corpora = _rows_of_corpora(data, part)
    parameters = list(model.parameters())
    optimiser = make_optimiser(parameter_groups(model, config.optim), config.optim)
    schedule = Schedule(optimiser, config.schedule, config.trainer.steps)

    def step(number: int) -> Measured:
        drawn = random.integers(len(corpora), size=settings.tasks)
        tasks = [
            draw_task(corpora[i], data.packed.labels, settings.support, settings.query, random)
            for i in drawn
        ]
        loss = set_meta_gradient(
            parameters, loss_of, tasks, settings.inner_lr, settings.inner_steps
        )
        if config.optim.clip_norm is not None:
            nn.utils.clip_grad_norm_(parameters, config.optim.clip_norm)
        optimiser.step()
        schedule.step()
        return {"loss": loss}

    return step


def _classification(
    config: Config, data: Data, part: Material, model: nn.Module
) -> Callable[[np.ndarray], Tensor]:
    """Return the training loss of the model on some rows."""
    device = choose_device(config.device)
    loss = TrainingLoss(config.trainer, data, part.utterances, device)

    def loss_of(rows: np.ndarray) -> Tensor:
        with autocast(device, config.precision):
            criterion = loss.criterion(rows)
            batch = collate(rows, data.packed, device, criterion=criterion)
            return loss.total(as_output(model(batch)), criterion)[0]

    return loss_of


def _rows_of_corpora(data: Data, part: Material) -> list[np.ndarray]:
    """Return the rows of each corpus.

    Raises:
        RequestError: There is one corpus only.
    """
    table = data.manifest.table
    table = table[table["utterance"].isin(part.utterances)]
    names = [name for name in dict.fromkeys(table["corpus"]) if pd.notna(name)]
    if len(names) < 2:
        raise RequestError(
            "this objective learns from several corpora: dataset=several dataset.of=[emodb,savee]; "
            "pretrain.objective=cpc does with one"
        )
    return [data.packed.rows(table["utterance"][table["corpus"] == name]) for name in names]


_OBJECTIVES: Mapping[str, Callable[[Config, Data, Material, Any, np.random.Generator], Step]] = {
    "cpc": _contrastive,
    "fomaml": _meta,
    "sequential": _by_turns(lambda number, steps, corpora: number * corpora // steps),
    "alternating": _by_turns(lambda number, steps, corpora: number % corpora),
}


def _kept(model: nn.Module, config: Config) -> dict[str, np.ndarray]:
    """Return the weights that were trained."""
    starts = getattr(model, "pretrained", "") if config.pretrain.objective == "cpc" else ""
    state = kept_weights(model)
    return {name: x.numpy(force=True) for name, x in state.items() if name.startswith(starts)}


def _summary(history: pd.DataFrame) -> str:
    first, last = history.iloc[0], history.iloc[-1]
    text = (
        f"seed {last['seed']}, fold {last['fold']}: loss {first['loss']:.4g} → {last['loss']:.4g}"
    )
    if "accuracy" in history:
        text += f", true step scored highest {last['accuracy']:.1%}"
    return text


def _write(
    folder: Path,
    config: Config,
    data: Data,
    parts: Sequence[Material],
    weights: Mapping[Member, Mapping[str, np.ndarray]],
    history: pd.DataFrame,
) -> None:
    settings = [result_relevant(config), asdict(config.pretrain), data.fingerprint]
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    manifest, objective = data.manifest, config.pretrain.objective
    what = f"{config.model['name']}, pre-trained by {objective} on {manifest.dataset}"
    source = Source(
        path=folder,
        name=digest[:KEY_LENGTH],
        config=config,
        classes=manifest.classes,
        columns=column_names(config.features),
        values=data.values,
        folds=tuple(part.name for part in parts),
        members=tuple(weights),
        summary={
            "card": {"dataset": manifest.dataset, "paragraph": what},
            "metrics": {},
            "pretraining": {**asdict(config.pretrain), "steps": config.trainer.steps},
        },
    )
    contents = manifest.table["utterance"].map(dict(data.contents))
    table = identities(manifest.table.assign(content=contents), corpus_name(config.dataset))
    with folder_written_whole(folder) as written:
        (written / "weights").mkdir()
        for member, tensors in weights.items():
            write_weights(written / "weights" / f"{member.name}.safetensors", tensors)
        write_seen(written, {part.name: table.loc[list(part.utterances)] for part in parts})
        history.to_parquet(written / HISTORY)
        content = json.dumps(describe(source, {}, __version__), indent=2, ensure_ascii=False)
        write_text(written / FILE, content + "\n")
        if folder.exists():
            folder.rmdir()
