"""Augmentation: transforms of waveforms, of spectral features and of batches. Importing it loads only NumPy.

>>> import numpy as np
>>> from audiozoo import augment
>>> wave = np.sin(np.arange(44_100) / 10).astype(np.float32)
>>> louder = augment.Compose([augment.Gain(gain_db=(3, 6)), augment.TimeShift(p=0.5)])
>>> louder(wave, sample_rate=44_100, rng=(7, 0, 12)).shape  # (seed, epoch, clip) gives the same samples on every machine
(44100,)
"""

from typing import Any

import lazy_loader

# The stub beside this file lists the public names and their modules; lazy_loader imports each on first use.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

del lazy_loader

_RENAMED = {"Clip": "Clipping"}


def __getattr__(name: str) -> Any:
    if name not in _RENAMED:
        return _load(name)
    import warnings

    warnings.warn(f"audiozoo.augment.{name} is now called {_RENAMED[name]}", DeprecationWarning, stacklevel=2)
    return _load(_RENAMED[name])
