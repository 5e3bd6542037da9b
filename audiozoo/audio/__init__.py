"""Read, resample and mix down sound, pad or crop it to a length, and cut it into windows.

A waveform is a float32 array, nominally in [-1, 1], of shape ``(samples,)`` or ``(samples, channels)`` as in soundfile, and
always comes with its sample rate in Hz.
"""

from __future__ import annotations

import warnings

from audiozoo.audio.bounds import (
    MAX_CHANNELS,
    MAX_DURATION,
    MAX_FEATURES,
    MAX_FILTERS,
    MAX_RATE,
    MAX_SPECTRUM,
    MAX_UPSAMPLING,
    MAX_WINDOW,
    MIN_RATE,
    check_channels,
    check_features,
    check_rate,
    check_spectrum,
    check_upsampling,
    check_window,
)
from audiozoo.audio.files import (
    SOUND_SUFFIXES,
    Source,
    describe,
    encode,
    explain,
    is_sound_file,
    load,
    measure,
    read,
    sounds_in,
    stream,
)
from audiozoo.audio.pcm import PCM_FORMATS, PcmDecoder
from audiozoo.audio.waves import (
    LOUDEST,
    CropMode,
    Cutter,
    Last,
    Layout,
    PadMode,
    check_layout,
    check_samples,
    check_wave,
    conform,
    cut,
    fit,
    resample,
    set_channels,
)

__all__ = [
    "LOUDEST",
    "MAX_CHANNELS",
    "MAX_DURATION",
    "MAX_FEATURES",
    "MAX_FILTERS",
    "MAX_RATE",
    "MAX_SPECTRUM",
    "MAX_UPSAMPLING",
    "MAX_WINDOW",
    "MIN_RATE",
    "PCM_FORMATS",
    "SOUND_SUFFIXES",
    "CropMode",
    "Cutter",
    "Last",
    "Layout",
    "PadMode",
    "PcmDecoder",
    "Source",
    "check_channels",
    "check_features",
    "check_layout",
    "check_rate",
    "check_samples",
    "check_spectrum",
    "check_upsampling",
    "check_wave",
    "check_window",
    "conform",
    "cut",
    "describe",
    "encode",
    "explain",
    "fit",
    "is_sound_file",
    "load",
    "measure",
    "read",
    "resample",
    "set_channels",
    "sounds_in",
    "stream",
]

_RENAMED = {"Crop": "CropMode", "Pad": "PadMode"}


def __getattr__(name: str) -> object:
    if name not in _RENAMED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"audiozoo.audio.{name} is now audiozoo.audio.{_RENAMED[name]}", DeprecationWarning, stacklevel=2)
    return globals()[_RENAMED[name]]
