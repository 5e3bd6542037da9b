"""Grad-CAM (Selvaraju et al., arXiv:1610.02391) on the layers of any network, mapped to the bands and frames of its input."""

from __future__ import annotations

from typing import Any

import numpy as np

from audiozoo.explain.gradients import gradients
from audiozoo.explain.graph import Cut, cut_at
from audiozoo.explain.targets import Target
from audiozoo.layers import keras

_SEED = 0
_QUARTER = 4
_STRONG = 3.0  # deviations of the disturbance; the noise that it disturbs has one
_LEAST_SHIFT = 0.05  # share of an axis
_WHOLE = 0.9


def grad_cam(target: Target, window: np.ndarray, layer: str | None = None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Compute Grad-CAM: the positive part of a layer's channels, weighted by their mean gradients.

    Args:
        target: Target to explain.
        window: Standardised window ``(bands, frames, channels)`` or ``(samples, channels)``.
        layer: Name of a layer; `None` takes the last one with bands and frames, or the last one of each branch.

    Returns:
        Map of the window without its channels, and the names of the layers.

    Raises:
        ValueError: There is no such layer, or it has no axis that follows the time or the bands of the window.
    """
    cut = cut_at(target, layer)
    outputs = [np.asarray(one) for one in _listed(cut.head.predict_on_batch(window[None]))]
    slopes = gradients(_scalar(cut, target), [*outputs, *([window[None]] if cut.needs_input else [])])
    total, names = np.zeros(window.shape[:-1]), []
    for number, (values, slope) in enumerate(zip(outputs, slopes, strict=False)):
        if not slope.any():
            continue  # a branch that the class does not depend on, such as the reconstruction of an autoencoder
        seen = _extent(cut, number, window.shape)
        axes = _followers(cut, number, window.shape, seen)
        weights = slope.mean(axis=tuple(range(slope.ndim - 1)))
        names.append(cut.names[number])
        total[seen] += _resized(np.maximum(values[0] @ weights, 0), axes, total[seen].shape)
    return total.astype(np.float32), tuple(names)


def _listed(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


def _scalar(cut: Cut, target: Target) -> Any:
    return lambda *tensors: target.function(cut.tail(list(tensors), training=False))


def _followers(cut: Cut, number: int, shape: tuple[int, ...], seen: tuple[slice, ...]) -> dict[int, int]:
    """Return the axis of a layer that follows each axis of the window, for the axes that have one.

    Networks transpose and reshape as they like, so this is measured: noise in the first and in the last quarter of an axis of
    the window changes different places of the axis that follows it.
    """
    rng, axes = np.random.default_rng(_SEED), len(shape) - 1
    noise = rng.normal(size=shape)
    inputs = [noise, *(_disturbed(noise, seen, axis, last, rng) for axis in range(axes) for last in (False, True))]
    outputs = np.asarray(_listed(cut.head.predict_on_batch(np.asarray(inputs, np.float32)))[number])
    changes = np.abs(outputs[1:] - outputs[0]).sum(axis=-1)
    shifts = np.stack([np.diff(_centres(changes, axis).reshape(axes, 2))[:, 0] for axis in range(1, changes.ndim)], axis=1)
    found: dict[int, int] = {}
    while shifts.max() > _LEAST_SHIFT:
        of_window, of_layer = np.unravel_index(shifts.argmax(), shifts.shape)
        found[int(of_window)] = int(of_layer)
        shifts[of_window], shifts[:, of_layer] = 0, 0
    if not found:
        raise ValueError(
            f"no axis of the layer {cut.names[number]} follows the time or the bands of the sound: "
            "name another layer, or choose method='gradient'"
        )
    return found


def _disturbed(noise: np.ndarray, seen: tuple[slice, ...], axis: int, last: bool, rng: np.random.Generator) -> np.ndarray:
    first, stop = seen[axis].start, seen[axis].stop
    size = max(1, (stop - first) // _QUARTER)
    part = [slice(None)] * noise.ndim
    part[axis] = slice(stop - size, stop) if last else slice(first, first + size)
    changed = noise.copy()
    changed[tuple(part)] += _STRONG * rng.normal(size=changed[tuple(part)].shape)
    return changed


def _centres(changes: np.ndarray, axis: int) -> np.ndarray:
    """Return the centre of mass of each change along an axis of the layer, from 0 to 1."""
    profiles = changes.sum(axis=tuple(other for other in range(1, changes.ndim) if other != axis))
    totals = profiles.sum(axis=1)
    return profiles @ np.linspace(0, 1, profiles.shape[1]) / np.where(totals > 0, totals, 1)


def _extent(cut: Cut, number: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Return the part of a window that a layer depends on: a branch may see only some of the bands."""

    def energy(x: Any) -> Any:
        return keras.ops.sum(keras.ops.square(_listed(cut.head(x, training=False))[number]))

    (slope,) = gradients(energy, [np.random.default_rng(_SEED).normal(size=(1, *shape))])
    others = [tuple(other for other in range(len(shape)) if other != axis) for axis in range(len(shape) - 1)]
    return tuple(_span(np.abs(slope[0]).sum(axis=other)) for other in others)


def _span(dependence: np.ndarray) -> slice:
    used = np.flatnonzero(dependence)
    # At the edges, a pooling may ignore some bands or frames of a layer that sees everything.
    if not len(used) or used[-1] + 1 - used[0] > _WHOLE * len(dependence):
        return slice(0, len(dependence))
    return slice(int(used[0]), int(used[-1]) + 1)


def _resized(values: np.ndarray, axes: dict[int, int], shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate the map of a layer to a shape; the map is constant along axes that no axis of the layer follows."""
    kept = sorted(axes, key=lambda axis: axes[axis])
    values = values.mean(axis=tuple(axis for axis in range(values.ndim) if axis not in axes.values()))
    values = values.transpose([kept.index(axis) for axis in sorted(kept)])
    for place, axis in enumerate(sorted(kept)):
        values = np.apply_along_axis(_stretched, place, values, shape[axis])
    return values.reshape([shape[axis] if axis in axes else 1 for axis in range(len(shape))])


def _stretched(values: np.ndarray, length: int) -> np.ndarray:
    centres = (np.arange(length) + 0.5) * len(values) / length - 0.5
    return np.interp(centres, np.arange(len(values)), values)
