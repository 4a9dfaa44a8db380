"""Static word vectors: tokens, the file in GloVe's format, steps of transcripts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sercli.config.schema import FeaturesConfig
from sercli.errors import RequestError
from sercli.features.audio import AudioError
from sercli.features.sets import column_names, feature_set
from sercli.features.text import TextFacts, TextSet
from sercli.features.word_vectors import read_vectors, tokens


def text_set(path: Path, level: str = "lld", **options: Any) -> TextSet:
    chosen = feature_set(FeaturesConfig("word_vectors", level, path=str(path), options=options))
    assert isinstance(chosen, TextSet)
    return chosen


@pytest.fixture(name="vectors")
def _vectors(tmp_path: Path) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text("oh 1 2\nCan't 7 7\nca 3 4\nn't 5 6\nżółw -1 .5\n", encoding="utf-8")
    return path


def test_contractions_signs_and_letters_of_any_language_are_tokens() -> None:
    assert tokens("Can\u2019t  YOU?! Żółw-2.") == [
        "ca",
        "n't",
        "you",
        "?",
        "!",
        "żółw",
        "-",
        "2",
        ".",
    ]
    assert tokens("Can't", lower=False) == ["Ca", "n't"]
    assert tokens("") == []


def test_a_step_is_the_vector_of_a_token(vectors: Path) -> None:
    (found,) = text_set(vectors).encode_all(["Oh, CAN'T żółw"])

    assert found.steps.tolist() == [[1, 2], [0, 0], [3, 4], [5, 6], [-1, 0.5]]
    assert found.steps.dtype == np.float32
    assert found.facts == TextFacts(tokens=5, unknown=1)
    assert column_names(FeaturesConfig("word_vectors", path=str(vectors))) == (
        "word_vectors[0]",
        "word_vectors[1]",
    )


def test_options_say_what_becomes_of_words_without_vector_and_of_empty_texts(vectors: Path) -> None:
    dropped, nothing, only = text_set(vectors, unknown="drop").encode_all(["Oh, oh", "", "what"])
    assert dropped.steps.tolist() == [[1, 2], [1, 2]]
    assert dropped.facts == TextFacts(3, 1)
    assert nothing.steps.tolist() == only.steps.tolist() == [[0, 0]]
    assert nothing.facts == TextFacts(0, 0)
    (mean,) = text_set(vectors, "functionals").encode_all(["oh ca"])
    assert mean.steps.tolist() == [[2, 3]]
    (cased,) = text_set(vectors, lower=False).encode_all(["Oh"])
    assert cased.facts.unknown == 1
    digests = {
        text_set(vectors, **options).digest
        for options in ({}, {"lower": False}, {"unknown": "drop"})
    }
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it holds no vectors"),
        (b"\n\n", "it holds no vectors"),
        (b"2 3\n", "it holds no vectors"),
        (b"alone\n", "line 1: has no numbers"),
        (b"oh 1 2\nno 1\n", "line 2: has 1 numbers, the lines before it 2"),
        (b"oh 1 2\nno 1 2 3\n", "line 2: has 3 numbers, the lines before it 2"),
        (b"no 1 2\noh 1 x\n", "line 2: has a value that is not a number"),
        (b"no 1 2\noh 1 nan\n", "line 2: has NaN or infinite values"),
        (b"no 1 2\noh 1 1e99\n", "line 2: has NaN or infinite values"),
        (b"\x00" * (2**20 + 1), "line 1 has more than 1048576 bytes: it is not a text file"),
    ],
)
def test_a_broken_file_is_refused_by_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.txt"
    path.write_bytes(content)

    with pytest.raises(RequestError, match=rf"^features.path=.*broken.txt: {message}"):
        read_vectors(str(path), {"oh"})


def test_headers_of_other_programs_and_words_with_spaces_are_read(tmp_path: Path) -> None:
    path = tmp_path / "vectors.vec"
    path.write_bytes(b"3 2\r\noh 1 2 \r\nat home 3 4\r\nat home 5 6\r\n\xff\xfe 7 8\r\n")

    found = read_vectors(str(path), {"oh", "at home"})

    assert {word: vector.tolist() for word, vector in found.items()} == {
        "oh": [1, 2],
        "at home": [3, 4],  # the first counts
    }


@given(
    words=st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1), unique=True),
    width=st.integers(2, 4),
    data=st.data(),
)
def test_whatever_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], width: int, data: st.DataObject
) -> None:
    numbers = st.lists(st.floats(-1e3, 1e3, width=32), min_size=width, max_size=width)
    expected = {word: data.draw(numbers) for word in ["first", *words]}
    path = tmp_path_factory.mktemp("drawn") / "vectors.txt"
    lines = [f"{word} {' '.join(map(repr, row))}\n" for word, row in expected.items()]
    path.write_text("".join(lines), encoding="utf-8", newline="")

    found = read_vectors(str(path), expected)

    assert found.keys() == expected.keys()
    for word, row in expected.items():
        assert all(map(math.isclose, found[word].tolist(), row))


def test_invalid_requests_are_refused(vectors: Path, tmp_path: Path) -> None:
    for config, message in (
        (
            FeaturesConfig("word_vectors"),
            r"features=word_vectors needs a text file of word vectors",
        ),
        (FeaturesConfig("word_vectors", path=str(tmp_path)), "no such file"),
        (
            FeaturesConfig("word_vectors", level="lld_delta", path=str(vectors)),
            "word_vectors has lld",
        ),
    ):
        with pytest.raises(RequestError, match=message):
            feature_set(config)
    for option, value in (("unknown", "mean"), ("missing", "no"), ("column", "emotion")):
        with pytest.raises(RequestError, match=f"features.options.{option}={value} is not known"):
            text_set(vectors, **{option: value})
    with pytest.raises(AudioError, match="reads a transcript, and a recording has none"):
        text_set(vectors).extractor(16000)(np.zeros(16000))
