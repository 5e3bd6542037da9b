"""Published weights: read from the files that their authors published, converted, and put into a model.

In between, the weights are a dictionary of arrays, each under the name of its layer and its own: ``"logits/kernel"``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audiozoo.bounded import read_hdf5, read_npz, refusing
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
        model: Model; every weight of its layers must be in the file, in the same shape.
        path: NumPy archive ``.npz``, whose arrays are taken as they are, or HDF5 file that Keras wrote.
        convert: Turns the arrays of an HDF5 file, under their full names in it, into those that the model takes.
        names: Names of layers in the file that differ from the model's, by the names in the model.
        skip: Names of the model's layers that stay as they are.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is of neither kind, declares more than it holds, or holds other arrays than it should. The model
            keeps its weights.
    """
    layers = {names.get(layer.name, layer.name): layer for layer in model.layers if layer.name not in skip}
    wanted = {f"{name}/{weight.name}": weight for name, layer in layers.items() for weight in layer.weights}
    with _blaming(path):
        arrays = _read(Path(path), convert)
        if missing := [name for name in wanted if name not in arrays]:
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise ValueError(f"{missing[0]}{others} missing; there is {', '.join(arrays) or 'nothing'}")
        for name, weight in wanted.items():
            if arrays[name].shape != tuple(weight.shape):
                raise ValueError(f"{name} is {arrays[name].shape}, the model needs {tuple(weight.shape)}")
    for name, weight in wanted.items():
        weight.assign(arrays[name])


def fetch_weights(url: str, sha256: str, convert: Convert) -> Path:
    """Fetch a file of weights and convert it, each once.

    Args:
        url: Address of the file.
        sha256: Checksum of the file, hexadecimal.
        convert: As for `load_weights`.

    Returns:
        Path of the converted weights, a NumPy archive in the cache folder.

    Raises:
        OSError: The file cannot be fetched; see `audiozoo.download.fetch`.
        ValueError: The file holds other arrays than it should.
    """
    source = fetch(url, sha256=sha256)
    # The checksum in the name makes a source that was exchanged be converted anew.
    converted = cache_folder() / f"{source.stem}-{checksum(source)[:16]}.npz"
    if not converted.is_file():
        with _blaming(source):
            arrays = _read(source, convert)
        with replacing(converted) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]
    return converted


@contextmanager
def _blaming(path: str | os.PathLike[str]) -> Iterator[None]:
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such file of weights")
    with refusing(path, "no weights for this model"):
        yield


def _read(path: Path, convert: Convert) -> Arrays:
    return read_npz(path) if path.suffix == ".npz" else convert(read_hdf5(path))


def layer_arrays(arrays: Arrays, layer: str, names: Sequence[str]) -> list[np.ndarray]:
    """Return the arrays of one layer of an HDF5 file.

    In Keras's old format the kernel of the layer ``a/b`` lies at ``a/b/a/b/kernel:0``, and that of a layer ``a/b/c`` below it.

    Args:
        arrays: All arrays of the file, under their full names.
        layer: Name of the layer; arrays of layers whose names continue it count as its own.
        names: Ends of the arrays' names, in the order of the result: "kernel" also finds ``depthwise_kernel``.

    Returns:
        The arrays, in the order of `names`.

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
        kernel: Kernel ``(height, width, channels, filters)``, or ``(height, width, channels, 1)`` of a depthwise convolution.
        beta, mean, variance: Arrays of the normalisation, one value for each output of the convolution.
        epsilon: Number that the normalisation adds to the variance.
        depthwise: Whether the convolution is depthwise, with one output for each channel.

    Returns:
        Kernel and bias of one convolution that does both.

    Raises:
        ValueError: The arrays do not have one value for each output.
    """
    outputs = kernel.shape[-2:-1] if depthwise else kernel.shape[-1:]
    if {beta.shape, mean.shape, variance.shape} != {outputs}:
        raise ValueError(f"a kernel {kernel.shape} with a normalisation of {beta.shape}, {mean.shape}, {variance.shape}")
    scale = 1 / np.sqrt(variance + epsilon)
    return kernel * (scale[:, None] if depthwise else scale), beta - mean * scale
