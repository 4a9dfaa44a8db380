"""All figures of a report, and the files that they become."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from helpers.run_factory import as_sealed, drawn_texts, make_history, make_run
from matplotlib.font_manager import FontEntry

from sercli.reporting.figures import fonts
from sercli.reporting.figures.draw import draw_all
from sercli.reporting.figures.plot import Plot, as_svg, file_name, save, save_all
from sercli.reporting.names import without_common_words
from sercli.results.run_record import Record
from sercli.results.sweep_summary import SweepSummary

ARELU = {"name": "arelu", "alpha_min": 0.01, "alpha_max": 0.99}
LEARNED = {"activation/current.activations.l0.alpha": [0.1, 0.2, 0.3, 0.4]}


def sweep(experiment: str) -> tuple[SweepSummary, pd.DataFrame]:
    page = SweepSummary(experiment, "grid", ("dev_ua",), None, {}, [0], {"complete": 6})
    ua = [0.5, 0.6, 0.7, 0.4, 0.5, 0.6]
    trials = pd.DataFrame({"number": range(6), "state": "complete", "dev_ua": ua})
    return page, trials.assign(
        **{"param/arelu.alpha": [0, 0, 1, 1, 2, 2], "param/arelu.beta": [0, 1, 0, 1, 0, 1]}
    )


def drawn_of(*records: Record, shown: bool = True, swept: bool = False) -> Iterator[Plot]:
    systems = {record.key: f'<{record.key}> $x$ & "y"' for record in records}
    runs = records if shown else [as_sealed(record) for record in records]
    return draw_all(runs, [sweep("first")] if swept else [], systems)


@pytest.fixture(name="run", scope="module")
def _run(tmp_path_factory: pytest.TempPathFactory) -> Record:
    runs, history = tmp_path_factory.mktemp("runs"), make_history(**LEARNED)
    return make_run(runs, activation=ARELU, history=history, card={"synthetic": True})


@pytest.fixture(name="figures", scope="module")
def _figures(run: Record) -> list[Plot]:
    return list(drawn_of(run, swept=True))


@pytest.fixture(name="svgs", scope="module")
def _svgs(figures: list[Plot]) -> list[str]:
    """The figures as they stand on a page."""
    return [as_svg(drawn) for drawn in figures]


@pytest.fixture(name="coarse")
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save few pixels."""
    monkeypatch.setattr("sercli.reporting.figures.plot._PRINT", 50)


EVERY = ["forest", "confusion", "surface-first", "history-first", "curves", "trajectories"]


def test_each_figure_is_drawn_where_its_data_are_there(figures: list[Plot]) -> None:
    assert [drawn.name for drawn in figures] == EVERY
    assert list(draw_all([], [], {})) == []


def test_every_figure_of_synthetic_speech_says_so(figures: list[Plot]) -> None:
    for drawn in figures:
        assert "SYNTHETIC SPEECH" in drawn_texts(drawn.figure), drawn.name


def test_no_figure_of_real_speech_says_synthetic(tmp_path: Path) -> None:
    selected = make_run(tmp_path, card={"selected_on": "test"})
    for drawn in drawn_of(selected, swept=True):
        assert "TEST-SELECTED" in drawn_texts(drawn.figure)
        assert not any("SYNTHETIC" in text for text in drawn_texts(drawn.figure))


def test_of_sealed_runs_no_figure_shows_test(run: Record) -> None:
    figures = list(drawn_of(run, shown=False, swept=True))
    assert [drawn.name for drawn in figures] == EVERY[2:]
    for drawn in figures:
        assert not any("test" in text.lower() for text in drawn_texts(drawn.figure)), drawn.name


def test_runs_of_different_tasks_never_share_a_figure(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, "a"), make_run(tmp_path, "b", card={"dataset": "other"})]
    names = [drawn.name for drawn in drawn_of(*runs)]
    assert [name for name in names if "forest" in name] == ["forest", "forest-2"]
    assert len(set(names)) == len(names)


def test_a_run_that_two_experiments_share_is_drawn_once(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, "a", experiment=name) for name in ("first", "second")]
    (forest,) = [drawn for drawn in drawn_of(*runs) if drawn.name == "forest"]
    assert len([line for line in forest.figure.axes[0].lines if line.get_label() == "UA"]) == 1


def test_curves_of_many_runs_are_those_of_the_best_on_dev(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.reporting.figures.draw.SYSTEMS", 5)
    runs = [make_run(tmp_path, f"r{n}", metrics={"dev_ua": n / 10}) for n in range(7)]
    figures = [drawn for drawn in drawn_of(*runs) if drawn.name.startswith("curves")]
    texts = [text for drawn in figures for text in drawn_texts(drawn.figure)]
    rows = [text[1:3] for text in texts if text.startswith("<r")]
    assert rows == ["r6", "r5", "r4", "r3", "r2"]
    assert [drawn.name for drawn in figures] == ["curves", "curves-2"]
    assert all("Shown: the 5 of 7 runs that are best on dev." in drawn.caption for drawn in figures)


@pytest.mark.usefixtures("coarse")
def test_the_same_figure_gives_the_same_bytes(
    run: Record, figures: list[Plot], svgs: list[str], tmp_path: Path
) -> None:
    again = list(islice(drawn_of(run, swept=True), 3))
    assert [as_svg(drawn) for drawn in again] == svgs[:3]
    one, two = save(figures[0], tmp_path / "one"), save(again[0], tmp_path / "two")
    assert [path.name for path in one] == ["forest.svg", "forest.png", "forest.pdf"]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_captions_lie_beside_the_figures(
    figures: list[Plot], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sercli.reporting.figures.plot.save", lambda plot, folder: [])
    paths = save_all(figures[:2], tmp_path)

    assert paths[-1].name == "captions.md"
    text = paths[-1].read_text(encoding="utf-8")
    assert f"## forest\n\n{figures[0].title}. {figures[0].caption}\n" in text
    assert figures[1].caption in text


def test_the_winner_of_a_search_alone_has_no_forest(tmp_path: Path) -> None:
    runs = [make_run(tmp_path, "won"), as_sealed(make_run(tmp_path, "lost"))]

    names = [drawn.name for drawn in draw_all(runs, [], {"won": "a", "lost": "b"})]

    assert "forest" not in names
    assert "confusion" in names


@pytest.mark.usefixtures("coarse")
def test_characters_that_no_font_has_are_spelled_out_and_named_once(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking = "中"
    dejavu = [each for each in fonts._candidates() if each.name == fonts.FIRST]
    monkeypatch.setattr(fonts, "_candidates", lambda: dejavu)  # as on a machine without others
    fonts.fonts_for.cache_clear()
    run = make_run(tmp_path, tested=[(lacking, lacking)], card={"classes": [lacking, "β"]})

    for drawn in list(drawn_of(run))[:2]:
        assert lacking in as_svg(drawn) or drawn.name != "confusion"  # a browser may have it
        save(drawn, tmp_path)

    labels = [label.get_text() for label in drawn.figure.axes[0].get_xticklabels()]
    assert labels == ["[4E2D]", "β"]
    (line,) = [record.message for record in caplog.records]
    assert line.startswith(f"no font of this machine has {lacking}: figures show code points")
    assert not [each for each in recwarn if "Glyph" in str(each.message)]
    fonts.fonts_for.cache_clear()


def test_a_font_that_has_a_character_is_found() -> None:
    entries = [FontEntry(fname=name, name=name, style="normal") for name in ("small", "large")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fonts, "_candidates", lambda: entries)
        letters = {"small": frozenset("ab"), "large": frozenset("abc中")}
        patch.setattr(fonts, "_letters", letters.__getitem__)
        found = fonts.fonts_for.__wrapped__(frozenset("ab 中文"))
    assert found == (("small", "large"), frozenset("文"))


@pytest.mark.usefixtures("coarse")
def test_an_svg_is_whole_and_refers_to_nothing_outside(
    figures: list[Plot], svgs: list[str], tmp_path: Path
) -> None:
    identifiers: list[str] = []
    for drawn, page in zip(figures, svgs, strict=True):
        texts = [page]
        if drawn.name == "forest":
            texts.insert(0, save(drawn, tmp_path)[0].read_text(encoding="utf-8"))
            # In a page letters are letters, and for print outlines.
            assert "<text" not in texts[0]
            assert '&lt;made&gt; $x$ &amp; "y"' in page
        for text in texts:
            root = ElementTree.fromstring(text)
            assert root.tag == "{http://www.w3.org/2000/svg}svg"
            assert root.attrib["aria-label"] == drawn.title
            assert "<!DOCTYPE" not in text
            assert "<script" not in text
            for element in root.iter():
                assert element.tag != "{http://www.w3.org/2000/svg}style", "would reach the page"
                for name, value in element.attrib.items():
                    outside = "href" in name and not value.startswith(("#", "data:image/png"))
                    assert not outside, (name, value)
        own = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
        used = {value[1:] for element in root.iter() for name, value in element.attrib.items()
                if name.endswith("href") and value.startswith("#")}  # fmt: skip
        assert used <= own
        identifiers += own
    assert len(set(identifiers)) == len(identifiers), "a page holds them all"


def test_the_style_of_the_user_is_not_asked_and_not_changed(run: Record, svgs: list[str]) -> None:
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert as_svg(next(drawn_of(run))) == svgs[0]
        assert matplotlib.rcParams["font.size"] == 30


def test_a_name_becomes_one_of_a_file() -> None:
    assert file_name("attention", "a/b (c)") == "attention-a_b_c_"


def test_the_words_that_all_names_share_are_said_once() -> None:
    names = ["iaan gru tanh", "iaan gru arelu α=1"]
    assert without_common_words(names) == ("iaan gru", ["tanh", "arelu α=1"])
    assert without_common_words(["iaan gru", "iaan gru x"]) == ("iaan", ["gru", "gru x"])
    assert without_common_words(["same", "same"]) == ("", ["same", "same"])
    assert without_common_words([]) == ("", [])
    rows = ["AR-GRU (I)", "AR-GRU (II)"]
    assert without_common_words(rows) == ("", rows)


def test_what_is_dense_becomes_pixels_inside_the_svg(tmp_path: Path) -> None:
    steps = np.arange(800)
    history = pd.DataFrame({"step": steps, "loss": 1 / (steps + 1), "dev_ua": np.sin(steps) / 2})
    run = make_run(tmp_path, history=history)
    curves = next(drawn for drawn in drawn_of(run) if drawn.name == "curves")
    svg = as_svg(curves)
    assert 'href="data:image/png;base64,' in svg
    assert len(svg) < 100_000
