"""Mel scales and the A-weighting curve."""

from __future__ import annotations

from typing import Literal

import numpy as np

MelScale = Literal["slaney", "htk"]

_SLANEY_STEP = np.log(6.4) / 27


def hz_to_mel(hertz: np.ndarray | float, scale: MelScale = "slaney") -> np.ndarray:
    """Convert hertz to mel.

    "slaney" is the scale of Slaney's Auditory Toolbox, linear below 1 kHz; "htk" is ``2595 log10(1 + hertz / 700)``.
    """
    hertz = np.asarray(hertz, float)
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    # np.where evaluates both branches, so the logarithm must not meet the zero at 0 Hz.
    above = 15 + np.log(np.maximum(hertz, 1000) / 1000) / _SLANEY_STEP
    return np.where(hertz < 1000, hertz * 3 / 200, above)


def mel_to_hz(mel: np.ndarray | float, scale: MelScale = "slaney") -> np.ndarray:
    """Convert mel to hertz; the inverse of `hz_to_mel`."""
    mel = np.asarray(mel, float)
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * _SLANEY_STEP))


def a_weighting(hertz: np.ndarray | float) -> np.ndarray:
    """Return the A-weighting of power at each frequency, as a factor: 1 at 1 kHz, 0 at 0 Hz.

    Source: IEC 61672-1:2013, annex E, with the pole frequencies in its rounded form.
    """
    square = np.square(np.asarray(hertz, float))
    low, middle_low, middle_high, high = np.square(_A_POLES)
    amplitude = high * square**2 / ((square + low) * np.sqrt((square + middle_low) * (square + middle_high)) * (square + high))
    return np.square(amplitude * _A_GAIN)


_A_POLES = (20.6, 107.7, 737.9, 12_194.0)  # Hz
_A_GAIN = 10 ** (2.0 / 20)  # 0 dB at 1 kHz
