"""Frontends as Keras models: waveform in, features out, built from layers and operations of Keras itself."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np

from audiozoo import spectrum
from audiozoo.export.fourier import linear, spectra
from audiozoo.features import MFCC, Frontend, LogMel, Scale, Spectrogram, Stack, Statistics, Waveform
from audiozoo.features.bands import with_deltas
from audiozoo.layers import keras


def frontend_model(frontend: Frontend) -> keras.Model:
    """Build a frontend as a model.

    Args:
        frontend: `Waveform`, `Spectrogram`, `LogMel` without PCEN, `MFCC`, or `Statistics`, `Stack` or `Scale` of these;
            without cleaning steps.

    Returns:
        A model from whole windows ``(batch, samples)`` or ``(batch, samples, channels)`` to ``(batch, *frontend.shape)``.
        The output for a window depends on that window alone. Spectra are less exact on GPUs that multiply in TensorFloat-32.

    Raises:
        ValueError: The frontend, or one of its settings, cannot be exported.
    """
    if frontend.prepare:
        steps = ", ".join(type(step).__name__ for step in frontend.prepare)
        raise ValueError(f"cleaning steps cannot be exported, this frontend has prepare=({steps}): train without them")
    mono = frontend.channels == 1
    windows = keras.Input((frontend.samples,) if mono else (frontend.samples, frontend.channels), name="waveform")
    waves = keras.ops.expand_dims(windows, -1) if mono else windows
    if frontend.layout == "mid_side" and not mono:
        waves = linear(waves, np.array([[0.5, 0.5], [0.5, -0.5]]))
    return keras.Model(windows, _features(frontend, waves), name="frontend")


@singledispatch
def _features(frontend: Frontend, waves: Any) -> Any:
    """Build a frontend on ``(batch, samples, channels)``; the result is ``(batch, *frontend.shape)``."""
    possible = sorted(kind.__name__ for kind in _features.registry if kind is not object)
    raise ValueError(f"{type(frontend).__name__} cannot be exported: train with one of {', '.join(possible)}")


@_features.register
def _(frontend: Waveform, waves: Any) -> Any:
    if frontend.scaling is None:
        return waves
    if frontend.scaling == "minmax":
        scaled = _min_max(waves)
        # The largest scaled value is 1, or 0 if the wave is constant, which must stay at 0.
        return scaled - 0.5 * _of_window("max", scaled)
    if frontend.scaling == "peak":
        return _divided(waves, _of_window("max", keras.ops.absolute(waves)))
    return _divided(waves, keras.ops.sqrt(_of_window("mean", keras.ops.square(waves))))


@_features.register
def _(frontend: Spectrogram, waves: Any) -> Any:
    # Where the imaginary part is zero for every wave, the phase would otherwise be pi or -pi by chance.
    transformed = _transformed(frontend, waves, exact=frontend.representation != "magnitude")
    parts = _fit_frames(frontend, transformed)[..., frontend.first_bin :]
    if frontend.representation != "real_imaginary":
        magnitude = _power(frontend, parts)
        # Silence has phase zero. A sum of zeros can be -0, whose phase would be pi.
        phase = keras.ops.arctan2(parts[:, :, :, 1], parts[:, :, :, 0]) * keras.ops.sign(magnitude)
        magnitude = _compressed(frontend, magnitude)
        parts = magnitude if frontend.representation == "magnitude" else keras.ops.stack([magnitude, phase], axis=3)
    # The two parts of a channel become neighbouring channels.
    return _bands_first(keras.ops.reshape(parts, (-1, frontend.shape[1], frontend.shape[2], frontend.shape[0])))


@_features.register
def _(frontend: LogMel, waves: Any) -> Any:
    if frontend.compression == "pcen":
        raise ValueError("PCEN cannot be exported: train with LogMel(compression='db'), 'log' or None")
    if frontend.pre_emphasis:
        waves = waves[:, 1:] - frontend.pre_emphasis * waves[:, :-1]
    bands = _bands(frontend, waves)
    if frontend.frame_fill == "silence":
        bands = _fit_frames(frontend, bands)
    bands = keras.ops.maximum(bands, frontend.least) if frontend.least else bands
    return _with_deltas(frontend, _fit_frames(frontend, _compressed(frontend, bands)))


@_features.register
def _(frontend: MFCC, waves: Any) -> Any:
    bands = _fit_frames(frontend, _bands(frontend, waves))
    levels = _decibels(_raised(bands, 2 / frontend.power), top_db=frontend.top_db)
    return _with_deltas(frontend, linear(levels, frontend.cosines.T))


@_features.register
def _(frontend: Statistics, waves: Any) -> Any:
    reductions = {"mean": "mean", "deviation": "std", "minimum": "min", "maximum": "max", "median": "median"}
    parts = [_features(inner, waves) for inner in frontend.inner]
    columns = [getattr(keras.ops, reductions[name])(part, axis=2) for part in parts for name in frontend.reduce]
    if frontend.form == "table":
        values = keras.ops.stack(columns, axis=2)
    else:
        values = keras.ops.concatenate([keras.ops.reshape(x, (-1, x.shape[1] * x.shape[2])) for x in columns], axis=-1)
    return _divided(values, _of_window("max", keras.ops.absolute(values))) if frontend.scale == "max" else values


@_features.register
def _(frontend: Stack, waves: Any) -> Any:
    return keras.ops.concatenate([_features(inner, waves)[:, :, : frontend.shape[1]] for inner in frontend.of], axis=-1)


@_features.register
def _(frontend: Scale, waves: Any) -> Any:
    inner = _features(frontend.of, waves)
    return frontend.gain * (_min_max(inner) if frontend.by == "minmax" else inner) + frontend.offset


# From here on spectra are (batch, frames, channels, bands), because a dense layer multiplies the last axis.


def _transformed(frontend: Any, waves: Any, *, exact: bool = False) -> Any:
    """Compute real and imaginary parts ``(batch, frames, channels, 2, bins)`` of the frames that lie in the window."""
    frames = min(frontend.natural_frames, frontend.frame_count)
    if frames < 1:
        raise ValueError(f"export needs at least one frame in a window, got {frames} frames")
    return spectra(waves, frontend.stft, frames, exact=exact)


def _power(frontend: Any, parts: Any) -> Any:
    return _raised(keras.ops.sum(keras.ops.square(parts), axis=3), frontend.power / 2)


def _raised(x: Any, exponent: float) -> Any:
    return x if exponent == 1 else x**exponent


def _bands(frontend: Any, waves: Any) -> Any:
    return linear(_power(frontend, _transformed(frontend, waves)), frontend.filterbank.matrix)


def _fit_frames(frontend: Any, x: Any) -> Any:
    """Append frames of zeros if the frontend has more frames than the window."""
    missing = frontend.frame_count - x.shape[1]
    return keras.ops.pad(x, [[0, 0], [0, missing]] + [[0, 0]] * (len(x.shape) - 2)) if missing else x


def _bands_first(x: Any) -> Any:
    return keras.ops.transpose(x, (0, 3, 1, 2))


def _with_deltas(frontend: Any, x: Any) -> Any:
    x = _bands_first(x)
    if not frontend.deltas:
        return x
    # A derivative is linear in the frames, so the derivatives of the unit vectors are the columns of its matrix.
    responses = with_deltas(np.eye(frontend.frame_count)[..., None], frontend.deltas, width=frontend.delta_width)
    parts = [
        keras.ops.swapaxes(linear(keras.ops.swapaxes(x, 2, 3), responses[..., order].T), 2, 3)
        for order in range(1, 1 + frontend.deltas)
    ]
    return keras.ops.concatenate([x, *parts], axis=-1)


def _compressed(frontend: LogMel | Spectrogram, x: Any) -> Any:
    if frontend.compression == "db":
        return _decibels(_raised(x, 2 / frontend.power), reference=frontend.reference, top_db=frontend.top_db)
    return keras.ops.log(x + frontend.offset) if frontend.compression == "log" else x


def _decibels(power: Any, *, top_db: float | None, reference: float | str = 1.0) -> Any:
    levels, largest = (_levels(x) for x in (power, _of_window("max", power)))
    # A number of NumPy's would turn the levels into double precision, which LiteRT does not have.
    levels = levels - (largest if reference == "max" else float(10 * np.log10(max(spectrum.LEAST_POWER, float(reference)))))
    return levels if top_db is None else keras.ops.maximum(levels, _of_window("max", levels) - top_db)


def _levels(power: Any) -> Any:
    return keras.ops.log(keras.ops.maximum(power, spectrum.LEAST_POWER)) * float(10 / np.log(10))


def _of_window(reduction: str, x: Any) -> Any:
    return getattr(keras.ops, reduction)(x, axis=tuple(range(1, len(x.shape))), keepdims=True)


def _divided(x: Any, size: Any) -> Any:
    """Divide by a size that is not negative; zero divided by zero is zero."""
    return x / keras.ops.maximum(size, float(np.finfo(np.float32).tiny))


def _min_max(x: Any) -> Any:
    low, high = _of_window("min", x), _of_window("max", x)
    return _divided(x - low, high - low)
