"""Streams in a configuration: names, choices, settings, sweeps, the user's own defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from sercli.config.completion import complete
from sercli.config.compose import comments, compose
from sercli.config.frozen import choices_of, freeze, thaw
from sercli.config.run_key import result_relevant, run_key
from sercli.errors import RequestError
from sercli.search.plan.plan import make_plan

TEXT = ("streams.text=word_vectors", "streams.text.path=~x/v.txt")


def test_a_stream_has_the_settings_of_its_set_below_the_given_ones() -> None:
    config = compose([*TEXT, "streams.text.options.lower=false", "streams.a_1=mfcc"])

    text = config.streams["text"]
    assert (text.name, text.pool, text.normalise, text.path) == (
        *("word_vectors", 1, "none"),
        "~x/v.txt",
    )
    assert text.options == compose(["features=word_vectors"]).features.options | {"lower": False}
    assert config.streams["a_1"] == compose(["features=mfcc"]).features
    assert comments(TEXT)["streams.text.options.lower"] == "Look words up in lower case"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            "streams=mfcc",
            "unknown key 'streams'; name each stream, as in streams.text=word_vectors",
        ),
        ("stream.text=mfcc", "unknown key 'stream.text'; it needs streams.text=FEATURES"),
        ("streams.text.pool=3", "unknown key 'streams.text.pool'; it needs streams.text=FEATURES"),
        ("streams.text=mfcc streams.txt.pool=3", "'streams.txt.pool'; the stream is named 'text'"),
        ("streams.text=mfcc streams.text.poo=3", "Did you mean 'streams.text.pool'?"),
        ("streams.text=mffc", "unknown streams.text 'mffc'. Did you mean 'mfcc'?"),
        ("streams.text=mfcc,log_mel", "sercli sweep streams.text=mfcc,log_mel"),
        ("streams.text=mfcc streams.text.pool=0", "streams.text.pool=0: must be 1 or more"),
        ("streams.text=mfcc streams.text.level=x", "streams.text.level=x is not known"),
        ("streams.te-xt=mfcc", "streams.te-xt: a name has letters, digits and _ only"),
    ],
)
def test_misspelled_streams_are_refused_with_what_is_meant(overrides: str, message: str) -> None:
    with pytest.raises(RequestError) as refused:
        compose(overrides.split())
    assert message in str(refused.value)


def test_the_key_has_the_streams_without_their_paths_and_in_any_order() -> None:
    other = ["streams.more=mfcc", *TEXT[:1], "streams.text.path=/elsewhere"]
    one, two = compose([*TEXT, "streams.more=mfcc"]), compose(other)

    assert run_key(one, "data") == run_key(two, "data")
    keys = {run_key(compose(each), "data") for each in ([], TEXT, [*TEXT, "streams.text.pool=2"])}
    assert len(keys) == 3
    means = result_relevant(compose([*TEXT, "streams.text.level=functionals"]))
    assert {"pool", "max_frames", "path"}.isdisjoint(means["streams"]["text"])


def test_streams_are_frozen_and_swept() -> None:
    frozen = freeze(TEXT)
    assert choices_of(frozen)["streams.text"] == "word_vectors"
    assert thaw(frozen, {"streams.text.pool": 3}).streams["text"].pool == 3

    plan = make_plan(["streams.text=mfcc,log_mel", "streams.text.pool=1,2"])

    found = [plan.space.thaw(point).streams["text"] for point in plan.points]
    assert [(each.name, each.pool) for each in found] == [
        *(("mfcc", 1), ("mfcc", 2)),
        *(("log_mel", 1), ("log_mel", 2)),
    ]


def test_own_defaults_choose_streams_until_the_command_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sercli.yaml").write_text("streams.text: mfcc\nstreams.text.pool: 7\n")

    assert (compose([]).streams["text"].name, compose([]).streams["text"].pool) == ("mfcc", 7)
    assert compose(["streams.text=log_mel"]).streams == {
        "text": compose(["features=log_mel"]).features
    }


def test_streams_are_completed() -> None:
    assert "streams.words=word_vectors" in complete("streams.words=")
    assert "streams.text=word_vectors" in complete("strea")
    assert "streams.words.pool=5" in complete("streams.words.po")
