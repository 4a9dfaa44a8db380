"""Fuzz every reader of untrusted files with mutations of valid ones.

    .venv/bin/python -P benchmarks/fuzz.py [--minutes 60] [--only READER …] [--seed 0] \
        [--keep DIR] [--valid DIR]

The time is divided equally among the readers. Each try runs in a forked process, in a copy of the
valid files of which one is mutated. A finding is a result other than an answer or a clear error: an
exception of another type, a crash, more than 10 s of CPU time, or more than 1 GB of memory. The
file of a finding is kept in DIR (default: a new temporary folder). Valid files are made by a small
training, unless --valid names a folder of them. -P leaves this folder off the path, as its
statistics.py would replace Python's.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import multiprocessing
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
import yaml

from sercli.__main__ import main as sercli
from sercli.config.compose import compose
from sercli.corpora.read import read_corpus
from sercli.corpora.synthetic import SyntheticSize, generate
from sercli.errors import SercliError
from sercli.features.arrays import arrays
from sercli.features.audio import AudioError, load_audio
from sercli.features.store import FeatureStore
from sercli.processes import own_address_space
from sercli.results.weights import read_shapes, read_weights
from sercli.untrusted import parse_yaml, read_parquet

SECONDS = 10
"""CPU seconds of a try that count as a hang."""

WALL = 600
"""Wall-clock seconds of a try that count as a hang."""

MEMORY = 1 << 30
"""Bytes that a try may take."""

ADDRESS_SPACE = 6 << 30
"""Bytes of address space that a try may add, so that a finding does not stop the machine."""

OPERATIONS = 4
"""Maximum operations of a mutation."""

NASTY = (
    *("", "null", "true", "-1", "0", "1", "3.5", "1e999", "-1e308", "NaN", ".inf", "[]", "{}", "~"),
    *map(str, (2**31, 2**32 - 1, 2**63, 2**64, 10**40)),
    *("é", "\x00", "\x1b[2J", "\u202e", "\ud7ff", "../../x", "/dev/null", "/", "a" * 100_000),
    *("!!python/object/apply:os.getcwd []", "&a [*a]", "${oc.env:HOME}", "${x}", "=1+1", "<b>"),
    *("[" * 3000, "{a: " * 3000, "2020-13-45", "%s", "'", '"', "\\", "\n", "\t", ",", ";", "#"),
)
"""Texts that replace a value."""

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**40, 0.5, math.nan, math.inf, -math.inf),
    *("", "x", "\x00", "../../x", "/dev/null", "a" * 100_000, "=1+1", "<b>", "${x}"),
    *([], {}, [[]], [None], {"": None}, [0] * 10_000),
)
"""Values that replace a node of JSON."""

TEXT = {".json", ".yaml", ".csv", ".md", ".conf", ".txt"}


@dataclass(frozen=True)
class Reader:
    """A reader of files.

    Attributes:
        name: Its name in the table.
        files: Patterns of the files to mutate, below the folder of valid files.
        read: Reads a mutated file, and returns True if it is accepted; an exception is a finding.
        tries: Tries per process.
    """

    name: str
    files: Sequence[str]
    read: Callable[[Path, random.Random], bool]
    tries: int = 1


def mutate(content: bytes, suffix: str, random: random.Random) -> bytes:
    """Change a file in one to `OPERATIONS` places."""
    for _ in range(random.randint(1, OPERATIONS)):
        kinds = [_mutate_bytes]
        if suffix in TEXT:
            kinds += [_mutate_text, _mutate_text, _mutate_lines]
        if suffix == ".json":
            kinds += [_mutate_json] * 4
        if suffix in {".safetensors", ".npy"}:
            kinds += [_mutate_header] * 2
        try:
            content = random.choice(kinds)(content, random)
        except (ValueError, RecursionError, IndexError):  # no longer JSON, or empty
            content = _mutate_bytes(content or b"0", random)
    return content


def _mutate_bytes(content: bytes, random: random.Random) -> bytes:
    data, at = bytearray(content), random.randrange(len(content) + 1)
    length = min(len(data) - at, random.choice((1, 2, 4, 8, 64, 1024)))
    match random.randrange(7):
        case 0 if at < len(data):
            data[at] ^= 1 << random.randrange(8)
        case 1:
            number = random.choice((0, 1, 2**7, 2**15, 2**31, 2**63, 2**64 - 1, 2**32 - 1))
            width = random.choice((2, 4, 8))
            order = random.choice(("little", "big"))
            data[at : at + width] = (number % 2 ** (8 * width)).to_bytes(width, order)
        case 2:
            del data[at : at + length]
        case 3:
            data[at:at] = data[at : at + length] * random.choice((1, 2, 100))
        case 4:
            del data[at:]
        case 5:
            data[at : at + length] = random.randbytes(length)
        case _:
            data[at:at] = random.randbytes(length)
    return bytes(data)


def _mutate_text(content: bytes, random: random.Random) -> bytes:
    text = content.decode("utf-8", errors="surrogateescape")
    words = list(re.finditer(r'"[^"]*"|[\w.+-]+', text))
    word = random.choice(words)
    new = random.choice([*NASTY, random.choice(words)[0]])
    changed = text[: word.start()] + new + text[word.end() :]
    return changed.encode("utf-8", errors="surrogateescape")


def _mutate_lines(content: bytes, random: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    match random.randrange(4):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case _:
            lines[one] = b" " * random.randrange(9) + lines[one].lstrip()
    return b"".join(lines)


def _mutate_json(content: bytes, random: random.Random) -> bytes:
    tree = json.loads(content)
    places = list(_places(tree))
    parent, key = random.choice(places)
    match random.randrange(4):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[random.choice(NASTY)] = parent[key]
        case 2:
            other, name = random.choice(places)
            parent[key] = other[name] if len(json.dumps(other[name])) < 10_000 else None
        case _:
            parent[key] = random.choice(VALUES)
    return json.dumps(tree).encode()


def _places(node: Any) -> list[tuple[Any, Any]]:
    """List the containers and keys of all nodes."""
    found: list[tuple[Any, Any]] = []
    keys = list(node) if isinstance(node, dict) else range(len(node))
    for key in keys:
        found.append((node, key))
        if isinstance(node[key], dict | list):
            found += _places(node[key])
    return found


def _mutate_header(content: bytes, random: random.Random) -> bytes:
    """Change the header of safetensors (JSON) or NumPy (Python's syntax), with its length."""
    npy = content.startswith(b"\x93NUMPY")
    start, width = (8, 2) if npy else (0, 8)
    length = int.from_bytes(content[start : start + width], "little")
    first = start + width
    change = _mutate_text if npy or random.random() < 0.5 else _mutate_json
    header = change(content[first : first + length], random)
    size = len(header).to_bytes(width, "little") if len(header) < 256**width else b"\xff" * width
    return content[:start] + size + header + content[first + length :]


def command(*words: str) -> Callable[[Path, random.Random], bool]:
    """Return a reader that runs ``sercli``; ``FILE`` stands for the mutated file."""

    def run(path: Path, random: random.Random) -> bool:
        err = io.StringIO()
        with redirect_stderr(err):
            status = _run(*(word.replace("FILE", str(path)) for word in words))
        text = err.getvalue()
        if status not in {0, 1, 2, None} or "a bug in sercli" in text or "Traceback" in text:
            raise AssertionError(f"status {status}: {text[-400:]}")
        return not status

    return run


def _run(*words: str) -> int | str | None:
    """Run ``sercli`` in this process without its output; return the exit status."""
    sys.argv = ["sercli", *words]
    try:
        with redirect_stdout(io.StringIO()):
            sercli()
    except SystemExit as end:
        return end.code
    return 0


def any_of(*readers: Callable[[Path, random.Random], bool]) -> Callable[..., bool]:
    """Return a reader that is one of several, drawn at random."""
    return lambda path, random: random.choice(readers)(path, random)


def accepting(
    read: Callable[[Path], object], *errors: type[Exception]
) -> Callable[[Path, random.Random], bool]:
    """Return a reader that refuses a file by one of ``errors``."""

    def run(path: Path, random: random.Random) -> bool:
        try:
            read(path)
        except errors:
            return False
        return True

    return run


def _read_stored(path: Path) -> None:
    store = FeatureStore(Path("store"))
    store.find(path.stem)
    store.damage(path.stem)
    store.get(path.stem)


def _read_array(path: Path) -> None:
    found = arrays("arrays", "lld", "arrays", rate=100.0)
    found.extractor(16_000).read(path, 0.5)


SIZES = (
    *("model.hidden=4", "model.context_hidden=4", "trainer=smoke", "trainer.steps=2"),
    *("trainer.eval_every=1", "trainer.batch_size=8"),
)
CLASSES = "dataset.classes={ang: anger, exc: happiness, hap: happiness, neu: neutral, sad: sadness}"


def _small(corpus: Path) -> tuple[str, ...]:
    """Return the arguments of a small training."""
    return ("dataset=iemocap", f"dataset.root={corpus}", "paths.store=store", *SIZES)


def readers(corpus: Path) -> list[Reader]:
    """Return all readers.

    Args:
        corpus: Folder of the corpus from which the valid files are made.
    """
    small = _small(corpus)
    places = ("paths.store=store", "paths.data=data", "--workers", "1", CLASSES)
    predict = ("predict", "model", "audio/a.wav", "-q", "--workers", "1")
    return [
        Reader("audio", ["audio/*"],
               accepting(lambda path: load_audio(path, math.nan, math.nan, 16_000), AudioError),
               100),
        Reader("arrays (.npy)", ["arrays/*.npy"],
               accepting(_read_array, AudioError, SercliError), 100),
        Reader("feature store", ["store/*/*.safetensors"],
               accepting(_read_stored, SercliError, KeyError), 100),
        Reader("weights", ["model/*.safetensors", "model/weights/*.safetensors"],
               accepting(lambda path: read_weights(path, read_shapes(path)), SercliError), 100),
        Reader("YAML", ["**/*.yaml"],
               accepting(lambda path: parse_yaml(path.read_text("utf-8", "replace")),
                         yaml.YAMLError), 100),
        Reader("Parquet", ["**/*.parquet"], accepting(read_parquet, ValueError, OSError), 20),
        Reader("model folder", ["model/*.json", "model/**/*.safetensors", "model/*.parquet"],
               command(*predict)),
        Reader("ONNX graph", ["model/onnx/*.onnx"], command(*predict, "--runtime", "onnx")),
        Reader("record", ["runs/demo/*/*.json", "runs/demo/*/*.yaml", "runs/demo/*/*.parquet",
                          "runs/demo/*/**/*.safetensors"],
               any_of(command("report", "demo"), command("verify", "demo"), command("runs"),
                      command("report", "demo", "--format", "json"),
                      command("predict", "demo", "audio/a.wav", "-q", "--workers", "1"))),
        Reader("sweep", ["runs/search/*.db", "runs/search/*.json", "runs/search/*.parquet"],
               any_of(command("status", "search"), command("report", "search"))),
        Reader("plan", ["plans/*.yaml"],
               command("sweep", "--plan", "FILE", *small, "--dry-run")),
        Reader("configuration", ["own/**/*.yaml"],
               command("config", "show", "--config-dir", "own")),
        Reader("manifest", ["manifest/*"],
               command("extract", "dataset=manifest", "dataset.root=FILE", *places,
                       "--allow-refused")),
        Reader("audformat", ["database/*"],
               command("extract", "dataset=audformat", "dataset.root=database", *places,
                       "--allow-refused")),
    ]  # fmt: skip


def make_valid(folder: Path, corpus: Path) -> None:
    """Write valid files of every kind."""
    generate(corpus, seed=1, size=SyntheticSize(2, 4), workers=1)
    small = _small(corpus)
    with chdir(folder):
        for words in (
            ("train", *small, "experiment=demo", "--workers", "1", "-q"),
            ("export", "demo", "model", "--fold", "Session1", "--onnx", "-q"),
            ("sweep", *small, "experiment=search", "activation=tanh,relu", "--workers", "1", "-q"),
        ):
            assert not _run(*words), words
        table = read_corpus(compose(["dataset=iemocap", f"dataset.root={corpus}"]).dataset).table
        _write_tables(table.head(12), corpus)
        _write_audio()
        for name in ("plans", "own/activation", "arrays"):
            Path(name).mkdir(parents=True)
        root = Path(__file__).parents[1]
        for plan in ("demo", "smoke", "cells", "alpha_beta_tpe"):
            shutil.copy(root / "sweeps" / f"{plan}.yaml", "plans")
        shutil.copy(root / "conf" / "activation" / "arelu.yaml", "own/activation/arelu.yaml")
        for name, dtype in (("a", "float32"), ("b", "float64"), ("c", "int16")):
            np.save(f"arrays/{name}.npy", np.ones((50, 4), dtype))


def _write_tables(table: pd.DataFrame, corpus: Path) -> None:
    Path("manifest").mkdir()
    columns = ["utterance", "audio", "speaker", "dialogue", "turn", "emotion", "gender"]
    table = table.assign(emotion=table["label"].map({"anger": "ang", "neutral": "neu"}))
    table = table.assign(emotion=table["emotion"].fillna("sad"))[columns]
    table.to_csv("manifest/m.csv", index=False)
    table.to_csv("manifest/m.tsv", index=False, sep="\t")
    table.to_parquet("manifest/m.parquet")
    Path("database").mkdir()
    header = {
        "name": "x",
        "source": "internal",
        "usage": "unrestricted",
        "languages": [],
        "schemes": {"emotion": {"dtype": "str"}, "speaker": {"dtype": "str"}},
        "tables": {
            "files": {
                "type": "filewise",
                "columns": {
                    "emotion": {"scheme_id": "emotion"},
                    "speaker": {"scheme_id": "speaker"},
                },
            }
        },
    }
    Path("database/db.yaml").write_text(yaml.safe_dump(header), encoding="utf-8")
    files = table.rename(columns={"audio": "file"})[["file", "emotion", "speaker"]]
    files.to_csv("database/db.files.csv", index=False)


def _write_audio() -> None:
    Path("audio").mkdir()
    time = np.arange(8000) / 16_000
    noise = np.random.default_rng(0).normal(size=time.size)
    voice = sum(0.1 / n * np.sin(2 * np.pi * n * 180 * time) for n in range(1, 6)) + 0.01 * noise
    for name, form, subtype in (
        *(("a.wav", "WAV", "PCM_16"), ("b.wav", "WAV", "FLOAT"), ("c.wav", "WAVEX", "PCM_24")),
        *(("d.wav", "WAV", "GSM610"), ("e.flac", "FLAC", "PCM_16"), ("f.ogg", "OGG", "VORBIS")),
        *(("g.ogg", "OGG", "OPUS"), ("h.mp3", "MP3", "MPEG_LAYER_III"), ("i.aiff", "AIFF", None)),
        *(("j.au", "AU", None), ("k.wav", "WAV", "IMA_ADPCM"), ("l.w64", "W64", "PCM_16")),
    ):
        rate = 8000 if subtype == "GSM610" else 16_000
        soundfile.write(f"audio/{name}", voice, rate, format=form, subtype=subtype)


@dataclass
class Tally:
    """Results of one reader so far."""

    reader: Reader
    valid: Path
    copy: Path
    """Copy of the valid files, in which one at a time is mutated."""
    seed: int
    keep: Path
    tries: int = 0
    answers: int = 0
    slowest: float = 0.0
    """CPU seconds of the slowest try."""
    memory: int = 0
    """Maximum bytes that a try took."""
    findings: Counter[str] = field(default_factory=Counter)

    def add(self, answered: bool, problem: str, used: float, peak: int) -> None:
        """Add the result of a try."""
        self.answers += answered
        self.slowest, self.memory = max(self.slowest, used), max(self.memory, peak)
        self.end(problem or (f"memory: {peak / 2**30:.1f} GiB" if peak > MEMORY else ""))

    def end(self, problem: str) -> None:
        """Count a try, and keep the file of a finding, three of each kind."""
        number, self.tries = self.tries, self.tries + 1
        if not problem:
            return
        kind = re.sub(r"\d+", "N", problem)[:120]
        self.findings[kind] += 1
        if self.findings[kind] <= 3:
            path, content, _ = mutated(self.reader, self.valid, self.seed, number)
            name = f"{self.reader.name.replace(' ', '-')}-{self.seed}-{number}-{Path(path).name}"
            (self.keep / name).write_bytes(content)
            print(
                f"{self.reader.name}: {path}: {problem}\n  kept as {self.keep / name}", flush=True
            )

    def __str__(self) -> str:
        """Return the row of the table."""
        return (
            f"| {self.reader.name} | {self.tries} | {self.answers} | {self.findings.total()} "
            f"| {self.slowest:.1f} | {self.memory / 2**20:.0f} |"
        )


def fuzz(tally: Tally, seconds: float) -> None:
    """Run a reader on mutated files for a number of seconds of CPU time."""
    end = _cpu_seconds_of_children() + seconds
    while _cpu_seconds_of_children() < end:
        before = tally.tries
        if problem := _watch(tally):
            path, _, _ = mutated(tally.reader, tally.valid, tally.seed, tally.tries)
            shutil.copy(tally.valid / path, tally.copy / path)
            tally.end(problem)
        if tally.tries == before:
            raise SystemExit(f"{tally.reader.name}: no try could be made")


def _watch(tally: Tally) -> str:
    """Run tries in one process; return the reason if it ends early, else an empty text."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_tries, args=(tally, sender))
    process.start()
    sender.close()
    begun, finished = time.monotonic(), 0.0
    while True:
        if receiver.poll(0.2):
            try:
                tally.add(*receiver.recv())
            except EOFError:
                break
            begun, finished = time.monotonic(), _cpu_seconds(process.pid)
        elif _cpu_seconds(process.pid) - finished > SECONDS or time.monotonic() - begun > WALL:
            process.kill()
            process.join()
            return "hang"
    process.join()
    return f"crash: exit status {process.exitcode}" if process.exitcode else ""


def _tries(tally: Tally, sender: Connection) -> None:
    """Make the tries of one process."""
    limit = own_address_space() + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # of decoders
    reader, valid = tally.reader, tally.valid
    os.chdir(tally.copy)
    for number in range(tally.tries, tally.tries + reader.tries):
        path, content, draw = mutated(reader, valid, tally.seed, number)
        Path(path).write_bytes(content)
        problem, answered = "", False
        before, began = _peak(), time.process_time()
        try:
            answered = reader.read(Path(path), draw)
        except BaseException as error:
            problem = f"{type(error).__name__}: {error}"[:300] + _where(error)
        used = time.process_time() - began
        shutil.copy(valid / path, path)
        sender.send((answered, problem, used, _peak() - before))


def mutated(
    reader: Reader, valid: Path, seed: int, number: int
) -> tuple[str, bytes, random.Random]:
    """Return the file of a try, its mutated content, and the generator that made it."""
    draw = random.Random(f"{reader.name} {seed} {number}")
    files = sorted({path for pattern in reader.files for path in valid.glob(pattern)})
    path = draw.choice(files)
    content = mutate(path.read_bytes(), path.suffix, draw)
    return str(path.relative_to(valid)), content, draw


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " @ " + " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))


def _peak() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_seconds(process: int | None) -> float:
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return 0.0
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Fuzz the readers, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60, help="CPU minutes in total")
    parser.add_argument("--only", nargs="*", default=(), help="names of readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder of the files of findings")
    parser.add_argument("--valid", type=Path, help="folder of valid files; created if missing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep = given.keep or Path(tempfile.mkdtemp(prefix="sercli-fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        root = given.valid or Path(place, "valid")
        valid, corpus = root.absolute() / "files", root.absolute() / "corpus"
        if not valid.exists():
            valid.mkdir(parents=True)
            make_valid(valid, corpus)
        known = readers(corpus)
        chosen = [each for each in known if not given.only or each.name in given.only]
        print("| reader | tries | answers | findings | slowest, CPU s | memory, MB |")
        print("|---|---:|---:|---:|---:|---:|", flush=True)
        for reader in chosen:
            copy = shutil.copytree(valid, Path(place, reader.name))
            tally = Tally(reader, valid, copy, given.seed, keep)
            fuzz(tally, 60 * given.minutes / len(chosen))
            print(tally, flush=True)


if __name__ == "__main__":
    main()
