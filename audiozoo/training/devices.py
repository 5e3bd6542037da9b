"""Training on several devices of one computer: each of them computes a part of every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from audiozoo.layers import keras


@dataclass(frozen=True)
class Devices:
    """Devices that train one model together. Each has a copy of it, and the copies stay equal.

    The gradients are averaged over the devices in each step, and batch normalisation sees the whole batch, so the losses are
    those of one device. On TensorFlow, all devices drop the same units, so with dropout they differ by chance.

    Args:
        names: Names of the devices in the notation of the backend, two at least.
    """

    names: tuple[str, ...]

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Context manager in which a model is built, and on JAX also trained."""
        if keras.backend.backend() == "tensorflow":
            with _strategy(self.names).scope():
                yield
            return
        before = keras.distribution.distribution()
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=list(self.names)))
        try:
            yield
        finally:
            keras.distribution.set_distribution(before)

    def prepare(self, model: Any) -> None:
        """Let the batch normalisation of a new model see the whole batch. On JAX it always does."""
        if keras.backend.backend() != "tensorflow":
            return
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True

    def feed(self, begin: Callable[[], Iterator[tuple[Any, ...]]], model: Any, batch: int) -> Any:
        """Return batches as ``model.fit`` needs them.

        Args:
            begin: Function that returns an iterator of batches ``(x, y, weights)`` of the same size, from the first one.
            model: Model that they are for.
            batch: Size of the batches.

        Returns:
            An iterator, or a dataset of TensorFlow.
        """
        if keras.backend.backend() != "tensorflow":
            return begin()
        import tensorflow as tf

        def like(tensor: Any) -> Any:
            return tf.TensorSpec((batch, *tensor.shape[1:]), tf.float32)

        y = tuple(map(like, model.outputs))
        # If the size is not declared, the devices get parts of different batches.
        signature = like(model.inputs[0]), y if len(y) > 1 else y[0], tf.TensorSpec((batch,), tf.float32)
        # Keras takes the first batch twice, from an iterator each.
        return tf.data.Dataset.from_generator(begin, output_signature=signature)


@cache
def _strategy(names: tuple[str, ...]) -> Any:
    """Return the strategy for devices, always the same: TensorFlow confuses the sums of two strategies in a process."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(names))


def chosen_devices(wanted: str | int | None) -> Devices | None:
    """Return the devices to train on: GPUs if the backend has any, else processors.

    Args:
        wanted: "all", or a number of devices; `None` is one.

    Returns:
        The devices; `None` for a single one, which needs nothing special.

    Raises:
        ValueError: `wanted` is something else, there are fewer devices, or the backend trains on one only.
    """
    if wanted is None or str(wanted) == "1":
        return None
    if not (wanted == "all" or (str(wanted).isdecimal() and int(wanted) > 0)):
        raise ValueError(f"devices must be 'all' or a number of devices, got {wanted!r}")
    if (backend := keras.backend.backend()) not in ("jax", "tensorflow"):
        raise ValueError(f"audiozoo trains on one device on {backend}: set KERAS_BACKEND=jax or tensorflow for several")
    names = _present(backend)
    if wanted != "all" and int(wanted) > len(names):
        raise ValueError(f"there are {len(names)} devices ({', '.join(names)}), got devices={wanted}")
    used = names if wanted == "all" else names[: int(wanted)]
    return Devices(tuple(used)) if len(used) > 1 else None


def _present(backend: str) -> list[str]:
    if backend == "jax":
        return list(keras.distribution.list_devices())
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
