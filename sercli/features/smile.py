"""openSMILE, set up once and run on one signal after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import opensmile
from opensmile.core.lib import OpenSMILE, OpenSmileException

from sercli.errors import SercliError
from sercli.features.audio import AudioError
from sercli.features.sets import FeatureSet

_SHARED = Path(opensmile.__file__).parent / "core" / opensmile.config.CONFIG_ROOT


class Extractor:
    """Computes the frames of a feature set.

    `opensmile.Smile` reads the configuration anew for every signal; on utterances of two seconds
    that costs a third of the time. This class resets the same openSMILE instead. Not for use by
    several threads at once; and better not in the main thread, where Ctrl-C can hit openSMILE's
    callback into Python, and is lost.

    Args:
        features: The feature set.
        sampling_rate: Hz of all signals.

    Raises:
        SercliError: openSMILE does not accept the configuration, or gives other columns.
    """

    def __init__(self, features: FeatureSet, sampling_rate: int) -> None:
        self._features = features
        self._sampling_rate = sampling_rate
        self._smile: OpenSMILE | None = None
        smile = self._fresh()
        names = [
            smile.external_sink_get_element_name(opensmile.config.EXTERNAL_OUTPUT_COMPONENT, each)
            for each in range(
                smile.external_sink_get_num_elements(opensmile.config.EXTERNAL_OUTPUT_COMPONENT)
            )
        ]
        smile.free()
        if tuple(names) != features.names:
            raise SercliError(f"{features.configuration} gives other columns than {features.name}")

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Return the frames of a signal.

        Args:
            signal: (samples,), within [−1, 1]; what lies outside is clipped.

        Returns:
            float32 (frames, features).

        Raises:
            AudioError: openSMILE fails on it, or gives no frames or no finite numbers.
        """
        rows: list[np.ndarray] = []
        try:
            smile, self._smile = self._ready(), None  # kept only if the run succeeds
            smile.external_sink_set_callback(
                opensmile.config.EXTERNAL_OUTPUT_COMPONENT, lambda row: rows.append(row.copy())
            )
            source = opensmile.config.EXTERNAL_SOURCE_COMPONENT
            smile.external_audio_source_write_data(source, _pcm16(signal))
            smile.external_audio_source_set_eoi(source)
            smile.run()
        except OpenSmileException as error:
            raise AudioError(f"openSMILE failed: {error}") from error
        self._smile = smile
        if not rows or not np.isfinite(frames := np.stack(rows)).all():
            raise AudioError("openSMILE gave no frames, or values that are no numbers")
        return frames

    def _ready(self) -> OpenSMILE:
        if self._smile is None:
            return self._fresh()
        self._smile.reset()
        self._smile._callbacks.clear()  # it would keep those of all signals, and their frames
        return self._smile

    def _fresh(self) -> OpenSMILE:
        smile = OpenSMILE()
        options = {
            "source": _SHARED / opensmile.config.EXTERNAL_INPUT_CONFIG,
            "sink": _SHARED / opensmile.config.EXTERNAL_OUTPUT_SINGLE_CONFIG,
            "sinkLevel": self._features.level,
            "sampleRate": self._sampling_rate,
            "nBits": 16,
        }
        path = self._features.configuration
        try:
            smile.initialize(str(path), options)
        except UnicodeEncodeError as error:
            raise SercliError(
                f"openSMILE cannot open a path with letters beyond ASCII: '{error.object}'; "
                "install sercli elsewhere"
            ) from error
        except OpenSmileException as error:
            raise SercliError(f"openSMILE does not accept {path}: {error}") from error
        return smile


def _pcm16(signal: np.ndarray) -> bytes:
    """Give a signal as a 16-bit file would hold it: the samples of one come out unchanged."""
    samples: np.ndarray = np.clip(np.rint(signal * 32768), -32768, 32767)
    return samples.astype("<i2").tobytes()
