"""openSMILE features: a configuration at one level, and the extractor that runs it.

The opensmile package is imported when it is first needed, because that takes 0.3 s.
"""

from __future__ import annotations

import ctypes
import hashlib
import tempfile
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from sercli.errors import RequestError, SercliError
from sercli.features.audio import AudioError
from sercli.features.smile_config import (
    SINK,
    SOURCE,
    packaged_configuration,
    read_text,
    write_text,
)

if TYPE_CHECKING:
    from opensmile.core.lib import OpenSMILE

MEMORY_LEVELS = {"lld": ("lld",), "lld_delta": ("lld", "lld_de"), "functionals": ("func",)}
"""``features.level`` → the data memory levels that hold it, by the opensmile package's names."""

_ERRORS_ONLY = 1
"""openSMILE's log level."""

_Row = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_long, ctypes.c_void_p)


@dataclass(frozen=True)
class SmileSet:
    """The features of an openSMILE configuration, at one level.

    Attributes:
        name: The name in the configuration and in tables.
        level: ``lld``, ``lld_delta`` or ``functionals``.
        origin: The origin of the configuration, for messages.
        text: The configuration, as `read_configuration` returns it.
        columns: The expected number of columns; None: not known beforehand.
    """

    library: ClassVar[str] = "opensmile"

    name: str
    level: str
    origin: str
    text: str
    columns: int | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the configuration and the level."""
        return hashlib.sha256(f"{self.level}\n{self.text}".encode()).hexdigest()

    def extractor(self, sampling_rate: int) -> SmileExtractor:
        """Set openSMILE up for signals of one sampling rate (Hz)."""
        return SmileExtractor(self, sampling_rate)


class SmileExtractor:
    """Compute the features of an openSMILE configuration.

    `opensmile.Smile` reads the configuration anew for every signal; on utterances of two seconds
    that costs a third of the time. This class resets the same openSMILE instead. It is not
    thread-safe, and should not run in the main thread, where Ctrl-C can hit openSMILE's callback
    into Python and get lost.

    LLDs and deltas are read as one level: openSMILE emits a row when both have one. Row *i* of
    both belongs to the same frame. The deltas continue for two frames after the end of the LLDs;
    these two are dropped.

    Args:
        features: The feature set.
        sampling_rate: Sampling rate of all signals, in Hz.

    Attributes:
        names: Column names, in order, as openSMILE defines them.

    Raises:
        SercliError: openSMILE rejects the configuration, or gives an unexpected number of
            columns.
    """

    def __init__(self, features: SmileSet, sampling_rate: int) -> None:
        import opensmile

        self._features = features
        self._sampling_rate = sampling_rate
        smile = self._smile = self._fresh()
        columns = smile.external_sink_get_num_elements(opensmile.config.EXTERNAL_OUTPUT_COMPONENT)
        self.names: tuple[str, ...] = tuple(
            smile.external_sink_get_element_name(opensmile.config.EXTERNAL_OUTPUT_COMPONENT, column)
            for column in range(columns)
        )
        if features.columns not in (columns, None):
            raise SercliError(
                f"{features.origin} gives {columns} columns at the level {features.level} instead "
                f"of {features.columns}: another version of opensmile?"
            )

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the features of a signal.

        Args:
            signal: (samples,), within [−1, 1]; values outside are clipped.

        Returns:
            float32 (frames, features); a single row of functionals.

        Raises:
            AudioError: openSMILE fails, or returns no frames or values that are not finite.
            RequestError: The functionals have several rows.
        """
        rows = self._run(signal)
        frames = np.frombuffer(b"".join(rows), np.float32).reshape(-1, len(self.names))
        if not rows or not np.isfinite(frames).all():
            raise AudioError("openSMILE returned no frames, or NaN or infinite values")
        if self._features.level == "functionals" and len(frames) > 1:
            raise RequestError(
                f"features.level=functionals: {self._features.origin} gives {len(frames)} rows of "
                "an utterance instead of one; its functionals need frameMode=full"
            )
        return frames

    def _run(self, signal: np.ndarray) -> list[bytes]:
        import opensmile
        from opensmile.core.lib import OpenSmileException

        rows: list[bytes] = []
        try:
            smile, self._smile = self._smile or self._fresh(), None  # kept only if all succeeds
            _collect_rows(smile, rows)
            smile.external_audio_source_write_data(
                opensmile.config.EXTERNAL_SOURCE_COMPONENT, _pcm16(signal)
            )
            smile.external_audio_source_set_eoi(opensmile.config.EXTERNAL_SOURCE_COMPONENT)
            smile.run()
            smile.reset()
        except OpenSmileException as error:
            raise AudioError(f"openSMILE failed: {error}") from error
        smile._callbacks.clear()  # else it keeps the callbacks of all signals, and their frames
        self._smile = smile
        return rows

    def _fresh(self) -> OpenSMILE:
        from opensmile.core.lib import OpenSmileException

        try:
            return start_opensmile(self._features, self._sampling_rate)
        except OpenSmileException as error:
            raise SercliError(f"openSMILE does not accept {self._features.origin}") from error


def start_opensmile(features: SmileSet, sampling_rate: int, log: Path | None = None) -> OpenSMILE:
    """Start openSMILE with a configuration.

    A configuration that fails here can corrupt the memory of the process; a user's own is
    therefore probed in another process first (`sercli.features.smile_probe`).

    Args:
        features: The feature set.
        sampling_rate: Sampling rate of all signals, in Hz.
        log: File for openSMILE's error messages; None: they are dropped.

    Raises:
        OpenSmileException: openSMILE rejects the configuration.
        SercliError: openSMILE cannot open the path of the folder for temporary files.
    """
    from opensmile.core.lib import OpenSMILE

    options = {
        "sinkLevel": ";".join(MEMORY_LEVELS[features.level]),
        "sampleRate": sampling_rate,
        "nBits": 16,
    }
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "features.conf"
        write_text(configuration, with_memory_io(features.text))
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


def with_memory_io(text: str) -> str:
    """Return a configuration that reads samples from memory and writes features to it."""
    components = _memory_components()
    return "\n".join(components.get(line, line) for line in text.split("\n"))


@cache
def _memory_components() -> dict[str, str]:
    import opensmile

    return {
        SOURCE: read_text(packaged_configuration(opensmile.config.EXTERNAL_INPUT_CONFIG)),
        SINK: read_text(packaged_configuration(opensmile.config.EXTERNAL_OUTPUT_SINGLE_CONFIG)),
    }


def _collect_rows(smile: OpenSMILE, rows: list[bytes]) -> None:
    """Append the bytes of each row that openSMILE emits to ``rows``.

    `OpenSMILE.external_sink_set_callback` makes an array of each row first, which takes a
    fifteenth of all the time.
    """
    import opensmile
    from opensmile.core.lib import ExternalSinkCallback, smileapi

    def receive(row: int, columns: int, _: object) -> int:
        rows.append(ctypes.string_at(row, 4 * columns))
        return 1

    callback = _Row(receive)
    smile._callbacks.append(callback)  # it must live as long as openSMILE calls it
    smile._check_smile_result(
        smileapi.smile_extsink_set_data_callback(
            smile._smileobj,
            opensmile.config.EXTERNAL_OUTPUT_COMPONENT.encode(),
            ctypes.cast(callback, ExternalSinkCallback),
            None,
        )
    )


def _pcm16(signal: np.ndarray) -> bytes:
    """Return a signal as 16-bit samples; those of a 16-bit file come out unchanged."""
    samples: np.ndarray = np.clip(np.rint(signal * 32768), -32768, 32767)
    return samples.astype("<i2").tobytes()
