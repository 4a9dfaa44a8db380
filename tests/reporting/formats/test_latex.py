"""The LaTeX form: ready to paste, and compiled where a TeX engine is found."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.reports import report_text

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
        "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
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
    )

    lines = [line.strip() for line in as_latex([table]).splitlines()]

    assert lines == [
        "% \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering\\footnotesize\\setlength{\\tabcolsep}{4pt}",
        "\\caption{UA (\\%). \\textbf{SYNTHETIC.}}",
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
    wide = Table("T", (Column("system"),), ((Cell("a" * 55),),))
    narrow = Table("T", (Column("system"),), ((Cell("a" * 54),),))

    assert as_latex([wide]).count("{table*}") == 2
    assert as_latex([narrow]).count("{table}") == 2


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
