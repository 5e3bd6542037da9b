"""Published weights: download, conversion and loading into a model.

Converted weights are a dictionary of arrays, with keys such as ``"logits/kernel"`` (layer and weight).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audiozoo.bounded import read_hdf5, read_npz, refusing
from audiozoo.checkpoints import read_checkpoint
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
    """Load the weights of a model from a file.

    Args:
        model: Model to load the weights into. The file must contain every weight of its layers, in the same shape.
        path: NumPy archive (``.npz``) with converted weights, or HDF5 file that Keras wrote.
        convert: Function that converts the arrays of an HDF5 file, by their full paths, to the weights of the model.
        names: Mapping from the names of layers in the model to their names in the file, where these differ.
        skip: Names of layers of the model that are not loaded.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file has neither format, declares more than it holds, or does not contain the arrays that the model
            needs. The model then keeps its weights.
    """
    layers = {names.get(layer.name, layer.name): layer for layer in model.layers if layer.name not in skip}
    wanted = {f"{name}/{weight.name}": weight for name, layer in layers.items() for weight in layer.weights}
    with reading_weights(path):
        arrays = _read(Path(path), convert)
        if missing := [name for name in wanted if name not in arrays]:
            raise ValueError(f"{_counted(missing)} missing; there is {', '.join(arrays) or 'nothing'}")
        for name, weight in wanted.items():
            if arrays[name].shape != tuple(weight.shape):
                raise ValueError(f"{name} is {arrays[name].shape}, the model needs {tuple(weight.shape)}")
    for name, weight in wanted.items():
        weight.assign(arrays[name])


_TORCH_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "embeddings": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_KERNEL_AXES = {
    "Conv2D": (2, 3, 1, 0),
    "DepthwiseConv2D": (2, 3, 0, 1),
    "Conv1D": (2, 1, 0),
    "Dense": (1, 0),
}
_SWAPPED_AXES = {**_KERNEL_AXES, "Conv2D": (3, 2, 1, 0), "DepthwiseConv2D": (3, 2, 0, 1)}


@dataclass(frozen=True)
class _Place:
    """A weight of a model and the tensor that fills it: `axes` are those of the tensor, in the order of the weight's."""

    weight: keras.Variable
    axes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        sizes = dict(zip(self.axes, self.weight.shape, strict=True))
        return tuple(sizes[axis] for axis in range(len(sizes)))


def load_checkpoint(
    model: keras.Model,
    path: str | os.PathLike[str],
    names: Callable[[str], str],
    *,
    time_first: bool = False,
    ignore: Sequence[str] = (),
    prepare: Convert | None = None,
    published_classes: int | None = None,
) -> None:
    """Load the weights of a model from a file that PyTorch or safetensors wrote.

    The name of a tensor consists of the name of its layer in the file and PyTorch's name of the weight: `gamma` is "weight",
    `moving_mean` is "running_mean", and weights of the model's own layers have one name in both. Kernels are transposed to the
    order of Keras, in which the channels are last. The counters `num_batches_tracked` are ignored.

    Args:
        model: Model to load the weights into. Its last dense layer is named `logits`.
        path: File for `audiozoo.checkpoints.read_checkpoint`. It must hold every weight of the model and nothing else.
        names: Function from the name of a layer in the model to its name in the file.
        time_first: Whether the network in the file takes ``(frames, bands)``; the two axes of its kernels are then swapped.
        ignore: Globs of names of tensors that the model does not need, such as those of a frontend.
        prepare: Function that renames or reshapes the file's tensors first; `None` takes them unchanged.
        published_classes: Number of classes of the published weights. If the file has that many and the model another number,
            `logits` keeps its random weights.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file cannot be read, or a tensor is missing, has no place in the model or has another shape; the message
            names the file and the tensor. The model then keeps its weights.
    """
    wanted = _wanted(model, names, _SWAPPED_AXES if time_first else _KERNEL_AXES)
    with reading_weights(path):
        arrays = read_checkpoint(path)
        arrays = arrays if prepare is None else prepare(arrays)
        head = {name: wanted[name] for name in wanted if name.rpartition(".")[0] == names("logits")}
        if published_classes is not None and _is_other_head(arrays, head, published_classes):
            wanted = {name: place for name, place in wanted.items() if name not in head}
            ignore = [*ignore, *head]
        _check_names(model.name, arrays, wanted, ["*num_batches_tracked", *ignore])
        _check_shapes(model.name, arrays, wanted)
    for name, place in wanted.items():
        place.weight.assign(arrays[name].transpose(place.axes))


def _wanted(model: keras.Model, names: Callable[[str], str], axes: Mapping[str, tuple[int, ...]]) -> dict[str, _Place]:
    wanted = {}
    for layer in model.layers:
        for weight in layer.weights:
            own = tuple(range(len(weight.shape)))
            order = axes.get(type(layer).__name__, own) if weight.name == "kernel" else own
            wanted[f"{names(layer.name)}.{_TORCH_NAMES.get(weight.name, weight.name)}"] = _Place(weight, order)
    return wanted


def _is_other_head(arrays: Arrays, head: Mapping[str, _Place], published_classes: int) -> bool:
    """Tell whether the file has the last layer of the published classes and the model another one."""
    found = {arrays[name].shape[:1] for name in head if name in arrays}
    return found == {(published_classes,)} and {place.shape[:1] for place in head.values()} != found


def _check_names(model: str, arrays: Arrays, wanted: Mapping[str, _Place], ignore: Sequence[str]) -> None:
    if missing := [name for name in wanted if name not in arrays]:
        raise ValueError(f"{_counted(missing)} missing; take a checkpoint of {model} itself, not of another variant")
    known = [name for name in arrays if name not in wanted]
    if extra := [name for name in known if not any(fnmatchcase(name, glob) for glob in ignore)]:
        raise ValueError(f"{model} has no place for {_counted(extra)}; build the variant that the checkpoint is from")


def _check_shapes(model: str, arrays: Arrays, wanted: Mapping[str, _Place]) -> None:
    for name, place in wanted.items():
        if arrays[name].shape != place.shape:
            raise ValueError(
                f"{name} is {arrays[name].shape}, {model} needs {place.shape}; build the variant that the checkpoint is from, "
                "for the same classes and input"
            )


def _counted(names: Sequence[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if len(names) > 1 else names[0]


def fetch_weights(url: str, sha256: str, convert: Convert) -> Path:
    """Download and convert a file of weights; both results are cached.

    Args:
        url: URL of the file.
        sha256: Checksum of the file, hexadecimal.
        convert: Function that converts the arrays, see `load_weights`.

    Returns:
        Path of the converted weights, a NumPy archive in the cache folder.

    Raises:
        OSError: The file cannot be fetched; see `audiozoo.download.fetch`.
        ValueError: The file does not contain the arrays that `convert` needs.
    """
    source = fetch(url, sha256=sha256)
    # With the checksum in the name, a changed source is converted again.
    converted = cache_folder() / f"{source.stem}-{checksum(source)[:16]}.npz"
    if not converted.is_file():
        with reading_weights(source):
            arrays = _read(source, convert)
        with replacing(converted) as temporary:
            np.savez(temporary, **arrays)  # type: ignore[arg-type]
    return converted


@contextmanager
def reading_weights(path: str | os.PathLike[str]) -> Iterator[None]:
    """Context manager that turns every error of reading a file of weights into one that names the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The block raised an error, see `audiozoo.bounded.refusing`.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such weights file")
    with refusing(path, "not a file of weights for this model"):
        yield


def _read(path: Path, convert: Convert) -> Arrays:
    return read_npz(path) if path.suffix == ".npz" else convert(read_hdf5(path))


def layer_arrays(arrays: Arrays, layer: str, names: Sequence[str]) -> list[np.ndarray]:
    """Return the arrays of one layer of an HDF5 file.

    In the old format of Keras, the kernel of the layer ``a/b`` has the path ``a/b/a/b/kernel:0``, and that of a layer
    ``a/b/c`` has a path below it.

    Args:
        arrays: All arrays of the file, under their full names.
        layer: Name of the layer; arrays of layers whose names begin with it count as its own.
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
    """Fold a batch normalisation without scale into the preceding convolution.

    Args:
        kernel: Kernel ``(height, width, channels, filters)``, or ``(height, width, channels, 1)`` of a depthwise convolution.
        beta, mean, variance: Arrays of the normalisation, one value for each output of the convolution.
        epsilon: Number that the normalisation adds to the variance.
        depthwise: Whether the convolution is depthwise, with one output for each channel.

    Returns:
        Kernel and bias of a convolution that is equivalent to both.

    Raises:
        ValueError: The arrays do not have one value for each output.
    """
    outputs = kernel.shape[-2:-1] if depthwise else kernel.shape[-1:]
    if {beta.shape, mean.shape, variance.shape} != {outputs}:
        raise ValueError(f"a kernel {kernel.shape} with a normalisation of {beta.shape}, {mean.shape}, {variance.shape}")
    scale = 1 / np.sqrt(variance + epsilon)
    return kernel * (scale[:, None] if depthwise else scale), beta - mean * scale
