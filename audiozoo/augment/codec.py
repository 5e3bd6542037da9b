"""Lossy encoding of a waveform."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audiozoo.augment.transform import Drawn, Range
from audiozoo.augment.waveform import SHARE, WaveTransform, fitted, peak_of
from audiozoo.checks import require_choice

_BLOCK = 2**16  # samples
_MOST = 0.999  # with 1, libsndfile asks LAME for a bit rate that it does not support
_FORMATS = {"mulaw": ("WAV", "ULAW"), "ogg": ("OGG", "VORBIS"), "mp3": ("MP3", "MPEG_LAYER_III")}


@dataclass(frozen=True, kw_only=True)
class Codec(WaveTransform):
    """Encode the sound with a lossy codec and decode it, with libsndfile.

    Encoders clip at full scale, so a louder sound is scaled down before encoding and up again after decoding.

    Args:
        codec: "mulaw" (8 bits, ITU-T G.711), "ogg" (Vorbis) or "mp3".
        compression: Range of the compression, from 0 (best quality) to 1 (smallest file); "mulaw" ignores it.

    Raises:
        ValueError: `codec` is not one of these. When called: the encoder does not support the sample rate or the number of
            channels.
    """

    NEEDS_RATE = True
    RANGES: ClassVar = {"compression": SHARE}

    codec: Literal["mulaw", "ogg", "mp3"] = "mp3"
    compression: Range = (0.3, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("codec", self.codec, list(_FORMATS))

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        return {} if self.codec == "mulaw" else super()._draw(x, rng, sample_rate)

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, compression: float | None = None) -> np.ndarray:
        assert sample_rate is not None
        peak = max(1.0, peak_of(x))
        decoded = self._round_trip(x / np.float32(peak), round(sample_rate), compression)
        return fitted(decoded * np.float32(peak), len(x)).reshape(x.shape)

    def _round_trip(self, x: np.ndarray, sample_rate: int, compression: float | None) -> np.ndarray:
        import soundfile

        container, encoding = _FORMATS[self.codec]
        if compression is not None:
            compression = min(compression, _MOST)
        channels = 1 if x.ndim == 1 else x.shape[1]
        file = io.BytesIO()
        try:
            with soundfile.SoundFile(
                file, "w", sample_rate, channels, encoding, format=container, compression_level=compression
            ) as encoder:
                # The Vorbis encoder of libsndfile 1.2 crashes if it is given a minute of sound at once.
                for start in range(0, len(x), _BLOCK):
                    encoder.write(x[start : start + _BLOCK])
        except (soundfile.LibsndfileError, ValueError) as error:
            raise ValueError(
                f"the {self.codec} encoder does not support {channels} channel(s) at {sample_rate} Hz ({error}): resample the "
                "sound, for example to 44,100 Hz, mix it down, or choose another codec"
            ) from error
        file.seek(0)
        return soundfile.read(file, dtype="float32")[0]
