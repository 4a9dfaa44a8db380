"""The feature sets of openSMILE: packaged ones, and a user's own configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sercli.errors import RequestError, nearest
from sercli.features.smile import MEMORY_LEVELS, SmileSet
from sercli.features.smile_config import (
    packaged_configuration,
    read_configuration,
    read_text,
    written_levels,
)
from sercli.files import absolute

_FOLDER = Path(__file__).resolve().parent / "opensmile"

_FRAMER = re.compile(r"^\[\w+:cFramer\][ \t]*$", re.MULTILINE)
_RING = "\nwriter.levelconf.growDyn=0\nwriter.levelconf.isRb=1\nwriter.levelconf.nT=16"
"""Ring buffers for frames, which later levels inherit unless they state otherwise. Without them
emobase, IS10, IS11 and IS12 keep every level in memory: 0.3 GB for a minute of audio."""


@dataclass(frozen=True)
class _Packaged:
    """A configuration of sercli or of the opensmile package.

    Attributes:
        path: The file.
        lld: Number of low-level descriptors; with deltas there are twice as many.
        functionals: Number of functionals; 0: none.
    """

    path: Path
    lld: int
    functionals: int = 0


PACKAGED = {
    "iaan45": _Packaged(_FOLDER / "iaan45.conf", 45),
    "emobase": _Packaged(packaged_configuration("emobase/emobase.conf"), 26, 988),
    "eGeMAPSv02": _Packaged(packaged_configuration("egemaps/v02/eGeMAPSv02.conf"), 25, 88),
    "ComParE_2016": _Packaged(packaged_configuration("compare/ComParE_2016.conf"), 65, 6373),
    "IS09": _Packaged(packaged_configuration("is09-13/IS09_emotion.conf"), 16, 384),
    "IS10": _Packaged(packaged_configuration("is09-13/IS10_paraling_compat.conf"), 38, 1582),
    "IS11": _Packaged(packaged_configuration("is09-13/IS11_speaker_state.conf"), 59, 4368),
    "IS12": _Packaged(packaged_configuration("is09-13/IS12_speaker_trait_compat.conf"), 64, 6125),
    "IS13": _Packaged(packaged_configuration("is09-13/IS13_ComParE.conf"), 65, 6373),
}
"""The sets by name. The numbers of functionals are those of the papers that opensmile's
documentation names for each set; all numbers are checked when openSMILE starts."""


def packaged_set(name: str, level: str) -> SmileSet:
    """Return a set of `PACKAGED` at one level.

    Raises:
        RequestError: It does not have that level.
    """
    chosen = PACKAGED[name]
    text = _FRAMER.sub(lambda header: header[0] + _RING, read_configuration(chosen.path))
    if name == "eGeMAPSv02":  # has no deltas: add openSMILE's, as in the other sets
        text += "\n" + read_text(_FOLDER / "deltas.conf.inc")
    _check_level(text, level, f"the set {name}")
    columns = {
        "lld": chosen.lld,
        "lld_delta": 2 * chosen.lld,
        "functionals": chosen.functionals,
    }
    return SmileSet(name, level, f"the set {name}", text, columns[level])


def own_set(name: str, path: str, level: str) -> SmileSet:
    """Return the set of a user's own configuration.

    The configuration writes its features to the levels lld, lld_de and func (those that it has),
    as the configurations of the opensmile package do.

    Args:
        name: The name in tables.
        path: The configuration file.
        level: ``features.level``.

    Raises:
        RequestError: The configuration cannot be used, or does not have that level.
    """
    origin = f"features.config={path}"
    text = read_configuration(absolute(path).resolve())
    _check_level(text, level, origin)
    return SmileSet(name, level, origin, text)


def _check_level(text: str, level: str, origin: str) -> None:
    if level not in MEMORY_LEVELS:
        raise RequestError(f"features.level={level} is not known.{nearest(level, MEMORY_LEVELS)}")
    written = written_levels(text)
    for needed in MEMORY_LEVELS[level]:
        if needed not in written:
            have = [each for each, levels in MEMORY_LEVELS.items() if written.issuperset(levels)]
            raise RequestError(
                f"features.level={level}: {origin} writes no data memory level '{needed}'; "
                + (f"it has features.level {' or '.join(have)}" if have else "nor another of ours")
            )
