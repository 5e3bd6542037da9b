"""Augmentation that needs nothing but NumPy: transforms of waveforms, of spectral features and of batches."""

from audiozoo.augment.compose import Compose, Transform
from audiozoo.augment.mix import Mix, Mixup
from audiozoo.augment.spectrogram import FilterAugment, SpecAugment, TimeRoll
from audiozoo.augment.waveform import Gain, TimeShift

__all__ = ["Compose", "FilterAugment", "Gain", "Mix", "Mixup", "SpecAugment", "TimeRoll", "TimeShift", "Transform"]
