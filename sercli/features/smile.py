"""openSMILE, set up once and run on one signal after the other."""

from __future__ import annotations

import ctypes
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import opensmile
from opensmile.core.lib import ExternalSinkCallback, OpenSMILE, OpenSmileException, smileapi

from sercli.errors import RequestError, SercliError
from sercli.features.audio import AudioError
from sercli.features.configuration import (
    SINK,
    SOURCE,
    packaged_configuration,
    read_text,
    write_text,
)
from sercli.features.smile_sets import MEMORY_LEVELS, SmileSet

_OUTPUT = opensmile.config.EXTERNAL_OUTPUT_COMPONENT
_INPUT = opensmile.config.EXTERNAL_SOURCE_COMPONENT
_ERRORS_ONLY = 1


_Row = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p)


def start_opensmile(features: SmileSet, sampling_rate: int, log: Path | None = None) -> OpenSMILE:
    """Start openSMILE with a configuration.

    A configuration that fails here can leave the process's memory damaged; one that nobody knows
    is tried in another process first (`sercli.features.smile_trial`).

    Args:
        features: The feature set.
        sampling_rate: Hz of all signals.
        log: Where openSMILE writes what is wrong with the configuration; None: nowhere.

    Raises:
        OpenSmileException: It does not accept the configuration.
        SercliError: The folder for temporary files has a name that it cannot read.
    """
    options = {
        "sinkLevel": ";".join(MEMORY_LEVELS[features.level]),
        "sampleRate": sampling_rate,
        "nBits": 16,
    }
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "features.conf"
        write_text(configuration, with_ends(features.text))
        smile = OpenSMILE()
        try:
            smile.initialize(
                str(configuration), options, loglevel=_ERRORS_ONLY, log_file=str(log or "")
            )
        except UnicodeEncodeError:
            raise SercliError(
                f"openSMILE cannot open a path with letters beyond ASCII, as {folder} is; "
                "set TMPDIR to another folder"
            ) from None
    return smile


def _collect(smile: OpenSMILE, rows: list[bytes]) -> None:
    """Have ``rows`` receive the bytes of each row that openSMILE hands out.

    `OpenSMILE.external_sink_set_callback` makes an array of each row first: a fifteenth of all
    the time.
    """

    def receive(row: int, columns: int, _: object) -> int:
        rows.append(ctypes.string_at(row, 4 * columns))
        return 1

    callback = _Row(receive)
    smile._callbacks.append(callback)  # it must live as long as openSMILE calls it
    smile._check_smile_result(
        smileapi.smile_extsink_set_data_callback(
            smile._smileobj, _OUTPUT.encode(), ctypes.cast(callback, ExternalSinkCallback), None
        )
    )


class SmileExtractor:
    """Computes the features of an openSMILE configuration.

    `opensmile.Smile` reads the configuration anew for every signal; on utterances of two seconds
    that costs a third of the time. This class resets the same openSMILE instead. Not for use by
    several threads at once; and better not in the main thread, where Ctrl-C can hit openSMILE's
    callback into Python, and is lost.

    LLD and deltas are read as one level: openSMILE gives a row when both have one. Row *i* of
    both belongs to the same moment, the deltas go on for two frames beyond the end of the LLDs,
    and these two are left out.

    Args:
        features: The feature set.
        sampling_rate: Hz of all signals.

    Attributes:
        names: The columns, in order, by openSMILE's names.

    Raises:
        SercliError: openSMILE does not accept the configuration, or gives another number of
            columns than it should.
    """

    def __init__(self, features: SmileSet, sampling_rate: int) -> None:
        self._features = features
        self._sampling_rate = sampling_rate
        self._smile: OpenSMILE | None = self._fresh()
        columns = self._smile.external_sink_get_num_elements(_OUTPUT)
        self.names = tuple(
            self._smile.external_sink_get_element_name(_OUTPUT, each) for each in range(columns)
        )
        if features.columns not in (columns, None):
            raise SercliError(
                f"{features.origin} gives {columns} columns at the level {features.level} instead "
                f"of {features.columns}: another version of opensmile?"
            )

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features of a signal.

        Args:
            signal: (samples,), within [−1, 1]; what lies outside is clipped.

        Returns:
            float32 (frames, features); of functionals one row.

        Raises:
            AudioError: openSMILE fails on it, or gives no frames or no finite numbers.
            RequestError: The functionals have several rows.
        """
        rows: list[bytes] = []
        try:
            smile, self._smile = self._smile or self._fresh(), None  # kept only if all succeeds
            _collect(smile, rows)
            smile.external_audio_source_write_data(_INPUT, _pcm16(signal))
            smile.external_audio_source_set_eoi(_INPUT)
            smile.run()
            smile.reset()
        except OpenSmileException as error:
            raise AudioError(f"openSMILE failed: {error}") from error
        smile._callbacks.clear()  # it would keep those of all signals, and their frames
        self._smile = smile
        frames = np.frombuffer(b"".join(rows), np.float32).reshape(-1, len(self.names))
        if not rows or not np.isfinite(frames).all():
            raise AudioError("openSMILE gave no frames, or values that are no numbers")
        if self._features.level == "functionals" and len(frames) > 1:
            raise RequestError(
                f"features.level=functionals: {self._features.origin} gives {len(frames)} rows of "
                "an utterance instead of one; its functionals need frameMode=full"
            )
        return frames

    def _fresh(self) -> OpenSMILE:
        try:
            return start_opensmile(self._features, self._sampling_rate)
        except OpenSmileException as error:
            raise SercliError(f"openSMILE does not accept {self._features.origin}") from error


@cache
def _ends() -> dict[str, str]:
    """What stands for the open source and sink: samples and features in memory."""
    return {
        SOURCE: read_text(packaged_configuration(opensmile.config.EXTERNAL_INPUT_CONFIG)),
        SINK: read_text(packaged_configuration(opensmile.config.EXTERNAL_OUTPUT_SINGLE_CONFIG)),
    }


def with_ends(text: str) -> str:
    """Return a configuration whose source and sink are the program's memory."""
    return "\n".join(_ends().get(line, line) for line in text.split("\n"))


def _pcm16(signal: np.ndarray) -> bytes:
    """Give a signal as a 16-bit file would hold it: the samples of one come out unchanged."""
    samples: np.ndarray = np.clip(np.rint(signal * 32768), -32768, 32767)
    return samples.astype("<i2").tobytes()
