"""Raw PCM samples, as programs write them to a pipe: no header, so the format must be known."""

from __future__ import annotations

import numpy as np

from audiozoo.audio.bounds import check_channels
from audiozoo.checks import require_choice

PCM_FORMATS = {"u8": "u1", "s16le": "<i2", "s16be": ">i2", "s32le": "<i4", "s32be": ">i4", "f32le": "<f4", "f32be": ">f4"}
"""Sample formats by FFmpeg's names, with their NumPy types."""


class PcmDecoder:
    """Decodes raw PCM bytes that arrive in blocks of any size.

    Args:
        form: Sample format, a key of `PCM_FORMATS`: "s16le" is signed 16 bit, little-endian.
        channels: Number of interleaved channels.

    Raises:
        ValueError: The format is unknown, or the number of channels is out of bounds.

    >>> decoder = PcmDecoder("s16le")
    >>> decoder.decode(bytes([0, 64, 0])).tolist()
    [0.5]
    >>> decoder.undecoded
    1
    """

    def __init__(self, form: str = "s16le", channels: int = 1) -> None:
        require_choice("PCM format", form, tuple(PCM_FORMATS))
        check_channels(channels)
        self._type, self._channels, self._held = np.dtype(PCM_FORMATS[form]), channels, b""

    @property
    def undecoded(self) -> int:
        """Number of bytes that wait for the rest of their sample or frame."""
        return len(self._held)

    def decode(self, data: bytes) -> np.ndarray:
        """Decode the complete frames of the bytes so far.

        Args:
            data: Further bytes.

        Returns:
            float32 ``(samples,)`` for one channel, otherwise ``(samples, channels)``; integers are scaled to [-1, 1). There may
            be no samples.
        """
        data = self._held + data
        frame = self._type.itemsize * self._channels
        whole = len(data) - len(data) % frame
        self._held = data[whole:]
        samples = np.frombuffer(data[:whole], self._type)
        wave = self._scaled(samples).astype(np.float32)
        return wave if self._channels == 1 else wave.reshape(-1, self._channels)

    def _scaled(self, samples: np.ndarray) -> np.ndarray:
        if self._type.kind == "f":
            return samples
        half = 2.0 ** (8 * self._type.itemsize - 1)
        return samples / half - (self._type.kind == "u")
