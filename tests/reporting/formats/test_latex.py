"""The LaTeX form: ready to paste, and compiled where a TeX engine is found."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import pytest
from helpers.reports import report_text
from matplotlib.font_manager import get_font
from matplotlib.ft2font import LoadFlags

from sercli.reporting.formats.latex import as_latex
from sercli.reporting.table import Cell, Column, Table
from sercli.results.run_record import Record

Make = Callable[..., Record]

ENGINES = {
    "pdflatex": ["-interaction=nonstopmode", "-halt-on-error"],
    "xelatex": ["-interaction=nonstopmode", "-halt-on-error"],
    "tectonic": [],
}
FOUND = [engine for engine in ENGINES if shutil.which(engine)]

NASTY = "α_β & 50% #1 $x$ {a} \\b ~c ^d <e> |f| ± Δ – … [g] *h* \u00a0 −1 → × ≥ εΩο"


def nasty_table() -> Table:
    columns = (Column(NASTY), Column("95 %", numeric=True))
    rows = tuple((Cell(text), Cell("+1.0", 1.0, strong=True)) for text in (NASTY, "[1]", "*"))
    return Table(NASTY, columns, rows, (NASTY, NASTY), NASTY)


def compiled(tables: str, folder: Path) -> str:
    """Compile a document that holds the tables and return what the engine said."""
    (folder / "report.tex").write_text(
        "\\documentclass{article}\n\\usepackage{array,booktabs}\n\\begin{document}\n"
        f"{tables}\n\\end{{document}}\n",
        encoding="utf-8",
    )
    engine = FOUND[0]
    command = [engine, *ENGINES[engine], "report.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-3000:]
    return done.stdout.decode(errors="replace")


def test_a_table_has_caption_rules_and_notes() -> None:
    table = Table(
        "UA (%)",
        (Column("system"), Column("UA", numeric=True)),
        ((Cell("arelu α=0.1"), Cell("71.2 ± 0.8", 71.2, strong=True)),),
        ("A note.", "Another."),
        "SYNTHETIC.",
        ("Better.",),
    )

    lines = [line.strip() for line in as_latex([table]).splitlines()]

    assert lines == [
        "% \\usepackage{array,booktabs}",
        "\\begin{table}",
        "\\centering\\footnotesize\\setlength{\\tabcolsep}{4pt}",
        "\\caption{UA (\\%). \\textbf{SYNTHETIC.} Better.}",
        "\\label{tab:ua}",
        "\\begin{tabular}{lr}",
        "\\toprule",
        "system & UA \\\\",
        "\\midrule",
        "arelu $\\alpha$=0.1 & \\textbf{71.2 $\\pm$ 0.8} \\\\",
        "\\bottomrule",
        "\\end{tabular}",
        "\\par\\smallskip\\parbox{\\linewidth}{\\footnotesize A note. \\\\ Another.}",
        "\\end{table}",
    ]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b & 5%", "a\\_b \\& 5\\%"),
        ("#1 ${x}", "\\#1 \\$\\{x\\}"),
        ("\\input", "\\textbackslash{}input"),
        ("Δ −1", "$\\Delta$ $-$1"),
        ("[1]", "{[}1]"),
        ("β=-4 a-b", "$\\beta$=$-$4 a-b"),
    ],
)
def test_text_is_no_command(text: str, escaped: str) -> None:
    table = Table("T", (Column("system"),), ((Cell(text),),))

    assert f"    {escaped} \\\\\n" in as_latex([table])


def test_greek_is_mathematics() -> None:
    letters = "".join(map(chr, range(ord("α"), ord("ω") + 1)))
    table = Table("T", (Column("system"),), ((Cell(letters),),))

    text = as_latex([table])

    assert text.isascii()
    assert "$\\alpha$$\\beta$$\\gamma$$\\delta$$\\varepsilon$" in text
    assert text.endswith("\n")


def test_a_wide_table_spans_both_columns_of_a_paper() -> None:
    wide = Table("T", (Column("system"),), ((Cell("ab " * 24),),))
    narrow = Table("T", (Column("system"),), ((Cell("ab " * 14),),))

    assert as_latex([wide]).count("{table*}") == 2
    assert as_latex([narrow]).count("{table}") == 2


@cache
def advance(character: str) -> float:
    """The width of a character of Computer Modern in em; of one that it lacks, an en."""
    font = get_font(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "cmr10.ttf")
    font.set_size(100, 72)
    if not font.get_char_index(ord(character)):
        return 0.5
    glyph = font.load_char(ord(character), flags=LoadFlags.NO_HINTING)
    return float(glyph.linearHoriAdvance / 65536 / 100)


def widths(latex: str) -> list[float]:
    """The width of every tabular in pt, by the metrics of the font at the size of a footnote."""
    found = []
    for tabular in latex.split("\\begin{tabular}")[1:]:
        kinds, *lines = tabular.split("\\end{tabular}")[0].splitlines()
        columns = re.findall(r"p\{(\d+)pt\}|[lr]", re.sub(r"\\[a-z]+", "", kinds))
        rows = [line[:-2].strip().split(" & ") for line in lines if line.endswith("\\\\")]
        assert {len(row) for row in rows} == {len(columns)}
        taken = [
            8 + (float(fixed) if fixed else max(map(printed, cells)))
            for fixed, cells in zip(columns, zip(*rows, strict=True), strict=True)
        ]
        found.append(sum(taken))
    return found


def printed(cell: str) -> float:
    """The width of a cell in pt."""
    lines = cell.replace("\\shortstack[r]", "").split(" \\\\ ")
    plain = [re.sub(r"\\[a-zA-Z]+|[{}$\\]", "", line.replace("\\Delta", "M")) for line in lines]
    return max(8.5 * sum(map(advance, line)) for line in plain)


def test_tables_fit_the_text_of_an_article(record: Make, runs: Path) -> None:
    recall = {"anger": 0.5, "happiness": 0.6, "neutral": 0.7, "sadness": 0.8}
    by_seed = [{"seed": seed, "ua": 0.6 + seed / 100} for seed in range(3)]
    for steps in (100, 200):
        record("activation=arelu", f"trainer.steps={steps}", by_seed=by_seed, recall=recall)
    record("activation=leaky_relu", "trainer.label_smoothing=0.2", by_seed=by_seed)
    latex = report_text(runs, "latex")

    found = widths(latex)

    assert len(found) > latex.count(r"\caption")  # some are divided
    assert max(found) <= 345
    assert min(found) > 40
    assert r"\arraybackslash}p{" in latex
    assert r"\label{tab:iemocap-loso-session-4-classes}" in latex


def test_every_column_of_a_divided_table_is_printed_once_but_the_first() -> None:
    names = [f"number {place}" for place in range(12)]
    columns = (Column("system"), *(Column(name, numeric=True) for name in names))
    row = (Cell("gru"), *(Cell(f"v{place}.0 ± 1.5", place) for place in range(12)))

    latex = as_latex([Table("T", columns, (row,))])

    assert latex.count("gru") == latex.count(r"\begin{tabular}") > 1
    assert all(latex.count(f"v{place}.0 ") == 1 for place in range(12))
    assert max(widths(latex)) <= 345


@pytest.mark.skipif(not FOUND, reason="no TeX engine: pdflatex, xelatex or tectonic")
def test_reports_compile(record: Make, runs: Path, tmp_path: Path) -> None:
    by_seed = [{"seed": seed, "ua": 0.6 + seed / 100} for seed in range(3)]
    recall = {"anger": 0.5, "happiness": 0.6, "neutral": 0.7, "sadness": 0.8}
    record("activation=arelu", by_seed=by_seed, recall=recall)
    record("activation=arelu", "arelu.alpha=0.5", "arelu.beta=-4")
    record("dataset=synthetic", "activation=tanh")
    looks: tuple[dict[str, Any], ...] = (
        {},
        {"table1": True},
        {"rows": "activation", "columns": "arelu.alpha"},
    )
    texts = [report_text(runs, "latex", **look) for look in looks]

    said = compiled("\n".join([*texts, as_latex([nasty_table()])]), tmp_path)

    assert "Missing character" not in said
    log = (tmp_path / "report.log").read_text(errors="replace")
    too_wide = [float(width) for width in re.findall(r"Overfull .hbox .([\d.]+)pt too wide", log)]
    assert max(too_wide, default=0.0) < 3, "the nasty table has words that cannot wrap"
