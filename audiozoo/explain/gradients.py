"""Gradients of functions of tensors, on each backend of Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from audiozoo.layers import keras

Function = Callable[..., Any]


def gradients(function: Function, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the gradients of a scalar function with respect to each of its arguments.

    Args:
        function: Function of tensors, written with Keras, that returns a scalar tensor.
        arrays: Values of its arguments.

    Returns:
        The gradients, of the shapes of the arguments; zeros for an argument that the function does not depend on.

    Raises:
        ValueError: The backend of Keras computes no gradients.
    """
    backend = keras.backend.backend()
    if backend not in _BACKENDS:
        raise ValueError(f"gradients need one of the backends {', '.join(_BACKENDS)}, and Keras uses {backend}")
    return [np.asarray(one) for one in _BACKENDS[backend](function, [np.asarray(array, np.float32) for array in arrays])]


def _tensorflow(function: Function, arrays: Sequence[np.ndarray]) -> Sequence[Any]:
    import tensorflow

    tensors = [tensorflow.convert_to_tensor(array) for array in arrays]
    with tensorflow.GradientTape() as tape:
        tape.watch(tensors)
        value = function(*tensors)
    found: Sequence[Any] = tape.gradient(value, tensors, unconnected_gradients="zero")
    return found


def _jax(function: Function, arrays: Sequence[np.ndarray]) -> Sequence[Any]:
    import jax

    found: Sequence[Any] = jax.grad(function, argnums=tuple(range(len(arrays))))(*map(jax.numpy.asarray, arrays))
    return found


def _torch(function: Function, arrays: Sequence[np.ndarray]) -> Sequence[Any]:
    import torch

    tensors = [keras.ops.convert_to_tensor(array).detach().clone().requires_grad_() for array in arrays]
    with torch.enable_grad():
        found = torch.autograd.grad(function(*tensors), tensors, allow_unused=True)
    pairs = zip(found, arrays, strict=True)
    return [np.zeros_like(array) if one is None else one.detach().cpu().numpy() for one, array in pairs]


_BACKENDS: dict[str, Callable[[Function, Sequence[np.ndarray]], Sequence[Any]]] = {
    "tensorflow": _tensorflow,
    "jax": _jax,
    "torch": _torch,
}
