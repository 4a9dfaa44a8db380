"""Settings that no corpus can make valid are refused before one is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.shell import InProcessShell

from sercli.config.compose import compose
from sercli.errors import RequestError
from sercli.resources import packaged
from sercli.training.validate import check_settings

SMALL = sorted(path.stem for path in packaged("conf").glob("model/*_small.yaml"))


@pytest.mark.parametrize("model", [*SMALL, "svm_functionals"])
def test_every_model_passes_whatever_it_wants_of_a_corpus(model: str) -> None:
    features = ["features=eGeMAPSv02", "features.level=functionals"]
    chosen = [f"model={model}", *(features if model.startswith("svm") else [])]
    streams = compose(chosen).model.get("streams", [])
    check_settings(compose([*chosen, *(f"streams.{name}=mfcc" for name in streams)]))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.hidden=0"], "model.hidden=0"),
        (["model.dropout=2"], "model.dropout=2"),
        (["model.hidden=wide"], "model.hidden=wide"),
        (["cell.layers=0"], "cell.layers=0"),
        (["arelu.alpha=0"], "alpha=0"),
        (["device=gpu"], "device=gpu is not available here; try auto, cpu or cuda"),
        (["model=svm_functionals"], "set features.level=functionals"),
    ],
)
def test_an_invalid_setting_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_settings(compose(overrides))


@pytest.mark.parametrize("verb", [["train"], ["sweep", "activation=tanh,relu"]])
def test_nothing_is_extracted_before(tmp_path: Path, verb: list[str]) -> None:
    line = InProcessShell(tmp_path).refused(*verb, "model.hidden=0")
    assert "model.hidden=0" in line
    assert list(tmp_path.iterdir()) == []
