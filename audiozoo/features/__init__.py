"""Frontends, which turn one window of sound into an array, the steps that clean it first, and the scaler fitted on it."""

from audiozoo.features.cleaning import (
    NoiseClip,
    NormalizePeak,
    PreEmphasis,
    ReduceNoise,
    RemoveDC,
    RemoveSilence,
    Step,
    TrimSilence,
    non_silent,
)
from audiozoo.features.extract import Features, extract
from audiozoo.features.frontends import Frontend, LogMel, Spectrogram, Statistics, Waveform
from audiozoo.features.loudness import NormalizeLoudness, loudness
from audiozoo.features.scaler import Scaler

__all__ = [
    "Features",
    "Frontend",
    "LogMel",
    "NoiseClip",
    "NormalizeLoudness",
    "NormalizePeak",
    "PreEmphasis",
    "ReduceNoise",
    "RemoveDC",
    "RemoveSilence",
    "Scaler",
    "Spectrogram",
    "Statistics",
    "Step",
    "TrimSilence",
    "Waveform",
    "extract",
    "loudness",
    "non_silent",
]
