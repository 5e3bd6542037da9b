"""Per-channel energy normalisation of mel bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audiozoo.config import Configured


@dataclass(frozen=True, kw_only=True)
class Pcen(Configured):
    """Per-channel energy normalisation of mel bands: ``librosa.pcen`` of the bands times `scale`.

    Args:
        gain: Exponent of the smoothed energy, by which the bands are divided.
        bias: Summand before the compression.
        exponent: Exponent of the compression.
        time_constant: Time constant of the smoothing (seconds).
        scale: Factor on the bands before all else. The defaults suit samples in the range of 32-bit integers, hence 2^31.

    Raises:
        ValueError: A setting is negative, or one other than `gain` and `bias` is zero.

    Source: Wang et al., "Trainable frontend for robust and far-field keyword spotting", ICASSP 2017.
    """

    gain: float = 0.98
    bias: float = 2.0
    exponent: float = 0.5
    time_constant: float = 0.4
    scale: float = 2.0**31

    def __post_init__(self) -> None:
        positive = {"exponent": self.exponent, "time_constant": self.time_constant, "scale": self.scale}
        if not (self.gain >= 0 and self.bias >= 0 and all(value > 0 for value in positive.values())):
            raise ValueError(f"PCEN needs gain and bias of at least 0, and positive {', '.join(positive)}, got {self}")

    def __call__(self, bands: np.ndarray, sample_rate: int, hop_length: int) -> np.ndarray:
        """Normalise mel bands.

        Args:
            bands: Mel bands ``(frames, bands, channels)``.
            sample_rate: Sample rate of the sound (Hz).
            hop_length: Distance between the starts of neighbouring frames (samples).

        Returns:
            float32 of the same shape.
        """
        import librosa

        return librosa.pcen(
            bands * np.float32(self.scale),
            sr=sample_rate,
            hop_length=hop_length,
            gain=self.gain,
            bias=self.bias,
            power=self.exponent,
            time_constant=self.time_constant,
            axis=0,
        ).astype(np.float32)
