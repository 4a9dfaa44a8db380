"""Several corpora in one manifest: names, classes, folds between corpora."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.corpus_factory import add

from sercli.config.compose import compose
from sercli.config.frozen import freeze, thaw
from sercli.config.run_key import result_relevant, run_key
from sercli.config.schema import Config
from sercli.corpora.audio_stats import AudioFacts
from sercli.corpora.audit import audit
from sercli.corpora.context import find_context
from sercli.corpora.read import read_corpus
from sercli.errors import RequestError
from sercli.features.load import load_features
from sercli.features.store import FeatureStore
from sercli.results.folds import Fold
from sercli.results.seen import identities, overlap
from sercli.training.data import Data, describe_utterances
from sercli.training.folds import check_samples, make_folds
from sercli.training.run import training_statistics

SPEAKERS = ("03", "08", "09", "10", "11")
SIDES = ("protocol.sides.train=[emodb]", "protocol.sides.test=[savee]")


@pytest.fixture(name="roots", scope="module")
def _roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """EmoDB with five speakers and SAVEE with four, of the four common classes and fear."""
    emodb, savee = (tmp_path_factory.mktemp(name) for name in ("emodb", "savee"))
    add(emodb, *(f"wav/{speaker}a01{code}a.wav" for speaker in SPEAKERS for code in "WFNTA"))
    names = [f"{code}01.wav" for code in ("a", "h", "n", "sa", "f")]
    add(savee, *(f"{who}/{name}" for who in ("DC", "JE", "JK", "KL") for name in names))
    return emodb, savee


@pytest.fixture(name="config")
def _config(roots: tuple[Path, Path]) -> Callable[..., Config]:
    def make(*overrides: str, of: str = "emodb,savee") -> Config:
        first, second = of.split(",")
        folders = zip((first, second), roots, strict=True)
        places = [f"dataset.parts.{name}.root={root}" for name, root in folders]
        return compose(["dataset=several", f"dataset.of=[{of}]", *places, *overrides])

    return make


def test_every_name_says_its_corpus_and_the_classes_are_common(
    config: Callable[..., Config],
) -> None:
    manifest = read_corpus(config().dataset)

    targets = manifest.targets
    assert manifest.dataset == "emodb+savee"
    assert manifest.classes == ("anger", "happiness", "neutral", "sadness")
    assert targets["corpus"].value_counts().to_dict() == {"emodb": 20, "savee": 16}
    assert set(targets["speaker"]) >= {"emodb/03", "savee/DC"}
    assert set(targets["utterance"]) >= {"emodb/03a01Wa", "savee/DC_a01"}
    assert targets.groupby("corpus")["label"].nunique().to_dict() == {"emodb": 4, "savee": 4}
    assert len(manifest.table) == 45  # fear has no label
    found = audit(manifest, config().dataset)
    assert found.corpora["savee"] == dict.fromkeys(manifest.classes, 4)


@pytest.mark.parametrize(
    ("overrides", "of", "message"),
    [
        ((), "emodb_full,savee", "class 'boredom' of emodb_full has no class in the task"),
        (("~dataset.classes.neutral",), "emodb,savee", "class 'neutral' of emodb has no class"),
        ((), "emodb,emodb_full", "two corpora have the name 'emodb'"),
        ((), "emodb,saveee", "unknown dataset 'saveee'. Did you mean 'savee'?"),
        ((), "several,savee", "unknown dataset 'several'"),
    ],
)
def test_a_lost_class_and_an_unknown_corpus_are_refused_by_name(
    config: Callable[..., Config], overrides: tuple[str, ...], of: str, message: str
) -> None:
    with pytest.raises(RequestError) as error:
        read_corpus(config(*overrides, of=of).dataset)
    assert message in str(error.value)


def test_a_class_without_utterances_in_a_corpus_is_refused(
    config: Callable[..., Config], tmp_path: Path
) -> None:
    add(tmp_path, *(f"wav/03a01{code}a.wav" for code in "WFT"))
    dataset = config(f"dataset.parts.emodb.root={tmp_path}").dataset
    with pytest.raises(RequestError, match="emodb has no utterance of the class 'neutral'"):
        read_corpus(dataset)


def test_a_class_can_be_left_out_by_its_name(config: Callable[..., Config]) -> None:
    overrides = ("~dataset.classes.neutral", "dataset.options.drop=[neutral]")
    manifest = read_corpus(config(*overrides).dataset)
    assert manifest.classes == ("anger", "happiness", "sadness")
    assert len(manifest.targets) == 27


def test_without_corpora_or_without_the_choice_the_request_is_refused() -> None:
    with pytest.raises(RequestError, match=r"name its corpora, as in dataset\.of"):
        compose(["dataset=several"])
    with pytest.raises(RequestError, match="need dataset=several"):
        compose(["dataset=emodb", "dataset.of=[savee]"])


def test_the_key_depends_on_the_corpora_and_not_on_their_folders(
    config: Callable[..., Config],
) -> None:
    here = config()
    elsewhere = config("dataset.parts.savee.root=/elsewhere")
    other = config(of="emodb,crema_d")
    assert run_key(here, "data") == run_key(elsewhere, "data") != run_key(other, "data")
    assert set(result_relevant(here)["dataset"]["parts"]) == {"emodb", "savee"}
    assert "parts" not in result_relevant(compose([]))["dataset"]


def test_a_frozen_configuration_holds_the_corpora_and_refuses_to_vary_them() -> None:
    text = freeze(["dataset=several", "dataset.of=[emodb,savee]"])
    assert set(thaw(text, {}).dataset.parts) == {"emodb", "savee"}
    with pytest.raises(RequestError, match=r"name the same corpora in both"):
        thaw(text, {"dataset.of": ["emodb", "nemo"]})


def data_of(config: Config) -> Data:
    manifest = read_corpus(config.dataset)
    names = manifest.table["utterance"]
    steps = dict.fromkeys(names, np.zeros((2, 3), np.float32))
    contents = {name: f"{number:04x}" for number, name in enumerate(names)}
    context = find_context(manifest, config.dataset.context)
    return Data(manifest, steps, context, "several", contents=contents)


def test_one_corpus_trains_and_selects_and_another_tests(config: Callable[..., Config]) -> None:
    data = data_of(config())
    protocol = config("protocol=cross_corpus", *SIDES, "protocol.dev_share=0.3").protocol
    (fold,) = make_folds(data.manifest, protocol)

    speakers = data.speakers
    assert {speakers[name].partition("/")[0] for name in fold.test} == {"savee"}
    assert {speakers[name].partition("/")[0] for name in (*fold.train, *fold.dev)} == {"emodb"}
    dev = {speakers[name] for name in fold.dev}
    assert len(dev) == 2  # of five speakers until 30 % of the utterances
    assert not dev & {speakers[name] for name in fold.train}


def test_each_corpus_is_left_out_once_and_dev_has_speakers_of_all_others(
    config: Callable[..., Config],
) -> None:
    data = data_of(config())
    folds = make_folds(data.manifest, config("protocol=loso_corpus").protocol)
    assert [fold.name for fold in folds] == ["emodb", "savee"]
    assert [len(fold.dev) for fold in folds] == [4, 4]  # one speaker


def test_protocols_of_corpora_say_what_they_need(config: Callable[..., Config]) -> None:
    manifest = read_corpus(config().dataset)
    alone = replace(manifest, table=manifest.table.assign(corpus=None).astype({"corpus": "str"}))
    with pytest.raises(RequestError, match="dataset=several"):
        make_folds(alone, config("protocol=loso_corpus").protocol)
    with pytest.raises(RequestError, match=r"protocol\.sides\.train to values of .*emodb, savee"):
        make_folds(manifest, config("protocol=cross_corpus").protocol)


def test_a_normalisation_per_corpus_needs_several(
    config: Callable[..., Config],
) -> None:
    assert config("features.normalise=corpus").features.normalise == "corpus"
    with pytest.raises(RequestError, match=r"^features\.normalise=corpus needs several corpora"):
        compose(["dataset=emodb", "features.normalise=corpus"])
    with pytest.raises(RequestError, match=r"^streams\.x\.normalise=corpus needs several corpora"):
        compose(["dataset=emodb", "streams.x=log_mel", "streams.x.normalise=corpus"])


def test_the_statistics_of_a_fold_are_those_of_its_training_corpora(
    config: Callable[..., Config], tmp_path: Path
) -> None:
    data = data_of(config())
    table = data.manifest.table
    random, store = np.random.default_rng(0), FeatureStore(tmp_path, create=True)
    facts = AudioFacts(1.0, 16000, 1, peak=0.5, clipped_share=0.0, content="")
    frames = {name: random.normal(size=(4, 2)).astype(np.float32) for name in table["utterance"]}
    for name, values in frames.items():
        store.put(name, values, facts)
    keys = {name: name for name in frames}
    steps = load_features(
        data.manifest, keys, tmp_path, config("features.normalise=corpus").features
    )
    folds = make_folds(data.manifest, config("protocol=loso_corpus").protocol)
    found = training_statistics(replace(data, steps=steps), folds)
    assert found is not None
    for mean, count, fold in zip(found["mean"], found["frames"], folds, strict=True):
        heard = [x for name, x in frames.items() if not name.startswith(f"{fold.name}/")]
        np.testing.assert_allclose(mean, np.concatenate(heard).mean(axis=0), rtol=1e-5)
        assert count == 4 * len(heard)


def test_samples_of_a_test_utterance_in_another_corpus_are_refused(
    config: Callable[..., Config],
) -> None:
    data = data_of(config())
    twins = {**data.contents, "savee/DC_a01": data.contents["emodb/03a01Wa"]}
    fold = Fold("x", train=("emodb/03a01Wa",), dev=(), test=("savee/DC_a01",))
    check_samples([fold], data)
    with pytest.raises(RequestError, match="emodb has 1 utterance with the samples"):
        check_samples([fold], replace(data, contents=twins))


def test_an_utterance_is_the_same_alone_and_among_several_corpora(
    config: Callable[..., Config], roots: tuple[Path, Path]
) -> None:
    several = describe_utterances(data_of(config()))
    table = identities(several, "emodb+savee")
    alone = describe_utterances(
        data_of(compose(["dataset=emodb", f"dataset.root={roots[0]}"]))
    ).assign(content=None)
    seen = identities(alone, "emodb")
    found = overlap(seen.iloc[:1], table, list(table.index))
    assert found.utterances == (f"emodb/{seen['utterance'].iloc[0]}",)
    assert found.speakers == (seen["speaker"].iloc[0],)
