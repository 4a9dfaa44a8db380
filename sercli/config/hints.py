"""Messages for invalid overrides, with the corrected line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from sercli.config.outline import outline_choices
from sercli.config.settings import COMBINED, STREAMS, described_by, kind_of, schema_settings
from sercli.config.sources import plan_files
from sercli.errors import close, most_alike, nearest

Mend = Callable[[str], str | None]
"""Return the valid override that is probably meant; None if there is none."""

_SYNONYMS = {
    "optim.lr": "lr learning_rate learningrate rate eta",
    "optim.encoder_lr": "encoder_lr lr_encoder backbone_lr finetune_lr",
    "optim": "optimizer optimiser opt",
    "optim.weight_decay": "wd decay l2 weightdecay",
    "optim.clip_norm": "clip clipping grad_clip clip_grad gradient_clip_val max_grad_norm max_norm",
    "trainer.steps": "epochs epoch max_epochs num_epochs n_epochs max_steps num_steps iterations",
    "trainer.batch_size": "batch bs batchsize",
    "trainer.accumulate": "accumulation accumulate_grad_batches gradient_accumulation_steps",
    "trainer.eval_every": "eval_steps eval_interval val_check_interval check_val_every_n_epoch",
    "trainer.patience": "early_stopping earlystopping early_stop",
    "trainer.class_weights": "class_weight weighted balance balanced",
    "trainer.focal_gamma": "focal focal_loss gamma",
    "trainer.label_smoothing": "smoothing",
    "seeds": "seed random_seed random_state manual_seed rng",
    "model.hidden": "hidden hidden_size hidden_dim hidden_units units num_units width",
    "cell.layers": "layers num_layers n_layers depth",
    "model.dropout": "dropout dropout_rate p_dropout drop",
    "model": "network net arch architecture system",
    "cell": "rnn rnn_type cell_type",
    "activation": "act act_fn activation_fn activation_function nonlinearity",
    "augment": "augmentation augmentations aug data_augmentation",
    "schedule": "scheduler lr_scheduler lr_schedule sched",
    "schedule.factor": "schedule.gamma lr_decay decay_rate",
    "schedule.warmup": "warmup warm_up warmup_steps num_warmup_steps",
    "dataset": "data corpus database db",
    "dataset.root": "path data_dir data_path data_root dataset_path dataset_dir folder",
    "dataset.classes": "labels emotions target targets",
    "features": "feature feats feature_set",
    "features.sampling_rate": "sr sample_rate samplerate fs",
    "features.normalise": "normalize normalization scale",
    "protocol": "folds cv split splits cross_validation",
    "experiment": "exp exp_name experiment_name run_name",
    "paths.runs": "output_dir out_dir save_dir log_dir results",
    "paths.store": "cache cache_dir feature_dir",
    "init.run": "init_from pretrained checkpoint weights finetune fine_tune resume_from",
    "init.file": "model.weights weights_file state_dict",
    "init.train": "freeze freeze_encoder trainable",
    "device": "gpu cuda use_cuda use_gpu accelerator gpus",
    "precision": "amp fp16 bf16 dtype mixed_precision",
    "recurrence.backend": "backend",
    "arelu.alpha": "alpha activation.alpha",
    "arelu.beta": "beta activation.beta",
}
"""Setting → its names in other programs."""

_OPTIONS = {
    "--workers": "workers num_workers n_workers n_jobs jobs",
    "--trials": "trials n_trials num_trials",
    "--sampler": "sampler",
    "--plan": "plan",
    "--storage": "storage",
    "--objective": "objective objectives",
    "--prune": "pruner prune",
    "--format": "format",
    "--config-dir": "config_dir",
}
"""Option of a verb → names of it that are typed as settings."""

_YES = ("true", "yes", "on", "")
"""Values that ask for the default of a number."""

_NOTES = {"trainer.steps": "training is counted in steps, not epochs"}


def _by_name(table: dict[str, str]) -> dict[str, str]:
    return {name: meant for meant, names in table.items() for name in names.split()}


_MEANT, _OPTION = _by_name(_SYNONYMS), _by_name(_OPTIONS)


def unknown_key(key: str, words: str, keys: Collection[str]) -> str:
    """Return the message for an unknown key.

    Args:
        key: The key.
        words: Its value as typed.
        keys: All keys, of groups and leaves.

    >>> unknown_key("lr", "0.01", ["optim.lr", "seeds"])
    "unknown key 'lr'; write optim.lr=0.01"
    >>> unknown_key("optim.lx", "0.01", ["optim.lr", "seeds"])
    "unknown key 'optim.lx'. Did you mean 'optim.lr'?"
    """
    start = f"unknown key '{key}'"
    if key.casefold() in _OPTION:
        return f"{start}; it is an option: {_OPTION[key.casefold()]} {words}".rstrip()
    group, _, below = key.partition(".")
    choice = below.partition(".")[0]
    if group in (STREAMS, "stream") and f"{STREAMS}.{choice}" not in keys:
        return f"{start}; {_of_stream(choice, keys)}"
    if group in COMBINED and f"{group}.{choice}" not in keys and choice in outline_choices(group):
        return f"{start}; it needs {group}={choice}"
    meant = meant_key(key, keys)
    if meant is not None:
        meant = "dataset.root" if meant == "dataset" and "/" in words else meant
        note = f" ({_NOTES[meant]})" if _is_synonym(key, meant) and meant in _NOTES else ""
        return f"{start}; write {shlex.quote(with_key(meant, words))}{note}"
    found = close(key, keys)
    if found is not None:
        return f"{start}. Did you mean '{found}'?"
    listed = ", ".join(most_alike(key, keys))
    return f"{start}. Nearest: {listed}; `sercli config explain` lists all"


def _of_stream(name: str, keys: Collection[str]) -> str:
    """Return the remedy for a key of a stream that was not chosen."""
    if not name:
        return f"name each stream, as in {STREAMS}.text=word_vectors"
    streams = {key.split(".")[1] for key in keys if key.startswith(f"{STREAMS}.")}
    alike = close(name, streams)
    return f"the stream is named '{alike}'" if alike else f"it needs {STREAMS}.{name}=FEATURES"


def unknown_choice(group: str, value: str, names: Collection[str]) -> str:
    """Return the message for an unknown choice of a group."""
    if group == "dataset" and "/" in value:
        return f"unknown dataset '{value}'; a folder is given by dataset.root={value}"
    return f"unknown {group} '{value}'.{nearest(value, names)}"


def meant_key(key: str, keys: Collection[str]) -> str | None:
    """Return the key for a synonym or a name without its group; None if there is none."""
    last = _plain(key)
    for name in (key.casefold(), last):
        meant = _MEANT.get(name, "")
        if meant in keys and (".options." not in key or _group(meant) == _group(key)):
            return meant
    ends = [each for each in keys if "." in each and each.rpartition(".")[2] == last]
    return ends[0] if len(ends) == 1 else None


def with_key(key: str, words: str) -> str:
    """Return an override with a value that fits the type of the setting.

    >>> with_key("seeds", "5"), with_key("trainer.patience", "true")
    ('seeds=[5]', 'trainer.patience=5')
    """
    kind = kind_of(key)
    if kind is list and not words.startswith("["):
        return f"{key}=[{words}]"
    if key == "device" and (words.isdecimal() or words.casefold() in (*_YES, "gpu")):
        return "device=cuda"
    if kind in (int, float) and words.casefold() in _YES:
        return f"{key}={schema_settings()[described_by(key)].default}"
    return f"{key}={words.lower() if '.' not in key else words}"


def as_list(key: str, words: str) -> str:
    """Return the message for a value that must be a list.

    >>> as_list("seeds", "0,1,2")
    "seeds=0,1,2: must be a list; write 'seeds=[0,1,2]'"
    """
    inside = words.strip("\"'[]() ")
    if "integer" in schema_settings()[key].type:
        inside = integers(inside)
    start = f"{key}={words}: must be a list; write {shlex.quote(f'{key}=[{inside}]')}"
    if key == "seeds" and inside.isdecimal() and 1 < int(inside) <= 20:
        several = ",".join(map(str, range(int(inside))))
        return f"{start} for this seed, 'seeds=[{several}]' for {inside} seeds"
    return start


def integers(words: str) -> str:
    """Return integers, however they are listed, with commas; other text as it is.

    >>> integers("0 1, 2"), integers("0-3"), integers("range(2)"), integers("range(1,3)")
    ('0,1,2', '0,1,2,3', '0,1', '1,2')
    """
    found = [int(number) for number in re.findall(r"\d+", words)]
    if words.startswith("range(") and len(found) in (1, 2):
        found = list(range(*found))
    elif re.fullmatch(r"\d+\s*(?:-|\.\.|:)\s*\d+", words):
        found = list(range(found[0], found[1] + 1))
    elif not re.fullmatch(r"[\d,\s]*", words):
        return words
    return ",".join(map(str, found))


def decimal_comma(key: str, words: str) -> str | None:
    """Return the numbers that were written with a decimal comma; None for other values.

    The part after the comma begins with 0; otherwise it may be a list of integers.

    >>> decimal_comma("optim.lr", "0,001"), decimal_comma("arelu.beta", "0,1")
    ('optim.lr=0.001', None)
    """
    number = r"[+-]?\d+,0\d+(?:[eE][+-]?\d+)?"
    if kind_of(key) is list or not re.fullmatch(f"{number}(?:,{number})*", words):
        return None
    found = re.findall(number, words)
    return f"{key}={','.join(each.replace(',', '.') for each in found)}"


def one_value(key: str, words: str) -> str:
    """Return the message for a list where one value is needed."""
    sweep = shlex.quote(f"{key}={words.strip('[]')}")
    return f"{key}={words}: must be one value; to try each, write sercli sweep {sweep}"


def several_values(text: str) -> str:
    """Return the message for an override with several values where one is needed.

    >>> several_values("optim.lr=0,5")
    "'optim.lr=0,5' gives several values; with a decimal point: optim.lr=0.5; \
to try each, write sercli sweep optim.lr=0,5"
    """
    key, _, words = text.partition("=")
    start, hint = f"'{text}' gives several values", ""
    if kind_of(key) is str:
        quoted = f'{key}="{words}"'
        hint = f"; a comma in it is quoted: {shlex.quote(quoted)}"
    elif key in COMBINED:
        hint = f"; to combine them: {shlex.quote(f'{key}=[{words}]')}"
    elif re.fullmatch(r"[+-]?\d+,\d+", words):
        hint = f"; with a decimal point: {key}={words.replace(',', '.')}"
    return f"{start}{hint}; to try each, write sercli sweep {shlex.quote(text)}"


def not_an_override(words: Sequence[str], position: int, mend: Mend) -> str:
    """Return the message for a word that is not an override.

    Args:
        words: All words on the command line.
        position: Index of the word.
        mend: Test of a proposal.
    """
    text = words[position]
    plan = f"'{text}' is not an override; a plan is given by --plan {shlex.quote(text)}"
    if "=" not in text and text.endswith((".yaml", ".yml")):
        return plan
    for typed, line in _proposals(words, position):
        mended = mend(line)
        if mended is not None:
            return f"'{typed}' is not an override; write {shlex.quote(mended)}"
    if text in plan_files():
        return plan
    return f"'{text}' is not an override; write KEY=VALUE, as in trainer.steps=500"


def unknown_option(option: str, words: Sequence[str], mend: Mend) -> str | None:
    """Return the message for an option that is meant as a setting; None for others.

    Args:
        option: The option as the parser names it.
        words: The command line, without the program.
        mend: Test of a proposal.
    """
    position = next(at for at, word in enumerate(words) if word.startswith(option))
    key, given, value = words[position].lstrip("-").partition("=")
    if key in ("m", "multirun"):
        rest = [word for word in words[1:] if word != words[position]]
        line = shlex.join(["sercli", "sweep", *rest])
        return f"no option {option}: several values are a sweep; write {line}"
    if key == "cfg":
        return f"no option {option}; write sercli config show"
    if not given:
        value = next(iter(words[position + 1 :]), "")
    mended = mend(f"{key.replace('-', '_')}={value}")
    if mended is None:
        return None
    return f"no option {option}: settings are overrides; write {shlex.quote(mended)}"


def _proposals(words: Sequence[str], position: int) -> Iterator[tuple[str, str]]:
    """Yield possible corrections: the typed text and an override."""
    before, text, after = words[:position], words[position], words[position + 1 :]
    last = before[-1] if before else ""
    if last.endswith("="):
        yield f"{last} {text}", last + text
    for end in range(1, len(after) + 1):  # activation = tanh; seeds=[0, 1]; arelu.alpha 0.1
        several = [text, *after[:end]]
        typed = " ".join(several)
        if "=" in typed:
            key, _, value = typed.partition("=")
            listed = value.strip().startswith("[") and value.endswith("]")
            value = f"[{integers(value.strip(' []'))}]" if listed else value.strip()
            yield typed, f"{key.strip()}={value}"
        elif end == 1:
            yield typed, "=".join(several)
    bare = text.lstrip("-").rstrip(",;")
    yield text, re.sub(r"\s*(?:[:=]=|[:=])\s*", "=", bare, count=1)
    for group in ("dataset", "model", "activation", "cell", "features", "protocol", "trainer"):
        yield text, f"{group}={bare}"
    if "=" in last and kind_of(last.partition("=")[0]) is str:
        yield f"{last} {text}", f"{last} {text}"
    if "/" in text or Path(text).exists():
        yield text, f"dataset.root={text}"


def _group(key: str) -> str:
    return key.partition(".")[0]


def _plain(key: str) -> str:
    return key.rpartition(".")[2].casefold().replace("-", "_")


def _is_synonym(key: str, meant: str) -> bool:
    return meant.rpartition(".")[2] != _plain(key)
