"""Streams: further features of the turns to classify, from the configuration to the record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.io import wavfile
from torch import Tensor, nn

from sercli.config.compose import compose
from sercli.config.run_key import result_relevant, run_key
from sercli.config.schema import Config
from sercli.errors import RequestError
from sercli.features.load import StoredSteps
from sercli.inference.export import export_model
from sercli.inference.model import TrainedModel
from sercli.models import MODELS
from sercli.models.interface import Batch, CorpusInfo
from sercli.reporting.names import name_systems
from sercli.training.batches import collate
from sercli.training.data import Data, read_data, verify_corpus
from sercli.training.rerun import rerun
from sercli.training.run import train_configuration
from sercli.training.source import open_source
from sercli.training.validate import check_settings, new_model

ALPHABET = "streams.text.options.alphabet"
WORDS = ("yes", "no", "so", "what")
EMOTIONS = ("happy", "sad")
UTTERANCES = [f"{speaker}{number}" for speaker in "abc" for number in range(4)]
TEXTS = {name: f"{WORDS[i % 4]} {WORDS[i // 4]} oh" for i, name in enumerate(UTTERANCES)}
TEXTS |= {"a0": "", "b0": TEXTS["a1"]}


class TwoStreams(nn.Module):
    """The means over time of the turns and of their words, and a linear layer."""

    def __init__(self, inputs: int, classes: int, corpus: CorpusInfo, stream: str = "text") -> None:
        super().__init__()
        self._stream = stream
        self.classifier = nn.Linear(inputs + corpus.stream(stream), classes)

    def forward(self, batch: Batch) -> Tensor:
        both = (batch.current, batch.streams[self._stream])
        means = [each.real_frames.sum(1) / each.lengths.unsqueeze(1) for each in both]
        logits: Tensor = self.classifier(torch.cat(means, dim=1))
        return logits


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS._parts, "two_streams", TwoStreams)


@pytest.fixture(scope="module", name="corpus")
def _corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve turns of three speakers with transcripts, and vectors of their words."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = []
    for i, name in enumerate(UTTERANCES):
        tone = np.sin(np.arange(4000 + 400 * i) / (5 + i)).astype(np.float32) / 2
        wavfile.write(folder / f"{name}.wav", 16000, tone)
        row = {"utterance": name, "audio": f"{name}.wav", "speaker": name[0]}
        rows.append(row | {"emotion": EMOTIONS[i % 2], "transcript": TEXTS[name]})
    pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
    vectors = [f"{word} {i} {i * i} -1" for i, word in enumerate(WORDS, start=1)]
    (folder / "vectors.txt").write_text("\n".join(vectors))
    return folder


Configured = Callable[..., Config]


@pytest.fixture(name="configured")
def _configured(corpus: Path, tmp_path: Path) -> Configured:
    def configured(
        *overrides: str,
        features: tuple[str, ...] = ("features=log_mel", "features.options.bands=8"),
        stream: str = "text",
    ) -> Config:
        settings = (
            *("dataset=manifest", f"dataset.root={corpus / 'table.csv'}", *features),
            *("dataset.classes.happy=happy", "dataset.classes.sad=sad"),
            *("protocol=loso_speaker", "trainer.steps=2", "trainer.eval_every=1", "device=cpu"),
            *(f"paths.store={tmp_path / 'store'}", f"paths.runs={tmp_path / 'runs'}"),
        )
        model = {"name": "two_streams", "system": "two_streams", "stream": stream}
        return replace(compose([*settings, *overrides]), model=model)

    return configured


@pytest.fixture(name="text")
def _text(corpus: Path) -> tuple[str, str]:
    return "streams.text=word_vectors", f"streams.text.path={corpus / 'vectors.txt'}"


def batch_of(data: Data, names: list[str]) -> Batch:
    return collate(data.packed.rows(names), data.packed, torch.device("cpu"))


def test_a_batch_has_the_vectors_of_the_words_of_its_turns(
    configured: Configured, text: tuple[str, str]
) -> None:
    data = read_data(configured(*text))

    batch = batch_of(data, ["b1", "a0", "c3"])

    words = batch.streams["text"]
    yes, no, so, _ = [[i, i * i, -1.0] for i in range(1, 5)]
    assert words.lengths.tolist() == [3, 1, 3]  # one step of zeros without a transcript
    assert words.frames[0].tolist() == [no, no, [0.0] * 3]  # "no no oh"
    assert not words.frames[1].any()
    assert words.frames[2].tolist()[1:] == [so, [0.0] * 3]
    assert words.frames.shape == (3, 3, 3)
    assert batch.current.frames.shape[2] == 8
    assert yes


def test_equal_transcripts_are_stored_once_and_the_key_follows_them(
    configured: Configured, text: tuple[str, str], corpus: Path, tmp_path: Path
) -> None:
    config = configured(*text)
    data = read_data(config)
    stored = len(list((tmp_path / "store").glob("??/*.safetensors")))
    assert stored == len(UTTERANCES) + len(set(TEXTS.values()))

    again = read_data(config)
    without = read_data(configured())
    longer = tmp_path / "longer.txt"
    longer.write_text((corpus / "vectors.txt").read_text() + "\noh 9 9 9")
    other = read_data(configured(text[0], f"streams.text.path={longer}"))
    prints = {each.fingerprint for each in (data, without, other)}
    assert again.fingerprint == data.fingerprint
    assert len(prints) == 3
    assert {"path", "config"}.isdisjoint(result_relevant(config)["streams"]["text"])


def test_without_streams_nothing_is_new_in_the_key(configured: Configured) -> None:
    config = configured()

    assert "streams" not in result_relevant(config)
    assert run_key(compose([]), "data") == "f28f3337fe"


def test_an_audio_set_can_be_a_stream_and_its_refusals_count_for_all(
    configured: Configured, corpus: Path, tmp_path: Path
) -> None:
    arrays = tmp_path / "arrays"
    arrays.mkdir()
    for name in UTTERANCES[1:]:
        np.save(arrays / f"{name}.npy", np.full((2, 5), ord(name[0]), np.float32))
    config = configured("streams.video=arrays", f"streams.video.path={arrays}", stream="video")

    data = read_data(config)

    assert "a0" not in data.labels
    assert "no array a0.npy" in data.manifest.refused[0].reason
    assert batch_of(data, ["b1"]).streams["video"].frames.tolist() == [[[98.0] * 5] * 2]
    assert new_model(config, data).classifier.weight.shape == (2, 8 + 5)  # type: ignore[union-attr]


def test_streams_that_do_not_fit_the_model_are_refused_before_the_corpus_is_read(
    configured: Configured, text: tuple[str, str]
) -> None:
    with pytest.raises(RequestError, match=r"reads the stream .text.: set streams\.text to"):
        check_settings(configured())
    with pytest.raises(RequestError, match="two_streams does not read the stream 'x': remove"):
        check_settings(configured(*text, "streams.x=log_mel"))
    plain = replace(configured(*text), model=compose(["model=bilstm_att"]).model)
    with pytest.raises(RequestError, match="bilstm_att does not read the stream 'text'"):
        check_settings(plain)
    with pytest.raises(RequestError, match=r"^streams.text=word_vectors needs .* streams.text.pat"):
        check_settings(configured(text[0]))


def test_memory_is_shared_and_what_does_not_fit_is_read_again(
    configured: Configured, text: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(*text)
    whole = batch_of(read_data(config), UTTERANCES)
    monkeypatch.setattr("sercli.training.packed._KEPT_BYTES", 800)
    data = read_data(config)
    for _ in range(2):
        narrow = batch_of(data, UTTERANCES)
        assert torch.equal(narrow.current.frames, whole.current.frames)
        assert torch.equal(narrow.streams["text"].frames, whole.streams["text"].frames)
    kept = [data.packed.kept, data.packed.streams["text"]]
    assert all((each.offsets < 0).any() for each in kept)


def test_a_run_with_a_stream_is_trained_recorded_and_found_again(
    configured: Configured, text: tuple[str, str], corpus: Path, tmp_path: Path, watching: Any
) -> None:
    config = configured(*text)
    record = train_configuration(config, workers=1)
    progress = watching()
    again = train_configuration(config, workers=1, progress=progress)

    assert again.key == record.key
    assert "already exists" in progress.notes[-1]
    counts = "33 tokens in 12 turns, 11 (33.3 %) not in the vocabulary; 1 turn without transcript"
    assert f"text: {counts}" in progress.notes
    card = record.summary["card"]
    assert f" Transcripts of text: {counts}." in card["paragraph"]
    assert "Stream text: word_vectors of the column transcript (vectors.txt, " in card["paragraph"]
    assert card["transcripts"]["text"] == {"turns": 12, "without": 1, "tokens": 33, "unknown": 11}
    assert record.summary["configuration"]["streams"]["text"]["name"] == "word_vectors"
    moved = corpus / "moved.txt"
    shutil.copy(corpus / "vectors.txt", moved)
    override = f"streams.text.path={moved}"
    assert rerun(record, [override], workers=1).reasons == []
    with pytest.raises(RequestError, match="cannot be overridden"):
        rerun(record, ["streams.text.pool=2"])
    source = open_source(str(record.path), tmp_path)
    for use in (TrainedModel, lambda of: export_model(of, tmp_path / "exported")):
        with pytest.raises(RequestError, match="reads the stream 'text', which a recording does"):
            use(source)


def test_characters_are_a_stream_without_a_file(configured: Configured) -> None:
    config = configured("streams.text=characters")
    data = read_data(config)
    rows = data.streams["text"]
    assert data.stream_features == {"text": 28}
    letters = " abcdefghijklmnopqrstuvwxyz'"
    spelled = {
        name: "".join(letters[i] for i in rows[name].argmax(axis=1)) for name in ("a1", "c3")
    }
    assert spelled == {name: TEXTS[name] for name in spelled}
    assert rows["a0"].shape == (1, 28)
    assert not rows["a0"].any()  # no transcript
    for alphabet, reason in (("aa", "each once"), ("Ab", "in lower case"), ("a b", "without sp")):
        with pytest.raises(RequestError, match=rf"^streams.text.options.alphabet=.*{reason}"):
            check_settings(configured("streams.text=characters", f"{ALPHABET}={alphabet}"))


def test_the_store_is_verified_with_its_streams(
    configured: Configured, text: tuple[str, str], tmp_path: Path
) -> None:
    config = configured(*text)
    data = read_data(config)
    assert verify_corpus(config).faults == ()
    steps = data.streams["text"]
    assert isinstance(steps, StoredSteps)
    (tmp_path / "store" / steps.key("b1")[:2] / f"{steps.key('b1')}.safetensors").unlink()

    assert [fault.what for fault in verify_corpus(config).faults] == ["manifest: b1"]
    assert torch.equal(
        batch_of(read_data(config), ["b1"]).streams["text"].frames,
        batch_of(data, ["b1", "b2"]).streams["text"].frames[:1],
    )


def test_transcripts_alone_are_features_too(
    configured: Configured, corpus: Path, text: tuple[str, str]
) -> None:
    features = ("features=word_vectors", f"features.path={corpus / 'vectors.txt'}")
    data = read_data(configured(features=features))

    assert data.lengths["a0"] == 1
    assert data.seconds["a1"] == pytest.approx(0.275)
    assert data.texts["features"]["a1"].tokens == 3
    refused = read_data(configured("features.options.missing=refuse", features=features))
    assert [each.reason for each in refused.manifest.refused] == ["has no transcript"]
    with pytest.raises(RequestError, match="reads the column asr_transcript, and the corpus has"):
        read_data(configured("features.options.column=asr_transcript", features=features))
    with pytest.raises(RequestError, match="features=word_vectors are not computed from it"):
        check_settings(configured(*text, "augment=speed", features=features))


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (
            "copy_paste augment.copy_paste.scheme=se",
            "augment=copy_paste joins excerpts of turns, and streams",
        ),
        ("speed", "augment=speed changes audio, and the stream 'more' would not change"),
    ],
)
def test_augmentations_that_leave_a_stream_as_it_is_are_refused(
    configured: Configured, text: tuple[str, str], augment: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        check_settings(configured(*text, "streams.more=mfcc", *f"augment={augment}".split()))


def test_copies_of_a_turn_keep_its_words(configured: Configured, text: tuple[str, str]) -> None:
    config = configured(*text, "augment=speed", "features.pool=1")
    packed = read_data(config).packed
    row = packed.names.tolist().index("b1 (speed 0.9)")

    batch = collate(np.array([row, *packed.rows(["b1"])]), packed, torch.device("cpu"))

    assert batch.current.lengths[0] > batch.current.lengths[1]
    assert torch.equal(*batch.streams["text"].frames)


def test_streams_are_named_in_reports(configured: Configured, text: tuple[str, str]) -> None:
    configuration = result_relevant(configured(*text))
    plain = {key: value for key, value in configuration.items() if key != "streams"}
    records: list[Any] = [
        SimpleNamespace(
            path=Path("x/1"),
            experiment="x",
            key=str(i),
            summary={"configuration": each, "card": {}},
        )
        for i, each in enumerate((plain, plain, configuration))
    ]

    names = [each.settings for each in name_systems(records)]

    assert names[0] == names[1]
    assert names[2] == f"{names[0]} streams.text=word_vectors"
