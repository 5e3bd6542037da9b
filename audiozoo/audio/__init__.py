"""Read, resample, mix down, fit to a length, and cut sound into windows.

A waveform is float32, nominally in [-1, 1], shaped ``(samples,)`` or ``(samples, channels)`` as soundfile gives it, and
never travels without its sample rate in hertz.
"""

from audiozoo.audio.files import (
    SOUND_SUFFIXES,
    Source,
    describe,
    explain,
    is_sound_file,
    load,
    measure,
    read,
    sounds_in,
    stream,
)
from audiozoo.audio.waves import (
    LOUDEST,
    Crop,
    Last,
    Layout,
    Pad,
    check_layout,
    check_samples,
    check_wave,
    conform,
    cut,
    fit,
    resample,
    set_channels,
    window_starts,
)

__all__ = [
    "LOUDEST",
    "SOUND_SUFFIXES",
    "Crop",
    "Last",
    "Layout",
    "Pad",
    "Source",
    "check_layout",
    "check_samples",
    "check_wave",
    "conform",
    "cut",
    "describe",
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
    "window_starts",
]
