"""Short-time Fourier transforms and filterbanks that agree with librosa's and run two to three times as fast."""

from audiozoo.spectrum.filterbanks import (
    Filterbank,
    MelNorm,
    Triangles,
    gammatone_bank,
    gammatone_filterbank,
    mel_bank,
    mel_centres,
    mel_filterbank,
)
from audiozoo.spectrum.scales import MelScale, a_weighting, hz_to_mel, mel_to_hz
from audiozoo.spectrum.transform import (
    LEAST_POWER,
    Edges,
    Framing,
    Stft,
    complex_spectrogram,
    filtered_spectrogram,
    frame_count,
    spectrogram,
    to_decibels,
    window,
)

__all__ = [
    "LEAST_POWER",
    "Edges",
    "Filterbank",
    "Framing",
    "MelNorm",
    "MelScale",
    "Stft",
    "Triangles",
    "a_weighting",
    "complex_spectrogram",
    "filtered_spectrogram",
    "frame_count",
    "gammatone_bank",
    "gammatone_filterbank",
    "hz_to_mel",
    "mel_bank",
    "mel_centres",
    "mel_filterbank",
    "mel_to_hz",
    "spectrogram",
    "to_decibels",
    "window",
]
