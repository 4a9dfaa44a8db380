"""Fonts for names in any script: DejaVu Sans, then other fonts of this machine."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, fontManager, get_font
from matplotlib.text import Text
from matplotlib.ticker import Formatter, FuncFormatter

FIRST = "DejaVu Sans"
"""The font of all figures, which comes with matplotlib."""

_PREFERRED = ("Noto Sans", "CJK", "Source Han Sans", "WenQuanYi", "Arial Unicode", "Noto")
"""Parts of the names of fonts that are tried first (our choice: plain letters in many scripts)."""

_log = logging.getLogger("sercli")
_reported: set[str] = set()


def use_fonts(figure: Figure) -> None:
    """Give every text of a figure the fonts that its characters need."""
    texts = _texts(figure)
    families, _ = fonts_for(_characters(texts))
    if len(families) > 1:
        for text in texts:
            text.set_fontfamily(list(families))


def spell_out_missing(figure: Figure) -> None:
    """Write characters that no font has as their code points (U+751F), and warn once of them."""
    texts = _texts(figure)
    _, missing = fonts_for(_characters(texts))
    if not missing:
        return
    spelled = {ord(character): f"[{ord(character):X}]" for character in missing}
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if missing & _characters(axis.get_ticklabels()):  # which the formatter writes anew
            axis.set_major_formatter(_spelling(axis.get_major_formatter(), spelled))
    for text in texts:
        text.set_text(text.get_text().translate(spelled))
    if not missing <= _reported:
        _reported.update(missing)
        some = "".join(sorted(missing)[:10]) + ("…" if len(missing) > 10 else "")
        _log.warning(
            "no font of this machine has %s: figures show code points instead, as in [%X]; install "
            "a font such as Noto Sans CJK",
            some,
            ord(min(missing)),
        )


def _spelling(formatter: Formatter, spelled: Mapping[int, str]) -> FuncFormatter:
    return FuncFormatter(lambda value, place: formatter(value, place).translate(spelled))


@lru_cache(maxsize=64)
def fonts_for(characters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Choose fonts that together have some characters.

    >>> fonts_for(frozenset("aβé"))
    (('DejaVu Sans',), frozenset())

    Args:
        characters: The characters.

    Returns:
        Names of fonts, in order of use, and the characters that no font has.
    """
    left = {each for each in characters if each.isprintable() and not each.isspace()}
    families: list[str] = []
    for entry in _candidates():
        if not left:
            break
        found = left & _letters(entry.fname)
        if found or not families:
            families.append(entry.name)
            left -= found
    return tuple(families or [FIRST]), frozenset(left)


@lru_cache(maxsize=1)
def _candidates() -> tuple[FontEntry, ...]:
    """Return one upright font of each family, `FIRST` before the preferred ones."""
    plain = [
        each
        for each in fontManager.ttflist
        if each.style == "normal" and each.stretch == "normal" and "LastResort" not in each.fname
    ]
    plain.sort(key=lambda each: (_rank(each.name), each.name, abs(_weight(each) - 400)))
    first: dict[str, FontEntry] = {}
    for each in plain:
        first.setdefault(each.name, each)
    return tuple(first.values())


def _rank(name: str) -> int:
    if name == FIRST:
        return -1
    places = (place for place, part in enumerate(_PREFERRED) if part in name)
    return next(places, len(_PREFERRED))


def _weight(entry: FontEntry) -> int:
    return entry.weight if isinstance(entry.weight, int) else 400


@lru_cache(maxsize=512)
def _letters(path: str) -> frozenset[str]:
    """Return the characters that a font has; none if it cannot be read."""
    try:
        return frozenset(map(chr, get_font(Path(path)).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


def _texts(figure: Figure) -> list[Text]:
    found: list[Text] = figure.findobj(Text)
    return found


def _characters(texts: Sequence[Text]) -> frozenset[str]:
    return frozenset("".join(text.get_text() for text in texts))
