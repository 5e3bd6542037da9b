"""Augmentation that needs nothing but NumPy to be imported: transforms of waveforms, of spectral features and of batches.

>>> import numpy as np
>>> from audiozoo import augment
>>> wave = np.sin(np.arange(44_100) / 10).astype(np.float32)
>>> louder = augment.Compose([augment.Gain(gain_db=(3, 6)), augment.TimeShift(p=0.5)])
>>> louder(wave, sample_rate=44_100, rng=(7, 0, 12)).shape  # a seed, an epoch and a clip: the same samples wherever it runs
(44100,)
"""

from audiozoo.augment.codec import Codec
from audiozoo.augment.compose import ByClass, Compose, OneOf, SomeOf, Transform
from audiozoo.augment.filters import Filter, RoomReverb
from audiozoo.augment.mix import BetweenClass, CutMix, Mix, Mixup, SameClassMix
from audiozoo.augment.noise import AddBackground, AddNoise
from audiozoo.augment.spectrogram import (
    FilterAugment,
    FrequencyShift,
    SpecAugment,
    SpecNoise,
    SpectralTransform,
    TimeRoll,
)
from audiozoo.augment.stretch import PitchShift, Speed, TimeStretch, stretch
from audiozoo.augment.waveform import (
    ChannelSwap,
    Clip,
    Crop,
    Downmix,
    Gain,
    Normalize,
    Pad,
    PolarityInversion,
    Reverse,
    TimeMask,
    TimeShift,
    WaveTransform,
)

__all__ = [
    "AddBackground",
    "AddNoise",
    "BetweenClass",
    "ByClass",
    "ChannelSwap",
    "Clip",
    "Codec",
    "Compose",
    "Crop",
    "CutMix",
    "Downmix",
    "Filter",
    "FilterAugment",
    "FrequencyShift",
    "Gain",
    "Mix",
    "Mixup",
    "Normalize",
    "OneOf",
    "Pad",
    "PitchShift",
    "PolarityInversion",
    "Reverse",
    "RoomReverb",
    "SameClassMix",
    "SomeOf",
    "SpecAugment",
    "SpecNoise",
    "SpectralTransform",
    "Speed",
    "TimeMask",
    "TimeRoll",
    "TimeShift",
    "TimeStretch",
    "Transform",
    "WaveTransform",
    "stretch",
]
