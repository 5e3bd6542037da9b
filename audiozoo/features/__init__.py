"""Frontends, which turn one window of sound into an array, and the scaler fitted on what they give."""

from audiozoo.features.cache import CacheInfo, FeatureCache
from audiozoo.features.cepstral import GFCC, MFCC
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
from audiozoo.features.combined import Scale, Stack, Statistics
from audiozoo.features.descriptors import Descriptors
from audiozoo.features.extract import extract
from audiozoo.features.frontends import Axis, Frontend, Waveform
from audiozoo.features.loudness import NormalizeLoudness, loudness
from audiozoo.features.packs import Features
from audiozoo.features.pitch import CQT, Chroma
from audiozoo.features.presets import list_presets, preset
from audiozoo.features.scaler import Scaler
from audiozoo.features.spectral import LogMel, Pcen, Spectrogram

__all__ = [
    "CQT",
    "GFCC",
    "MFCC",
    "Axis",
    "CacheInfo",
    "Chroma",
    "Descriptors",
    "FeatureCache",
    "Features",
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
    "Step",
    "TrimSilence",
    "Waveform",
    "extract",
    "list_presets",
    "loudness",
    "non_silent",
    "preset",
]
