"""Published weights: reading the authors' files, converting them, and putting them into a model.

While they are converted, weights are a dictionary of arrays by the layer's name, a slash and the weight's name:
``"logits/kernel"``.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audiozoo.download import cache_folder, fetch
from audiozoo.files import checksum, replacing

if TYPE_CHECKING:
    import keras

Arrays = dict[str, np.ndarray]
Convert = Callable[[Arrays], Arrays]


def load_weights(
    model: keras.Model,
    path: str | os.PathLike[str],
    convert: Convert,
    *,
    names: Mapping[str, str],
    skip: Collection[str] = (),
) -> None:
    """Fill a model with the weights in a file.

    Args:
        model: Model to fill. The file must have every weight of its layers, in the same shape.
        path: NumPy archive ``.npz`` of converted arrays, or an HDF5 file that Keras wrote.
        convert: Function from the arrays of an HDF5 file, by their full names in it, to those that the model takes.
        names: Names of layers in the file by their names in the model, where the two differ.
        skip: Layers of the model that keep their weights.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is of neither kind, or has other arrays than the model needs. The model is unchanged then.
    """
    layers = {names.get(layer.name, layer.name): layer for layer in model.layers if layer.name not in skip}
    wanted = {f"{name}/{weight.name}": weight for name, layer in layers.items() for weight in layer.weights}
    with _blaming(path):
        arrays = _read(Path(path), convert)
        if missing := [name for name in wanted if name not in arrays]:
            raise ValueError(f"{', '.join(missing)} missing; there is {', '.join(arrays) or 'nothing'}")
        for name, weight in wanted.items():
            if arrays[name].shape != tuple(weight.shape):
                raise ValueError(f"{name} is {arrays[name].shape}, the model needs {tuple(weight.shape)}")
    for name, weight in wanted.items():
        weight.assign(arrays[name])


def fetch_weights(url: str, sha256: str, convert: Convert) -> Path:
    """Download a file of weights and convert it, unless the cache has the result.

    Args:
        url: Address of the file.
        sha256: Checksum of the file, hexadecimal.
        convert: Function from the arrays of the file, by their full names in it, to those that the model takes.

    Returns:
        Path of a NumPy archive of the converted arrays.

    Raises:
        OSError: The file cannot be fetched, or has another checksum; see `audiozoo.download.fetch`.
        ValueError: The file has other arrays than `convert` needs.
    """
    source = fetch(url, sha256=sha256)
    # The name has the source's checksum, so that another source is converted again.
    converted = cache_folder() / f"{source.stem}-{checksum(source)[:16]}.npz"
    if not converted.is_file():
        with _blaming(source):
            arrays = _read(source, convert)
        with replacing(converted) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]
    return converted


@contextmanager
def _blaming(path: str | os.PathLike[str]) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such file of weights; check the path") from error
    except (ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: no weights for this model: {error}") from error


def _read(path: Path, convert: Convert) -> Arrays:
    if path.suffix != ".npz":
        return convert(_read_hdf5(path))
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def _read_hdf5(path: Path) -> Arrays:
    import h5py

    arrays: Arrays = {}

    def keep(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
    return arrays


def layer_arrays(arrays: Arrays, layer: str, names: Sequence[str]) -> list[np.ndarray]:
    """Return the arrays of one layer in an HDF5 file.

    In Keras' old format, the kernel of the layer ``a/b`` is at ``a/b/a/b/kernel:0``, and the arrays of a layer ``a/b/c`` are
    below ``a/b``.

    Args:
        arrays: Arrays of the file by their full names.
        layer: Name of the layer. Arrays of layers whose names continue it count as its own.
        names: Endings of the arrays' names: "kernel" also finds ``depthwise_kernel``.

    Returns:
        The arrays in the order of `names`.

    Raises:
        ValueError: The layer does not have exactly these arrays.
    """
    own = {name: array for name, array in arrays.items() if f"/{layer}/" in f"/{name}"}
    found = [[array for name, array in own.items() if name.removesuffix(":0").endswith(end)] for end in names]
    if len(own) != len(names) or any(len(matches) != 1 for matches in found):
        present = list(own) or sorted({name.split("/")[0] for name in arrays}) or ["nothing"]
        raise ValueError(f"the layer {layer!r} must have {', '.join(names)}; there is {', '.join(present)}")
    return [array for [array] in found]


def fold_normalization(
    kernel: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    epsilon: float,
    depthwise: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Fold a batch normalisation without scale into the convolution before it.

    Args:
        kernel: Kernel ``(height, width, channels, filters)``; for a depthwise convolution ``(height, width, channels, 1)``.
        beta: Offset of the normalisation ``(outputs,)``.
        mean: Moving mean of the normalisation ``(outputs,)``.
        variance: Moving variance of the normalisation ``(outputs,)``.
        epsilon: Number that the normalisation adds to the variance.
        depthwise: Whether the convolution is depthwise, with one output for each channel.

    Returns:
        Kernel and bias of the one convolution that computes both.

    Raises:
        ValueError: The number of values differs from the number of outputs.
    """
    outputs = kernel.shape[-2:-1] if depthwise else kernel.shape[-1:]
    if {beta.shape, mean.shape, variance.shape} != {outputs}:
        raise ValueError(f"a kernel {kernel.shape} with a normalisation of {beta.shape}, {mean.shape}, {variance.shape}")
    scale = 1 / np.sqrt(variance + epsilon)
    return kernel * (scale[:, None] if depthwise else scale), beta - mean * scale
