"""The short-time Fourier transform of a model's graph: frames of the wave, and a fast transform of them by dense layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from audiozoo import spectrum
from audiozoo.layers import keras


def spectra(waves: Any, stft: spectrum.Stft, frames: int, *, exact: bool = False) -> Any:
    """Compute the spectra of the first frames of waves.

    A transform of length ``n1 * n2`` becomes ``n2`` of length ``n1`` and ``n1`` of length ``n2`` (J. W. Cooley and J. W. Tukey,
    "An algorithm for the machine calculation of complex Fourier series", 1965). Each of the two steps is a product with a
    small constant matrix, which every format has. With 2,048 samples they have a tenth of the operations of one large matrix,
    and a thousandth of its values.

    Args:
        waves: Waves ``(batch, samples, channels)``.
        stft: Frames and length of the transform.
        frames: Number of frames.
        exact: Whether the imaginary part of a bin is exactly zero where it is zero for any wave. This takes one large matrix.

    Returns:
        Real and imaginary parts, ``(batch, frames, channels, 2, bins)``.
    """
    size, bins = stft.n_fft, 1 + stft.n_fft // 2
    rows = keras.ops.reshape(_tapered(_frames(waves, stft, frames), stft), (-1, size))
    first = 1 if exact else factor(size)
    parts = _direct(rows, size) if first == 1 else _factored(rows, first, size // first)
    return keras.ops.reshape(parts[:, :, :bins], (-1, frames, waves.shape[-1], 2, bins))


def factor(size: int) -> int:
    """Return the largest factor of a number that is at most its square root."""
    return max(one for one in range(1, math.isqrt(size) + 1) if size % one == 0)


def linear(x: Any, matrix: np.ndarray) -> Any:
    """Multiply the last axis of a tensor by a constant matrix ``(out, in)``."""
    layer = keras.layers.Dense(len(matrix), use_bias=False, trainable=False, dtype="float32")
    out = layer(x)
    layer.set_weights([matrix.T])
    return out


def _scaled(x: Any, factors: np.ndarray) -> Any:
    return keras.layers.Rescaling(factors, dtype="float32")(x)


def _frames(waves: Any, stft: spectrum.Stft, frames: int) -> Any:
    """Cut waves into frames ``(batch, frames, channels, win_length)``."""
    hop = stft.hop_length
    blocks = -(-stft.win_length // hop)
    waves = _at_frames(waves, stft, (frames + blocks - 1) * hop)
    parts = keras.ops.reshape(waves, (-1, frames + blocks - 1, hop, waves.shape[-1]))
    joined = keras.ops.concatenate([parts[:, start : start + frames] for start in range(blocks)], axis=2)
    return keras.ops.transpose(joined[:, :, : stft.win_length], (0, 1, 3, 2))


def _at_frames(waves: Any, stft: spectrum.Stft, needed: int) -> Any:
    """Pad and cut waves to the `needed` samples that begin with the first sample under the first frame's window function."""
    before = stft.n_fft // 2 - stft.margin if stft.framing == "center" else 0
    if stft.edges == "reflect":
        half = stft.n_fft // 2
        waves, before = keras.ops.pad(waves, [[0, 0], [half, half], [0, 0]], mode="reflect")[:, stft.margin :], 0
    after = needed - before - waves.shape[1]
    return keras.ops.pad(waves, [[0, 0], [before, max(after, 0)], [0, 0]])[:, :needed]


def _tapered(frames: Any, stft: spectrum.Stft) -> Any:
    """Prepare frames as the frontend does, multiply them by the window function, and pad them to the length of the FFT."""
    if stft.remove_mean:
        frames = frames - keras.ops.mean(frames, axis=-1, keepdims=True)
    if stft.frame_pre_emphasis:
        # The first sample is its own predecessor.
        before = keras.ops.concatenate([frames[..., :1], frames[..., :-1]], axis=-1)
        frames = frames - stft.frame_pre_emphasis * before
    frames = _scaled(frames, spectrum.window(stft.window, stft.win_length, symmetric=stft.symmetric))
    after = stft.n_fft - stft.win_length - stft.margin
    return keras.ops.pad(frames, [[0, 0]] * 3 + [[stft.margin, after]]) if stft.n_fft > stft.win_length else frames


def _waves(rows: int, columns: int, size: int) -> np.ndarray:
    """Return the values exp(-2j pi row column / size) ``(rows, columns)``; their zeros are exact."""
    turns = np.outer(np.arange(rows), np.arange(columns)) % size
    waves = np.exp(-2j * np.pi / size * turns)
    return np.where(4 * turns % (2 * size) == size, 0, waves.real) + 1j * np.where(2 * turns % size == 0, 0, waves.imag)


def _direct(rows: Any, size: int) -> Any:
    """Transform ``(rows, size)`` to ``(rows, 2, bins)``."""
    waves = _waves(1 + size // 2, size, size)
    return keras.ops.reshape(linear(rows, np.concatenate([waves.real, waves.imag])), (-1, 2, len(waves)))


def _factored(rows: Any, first: int, second: int) -> Any:
    """Transform ``(rows, first * second)`` to ``(rows, 2, at least all bins up to the half of the sample rate)``."""
    size, last = first * second, 1 + first * second // 2 // first
    # Sample a * second + b and bin c + first * d: the first step sums over a, and the second over b.
    columns = keras.ops.transpose(keras.ops.reshape(rows, (-1, first, second)), (0, 2, 1))
    inner = _waves(first, first, first)
    sums = linear(keras.ops.reshape(columns, (-1, first)), np.concatenate([inner.real, inner.imag]))
    turned = _turned(keras.ops.reshape(sums, (-1, second, 2, first)), _waves(second, first, size))
    parts = keras.ops.reshape(keras.ops.transpose(turned, (0, 3, 2, 1)), (-1, 2 * second))
    outer = _waves(last, second, second)
    complex_product = np.block([[outer.real, -outer.imag], [outer.imag, outer.real]])
    bins = keras.ops.reshape(linear(parts, complex_product), (-1, first, 2, last))
    return keras.ops.reshape(keras.ops.transpose(bins, (0, 2, 3, 1)), (-1, 2, last * first))


def _turned(x: Any, factors: np.ndarray) -> Any:
    """Multiply complex values ``(rows, second, 2, first)`` by factors ``(second, first)``."""
    swapped = keras.ops.concatenate([x[:, :, 1:], x[:, :, :1]], axis=2)
    same = np.stack([factors.real, factors.real], axis=1)
    other = np.stack([-factors.imag, factors.imag], axis=1)
    return keras.layers.Add(dtype="float32")([_scaled(x, same), _scaled(swapped, other)])
