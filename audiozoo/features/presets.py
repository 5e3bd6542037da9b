"""The exact front ends of papers, by name."""

from __future__ import annotations

from dataclasses import replace

from audiozoo.checks import unknown_name
from audiozoo.features.cepstral import GFCC, MFCC
from audiozoo.features.combined import Stack
from audiozoo.features.frontends import Frontend
from audiozoo.features.pitch import CQT, Chroma
from audiozoo.features.spectral import LogMel

DCASE2018 = LogMel(
    sample_rate=48_000,
    duration=10.0,
    frames=500,
    n_fft=2_048,
    win_length=1_920,
    hop_length=960,
    window="hamming",
    power=1.0,
    n_mels=40,
    compression="log",
)
"""The front end of the DCASE 2018 baseline: 40 mel bands of the magnitude, 40 ms every 20 ms, natural logarithm.

The original adds 2.2e-16 before the logarithm, which puts digital silence, rare in its recordings, at -36; the 1e-6 here puts
it at -14, next to the quietest sounds.
"""

YAMNET = LogMel(
    sample_rate=16_000,
    duration=0.975,
    hop=0.48,
    last="pad",
    framing="window",
    n_fft=512,
    win_length=400,
    hop_length=160,
    power=1.0,
    n_mels=64,
    fmin=125.0,
    fmax=7_500.0,
    mel_scale="htk",
    norm=None,
    triangles="mel",
    compression="log",
    offset=1e-3,
)
"""The front end of YAMNet: patches of 96 frames of 25 ms, one every 10 ms, a new patch every 48 frames.

Source: the model's description with the AudioSet models of TensorFlow, Apache-2.0.
"""

MUSIC2VEC = LogMel(sample_rate=16_000, duration=2.048, frames=128, n_fft=512, hop_length=256, n_mels=128)
"""128 mel bands in decibels by 128 frames of 16 ms.

Source: the article "music2vec" (Srinivasa, Hebbar, 2017) speaks of 128 bands and 128 steps; its figure draws 120 by 300, of
segments of 3 s. Their scale is not named, so this is the field's usual one; rate, transform and with them the duration are
those of the code that was written after it, see `MEL_POWER_128X128`.
"""

MEL_POWER_128X128 = replace(MUSIC2VEC, compression=None)
"""The power in 128 mel bands by 128 frames, on a linear scale: what the networks of Audio-Classification-Models are fed.

``dataclasses.replace(frontend, compression="db")`` gives decibels, which most networks learn from more easily.

Source: wubinbai/Audio-Classification-Models (2020).
"""

PICZAK = LogMel(
    sample_rate=22_050,
    duration=0.95,
    hop=0.475,
    frames=41,
    n_fft=1_024,
    hop_length=512,
    n_mels=60,
    deltas=1,
)
"""The short variant of Piczak's segments: 60 log-mel bands and their first derivative, 41 frames, half overlapping.

Source: K. J. Piczak, "Environmental sound classification with convolutional neural networks", MLSP 2015.
"""

FREESOUND2018 = replace(
    YAMNET,
    sample_rate=44_100,
    duration=11_686 / 44_100,
    hop=0.125,
    last="align",
    frames=25,
    n_fft=2_048,
    win_length=1_102,
    hop_length=441,
)
"""The front end of the Freesound 2018 baseline (DCASE 2018, task 2): examples of 25 frames, one every 10 ms: 0.25 s.

The frames are 25 ms long and lie inside the window, which therefore is 15 ms longer. Both baselines have their spectra of one
origin, so the rest is as for YAMNet.

Source: Fonseca et al., "General-purpose tagging of Freesound audio with AudioSet labels", DCASE Workshop 2018.
"""

_CHROMA = Chroma(sample_rate=16_000, duration=8.18, pad="repeat", n_fft=1_024, hop_length=512, n_chroma=128)
_CEPSTRA = (
    MFCC(sample_rate=16_000, duration=8.18, pad="repeat", n_fft=1_024, hop_length=512, n_mfcc=128, n_mels=128),
    GFCC(
        sample_rate=16_000,
        duration=8.18,
        pad="repeat",
        n_fft=1_024,
        hop_length=508,
        framing="window",
        window="hamming",
        n_gfcc=128,
        n_bands=256,
    ),
)

AUDIO_CLASSIFICATION_MODELS = Stack(of=(_CHROMA, replace(_CHROMA, kind="cqt"), *_CEPSTRA))
"""Four channels of 128 rows and 256 frames: chroma of the STFT and of the constant-Q transform, MFCC, GFCC.

Source: the multi-channel features published with wubinbai's Audio-Classification-Models. Windows of 8.18 s.
"""

SHARMA = Stack(
    of=(
        *_CEPSTRA,
        CQT(sample_rate=16_000, duration=8.18, pad="repeat", hop_length=512, n_bins=128, bins_per_octave=18),
        _CHROMA,
    )
)
"""Four channels of 128 rows and 256 frames: MFCC, GFCC, constant-Q transform, chroma.

Source: Sharma, Granmo, Goodwin, "Environment sound classification using multiple feature channels and attention based deep
convolutional neural network", Interspeech 2020. The paper leaves the rates open: those of Audio-Classification-Models are
used, and 18 rows an octave, which bring 128 rows from C1 to 4.4 kHz.
"""

_PRESETS: dict[str, Frontend] = {
    "audio_classification_models": AUDIO_CLASSIFICATION_MODELS,
    "dcase2018": DCASE2018,
    "freesound2018": FREESOUND2018,
    "mel_power_128x128": MEL_POWER_128X128,
    "music2vec": MUSIC2VEC,
    "piczak": PICZAK,
    "sharma": SHARMA,
    "yamnet": YAMNET,
}


def list_presets() -> list[str]:
    """List the names that `preset` knows."""
    return sorted(_PRESETS)


def preset(name: str) -> Frontend:
    """Return a paper's front end by its name.

    Raises:
        ValueError: An unknown name; the nearest is proposed.

    >>> preset("yamnet").shape, preset("sharma").shape, preset("freesound2018").shape
    ((64, 96, 1), (128, 256, 4), (64, 25, 1))
    """
    if name not in _PRESETS:
        raise unknown_name("preset", name, _PRESETS)
    return _PRESETS[name]
