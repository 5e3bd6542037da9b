"""Noise reduction, and recordings of noise that are saved with a model."""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

import numpy as np

from audiozoo import audio
from audiozoo.config import Configured
from audiozoo.features.cleaning import CleaningStep

_GATE_SECONDS = 1_024 / 44_100  # noisereduce's default frame at the sample rate that its defaults suit
_GATE_LOWEST_RATE = 1_000  # Hz; below this rate a frame has too few bins to separate sound from noise
_DITHER = 1e-12  # fraction of the peak, 240 dB below it
_SHORTEST_NOISE = 0.1  # seconds; the few frames that a standard deviation over time needs
_LONGEST_NOISE = 2**22  # samples; 95 s at 44.1 kHz, and 16 MiB in memory


@dataclass(frozen=True, kw_only=True)
class NoiseClip(Configured):
    """Mono recording of noise alone that can be saved as JSON. `of` and `read` make one.

    Args:
        sample_rate: Sample rate of the noise (Hz).
        samples: The samples as little-endian float32, compressed with zlib and encoded in base64.

    Raises:
        ValueError: The text cannot be decoded, or the noise is silent, shorter than 0.1 s or longer than 4194304 samples.
    """

    sample_rate: float
    samples: str = field(repr=False)

    def __post_init__(self) -> None:
        wave, _ = audio.check_wave(self.wave, self.sample_rate, name="noise clip")
        if not wave.any():
            raise ValueError(
                "a noise clip must contain noise, got digital silence: choose a part of the recording with noise only"
            )
        if len(wave) < _SHORTEST_NOISE * self.sample_rate:
            raise ValueError(f"a noise clip must last {_SHORTEST_NOISE} s or more, got {len(wave) / self.sample_rate:.4f} s")

    @classmethod
    def of(cls, wave: np.ndarray, sample_rate: float) -> Self:
        """Make a noise clip of a wave, which is mixed down to mono.

        Args:
            wave: Noise, ``(samples,)`` or ``(samples, channels)``.
            sample_rate: Sample rate (Hz).

        Raises:
            ValueError: The array is not a valid wave, or it is silent, too short or too long.
        """
        wave, sample_rate = audio.check_wave(wave, sample_rate, name="noise clip")
        if len(wave) > _LONGEST_NOISE:
            raise ValueError(
                f"a noise clip is saved inside the model and has at most {_LONGEST_NOISE} samples, got {len(wave)}"
            )
        packed = zlib.compress(audio.set_channels(wave, 1).astype("<f4").tobytes())
        return cls(sample_rate=sample_rate, samples=base64.b64encode(packed).decode("ascii"))

    @classmethod
    def read(cls, source: audio.Source) -> Self:
        """Make a noise clip of a sound file, which `audiozoo.audio.read` reads."""
        return cls.of(*audio.read(source))

    @property
    def wave(self) -> np.ndarray:
        """The samples, float32 ``(samples,)``."""
        inflate = zlib.decompressobj()
        try:
            # A file from anywhere may contain the text, so the size of the decompressed data is bounded.
            data = inflate.decompress(base64.b64decode(self.samples, validate=True), 4 * _LONGEST_NOISE + 1)
        except (TypeError, ValueError, zlib.error) as error:
            raise ValueError(
                f"samples must be base64 of zlib of float32 ({error}): make a noise clip with NoiseClip.of"
            ) from error
        if not inflate.eof or len(data) % 4:
            raise ValueError(
                f"a noise clip has whole float32 samples, at most {_LONGEST_NOISE}, got a text that is cut short or longer"
            )
        return np.frombuffer(data, "<f4").astype(np.float32)


@lru_cache(maxsize=8)
def _profile(noise: NoiseClip, sample_rate: float) -> np.ndarray:
    """Return a noise clip at another sample rate, in the double precision that noisereduce computes in."""
    return audio.resample(noise.wave, noise.sample_rate, sample_rate).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class ReduceNoise(CleaningStep):
    """Reduce noise in each channel by spectral gating in frames of about 23 ms, with the package noisereduce.

    A wave that is shorter than one frame is returned unchanged, because no noise floor can be measured on it.

    Args:
        stationary: Kind of noise floor. `True` uses one floor for the whole wave, with a threshold for each frequency from
            its mean and standard deviation (over the first 600000 samples of a long wave). `False` lets the floor follow the
            sound over about two seconds, so that a steady tone counts as noise.
        amount: Fraction of the noise to remove, above 0 and at most 1.
        noise: Recording of noise alone on which the floor is measured instead of on the wave; it is resampled to the rate of
            the wave. It requires ``stationary=True``.

    Raises:
        ValueError: `amount` is out of range, or `noise` is given without ``stationary=True``. When called: the sample rate is
            below 1000 Hz.

    Source: Sainburg, Thielk and Gentner, "Finding, visualizing, and quantifying latent structure across diverse animal vocal
    repertoires", PLOS Computational Biology 16, 2020.
    """

    stationary: bool = False
    amount: float = 1.0
    noise: NoiseClip | None = None

    def __post_init__(self) -> None:
        if not 0 < self.amount <= 1:
            raise ValueError(f"amount must be above 0 and at most 1, got {self.amount}")
        if not isinstance(self.stationary, bool):
            raise ValueError(f"stationary must be True or False, got {self.stationary!r}")
        if not (self.noise is None or isinstance(self.noise, NoiseClip)):
            raise ValueError(f"noise must be a NoiseClip, got {type(self.noise).__name__}: use NoiseClip.of(wave, sample_rate)")
        if self.noise is not None and not self.stationary:
            raise ValueError("a noise clip requires stationary=True: pass both")

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        if sample_rate < _GATE_LOWEST_RATE:
            raise ValueError(
                f"noise reduction needs a sample rate of at least {_GATE_LOWEST_RATE} Hz, got {sample_rate}: resample the wave"
            )
        n_fft = 2 ** round(math.log2(_GATE_SECONDS * sample_rate))
        if len(wave) < n_fft and self.noise is None:
            return wave
        # noisereduce would measure one noise floor over all channels, so each is reduced separately.
        columns = [self._gated(column, sample_rate, n_fft) for column in wave.reshape(len(wave), -1).T]
        return np.stack(columns, axis=-1).reshape(wave.shape)

    def _gated(self, column: np.ndarray, sample_rate: float, n_fft: int) -> np.ndarray:
        import noisereduce

        if not column.any():
            return column
        # noisereduce divides by the floor of each frequency, which must not be zero in stretches of digital silence.
        dither = np.random.default_rng(0).uniform(-_DITHER, _DITHER, len(column)) * np.abs(column).max()
        return noisereduce.reduce_noise(
            y=column + dither,
            sr=sample_rate,
            stationary=self.stationary,
            y_noise=None if self.noise is None else _profile(self.noise, sample_rate),
            prop_decrease=self.amount,
            n_fft=n_fft,
            use_tqdm=False,
            n_jobs=1,
        )
