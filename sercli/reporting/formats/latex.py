r"""Tables in LaTeX, ready to paste into a paper; they need ``\usepackage{booktabs}``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sercli.reporting.table import Cell, Table

_SMALL = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    "varsigma sigma tau upsilon varphi chi psi omega"
)
_GREEK = {chr(ord("α") + place): f"\\{name}" for place, name in enumerate(_SMALL.split())}
_GREEK |= {"Γ": r"\Gamma", "Δ": r"\Delta", "Θ": r"\Theta", "Λ": r"\Lambda", "Σ": r"\Sigma"}
_GREEK |= {"Φ": r"\Phi", "Ψ": r"\Psi", "Ω": r"\Omega", "Π": r"\Pi", "ο": "o"}
_SIGNS = {"±": r"\pm", "×": r"\times", "≤": r"\leq", "≥": r"\geq", "→": r"\to", "−": "-"}
_SIGNS |= {"<": "<", ">": ">", "≈": r"\approx"}
_TEXT = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_TEXT |= {"–": "--", "—": "---", "…": r"\ldots{}", "\u00a0": "~", "\n": " ", "|": r"\textbar{}"}
_TEXT |= {"[": "{[}", "*": "{*}"}  # else \\ takes them for its argument
_TEXT |= {character: f"\\{character}" for character in "&%$#_{}"}
_TEXT |= dict.fromkeys((*map(chr, range(0x2400, 0x2422)), "\ufffd"), "?")  # control codes
_ESCAPES = str.maketrans(
    _TEXT | {sign: f"${command}$" for sign, command in (_GREEK | _SIGNS).items()}
)
"""Character that LaTeX reads as a command or that its fonts lack → its LaTeX."""

_WIDE = 56
"""Characters per row above which a table spans both columns of a paper (our choice)."""


def as_latex(tables: Sequence[Table]) -> str:
    """Return each table as a float with caption, rules and notes."""
    return "\n".join(["% \\usepackage{booktabs}", *(x for table in tables for x in _lines(table))])


def _lines(table: Table) -> Iterator[str]:
    if not table.columns:
        yield from map(_escaped, filter(None, (table.warning, f"{table.title}.", *table.notes)))
        yield ""
        return
    place = "table*" if _width(table) > _WIDE else "table"
    yield rf"\begin{{{place}}}"
    yield r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}"
    warning = rf" \textbf{{{_escaped(table.warning)}}}" if table.warning else ""
    yield rf"  \caption{{{_escaped(table.title)}.{warning}}}"
    yield rf"  \begin{{tabular}}{{{''.join('r' if x.numeric else 'l' for x in table.columns)}}}"
    yield r"    \toprule"
    yield f"    {_line(_escaped(column.name) for column in table.columns)}"
    yield r"    \midrule"
    for row in table.rows:
        yield f"    {_line(map(_cell, row))}"
    yield r"    \bottomrule"
    yield r"  \end{tabular}"
    if table.notes:
        notes = r" \\ ".join(_escaped(note) for note in table.notes)
        yield rf"  \par\smallskip\parbox{{\linewidth}}{{\footnotesize {notes}}}"
    yield rf"\end{{{place}}}"
    yield ""


def _width(table: Table) -> int:
    rows = [[column.name for column in table.columns], *([x.text for x in y] for y in table.rows)]
    return sum(max(map(len, column)) + 2 for column in zip(*rows, strict=True))


def _cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    return rf"\textbf{{{text}}}" if cell.strong else text


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
