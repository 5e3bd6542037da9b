"""Frontends with the exact settings of published work, by name."""

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
"""Frontend of the DCASE 2018 baseline: 40 mel bands of the magnitude, 40 ms every 20 ms, natural logarithm.

The original adds 2.2e-16 before the logarithm, which puts digital silence, rare in its recordings, at -36. This one adds 1e-6,
which puts digital silence at -14, close to the quietest sounds.
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
"""Frontend of YAMNet: patches of 96 frames of 25 ms, one frame every 10 ms, one patch every 48 frames.

Source: the description of the model among the AudioSet models of TensorFlow, Apache-2.0.
"""

PANNS = LogMel(
    sample_rate=32_000,
    duration=10.0,
    edges="reflect",
    n_fft=1_024,
    hop_length=320,
    n_mels=64,
    fmin=50.0,
    fmax=14_000.0,
    top_db=None,
)
"""Frontend of the PANNs: 64 mel bands in decibels without a floor that depends on the window, one frame every 10 ms.

Source: Kong et al., "PANNs: Large-scale pretrained audio neural networks for audio pattern recognition", arXiv:1912.10211.
"""

PANNS_16K = replace(PANNS, sample_rate=16_000, n_fft=512, hop_length=160, fmax=8_000.0)
"""Frontend of the network of the PANNs for sounds at 16 kHz."""

MUSIC2VEC = LogMel(sample_rate=16_000, duration=2.048, frames=128, n_fft=512, hop_length=256, n_mels=128)
"""128 mel bands in decibels by 128 frames of 16 ms.

Source: the article "music2vec" (Srinivasa, Hebbar, 2017) states 128 bands and 128 steps, while its figure shows 120 by 300
for segments of 3 s. It does not name the scale, so the usual decibels are used. Sample rate, transform and the duration that
follows from them are those of the code written after the article, see `MEL_POWER_128X128`.
"""

MEL_POWER_128X128 = replace(MUSIC2VEC, compression=None)
"""Power in 128 mel bands by 128 frames on a linear scale, the input of the networks of Audio-Classification-Models.

``dataclasses.replace(frontend, compression="db")`` gives decibels, from which most networks learn more easily.

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
"""Short variant of Piczak's segments: 60 log-mel bands and their first derivative, 41 frames, overlapping by half.

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
"""Frontend of the Freesound 2018 baseline (DCASE 2018, task 2): examples of 25 frames, one frame every 10 ms (0.25 s).

Frames are 25 ms long and lie inside the window, which is therefore 15 ms longer than the example. The other settings are
YAMNet's, because both baselines derive their spectra from the same code.

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
"""Four channels of 128 bands by 256 frames: chroma of the STFT and of the constant-Q transform, MFCC, GFCC.

Source: the multi-channel features published with wubinbai's Audio-Classification-Models, in windows of 8.18 s.
"""

SHARMA = Stack(
    of=(
        *_CEPSTRA,
        CQT(sample_rate=16_000, duration=8.18, pad="repeat", hop_length=512, n_bins=128, bins_per_octave=18),
        _CHROMA,
    )
)
"""Four channels of 128 bands by 256 frames: MFCC, GFCC, constant-Q transform, chroma.

Source: Sharma, Granmo, Goodwin, "Environment sound classification using multiple feature channels and attention based deep
convolutional neural network", Interspeech 2020. The paper states neither sample rate nor bins per octave: the rate is that
of Audio-Classification-Models, and 18 bins per octave let 128 bins span C1 to 4.4 kHz.
"""

_PRESETS: dict[str, Frontend] = {
    "audio_classification_models": AUDIO_CLASSIFICATION_MODELS,
    "dcase2018": DCASE2018,
    "freesound2018": FREESOUND2018,
    "mel_power_128x128": MEL_POWER_128X128,
    "music2vec": MUSIC2VEC,
    "panns": PANNS,
    "panns_16k": PANNS_16K,
    "piczak": PICZAK,
    "sharma": SHARMA,
    "yamnet": YAMNET,
}


def list_presets() -> list[str]:
    """Return the names that `preset` accepts."""
    return sorted(_PRESETS)


def preset(name: str) -> Frontend:
    """Return the frontend of a publication by its name.

    Raises:
        ValueError: The name is unknown; the message suggests the closest one one.

    >>> preset("yamnet").shape, preset("sharma").shape, preset("freesound2018").shape
    ((64, 96, 1), (128, 256, 4), (64, 25, 1))
    """
    if name not in _PRESETS:
        raise unknown_name("preset", name, _PRESETS)
    return _PRESETS[name]
