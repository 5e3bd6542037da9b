"""Frontends, which turn a window of sound into an array, cleaning steps, feature extraction and standardisation."""

import warnings
from typing import Any

from audiozoo.features.cache import CacheInfo, FeatureCache
from audiozoo.features.cepstral import GFCC, MFCC
from audiozoo.features.cleaning import (
    CleaningStep,
    NormalizePeak,
    PreEmphasis,
    RemoveDC,
    RemoveSilence,
    TrimSilence,
    non_silent,
)
from audiozoo.features.combined import Scale, Stack, Statistics
from audiozoo.features.descriptors import Descriptors
from audiozoo.features.extract import extract
from audiozoo.features.framed import Framed
from audiozoo.features.frontends import Axis, Frontend, Waveform
from audiozoo.features.loudness import NormalizeLoudness, loudness
from audiozoo.features.noise import NoiseClip, ReduceNoise
from audiozoo.features.packs import Features
from audiozoo.features.pcen import Pcen
from audiozoo.features.pitch import CQT, Chroma
from audiozoo.features.presets import list_presets, preset
from audiozoo.features.scaler import Scaler
from audiozoo.features.spectral import LogMel, Spectrogram

__all__ = [
    "CQT",
    "GFCC",
    "MFCC",
    "Axis",
    "CacheInfo",
    "Chroma",
    "CleaningStep",
    "Descriptors",
    "FeatureCache",
    "Features",
    "Framed",
    "Frontend",
    "LogMel",
    "NoiseClip",
    "NormalizeLoudness",
    "NormalizePeak",
    "Pcen",
    "PreEmphasis",
    "ReduceNoise",
    "RemoveDC",
    "RemoveSilence",
    "Scale",
    "Scaler",
    "Spectrogram",
    "Stack",
    "Statistics",
    "TrimSilence",
    "Waveform",
    "extract",
    "list_presets",
    "loudness",
    "non_silent",
    "preset",
]


def __getattr__(name: str) -> Any:
    if name == "Step":
        warnings.warn("audiozoo.features.Step is deprecated, use CleaningStep", DeprecationWarning, stacklevel=2)
        return CleaningStep
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
