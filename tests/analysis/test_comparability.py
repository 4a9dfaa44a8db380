"""Whether a run and a published result may stand side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sercli.analysis.comparability import caveat, published_match, why_incomparable
from sercli.config.compose import compose
from sercli.config.run_key import result_relevant
from sercli.results.baselines import Baseline, read_baselines
from sercli.results.run_record import Record

BASELINE = Baseline(
    system="AR-GRU (V)",
    source="Rajamani et al. 2021 Table 1",
    corpus="iemocap",
    classes=4,
    protocol="loso_session",
    modality="audio+context",
    ua=68.3,
    wa=66.9,
    selection="unknown",
)


def test_the_same_corpus_task_and_protocol_compare(record: Callable[..., Record]) -> None:
    assert why_incomparable(record().summary["card"], BASELINE) is None


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"synthetic": True}, "iemocap is real speech, that of the run is synthetic"),
        ({"dataset": "nemo"}, "corpus iemocap, not nemo"),
        ({"classes": ["a", "b"]}, "4 classes, not 2"),
        ({"protocol": "loso_speaker"}, "protocol loso_session, not loso_speaker"),
        ({"augmentation": "speed"}, "the run is trained with augmentation"),
        ({"labels": "soft"}, "the run is trained with labels of raters"),
        (
            {"streams": {"text": {"features": "word_vectors of …"}}, "transcripts": {"text": {}}},
            "only the run reads transcripts",
        ),
        ({"utterances": 5530}, "the run has 5530 of 5531 utterances"),
        ({"utterances": 5532}, "the run has 5532 of 5531 utterances"),
        (
            {"expected": None},
            "dataset.expected does not say how many utterances the complete corpus has",
        ),
    ],
)
def test_what_differs_is_said(
    record: Callable[..., Record], facts: dict[str, Any], reason: str
) -> None:
    assert why_incomparable(record(card=facts).summary["card"], BASELINE) == reason


def test_transcripts_compare_with_transcripts_and_targets_of_ctc_with_speech(
    record: Callable[..., Record],
) -> None:
    both = BASELINE.model_copy(update={"modality": "audio+text"})
    words, targets = (
        {"streams": {"text": {"features": name}}, "transcripts": {"text": {}}}
        for name in ("text_encoder of …", "characters of …")
    )
    cards = [record(card=facts).summary["card"] for facts in (words, targets)]
    alone = "only the published system reads transcripts"
    assert [why_incomparable(card, both) for card in cards] == [None, alone]
    assert why_incomparable(cards[1], BASELINE) is None


def test_a_test_selected_run_compares_by_what_it_divides_but_with_no_dev_selected_result(
    record: Callable[..., Record],
) -> None:
    facts = {"protocol": "iaan_repo", "division": "loso_session", "selected_on": "test"}
    card = record(card=facts).summary["card"]

    assert why_incomparable(card, BASELINE) is None
    honest = BASELINE.model_copy(update={"selection": "dev"})
    assert why_incomparable(card, honest) == "selected on dev, the run on test"
    assert why_incomparable({**card, "selected_on": "dev"}, honest) is None


@pytest.mark.parametrize(
    ("overrides", "system"),
    [
        (["model=iaan", "activation=tanh"], "IAAN"),
        (["model=iaan_repo_small", "activation=relu"], "R-GRU"),
        (["arelu.alpha=0.01", "arelu.beta=1"], "AR-GRU (V)"),
        (["arelu.alpha=0", "arelu.alpha_min=0", "arelu.beta=2"], "AR-GRU (II)"),
        (["model=mdnn_small", "activation=tanh"], "MDNN"),
        (["model=bigru_att", "activation=tanh"], "BiGRU+ATT (re-run by others)"),
        (["model=bilstm_att", "cell=lstm", "activation=tanh"], "BiLSTM+ATT"),
        (["model=bilstm_att", "activation=tanh"], None),
        (["model=iaan", "cell=lstm", "activation=tanh"], None),
        (["arelu.alpha=0.5"], None),
        (["activation=leaky_relu"], None),
        (["model=bigru_iaa", "activation=tanh"], None),
    ],
)
def test_a_run_stands_for_the_published_row_of_its_model_cell_and_activation(
    overrides: list[str], system: str | None
) -> None:
    found = published_match(result_relevant(compose(overrides)), read_baselines())

    assert (found.system if found else None) == system


@pytest.mark.parametrize(("dataset", "corpus"), [("emodb", "emodb"), ("nemo", "iemocap")])
def test_a_result_on_the_corpus_of_the_run_is_preferred(dataset: str, corpus: str) -> None:
    configuration = result_relevant(compose(["model=light_sernet_small", f"dataset={dataset}"]))
    found = published_match(configuration, read_baselines())
    assert found is not None
    assert (found.system, found.corpus) == ("LIGHT-SERNET", corpus)


def test_an_unknown_protocol_compares_with_nothing(record: Callable[..., Record]) -> None:
    baseline = BASELINE.model_copy(update={"protocol": "unknown"})

    assert (
        why_incomparable(record().summary["card"], baseline) == "protocol unknown, not loso_session"
    )


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        ("dev", ""),
        ("test", "selected on test: compare with the oracle"),
        ("unknown", "selection not stated"),
    ],
)
def test_a_comparable_result_may_call_for_caution(selection: str, words: str) -> None:
    assert caveat(BASELINE.model_copy(update={"selection": selection})) == words
