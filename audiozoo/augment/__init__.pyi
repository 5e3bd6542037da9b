# The public names and their modules; `__init__.py` imports each on first use.
from .codec import Codec
from .compose import ByClass, Compose, OneOf, SomeOf
from .filters import Filter, RoomReverb
from .mix import BetweenClass, CutMix, Mix, Mixup, SameClassMix
from .noise import AddBackground, AddNoise
from .spectrogram import (
    FilterAugment,
    FrequencyShift,
    SpecAugment,
    SpecNoise,
    SpectralTransform,
    TimeRoll,
)
from .stretch import PitchShift, Speed, TimeStretch, stretch
from .transform import Transform
from .waveform import (
    ChannelSwap,
    Clipping,
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
    "Clipping",
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
