"""Published weights: read from the files that their authors gave out, converted, put into a model.

Weights on their way are a dictionary of arrays, each under its layer's name, a slash and its own: ``"logits/kernel"``.
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
        model: Every weight of its layers must be in the file, in the same shape.
        path: A NumPy archive ``.npz``, which is taken as it is, or an HDF5 file that Keras wrote.
        convert: Makes of an HDF5 file's arrays, under their full names in it, those that the model takes.
        names: Names of layers in the file that differ from the model's, by the latter.
        skip: The model's layers that stay as they are.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is neither kind of file, or holds other arrays than it should; the model is as it was then.
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
    """Fetch a file of weights once, convert it once, and return the path of the result, a NumPy archive.

    Raises:
        OSError: It cannot be fetched; see `audiozoo.download.fetch`.
        ValueError: It holds other arrays than it should.
    """
    source = fetch(url, sha256=sha256)
    # Named by what it was made of: a source that is exchanged is converted anew.
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
        raise FileNotFoundError(f"{path}: no such file of weights") from error
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
    """Pick a layer's arrays out of those of an HDF5 file.

    In Keras' old format the kernel of the layer ``a/b`` lies at ``a/b/a/b/kernel:0``, and that of a layer ``a/b/c`` below it.

    Args:
        arrays: The file's, under their full names.
        layer: The layer's name; arrays of layers whose names continue it are its own too.
        names: How the arrays' names end, in the order wanted: "kernel" also finds ``depthwise_kernel``.

    Raises:
        ValueError: The layer has not exactly these.
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
        kernel: ``(height, width, channels, filters)``, or ``(height, width, channels, 1)`` of a depthwise convolution.
        beta, mean, variance: Of the normalisation, one value for each of the convolution's outputs.
        epsilon: Of the normalisation, added to the variance.
        depthwise: The convolution has an output for each channel.

    Returns:
        Kernel and bias of the one convolution that does both.

    Raises:
        ValueError: There are not as many values as outputs.
    """
    outputs = kernel.shape[-2:-1] if depthwise else kernel.shape[-1:]
    if {beta.shape, mean.shape, variance.shape} != {outputs}:
        raise ValueError(f"a kernel {kernel.shape} with a normalisation of {beta.shape}, {mean.shape}, {variance.shape}")
    scale = 1 / np.sqrt(variance + epsilon)
    return kernel * (scale[:, None] if depthwise else scale), beta - mean * scale
