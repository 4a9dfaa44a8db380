"""What a page says, made for a test: as large as a report of many runs, or with one thing changed.

`write_page` writes such a page for a browser.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from sercli.reporting.formats.html.content import (
    Card,
    Command,
    Failures,
    Figure,
    Machine,
    PageContent,
    PageWarning,
    Section,
)
from sercli.reporting.formats.html.render import render_page
from sercli.reporting.table import Cell, Column, Table

SYNTHETIC = PageWarning("SYNTHETIC", "All of 12 runs heard synthetic speech.")
METRICS = ("UA", "95 % CI", "WA", "macro F1", "oracle UA", "oracle WA", "dev UA", "seeds", "n")


def make_table(rows: int, *, title: str = "synthetic, loso_session, 4 classes (%)") -> Table:
    """Systems × metrics; the last row has no figures, and every third UA is the same."""
    random = np.random.default_rng(rows)
    lines = []
    for row in range(rows):
        system = Cell(f"iaan_small gru arelu α={row / 100:g} β={row % 7}")
        values = random.uniform(40, 80, size=len(METRICS))
        values[0] = 60.0 if row % 3 == 0 else values[0]
        cells = [Cell(f"{x:.1f}", float(x)) for x in values]
        lines.append((system, *(cells if row < rows - 1 else [Cell("–")] * len(METRICS))))
    return Table(
        title=title,
        columns=(Column("system"), *(Column(name, numeric=True) for name in METRICS)),
        rows=tuple(lines),
        notes=("95 % CI: cluster bootstrap over speakers and seeds.",),
        warning="SYNTHETIC speech: these numbers say nothing about people.",
    )


def make_figure(name: str, *, points: int = 40, inside: str = "") -> Figure:
    """A line through random points, as `as_svg` returns it; ``inside`` is added to it."""
    random = np.random.default_rng(points)
    steps = " L ".join(
        f"{100 + x:.6f} {y:.6f}" for x, y in enumerate(random.uniform(20, 380, points))
    )
    return Figure(
        name=name,
        title=f"The {name}",
        caption="Dev UA at every evaluation; dot: the selected step.",
        svg=f'<svg role="img" aria-label="The {name}" width="500pt" height="400pt" '
        'viewBox="0 0 500 400" xmlns="http://www.w3.org/2000/svg" version="1.1">'
        f'<defs><clipPath id="{name}-clip"><rect width="500" height="400"/></clipPath></defs>'
        f'<path id="{name}-line" d="M {steps}" clip-path="url(#{name}-clip)" '
        'style="fill: none; stroke: #0072b2"/>'
        f'<text x="20" y="390">step of {name}</text>{inside}</svg>',
    )


def make_content(**changes: Any) -> PageContent:
    """A report of twelve runs on synthetic speech, with everything that a page can hold."""
    keys = tuple(f"{number:010x}" for number in range(12))
    content = PageContent(
        title="demo",
        subtitle="Speech emotion recognition: 12 runs on synthetic",
        made=datetime(2026, 11, 20, 14, 30, tzinfo=UTC),
        version="0.1.0",
        warnings=(SYNTHETIC,),
        sections=(
            Section("Results", (make_table(12), make_table(4, title="A small table"))),
            Section("Recall per class", (make_table(5, title="Recall"),), folded=True),
        ),
        figures=(make_figure("curves"), make_figure("surface")),
        cards=(
            Card(
                "4-class recognition on synthetic: leave-one-session-out in 5 folds.",
                (("dataset", "synthetic"), ("mapping", "ang → anger, sad → sadness")),
                keys,
            ),
        ),
        failures=(
            Failures("Diverged runs", ("demo/0000000000: seed 0, fold Session2, step 140",)),
        ),
        machines=(Machine("sercli 0.1.0, Python 3.11.7", (("cores", "2"),), keys),),
        commands=(Command("sercli sweep --plan demo", keys),),
        records=Table(
            "The records of this report",
            (Column("run"), Column("folder")),
            tuple((Cell(key), Cell(f"runs/demo/{key}")) for key in keys),
        ),
    )
    return replace(content, **changes)


def write_page(folder: Path, **changes: Any) -> Path:
    """Write a page of `make_content` to ``folder``."""
    path = folder / "report.html"
    path.write_text(render_page(make_content(**changes)), encoding="utf-8")
    return path
