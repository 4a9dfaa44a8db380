r"""Tables in LaTeX, ready to paste into a paper; they need the packages array and booktabs.

A table fits the text of an article, 345 pt: long text wraps, headings of numbers stand in lines,
and columns that are left over continue below, after the first column again. Widths are those of
Computer Modern, in which articles are set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sercli.reporting.table import Cell, Column, Table

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

_FIT, _ONE_COLUMN = 345.0, 236.0
"""Widths in pt of the text of an article, and of one of two columns, beyond which a table spans
both (our choice for the second: the column of most conferences, less 2 %)."""

_EM = 8.5
"""Width of an em of Computer Modern at the size of a footnote, in pt."""

_GAP = 8.0
"""Space between two columns, in pt."""

_TEXT_WIDTH = 110.0
"""Widest text in pt that does not wrap in a table that is too wide (our choice)."""

_WIDTHS = {
    character: width / 1000
    for width, characters in (
        (278, "!',.:;<[]_`il|"), (306, "fj"), (333, "- "), (361, "I"), (390, "()tr"), (394, "s"),
        (444, "cez"), (472, ">?"), (500, '"$*/0123456789\\^ago{}~–'), (528, "Jkqvxy"),
        (556, "Sbdhnpu"), (625, "ZL"), (680, "FEP"), (708, "B"), (736, "CTwR"), (764, "AHNUVXYD"),
    )
    for character in characters
}  # fmt: skip
"""Character → its width in em (the font cmr10 of Knuth 1992, rounded up)."""

_OTHER, _WIDEST, _BOLD = 0.8, 1.03, 1.18
"""Widths of other characters, and of #, %, m, M and W; factor of bold letters, rounded up."""


@dataclass(frozen=True)
class _Block:
    """Columns of a table that stand beside each other.

    Attributes:
        places: Their positions in the table.
        widths: Width in pt of each column that wraps, None for the others.
    """

    places: tuple[int, ...]
    widths: tuple[float | None, ...]


def as_latex(tables: Sequence[Table]) -> str:
    """Return each table as a float with caption, label, rules and notes."""
    packages = r"% \usepackage{array,booktabs}"
    return "\n".join([packages, *(x for table in tables for x in _lines(table))])


def _lines(table: Table) -> Iterator[str]:
    if not table.columns:
        yield from map(_escaped, filter(None, (table.warning, f"{table.title}.", *table.notes)))
        yield ""
        return
    blocks = _blocks(table)
    wide = len(blocks) > 1 or _width(table, blocks[0]) > _ONE_COLUMN
    place = "table*" if wide else "table"
    yield rf"\begin{{{place}}}"
    yield r"  \centering\footnotesize\setlength{\tabcolsep}{4pt}"
    warning = rf" \textbf{{{_escaped(table.warning)}}}" if table.warning else ""
    verdicts = "".join(f" {_escaped(verdict)}" for verdict in table.verdicts)
    yield rf"  \caption{{{_escaped(table.title)}.{warning}{verdicts}}}"
    yield rf"  \label{{tab:{_slug(table.title)}}}"
    for number, block in enumerate(blocks):
        if number:
            yield r"  \par\medskip"
        yield from _tabular(table, block)
    if table.notes:
        notes = r" \\ ".join(_escaped(note) for note in table.notes)
        yield rf"  \par\smallskip\parbox{{\linewidth}}{{\footnotesize {notes}}}"
    yield rf"\end{{{place}}}"
    yield ""


def _tabular(table: Table, block: _Block) -> Iterator[str]:
    columns = [table.columns[place] for place in block.places]
    kinds = [
        ("r" if column.numeric else "l") if width is None else _wrapping(width)
        for column, width in zip(columns, block.widths, strict=True)
    ]
    yield rf"  \begin{{tabular}}{{{''.join(kinds)}}}"
    yield r"    \toprule"
    yield f"    {_line(map(_heading, columns))}"
    yield r"    \midrule"
    for row in table.rows:
        yield f"    {_line(_cell(row[place]) for place in block.places)}"
    yield r"    \bottomrule"
    yield r"  \end{tabular}"


def _wrapping(width: float) -> str:
    return rf">{{\raggedright\arraybackslash}}p{{{width:.0f}pt}}"


def _blocks(table: Table) -> list[_Block]:
    """Divide the columns so that every block fits the text; one block where it does unwrapped."""
    places = tuple(range(len(table.columns)))
    whole = _Block(places, (None,) * len(places))
    if _width(table, whole) <= _FIT:
        return [whole]
    wrapped = [_wrapped_width(table, place) for place in places]
    real = [wrapped[place] or _column_width(table, place) for place in places]
    blocks, block, taken = [], [0], real[0] + _GAP
    for place in places[1:]:
        if taken + real[place] + _GAP > _FIT and len(block) > 1:
            blocks.append(block)
            block, taken = [0], real[0] + _GAP
        block.append(place)
        taken += real[place] + _GAP
    return [_Block(tuple(each), tuple(wrapped[x] for x in each)) for each in [*blocks, block]]


def _wrapped_width(table: Table, place: int) -> float | None:
    """Return the width at which a column of text wraps; None for one that need not, or cannot."""
    column = table.columns[place]
    natural = _column_width(table, place)
    if column.numeric or natural <= _TEXT_WIDTH:
        return None
    words = (word for row in table.rows for word in row[place].text.split())
    longest = max((_text_width(word) for word in words), default=0.0)
    return min(natural, max(_TEXT_WIDTH, longest + 1.0))


def _width(table: Table, block: _Block) -> float:
    """Return the width of a block in pt, as it is printed."""
    pairs = zip(block.places, block.widths, strict=True)
    return sum((_column_width(table, x) if y is None else y) + _GAP for x, y in pairs)


def _column_width(table: Table, place: int) -> float:
    heading = max(map(_text_width, _heading_lines(table.columns[place])))
    cells = [row[place] for row in table.rows]
    return max([heading, *(_text_width(x.text) * (_BOLD if x.strong else 1) for x in cells)])


def _text_width(text: str) -> float:
    widths = (_WIDEST if x in "#%mMW" else _WIDTHS.get(x, _OTHER) for x in text)
    return _EM * sum(widths)


def _heading_lines(column: Column) -> list[str]:
    """Return the lines of a heading: above numbers, one for each word."""
    if not column.numeric:
        return [column.name]
    tied = column.name.replace(" %", "\u00a0%").replace("Δ ", "Δ\u00a0").replace(" Δ", "\u00a0Δ")
    return tied.split(" ")


def _heading(column: Column) -> str:
    lines = [_escaped(line) for line in _heading_lines(column)]
    stacked = r" \\ ".join(lines)
    return lines[0] if len(lines) == 1 else rf"\shortstack[r]{{{stacked}}}"


def _slug(title: str) -> str:
    """Return a label: the words of a title."""
    return "-".join(re.findall(r"[a-z0-9]+", title.lower()))


def _cell(cell: Cell) -> str:
    text = _escaped(cell.text)
    return rf"\textbf{{{text}}}" if cell.strong else text


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escaped(text: str) -> str:
    return re.sub(r"(?<==)-(?=\d)", "−", text).translate(_ESCAPES)
