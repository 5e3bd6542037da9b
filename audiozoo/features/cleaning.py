"""Cleaning: what is done to a window of sound before a frontend looks at it.

A step is a frozen value that is called with a wave and its rate. In a frontend's `prepare` it is saved with the model, so
that a sound is cleaned for prediction as it was for training; on its own it cleans any wave.
"""

from __future__ import annotations

import base64
import math
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Integral
from typing import Self

import numpy as np

from audiozoo import audio
from audiozoo.config import Configured

_LOUD = 1e5  # librosa takes an RMS below 1e-5 for silence; a wave brought to this peak has none of its sound there
_GATE_SECONDS = 1_024 / 44_100  # the frame of noisereduce at the rate that its defaults are made for
_GATE_LOWEST_RATE = 1_000  # Hz; below, a frame has too few bins to tell sound from noise
_DITHER = 1e-12  # of the peak: 240 dB below it
_SHORTEST_NOISE = 0.1  # seconds; a few frames, as a deviation over time needs
_LONGEST_NOISE = 2**22  # samples; 95 s at 44.1 kHz, and 16 MiB in memory


@dataclass(frozen=True, kw_only=True)
class Step(Configured, ABC):
    """A change of one waveform that depends on that waveform alone."""

    def __call__(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        """Clean a wave.

        Args:
            wave: Floating point, ``(samples,)`` or ``(samples, channels)``; it is not changed.
            sample_rate: Its rate in Hz.

        Returns:
            float32, finite, as many channels, at least one sample. Digital silence is kept as it is, whatever the step. Where
            a step changes nothing it may return `wave` itself.

        Raises:
            ValueError: The wave is none, see `audiozoo.audio.check_wave`.
        """
        wave, sample_rate = audio.check_wave(wave, sample_rate)
        return self.of_checked(wave, sample_rate)

    def of_checked(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        """Clean a wave that `audiozoo.audio.check_wave` has seen already."""
        cleaned = self._apply(wave, sample_rate) if wave.any() else wave
        return np.ascontiguousarray(cleaned, dtype=np.float32)

    @abstractmethod
    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        """Clean a float32 wave that is not all zeros, without changing it."""


def non_silent(
    wave: np.ndarray, sample_rate: float, *, top_db: float = 60.0, frame_length: int = 2_048, hop_length: int = 512
) -> list[tuple[int, int]]:
    """Find the parts of a wave that are not silent, by ``librosa.effects.split`` on all channels together.

    Unlike there, it does not matter how loud the wave is as a whole, and digital silence has no such part.

    Args:
        wave: ``(samples,)`` or ``(samples, channels)``.
        sample_rate: Its rate in Hz.
        top_db: How far below the loudest frame (by RMS) silence begins, dB.
        frame_length, hop_length: Samples; the parts are whole hops, each with half a frame around its start to judge it by.

    Returns:
        First sample and the one after the last, of each part, in order.

    Raises:
        ValueError: No waveform, or an impossible setting.
    """
    _check_silence(top_db, frame_length, hop_length)
    wave, _ = audio.check_wave(wave, sample_rate)
    if not wave.any():
        return []
    from librosa.effects import split

    level = wave.T / np.abs(wave).max() * _LOUD
    parts = split(level, top_db=top_db, frame_length=frame_length, hop_length=hop_length)
    return [(int(start), int(end)) for start, end in parts]


def _check_silence(top_db: float, frame_length: int, hop_length: int) -> None:
    if not 0 < top_db < math.inf:
        raise ValueError(f"top_db must be positive, in dB below the loudest frame, got {top_db}")
    whole = isinstance(frame_length, Integral) and isinstance(hop_length, Integral)
    if not (whole and 0 < hop_length <= frame_length // 2):
        raise ValueError(
            "silence is found with 0 < hop_length <= frame_length // 2 in whole samples, or sound would fall between frames; "
            f"got hop_length={hop_length} and frame_length={frame_length}"
        )


@dataclass(frozen=True, kw_only=True)
class _Silence(Step):
    """What the steps that cut silence share; a wave of which nothing would remain is kept whole."""

    top_db: float = 60.0
    frame_length: int = 2_048
    hop_length: int = 512

    def __post_init__(self) -> None:
        _check_silence(self.top_db, self.frame_length, self.hop_length)

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        parts = non_silent(wave, sample_rate, top_db=self.top_db, frame_length=self.frame_length, hop_length=self.hop_length)
        kept = np.concatenate([wave[:0], *(wave[start:end] for start, end in self._kept(parts))])
        # A wave shorter than its number of channels is taken for one that lies on its side.
        return kept if len(kept) >= math.prod(wave.shape[1:]) else wave

    @abstractmethod
    def _kept(self, parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Choose the spans to keep, given those that are not silent."""


@dataclass(frozen=True, kw_only=True)
class TrimSilence(_Silence):
    """Cut silence from both ends, as ``librosa.effects.trim`` does, all channels alike; shorter waves come out.

    Args:
        top_db, frame_length, hop_length: What silence is, see `non_silent`. A wave that is silent throughout is kept whole.

    Raises:
        ValueError: An impossible setting.
    """

    def _kept(self, parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return [(parts[0][0], parts[-1][1])] if parts else []


@dataclass(frozen=True, kw_only=True)
class RemoveSilence(_Silence):
    """Cut silence wherever it is, pauses too, and join what remains; shorter waves come out.

    Args:
        top_db, frame_length, hop_length: What silence is, see `non_silent`. A wave that is silent throughout is kept whole.

    Raises:
        ValueError: An impossible setting.
    """

    def _kept(self, parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
        return parts


@dataclass(frozen=True, kw_only=True)
class NoiseClip(Configured):
    """A recording of noise alone, mono, that travels inside JSON; made by `of` or `read`.

    Args:
        sample_rate: Hz.
        samples: base64 of zlib of little-endian float32.

    Raises:
        ValueError: The text holds no samples, or they are silence, shorter than 0.1 s or more than 4 194 304.
    """

    sample_rate: float
    samples: str = field(repr=False)

    def __post_init__(self) -> None:
        wave, _ = audio.check_wave(self.wave, self.sample_rate, name="noise clip")
        if not wave.any():
            raise ValueError("a noise clip must hold noise, got digital silence: cut it where only the noise is heard")
        if len(wave) < _SHORTEST_NOISE * self.sample_rate:
            raise ValueError(f"a noise clip must last {_SHORTEST_NOISE} s or more, got {len(wave) / self.sample_rate:.4f} s")

    @classmethod
    def of(cls, wave: np.ndarray, sample_rate: float) -> Self:
        """Keep a wave, mixed down to mono, as a noise clip.

        Args:
            wave: ``(samples,)`` or ``(samples, channels)``.
            sample_rate: Its rate in Hz.

        Raises:
            ValueError: No waveform, silence, or too short or too long a wave.
        """
        wave, sample_rate = audio.check_wave(wave, sample_rate, name="noise clip")
        if len(wave) > _LONGEST_NOISE:
            raise ValueError(f"a noise clip travels inside the model: at most {_LONGEST_NOISE} samples, got {len(wave)}")
        packed = zlib.compress(audio.set_channels(wave, 1).astype("<f4").tobytes())
        return cls(sample_rate=sample_rate, samples=base64.b64encode(packed).decode("ascii"))

    @classmethod
    def read(cls, source: audio.Source) -> Self:
        """Read a sound file, see `audiozoo.audio.read`, and keep it as a noise clip."""
        return cls.of(*audio.read(source))

    @property
    def wave(self) -> np.ndarray:
        """The samples, float32 ``(samples,)``."""
        inflate = zlib.decompressobj()
        try:
            # The text may come from anywhere: what it unpacks to is bounded.
            data = inflate.decompress(base64.b64decode(self.samples, validate=True), 4 * _LONGEST_NOISE + 1)
        except (TypeError, ValueError, zlib.error) as error:
            raise ValueError(f"a noise clip is base64 of zlib of float32 ({error}): make one with NoiseClip.of") from error
        if not inflate.eof or len(data) % 4:
            raise ValueError(f"a noise clip is whole float32 samples, at most {_LONGEST_NOISE}, got a text cut short or longer")
        return np.frombuffer(data, "<f4").astype(np.float32)


@lru_cache(maxsize=8)
def _profile(noise: NoiseClip, sample_rate: float) -> np.ndarray:
    """Return a noise clip at a rate, in double precision like the gate's arithmetic."""
    return audio.resample(noise.wave, noise.sample_rate, sample_rate).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class ReduceNoise(Step):
    """Lower noise by spectral gating (noisereduce; Sainburg et al., 2020), each channel for itself, in frames of about 23 ms.

    A wave shorter than one frame has no profile of its own and is kept as it is.

    Args:
        stationary: With `True` the noise floor is one for the whole wave: a threshold for each frequency from its mean and
            deviation (over the first 600 000 samples of a long wave). With `False` it follows the sound over about two
            seconds, and a steady tone counts as noise.
        amount: What part of the noise to take away, above 0 up to 1.
        noise: Noise alone, to measure the threshold on instead of on the wave itself; resampled if its rate is another.
            For ``stationary=True`` only.

    Raises:
        ValueError: An amount out of range, or a noise clip without ``stationary=True``. When called: a rate below 1000 Hz.
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
            raise ValueError("a noise clip is the profile of stationary noise: pass stationary=True with it")

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        if sample_rate < _GATE_LOWEST_RATE:
            raise ValueError(f"noise reduction needs a rate of at least {_GATE_LOWEST_RATE} Hz, got {sample_rate}")
        n_fft = 2 ** round(math.log2(_GATE_SECONDS * sample_rate))
        if len(wave) < n_fft and self.noise is None:
            return wave
        # One channel at a time: noisereduce would measure all of them on one profile.
        columns = [self._gated(column, sample_rate, n_fft) for column in wave.reshape(len(wave), -1).T]
        return np.stack(columns, axis=-1).reshape(wave.shape)

    def _gated(self, column: np.ndarray, sample_rate: float, n_fft: int) -> np.ndarray:
        import noisereduce

        if not column.any():
            return column
        # It divides by the floor of each frequency, which is zero in digital silence.
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


@dataclass(frozen=True, kw_only=True)
class NormalizePeak(Step):
    """Bring the largest magnitude to a level by one gain for all channels.

    Args:
        peak: Magnitude wanted, of full scale.

    Raises:
        ValueError: A peak that is not above 0 and at most 1.
    """

    peak: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.peak <= 1:
            raise ValueError(f"peak must be above 0 and at most 1, got {self.peak}")

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        return wave / np.abs(wave).max() * np.float32(self.peak)


@dataclass(frozen=True, kw_only=True)
class PreEmphasis(Step):
    """Raise high frequencies: each sample less a part of the one before.

    Before the first sample the wave is taken to have stood still, so the first becomes ``(1 - coefficient) * wave[0]``, as
    in HTK; librosa does the same with ``zi=-coefficient * wave[0]``.

    Args:
        coefficient: The part, above 0 up to 1.

    Raises:
        ValueError: A coefficient out of range.
    """

    coefficient: float = 0.97

    def __post_init__(self) -> None:
        if not 0 < self.coefficient <= 1:
            raise ValueError(f"coefficient must be above 0 and at most 1, got {self.coefficient}")

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        return wave - np.float32(self.coefficient) * np.concatenate([wave[:1], wave[:-1]])


@dataclass(frozen=True, kw_only=True)
class RemoveDC(Step):
    """Subtract from each channel its mean."""

    def _apply(self, wave: np.ndarray, sample_rate: float) -> np.ndarray:
        return wave - wave.mean(axis=0, dtype=np.float64)
