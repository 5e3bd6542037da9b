"""Time stretching, pitch shifting, and both together as a change of speed.

Three engines do the first two: `signalsmith` (the default, by python-stretch), `rubberband` (by pyrubberband, and needs the
program of that name) and `librosa` (a phase vocoder).
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from audiozoo import audio
from audiozoo.augment.transform import Drawn, Range
from audiozoo.augment.waveform import WaveTransform, fitted, peak_of
from audiozoo.checks import require_choice

Engine = Literal["signalsmith", "rubberband", "librosa"]

_SEED = 0  # the engine draws phases where it slows a sound to less than half: the same ones each time
_LIBROSA_WINDOW = 2_048  # samples, below which librosa warns; silence follows a shorter sound and is cut off again
_LEAST_SAMPLE_RATE = 1_000  # Hz; at tens of them, engines crash or never return
_TAIL = 0.06  # seconds
_HEADROOM = 4.0  # noise of two values comes back with three times the peak
_RATES = (0.1, 10.0)
_SEMITONES = (-36.0, 36.0)


def stretch(
    wave: np.ndarray, sample_rate: float, *, rate: float = 1.0, semitones: float = 0.0, engine: Engine = "signalsmith"
) -> np.ndarray:
    """Change a sound's duration or its pitch, each without the other.

    Args:
        wave: ``(samples,)`` or ``(samples, channels)``.
        sample_rate: Hz.
        rate: How many times as fast, 0.1 to 10.
        semitones: How much higher, -36 to 36.
        engine: "signalsmith", "rubberband" or "librosa".

    Returns:
        float32 ``(round(samples / rate),)`` or with the same channels, whatever the engine.

    Raises:
        ValueError: No waveform, less than 1,000 samples a second, another engine, or a number beyond what is said here.
        FileNotFoundError: The program `rubberband` is not installed.

    >>> tone = np.sin(np.arange(8_000) / 5).astype(np.float32)
    >>> stretch(tone, 8_000, rate=1.25).shape
    (6400,)
    """
    require_choice("engine", engine, list(_ENGINES))
    wave, sample_rate = audio.check_wave(wave, sample_rate)
    if sample_rate < _LEAST_SAMPLE_RATE:
        raise ValueError(
            f"stretching needs a sample rate of at least {_LEAST_SAMPLE_RATE:,} Hz, got {sample_rate:g}: rates are in Hz, not "
            "kHz; resample a slower sound"
        )
    if not (_RATES[0] <= rate <= _RATES[1] and _SEMITONES[0] <= semitones <= _SEMITONES[1]):
        raise ValueError(f"rate must be within {_RATES} and semitones within {_SEMITONES}, got {rate} and {semitones}")
    if rate == 1 and not semitones:
        return wave
    samples = max(1, round(len(wave) / rate))
    changed = _ENGINES[engine](wave.reshape(len(wave), -1), sample_rate, rate, semitones)
    return fitted(np.ascontiguousarray(changed, np.float32), samples).reshape(samples, *wave.shape[1:])


def _signalsmith(wave: np.ndarray, sample_rate: float, rate: float, semitones: float) -> np.ndarray:
    from python_stretch.Signalsmith import Stretch

    engine = Stretch(_SEED)
    engine.preset(wave.shape[1], sample_rate)
    engine.timeFactor = rate
    engine.setTransposeSemitones(semitones)
    # A copy, as it takes no read-only array, and with silence behind: it fades a sound out that ends at once.
    padded = np.zeros((wave.shape[1], len(wave) + math.ceil(_TAIL * sample_rate)), np.float32)
    padded[:, : len(wave)] = wave.T
    return np.asarray(engine.process(padded)).T


def _rubberband(wave: np.ndarray, sample_rate: float, rate: float, semitones: float) -> np.ndarray:
    if not shutil.which("rubberband"):
        raise FileNotFoundError(
            "the engine 'rubberband' needs the program rubberband, which is not on the PATH: install it with "
            "`apt install rubberband-cli`, `brew install rubberband` or from https://breakfastquay.com/rubberband, "
            "or use engine='signalsmith', which needs no program"
        )
    import pyrubberband

    # The sound goes there and back as a file of 16 bits: always as loud, for the sake of quiet and of loud ones, and with
    # room above, as the program makes all of a sound softer that it would else clip.
    scale = _HEADROOM * peak_of(wave) or 1.0
    wave, sample_rate = wave / scale, round(sample_rate)
    together = {"--centre-focus": ""} if wave.shape[1] == 2 else {}  # or the phases of two channels drift apart
    if semitones:  # with a rate of 1, time_stretch does nothing, whatever else it is told
        return scale * pyrubberband.pitch_shift(wave, sample_rate, semitones, rbargs={"--tempo": rate, **together})
    return scale * pyrubberband.time_stretch(wave, sample_rate, rate, rbargs=together)


def _librosa(wave: np.ndarray, sample_rate: float, rate: float, semitones: float) -> np.ndarray:
    from librosa.effects import pitch_shift, time_stretch

    channels = np.ascontiguousarray(fitted(wave, max(len(wave), _LIBROSA_WINDOW)).T)
    with np.errstate(invalid="ignore"):  # librosa 1.0 casts memory before it writes there
        if semitones:
            channels = pitch_shift(channels, sr=sample_rate, n_steps=semitones)
        return (time_stretch(channels, rate=rate) if rate != 1 else channels).T


_ENGINES: dict[str, Callable[[np.ndarray, float, float, float], np.ndarray]] = {
    "signalsmith": _signalsmith,
    "rubberband": _rubberband,
    "librosa": _librosa,
}


@dataclass(frozen=True, kw_only=True)
class _Stretched(WaveTransform):
    NEEDS_RATE = True

    engine: Engine = "signalsmith"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("engine", self.engine, list(_ENGINES))

    def _draw(self, x: np.ndarray, rng: np.random.Generator, sample_rate: float | None) -> Drawn:
        return {**super()._draw(x, rng, sample_rate), "engine": self.engine}


@dataclass(frozen=True, kw_only=True)
class TimeStretch(_Stretched):
    """Make the sound faster or slower at the same pitch; see `stretch`.

    Args:
        rate: Range of how many times as fast.
        engine: "signalsmith", "rubberband" or "librosa".
        keep_length: Cut a slower sound's end off, put silence behind a faster one; otherwise the length changes.
    """

    RANGES: ClassVar = {"rate": _RATES}

    rate: Range = (0.8, 1.25)
    keep_length: bool = True

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, rate: float, engine: Engine) -> np.ndarray:
        assert sample_rate is not None
        changed = stretch(x, sample_rate, rate=rate, engine=engine)
        return fitted(changed, len(x)) if self.keep_length else changed


@dataclass(frozen=True, kw_only=True)
class PitchShift(_Stretched):
    """Make the sound higher or lower at the same speed; see `stretch`.

    Args:
        semitones: Range of how much higher; 12 are an octave.
        engine: "signalsmith", "rubberband" or "librosa".
    """

    RANGES: ClassVar = {"semitones": _SEMITONES}

    semitones: Range = (-2.0, 2.0)

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, semitones: float, engine: Engine) -> np.ndarray:
        assert sample_rate is not None
        return stretch(x, sample_rate, semitones=semitones, engine=engine)


@dataclass(frozen=True, kw_only=True)
class Speed(WaveTransform):
    """Play the sound faster and higher, or slower and lower, by resampling it.

    Args:
        rate: Range of how many times as fast.
        keep_length: Cut a slower sound's end off, put silence behind a faster one; otherwise the length changes.
    """

    RANGES: ClassVar = {"rate": _RATES}

    rate: Range = (0.9, 1.1)
    keep_length: bool = True

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, rate: float) -> np.ndarray:
        changed = fitted(audio.resample(x, rate, 1.0), max(1, round(len(x) / rate)))
        return fitted(changed, len(x)) if self.keep_length else changed
