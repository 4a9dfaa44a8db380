from __future__ import annotations

import hashlib
import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from helpers.encoders import FAMILIES, LAYERS, RATE, tiny_encoder
from safetensors.numpy import load_file, save_file

from sercli.config.compose import compose
from sercli.config.run_key import result_relevant
from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import build_manifest
from sercli.errors import RequestError
from sercli.features.audio import AudioError
from sercli.features.checkpoints import check_seen
from sercli.features.encoder import EncoderSet
from sercli.features.extract import extract
from sercli.features.placement import extracting_processes, placed
from sercli.features.pretrained import files_digest
from sercli.features.sets import feature_set, frame_seconds
from sercli.features.store import FeatureStore
from sercli.features.store_uses import stored_settings

SIGNAL = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)


@pytest.fixture(scope="module", name="folders")
def _folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny random encoders as transformers saves them."""
    root = tmp_path_factory.mktemp("encoders")
    return {name: tiny_encoder(root / name, name) for name in FAMILIES}


def features_of(folder: Path, level: str = "lld", **options: Any) -> FeaturesConfig:
    return FeaturesConfig("encoder", level=level, path=str(folder), options=options)


def rows(folder: Path, signal: np.ndarray = SIGNAL, level: str = "lld", **options: Any) -> Any:
    return feature_set(features_of(folder, level, **options)).extractor(RATE)(signal)


@pytest.fixture(scope="module", name="copy")
def _copy(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    def copy(**config: Any) -> Path:
        """Return a copy of an encoder with some entries of its config.json replaced."""
        made = tmp_path_factory.mktemp("copy") / "encoder"
        shutil.copytree(folders["Wav2Vec2"], made)
        if config:
            content = json.loads((made / "config.json").read_text())
            (made / "config.json").write_text(json.dumps(content | config))
        return made

    return copy


@pytest.mark.parametrize(
    "family",
    [
        *("Wav2Vec2-layer", "WavLM"),
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("Wav2Vec2", "Hubert")),
    ],
)
def test_layers_are_those_of_transformers(
    folders: dict[str, Path], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModel

    def no_socket(*_: Any, **__: Any) -> None:
        raise AssertionError("a socket is opened")

    monkeypatch.setattr(socket, "socket", no_socket)
    folder = folders[family]
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    scaled = (SIGNAL - SIGNAL.mean()) / np.sqrt(SIGNAL.var() + 1e-7)
    with torch.inference_mode():
        output = model(torch.tensor(scaled)[None], output_hidden_states=True)
        conv = model.feature_extractor(torch.tensor(scaled)[None]).transpose(1, 2)[0]
    states = torch.cat(output.hidden_states)
    assert len(states) == LAYERS + 1
    expected = {"last": output.last_hidden_state[0], "mean": states.mean(0), "conv": conv}
    for layer, frames in [*expected.items(), *enumerate(states)]:
        found = rows(folder, layer=layer)
        np.testing.assert_allclose(found, frames, atol=2e-5)
        assert found.dtype == np.float32
    means = rows(folder, level="functionals", layer="all")
    np.testing.assert_allclose(means, states.mean(1), atol=2e-5)


def test_one_frame_every_320_samples_from_400_on(folders: dict[str, Path]) -> None:
    lengths = {400: 1, 719: 1, 720: 2, 16000: 49}
    folder = folders["Wav2Vec2"]
    for samples, frames in lengths.items():
        assert rows(folder, np.resize(SIGNAL, samples), layer="conv").shape == (frames, 16)
    with pytest.raises(AudioError, match=r"shorter than one frame of the encoder \(400 samples\)"):
        rows(folder, SIGNAL[:399])
    assert frame_seconds(features_of(folder)) == 0.02


def test_the_key_changes_with_a_weight_and_with_the_layer_and_not_with_the_folder(
    folders: dict[str, Path], copy: Any
) -> None:
    same, other = copy(), copy()
    weights = load_file(other / "model.safetensors")
    name = next(iter(weights))
    weights[name] = weights[name] + np.float32(1e-3)
    save_file(weights, other / "model.safetensors", {"format": "pt"})
    digest = feature_set(features_of(folders["Wav2Vec2"])).digest
    assert feature_set(features_of(same)).digest == digest
    assert feature_set(features_of(other)).digest != digest
    assert feature_set(features_of(same, layer=1)).digest != digest


def test_a_checkpoint_that_lacks_a_tensor_is_refused(copy: Any) -> None:
    folder = copy()
    weights = load_file(folder / "model.safetensors")
    lost = next(name for name in weights if "attention" in name)
    del weights[lost]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(RequestError, match=r"the weights lack 1 tensors of the encoder, e\.g\."):
        rows(folder)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("config.json", "it holds no config.json; download the whole checkpoint"),
        ("preprocessor_config.json", "it holds no preprocessor_config.json"),
        ("model.safetensors", "it holds no weights; download the file model.safetensors"),
    ],
)
def test_a_folder_that_lacks_a_file_is_refused(copy: Any, lost: str, message: str) -> None:
    folder = copy()
    (folder / lost).unlink()
    with pytest.raises(RequestError, match=message):
        feature_set(features_of(folder))
    if lost.endswith("safetensors"):
        (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
        with pytest.raises(RequestError, match="weights as a pickle only, which may run code"):
            feature_set(features_of(folder))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "bert"}, "model_type bert is not read"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 1]}, "do not make a frame every 20 ms"),
        ({"hidden_size": "wide"}, "config.json is not that of a speech encoder"),
    ],
)
def test_a_folder_of_something_else_is_refused(copy: Any, config: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        feature_set(features_of(copy(**config)))


def test_damaged_weights_are_one_clear_line(copy: Any) -> None:
    folder = copy()
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(RequestError, match="the encoder cannot be loaded"):
        rows(folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": 3}, "must be a number from 0 to 2"),
        ({"layer": "lsat"}, "must be a number from 0 to 2, or one of last, mean, conv, all"),
        ({"layer": "all"}, "add features.level=functionals"),
        ({"level": "lld_delta"}, "an encoder has lld .* and functionals"),
    ],
)
def test_an_invalid_layer_or_level_is_refused(
    folders: dict[str, Path], settings: Any, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        feature_set(features_of(folders["Wav2Vec2"], **settings))


def test_other_invalid_requests_are_refused(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders["Wav2Vec2"]
    with pytest.raises(RequestError, match=r"set features\.sampling_rate=16000"):
        feature_set(features_of(folder)).extractor(8000)
    with pytest.raises(RequestError, match=r"features=hubert_base needs a folder: .*hubert-base"):
        feature_set(FeaturesConfig("hubert_base"))
    with pytest.raises(RequestError, match=r"hubert_base is \{'model_type': 'hubert'"):
        feature_set(FeaturesConfig("hubert_base", path=str(folder)))
    with pytest.raises(RequestError, match="no such folder"):
        feature_set(features_of(Path("/nowhere")))
    with pytest.raises(RequestError, match="log_mel reads no path"):
        feature_set(FeaturesConfig("log_mel", path=str(folder)))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'sercli\[encoders\]'"):
        feature_set(features_of(folder))


def test_an_encoder_that_has_seen_the_labels_is_refused_unless_allowed() -> None:
    config = compose(["dataset=msp_podcast", "features=wav2vec2_msp", "features.path=x"])
    with pytest.raises(RequestError, match="so results on msp_podcast would be biased"):
        check_seen(config)
    config.features.options["allow_seen"] = True
    check_seen(config)


def test_float16_halves_the_store_and_is_read_as_float32(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", SIGNAL, RATE)
    row = {"utterance": "a", "audio": str(tmp_path / "a.wav"), "speaker": "s", "emotion": "joy"}
    manifest = build_manifest("mine", [row], {"joy": "happy"})
    read, sizes = {}, {}
    for dtype in ("float32", "float16"):
        features = features_of(folders["Wav2Vec2"], dtype=dtype)
        done = extract(manifest, features, tmp_path / dtype)
        read[dtype] = FeatureStore(tmp_path / dtype).get(done.keys["a"])
        (file,) = (tmp_path / dtype).glob("??/*.safetensors")
        sizes[dtype] = file.stat().st_size
    assert read["float16"].dtype == np.float32
    np.testing.assert_array_equal(read["float16"], read["float32"].astype(np.float16))
    assert sizes["float32"] - sizes["float16"] == pytest.approx(read["float32"].nbytes / 2, abs=16)


def test_a_value_beyond_float16_is_refused(copy: Any) -> None:
    folder = copy()
    weights = load_file(folder / "model.safetensors")
    name = f"encoder.layers.{LAYERS - 1}.final_layer_norm.weight"
    save_file(weights | {name: weights[name] * 1e6}, folder / "model.safetensors", {"format": "pt"})
    assert np.isfinite(rows(folder)).all()
    with pytest.raises(RequestError, match=r"is beyond its range \(65504\); set .*dtype=float32"):
        rows(folder, dtype="float16")
    with pytest.raises(RequestError, match="must be float32 or float16"):
        rows(folder, dtype="float64")


def test_only_float16_is_part_of_the_keys(folders: dict[str, Path]) -> None:
    folder = folders["Wav2Vec2"]
    files = files_digest(folder, ("config.json", "preprocessor_config.json"))
    before = hashlib.sha256(repr((files, "lld", "last", torch.__version__)).encode()).hexdigest()
    assert feature_set(features_of(folder)).digest == before
    half = features_of(folder, dtype="float16")
    assert feature_set(half).digest != before
    given = {
        dtype: compose(
            [
                *("features=encoder", f"features.path={folder}", "streams.text=text_encoder"),
                *(f"{each}.options.dtype={dtype}" for each in ("features", "streams.text")),
            ]
        )
        for dtype in ("float32", "float16")
    }
    for dtype, config in given.items():
        settings = result_relevant(config)
        used = stored_settings(config.features)
        for each in (settings["features"], settings["streams"]["text"], used):
            assert each["options"].get("dtype") == (None if dtype == "float32" else dtype)


def test_an_encoder_is_placed_on_the_device_and_one_process_extracts_on_a_gpu(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, mfcc = (
        feature_set(features_of(folders["Wav2Vec2"])),
        feature_set(FeaturesConfig("mfcc")),
    )
    devices = {"auto": torch.device("cpu"), "cuda": torch.device("cuda", 0)}
    monkeypatch.setattr("sercli.nn.device.choose_device", devices.__getitem__)
    assert placed(chosen, "auto") == placed(chosen, "cpu") == chosen
    assert placed(mfcc, "cuda") is mfcc
    on_gpu = placed(chosen, "cuda")
    assert isinstance(on_gpu, EncoderSet)
    assert (on_gpu.device, on_gpu.digest) == ("cuda:0", chosen.digest)
    assert [extracting_processes(each, 4) for each in (chosen, mfcc, on_gpu)] == [4, 4, 1]


def test_the_encoder_and_its_input_are_on_the_device_of_the_set(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    to = torch.nn.Module.to

    def noted(module: torch.nn.Module, device: str) -> torch.nn.Module:
        used.append(device)
        return to(module, device)

    monkeypatch.setattr(torch.nn.Module, "to", noted)
    chosen = feature_set(features_of(folders["Wav2Vec2"]))
    assert isinstance(chosen, EncoderSet)
    chosen = replace(chosen, device="cpu:0")
    np.testing.assert_array_equal(chosen.extractor(RATE)(SIGNAL), rows(folders["Wav2Vec2"]))
    assert "cpu:0" in used
