"""Time stretching, pitch shifting, and changes of speed, which do both.

Time stretching and pitch shifting have three engines: `signalsmith` (the default, through python-stretch), `rubberband`
(through pyrubberband; it needs the program of that name) and `librosa` (a phase vocoder).
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
from audiozoo.checks import require_choice, require_number

Engine = Literal["signalsmith", "rubberband", "librosa"]

_SEED = 0  # below half the speed, the engine draws random phases; a fixed seed makes it repeatable
_LIBROSA_WINDOW = 2_048  # samples; librosa warns about shorter sounds, so they are padded
_LEAST_SAMPLE_RATE = 1_000  # Hz; at a few tens of Hz, engines crash or hang
_TAIL = 0.06  # seconds of silence after the sound
_HEADROOM = 4.0  # binary noise, the worst case found, comes back with three times the peak

RUBBERBAND_FIX = (
    "install it with `apt install rubberband-cli`, `brew install rubberband` or from https://breakfastquay.com/rubberband"
)
"""Ways to install the program of Rubber Band."""

_RATES = (0.1, 10.0)
_SEMITONES = (-36.0, 36.0)


def stretch(
    wave: np.ndarray, sample_rate: float, *, rate: float = 1.0, semitones: float = 0.0, engine: Engine = "signalsmith"
) -> np.ndarray:
    """Change the duration and the pitch of a sound independently.

    Args:
        wave: Waveform ``(samples,)`` or ``(samples, channels)``.
        sample_rate: Sample rate (Hz), at least 1,000.
        rate: Speed factor, 0.1 to 10; values above 1 shorten the sound.
        semitones: Pitch shift (semitones), -36 to 36; positive values raise the pitch.
        engine: "signalsmith", "rubberband" or "librosa".

    Returns:
        float32 waveform of ``round(samples / rate)`` samples with the same channels. Every engine gives this length.

    Raises:
        ValueError: `wave` is not a waveform, or an argument is outside the limits above.
        FileNotFoundError: The engine is "rubberband" and its program is not installed.

    >>> tone = np.sin(np.arange(8_000) / 5).astype(np.float32)
    >>> stretch(tone, 8_000, rate=1.25).shape
    (6400,)
    """
    require_choice("engine", engine, list(_ENGINES))
    wave, sample_rate = audio.check_wave(wave, sample_rate)
    if sample_rate < _LEAST_SAMPLE_RATE:
        raise ValueError(
            f"stretching needs a sample rate of at least {_LEAST_SAMPLE_RATE:,} Hz, got {sample_rate:g}: rates are in Hz, not "
            "kHz; resample a sound with a lower rate"
        )
    require_number("rate", rate, *_RATES)
    require_number("semitones", semitones, *_SEMITONES)
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
    # The engine refuses read-only arrays, hence the copy, and fades out a sound that ends abruptly, hence the silence.
    padded = np.zeros((wave.shape[1], len(wave) + math.ceil(_TAIL * sample_rate)), np.float32)
    padded[:, : len(wave)] = wave.T
    return np.asarray(engine.process(padded)).T


def _rubberband(wave: np.ndarray, sample_rate: float, rate: float, semitones: float) -> np.ndarray:
    if not shutil.which("rubberband"):
        raise FileNotFoundError(
            f"the engine 'rubberband' needs the program rubberband, which is not on the PATH: {RUBBERBAND_FIX}, or use "
            "engine='signalsmith', which needs no program"
        )
    import pyrubberband

    # The sound travels as 16-bit files. Scaling it to a fixed peak keeps the resolution of quiet sounds, and the headroom keeps
    # the program from turning the whole sound down where its output would clip.
    scale = _HEADROOM * peak_of(wave) or 1.0
    wave, sample_rate = wave / scale, round(sample_rate)
    together = {"--centre-focus": ""} if wave.shape[1] == 2 else {}  # keeps the phases of the two channels together
    if semitones:  # time_stretch returns its input if the rate is 1, whatever rbargs says
        return scale * pyrubberband.pitch_shift(wave, sample_rate, semitones, rbargs={"--tempo": rate, **together})
    return scale * pyrubberband.time_stretch(wave, sample_rate, rate, rbargs=together)


def _librosa(wave: np.ndarray, sample_rate: float, rate: float, semitones: float) -> np.ndarray:
    from librosa.effects import pitch_shift, time_stretch

    channels = np.ascontiguousarray(fitted(wave, max(len(wave), _LIBROSA_WINDOW)).T)
    with np.errstate(invalid="ignore"):  # librosa 1.0 casts uninitialised memory
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
    """Make the sound faster or slower without changing its pitch; see `stretch`.

    Args:
        rate: Range of the speed factor.
        engine: "signalsmith", "rubberband" or "librosa".
        keep_length: Whether the output is cut or padded with zeros to the length of the input.
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
    """Raise or lower the pitch without changing the speed; see `stretch`.

    Args:
        semitones: Range of the pitch shift (semitones; 12 are an octave).
        engine: "signalsmith", "rubberband" or "librosa".
    """

    RANGES: ClassVar = {"semitones": _SEMITONES}

    semitones: Range = (-2.0, 2.0)

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, semitones: float, engine: Engine) -> np.ndarray:
        assert sample_rate is not None
        return stretch(x, sample_rate, semitones=semitones, engine=engine)


@dataclass(frozen=True, kw_only=True)
class Speed(WaveTransform):
    """Change speed and pitch together by resampling, as a tape that runs faster or slower does.

    Args:
        rate: Range of the speed factor.
        keep_length: Whether the output is cut or padded with zeros to the length of the input.
    """

    RANGES: ClassVar = {"rate": _RATES}

    rate: Range = (0.9, 1.1)
    keep_length: bool = True

    def _apply(self, x: np.ndarray, sample_rate: float | None, *, rate: float) -> np.ndarray:
        changed = fitted(audio.resample(x, rate, 1.0), max(1, round(len(x) / rate)))
        return fitted(changed, len(x)) if self.keep_length else changed
