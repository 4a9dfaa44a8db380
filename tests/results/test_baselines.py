"""The registry of published results."""

from __future__ import annotations

from pathlib import Path

import pytest

from sercli.errors import SercliError
from sercli.results.baselines import Baseline, known_baselines, read_baselines, table_1

ENTRY = "{system: A, source: S, corpus: c, classes: 4, protocol: p, modality: audio, "


@pytest.fixture(name="registry")
def _registry(tmp_path: Path) -> Path:
    return tmp_path / "baselines.yaml"


def test_the_shipped_registry_has_table_1_of_the_ar_gru_paper() -> None:
    table = {b.system: (b.alpha, b.beta, b.ua, b.wa) for b in table_1(read_baselines())}
    assert table == {
        "BiLSTM+ATT": (None, None, 58.8, 63.5),
        "MDNN": (None, None, 62.7, 61.8),
        "IAAN": (None, None, 66.3, 64.7),
        "R-GRU": (None, None, 67.7, 65.8),
        "AR-GRU (I)": (0.9, 2.0, 35.7, 38.7),
        "AR-GRU (II)": (0.0, 2.0, 66.3, 64.7),
        "AR-GRU (III)": (0.01, -4.0, 66.9, 65.4),
        "AR-GRU (IV)": (0.01, 2.0, 67.9, 66.6),
        "AR-GRU (V)": (0.01, 1.0, 68.3, 66.9),
    }


def test_every_shipped_entry_says_where_it_comes_from_and_what_chose_it() -> None:
    for baseline in read_baselines():
        assert baseline.source
        assert baseline.selection in ("dev", "test", "unknown")
        assert 25 < baseline.ua < 100
        assert 25 < baseline.wa < 100


def test_an_entry_becomes_a_baseline(registry: Path) -> None:
    registry.write_text(f"- {ENTRY} ua: 60.0, wa: 61.0, selection: dev, beta: 2.0}}")

    assert read_baselines(registry) == [
        Baseline(
            system="A",
            source="S",
            corpus="c",
            classes=4,
            protocol="p",
            modality="audio",
            ua=60.0,
            wa=61.0,
            selection="dev",
            beta=2.0,
        )
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"- {ENTRY} ua: 1, wa: 1, selection: dev, gamma: 3}}", "'A': unknown key 'gamma'"),
        (f"- {ENTRY} ua: 1, selection: dev}}", "'A': wa is missing"),
        (f"- {ENTRY} ua: high, wa: 1, selection: dev}}", "'A': ua must be a number, not 'high'"),
        (
            f"- {ENTRY} ua: 680, wa: 1, selection: dev}}",
            "'A': ua must be less than .* not 680",
        ),
        (f"- {ENTRY} ua: 1, wa: .nan, selection: dev}}", "'A': wa must be "),
        (
            f"- {ENTRY} ua: 1, wa: 1, selection: best}}",
            "selection must be .* not 'best'",
        ),
        (
            f"- {ENTRY} ua: 1, wa: 1, selection: dev, models: iaan}}",
            "'A': models .*not 'iaan'",
        ),
        (
            f"- {ENTRY} ua: 1, wa: 1, selection: dev, alpha: yes}}",
            "'A': alpha must be a number",
        ),
        ("- {1: 2}", "unknown key '1'"),
        ("- A", "entry 1 must be a mapping, not 'A'"),
        ("", "expected a list"),
        ("system: A", "expected a list"),
        ("- {system: [", "expected"),
        ("\x00", "special characters"),
    ],
)
def test_a_damaged_registry_is_one_line_that_names_it(
    registry: Path, text: str, reason: str
) -> None:
    registry.write_text(text)

    with pytest.raises(SercliError, match=reason) as error:
        read_baselines(registry)
    assert str(error.value).startswith(f"published baselines {registry}: ")
    assert "\n" not in str(error.value)


def test_a_missing_registry_is_an_error(registry: Path) -> None:
    with pytest.raises(SercliError, match="No such file"):
        read_baselines(registry)


def test_the_users_file_adds_to_the_shipped_registry(registry: Path) -> None:
    registry.write_text(f"- {ENTRY} ua: 60.0, wa: 61.0, selection: dev}}")

    known = known_baselines(registry)

    assert known[:-1] == known_baselines() == read_baselines()
    assert known[-1].system == "A"


def test_an_entry_of_the_same_system_and_source_takes_the_place_of_the_shipped_one(
    registry: Path,
) -> None:
    registry.write_text(
        "- {system: R-GRU, source: Rajamani et al. 2021 Table 1, corpus: iemocap, classes: 4, "
        "protocol: loso_session, modality: audio, ua: 50, wa: 51, selection: dev}\n"
        "- {system: R-GRU, source: Elsewhere, corpus: iemocap, classes: 4, "
        "protocol: loso_session, modality: audio, ua: 52, wa: 53, selection: dev}"
    )

    found = [b for b in known_baselines(registry) if b.system == "R-GRU"]

    assert [(b.source[:8], b.ua) for b in found] == [("Rajamani", 50), ("Elsewher", 52)]
    systems = [b.system for b in table_1(known_baselines(registry))]
    assert systems == [b.system for b in table_1(known_baselines())]
