"""`features=custom features.config=PATH`: a user's own openSMILE configuration."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import opensmile
import pytest

from sercli.config.compose import compose
from sercli.config.schema import FeaturesConfig
from sercli.corpora.manifest import Manifest
from sercli.errors import RequestError
from sercli.features.extract import extract
from sercli.features.plan import recipe_digest
from sercli.features.sets import column_names, feature_set
from sercli.features.smile_config import packaged_configuration, read_configuration
from sercli.features.smile_sets import own_set, packaged_set
from sercli.features.store import FeatureStore

RATE = 16000
PACKAGE = packaged_configuration(".")

LOUDNESS = r"""; loudness of 25 ms frames
[componentInstances:cComponentManager]
instance[dataMemory].type=cDataMemory
instance[frames].type=cFramer
instance[loudness].type=cIntensity
\{\cm[source{?}:where samples come in]}
[frames:cFramer]
reader.dmLevel=wave
writer.dmLevel=frames
frameSize=0.025
frameStep=0.010
[loudness:cIntensity]
reader.dmLevel=frames
writer.dmLevel=lld
loudness=1
intensity=0
\{\cm[sink{?}:where features go out]}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "loudness.conf"
    path.write_text(LOUDNESS)
    return path


@pytest.fixture(scope="module", name="signal")
def _signal(voice: Callable[..., np.ndarray]) -> np.ndarray:
    return np.asarray(voice(0.5) / 32768, np.float32)


def custom(path: Path, level: str = "lld") -> FeaturesConfig:
    return FeaturesConfig(name="custom", config=str(path), level=level)


def _edited(own: Path, old: str, new: str) -> Path:
    assert old in LOUDNESS
    own.write_text(LOUDNESS.replace(old, new))
    return own


def test_it_gives_what_the_package_gives_with_it(own: Path, signal: np.ndarray) -> None:
    smile = opensmile.Smile(str(own), "lld")
    assert column_names(custom(own)) == tuple(smile.feature_names) == ("pcm_loudness",)
    frames = feature_set(custom(own)).extractor(RATE)(signal)
    np.testing.assert_array_equal(frames, smile(signal, RATE)[0].T)


@pytest.mark.parametrize("level", ["lld", "lld_delta", "functionals"])
def test_a_copy_of_a_set_of_the_package_gives_the_same(
    tmp_path: Path, signal: np.ndarray, level: str
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "config")
    copy = own_set("copy", str(tmp_path / "config/gemaps/../is09-13/IS09_emotion.conf"), level)
    original = packaged_set("IS09", level)
    np.testing.assert_array_equal(copy.extractor(RATE)(signal), original.extractor(RATE)(signal))


@pytest.mark.filterwarnings("ignore:.*deprecated")
@pytest.mark.parametrize(
    "name", [each for each in opensmile.FeatureSet.__members__ if each not in ("GeMAPS", "eGeMAPS")]
)
def test_every_configuration_of_the_package_can_be_used_by_path(name: str) -> None:
    path = packaged_configuration(opensmile.FeatureSet[name].value + ".conf")
    own = own_set("own", str(path), "functionals")
    assert (
        list(own.extractor(RATE).names)
        == opensmile.Smile(opensmile.FeatureSet[name], "func").feature_names
    )


def test_it_is_extracted_and_kept_like_any_set(
    own: Path, tmp_path: Path, corpus: Callable[..., Manifest]
) -> None:
    manifest = corpus(tmp_path / "audio", 3)
    first = extract(manifest, custom(own), tmp_path / "store")
    assert (first.extracted, first.refused) == (3, {})
    store = FeatureStore(tmp_path / "store")
    assert all(store.get(key).shape[1] == 1 for key in first.keys.values())
    moved = own.rename(tmp_path / "moved.conf")
    assert extract(manifest, custom(moved), tmp_path / "store").reused == 3
    _edited(moved, "0.025", "0.020")
    assert extract(manifest, custom(moved), tmp_path / "store").extracted == 3


def test_what_it_includes_is_part_of_its_key(own: Path, tmp_path: Path) -> None:
    _edited(own, "frameStep=0.010", "\\{steps/step.inc}")
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps/step.inc").write_text("\\{nested.inc}\n")

    def digest(step: str) -> str:
        (tmp_path / "steps/nested.inc").write_text(step)
        return recipe_digest(own_set("own", str(own), "lld"), RATE)

    assert digest("frameStep=0.010") == digest("frameStep=0.010")
    assert digest("frameStep=0.010") != digest("frameStep=0.005")


def test_an_include_means_the_same_in_every_folder(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _edited(own, "frameStep=0.010", "\\{step.inc}")
    (tmp_path / "step.inc").write_text("frameStep=0.010")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "step.inc").write_text("frameStep=0.123")
    monkeypatch.chdir(elsewhere)
    assert "frameStep=0.010" in read_configuration(own).split("\n")


def test_a_path_with_letters_beyond_ascii_is_read(own: Path, signal: np.ndarray) -> None:
    zoe = own.rename(own.with_name("zoë.conf"))
    assert own_set("zoë", str(zoe), "lld").extractor(RATE)(signal).shape[1] == 1


def test_includes_in_comments_are_left_alone(own: Path) -> None:
    _edited(
        own, "frameStep=0.010", "/*\n\\{no.inc}\n[a:cCsvSink]\n*/\n; \\{no.inc}\nframeStep=0.01"
    )
    assert own_set("own", str(own), "lld").extractor(RATE).names == ("pcm_loudness",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "frameStep",
            "frameStpe",
            r"does not accept features\.config=.*'frameStpe=0.010'.*unknown",
        ),
        ("cIntensity", "cIntensty", r"does not accept features\.config=.*cIntensty.*unknown"),
        (
            "=frames\nwriter.dmLevel=lld",
            "=framse\nwriter.dmLevel=lld",
            r"does not accept features\.config=.*'framse' was not found",
        ),
        ("frameSize=0.025", "frameSize=long", r"'frameSize=long'.*'long'"),
        ("[frames:cFramer]", "[frames:cFramer", "missing ']'"),
        ("writer.dmLevel=lld", "writer.dmLevel=mine", "no data memory level 'lld'"),
        ("frameStep=0.010", "\\{no.inc}", "includes 'no.inc', which does not exist"),
        ("frameStep=0.010", "\\{loudness.conf}", "a loop"),
        ("frameStep=0.010", "\\{\\cm[", "cannot be understood"),
        ("frameStep=0.010", "\\{\\cm[step]}", "includes '', which does not exist"),
        ("\\{\\cm[source{?}:where samples come in]}", "", "must leave its source and sink open"),
        ("\\{\\cm[sink{?}:where features go out]}", "", "must leave its source and sink open"),
        ("; loudness", "\0", "bytes that are no text"),
    ],
)
def test_an_error_in_it_is_one_line_that_names_it(
    own: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as error:
        feature_set(custom(_edited(own, old, new)))
    assert "\n" not in str(error.value)
    assert "loudness.conf" in str(error.value)


@pytest.mark.parametrize(
    ("addition", "message"),
    [
        ("[componentInstances:cComponentManager]\ninstance[out].type=cCsvSink", "cCsvSink may not"),
        ("[out:cArffSink]", "cArffSink may not be in it"),
        ("instance[out].type = cWaveSinkCut", "cWaveSinkCut may not be in it"),
        ("instance[in].type = cWaveSource", "cWaveSource may not be in it"),
        ("instance[out].type=\\cm[which{cCsvSink}:sink]", "cCsvSink may not be in it"),
        ("instance[out].type=\\cm[which{cCsv}:sink]", "type of a component must be written out"),
        ("filename = out.csv", "'filename' names another file"),
        ("saveWindowToFile=w.txt", "'saveWindowToFile' names another file"),
        ("periodOutputFile=p.txt", "'periodOutputFile' names another file"),
        ("Peaks2.posDbgOutp = peaks.txt", "'Peaks2.posDbgOutp' names another file"),
        ("jitter.periodOutputFile=p.txt", "'jitter.periodOutputFile' names another file"),
        ("initFile=means.bin", "'initFile' names another file"),
        ("\\{writer.inc}", r"writer\.inc, line 1: cHtkSink may not be in it"),
    ],
)
def test_nothing_in_it_may_write_or_read_other_files(
    own: Path, tmp_path: Path, addition: str, message: str
) -> None:
    (tmp_path / "writer.inc").write_text("[out:cHtkSink]\nfilename=out.htk\n")
    before = sorted(tmp_path.iterdir())
    _edited(own, "; loudness", addition + "\n; loudness")
    with pytest.raises(RequestError, match=message):
        feature_set(custom(own))
    assert sorted(tmp_path.iterdir()) == before


def test_extracting_with_it_leaves_no_file_beside_it(
    own: Path, signal: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    own_set("own", str(own), "lld").extractor(RATE)(signal)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["loudness.conf", "tmp"]


def test_a_mistake_on_which_opensmile_aborts_ends_in_one_line(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "config")
    core = tmp_path / "config/egemaps/v02/eGeMAPSv02_core.lld.conf.inc"
    text = core.read_text()
    assert "reader.dmLevel=gemapsv01b_fftmagH25" in text
    core.write_text(text.replace("reader.dmLevel=gemapsv01b_fftmagH25", "reader.dmLevel=oops"))
    with pytest.raises(
        RequestError, match=r"does not accept .*level 'oops' was not found"
    ) as error:
        feature_set(custom(tmp_path / "config/egemaps/v02/eGeMAPSv02.conf"))
    assert "\n" not in str(error.value)


def test_functionals_of_several_rows_are_refused(own: Path) -> None:
    _edited(own, "writer.dmLevel=lld", "writer.dmLevel=func")
    with pytest.raises(RequestError, match="gives 98 rows of an utterance instead of one"):
        feature_set(custom(own, "functionals"))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (FeaturesConfig(name="custom"), "add features.config=PATH"),
        (FeaturesConfig(name="custom", config="no.conf"), r"no\.conf cannot be read: No such file"),
        (FeaturesConfig(name="custom", config="."), "cannot be read: Is a directory"),
        (FeaturesConfig(name="IS09", config="no.conf"), "use features=custom with yours"),
        (FeaturesConfig(name="mfcc", config="no.conf"), "use features=custom with yours"),
    ],
)
def test_a_configuration_that_is_not_there_or_not_wanted_is_named(
    features: FeaturesConfig, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        feature_set(features)


def test_it_may_have_a_name_of_its_own(own: Path) -> None:
    chosen = feature_set(FeaturesConfig(name="loudness", config=str(own)))
    assert chosen.name == "loudness"


def test_it_is_chosen_on_the_command_line(own: Path) -> None:
    assert compose(["features=custom", f"features.config={own}"]).features == custom(own)
