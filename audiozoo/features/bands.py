"""Functions shared by frontends with a filterbank: bands of a spectrogram, checks of mel settings, time derivatives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import numpy as np

from audiozoo import spectrum
from audiozoo.checks import require_choice, require_whole
from audiozoo.features.framed import joined


def filtered(
    columns: Iterable[np.ndarray], stft: spectrum.Stft, bank: spectrum.Filterbank, *, power: float, frames: int
) -> np.ndarray:
    """Compute the bands of all channels.

    Args:
        columns: Channels of a window, float32 ``(samples,)`` each.
        stft: Settings of the transform.
        bank: Filterbank for an FFT of the same length.
        power: Exponent of the magnitude: 1 for magnitude, 2 for power.
        frames: Number of frames of the result, which is cut or padded with zeros.

    Returns:
        The bands, float32 ``(frames, bands, channels)``.
    """
    return joined([spectrum.filtered_spectrogram(column, stft, bank, power=power) for column in columns], frames)


def check_mel(n_mels: int, *, mel_scale: str, norm: str | None, triangles: str) -> None:
    """Check the settings of a mel filterbank; the filterbank itself checks its frequencies.

    Args:
        n_mels: Number of bands.
        mel_scale: Mel scale.
        norm: Normalisation of the filters.
        triangles: Scale on which the flanks are straight.

    Raises:
        ValueError: A name is unknown, or `n_mels` is not a whole number of at least 1.
    """
    require_choice("mel_scale", mel_scale, ("slaney", "htk"))
    require_choice("norm", norm, ("slaney", None))
    require_choice("triangles", triangles, get_args(spectrum.Triangles))
    require_whole(n_mels=n_mels)
    if n_mels < 1:
        raise ValueError(f"n_mels must be at least 1, got {n_mels}")


def check_deltas(deltas: int, *, width: int, frames: int) -> None:
    """Check the settings of time derivatives.

    Args:
        deltas: Number of derivatives, 0 to 2.
        width: Number of frames that a derivative is fitted to.
        frames: Number of frames of the output.

    Raises:
        ValueError: `deltas` is not 0, 1 or 2, or `width` is not odd, below 3 or above `frames`.
    """
    require_choice("deltas", deltas, (0, 1, 2))
    if deltas and not (width >= 3 and width % 2 and width <= frames):
        raise ValueError(f"delta_width must be odd, at least 3 and at most the {frames} frames, got {width}")


def with_deltas(values: np.ndarray, deltas: int, *, width: int) -> np.ndarray:
    """Append time derivatives as further channels.

    Args:
        values: Feature ``(bands, frames, channels)``.
        deltas: Number of derivatives: 0, 1 or 2.
        width: Number of frames that a derivative is fitted to; odd.

    Returns:
        float32 ``(bands, frames, channels x (1 + deltas))``: all channels, then their first and their second derivatives as
        ``librosa.feature.delta`` computes them; `values` itself if `deltas` is 0.
    """
    if not deltas:
        return values
    from librosa.feature import delta

    orders = [delta(values, width=width, order=order, axis=1) for order in range(1, 1 + deltas)]
    return np.concatenate([values, *orders], axis=-1, dtype=np.float32)
