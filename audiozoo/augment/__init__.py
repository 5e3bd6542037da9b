"""Augmentation that needs nothing but NumPy to be imported: transforms of waveforms, of spectral features and of batches.

>>> import numpy as np
>>> from audiozoo import augment
>>> wave = np.sin(np.arange(44_100) / 10).astype(np.float32)
>>> louder = augment.Compose([augment.Gain(gain_db=(3, 6)), augment.TimeShift(p=0.5)])
>>> louder(wave, sample_rate=44_100, rng=(7, 0, 12)).shape  # a seed, an epoch and a clip: the same samples wherever it runs
(44100,)
"""

import lazy_loader

# The stub beside this file names what is public and where it lives; each is imported on first use.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

del lazy_loader
