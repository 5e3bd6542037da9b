"""Frontends, which turn one window of sound into an array, and the scaler fitted on what they give."""

from audiozoo.features.cache import CacheInfo, FeatureCache
from audiozoo.features.extract import Features, extract
from audiozoo.features.frontends import Frontend, LogMel, Spectrogram, Statistics, Waveform
from audiozoo.features.scaler import Scaler

__all__ = [
    "CacheInfo",
    "FeatureCache",
    "Features",
    "Frontend",
    "LogMel",
    "Scaler",
    "Spectrogram",
    "Statistics",
    "Waveform",
    "extract",
]
