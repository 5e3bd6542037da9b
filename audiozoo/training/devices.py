"""Training on several devices, of one computer or several: each of them computes a part of every batch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from audiozoo.checks import require_count
from audiozoo.layers import keras


@dataclass(frozen=True)
class Devices:
    """Devices that train one model together. Each has a copy of it, and the copies stay equal.

    The gradients are averaged over the devices in each step, and batch normalisation sees the whole batch, so the losses are
    those of one device, except for a batch that is not full, which repeats clips. On TensorFlow, all devices drop the same
    units, so with dropout the losses differ by chance.

    Args:
        names: Names of the devices in the notation of the backend, two at least, those of all hosts.
        host: Number of this process among those of `join_hosts`.
        hosts: Number of these processes.
    """

    names: tuple[str, ...]
    host: int = 0
    hosts: int = 1

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Context manager in which a model is built, and on JAX also trained."""
        if keras.backend.backend() == "tensorflow":
            with _strategy(self.names).scope():
                yield
            return
        # Each host has the features and takes its part of a batch from them.
        with _distribution(keras.distribution.DataParallel(devices=list(self.names), auto_shard_dataset=False)):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Context manager in which a model is built and used on the own device of this host, inside a `scope`."""
        with _distribution(None):
            yield

    def agreed(self, figures: Mapping[str, float]) -> dict[str, float]:
        """Return the figures of the first host, so that all stop at the same epoch whatever their rounding."""
        from jax.experimental import multihost_utils

        values = multihost_utils.broadcast_one_to_all(np.array(list(figures.values()), np.float32))
        return dict(zip(figures, np.asarray(values).tolist(), strict=True))

    def check_same(self, digest: str) -> None:
        """Check that all hosts train on the same clips.

        Args:
            digest: Hash of the clips of this host, hexadecimal.

        Raises:
            ValueError: A host has another hash.
        """
        if self.hosts == 1:
            return
        from jax.experimental import multihost_utils

        number = np.int32(int(digest[:7], 16))
        if len(set(np.asarray(multihost_utils.process_allgather(number)).tolist())) > 1:
            raise ValueError("the hosts do not train on the same clips: all need the same files, and be able to read them")

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
            return (self._part(batch) for batch in begin())
        import tensorflow as tf

        def like(tensor: Any) -> Any:
            return tf.TensorSpec((batch, *tensor.shape[1:]), tf.float32)

        y = tuple(map(like, model.outputs))
        # If the size is not declared, the devices get parts of different batches.
        signature = like(model.inputs[0]), y if len(y) > 1 else y[0], tf.TensorSpec((batch,), tf.float32)
        # Keras takes the first batch twice, from an iterator each.
        return tf.data.Dataset.from_generator(begin, output_signature=signature)

    def _part(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the part of a batch that is for the devices of this host."""
        if self.hosts == 1:
            return batch
        x, y, weights = batch
        each = len(x) // self.hosts
        own = slice(self.host * each, (self.host + 1) * each)
        return x[own], tuple(one[own] for one in y) if isinstance(y, tuple) else y[own], weights[own]


@contextmanager
def _distribution(chosen: Any) -> Iterator[None]:
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(chosen)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


@cache
def _strategy(names: tuple[str, ...]) -> Any:
    """Return the strategy for devices, always the same: TensorFlow confuses the sums of two strategies in a process."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(list(names))


def chosen_devices(wanted: str | int | None) -> Devices | None:
    """Return the devices to train on: GPUs if the backend has any, else processors.

    Args:
        wanted: "all", or a number of devices; `None` is one, or all after `join_hosts`.

    Returns:
        The devices; `None` for a single one, which needs nothing special.

    Raises:
        ValueError: `wanted` is something else, there are fewer devices, or the backend trains on one only.
    """
    host, hosts = _place()
    if hosts > 1 and wanted not in (None, "all"):
        raise ValueError(f"{hosts} hosts train on all of their devices, got devices={wanted}: leave it out")
    wanted = "all" if hosts > 1 else wanted
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
    if hosts > 1:
        _check_equal_hosts()
    return Devices(tuple(used), host, hosts) if len(used) > 1 else None


def _check_equal_hosts() -> None:
    import jax

    counts = Counter(device.process_index for device in jax.devices())
    if len(set(counts.values())) > 1:
        found = ", ".join(f"host {host} has {count}" for host, count in sorted(counts.items()))
        raise ValueError(f"all hosts need the same number of devices, but {found}: hide some with CUDA_VISIBLE_DEVICES")


def join_hosts(address: str, *, number: int, count: int) -> None:
    """Join the processes that train one model together on JAX, usually one on each computer.

    All of them call this before anything else uses JAX, and then `train` with the same arguments: the same clips under the same
    paths, too. Each computes its part of every batch, and all return the same classifier. If one of them ends early, the others
    wait for it in vain.

    Args:
        address: Address of the first process, ``HOST:PORT``, which the others can reach.
        number: Number of this process, from 0.
        count: Number of processes.

    Raises:
        ValueError: A number is wrong, or the backend is not JAX.
        ConnectionError: The processes did not find each other in five minutes.
    """
    require_count("count", count, 2)
    require_count("number", number, 0, count - 1)
    if not re.fullmatch(r"[^\s:]+:\d+|\[[^\s\]]+\]:\d+", address):
        raise ValueError(f"the address of the first host is HOST:PORT, such as 10.0.0.1:1234, got {address!r}")
    if (backend := keras.backend.backend()) != "jax":
        raise ValueError(f"several hosts train together on JAX only, the backend is {backend}: set KERAS_BACKEND=jax")
    try:
        keras.distribution.initialize(address, count, number)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise ConnectionError(f"{address}: the {count} hosts did not find each other ({reason})") from error


def _place() -> tuple[int, int]:
    """Return the number of this process and that of all processes that train together."""
    if keras.backend.backend() != "jax":
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def _present(backend: str) -> list[str]:
    if backend == "jax":
        return list(keras.distribution.list_devices())
    import tensorflow as tf

    return [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]
