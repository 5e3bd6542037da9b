"""Dataclasses that describe a model in the registry."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from audiozoo.bounded import read_npz, refusing
from audiozoo.checks import refuse_unknown
from audiozoo.download import fetch_published
from audiozoo.features import Frontend
from audiozoo.files import checksum
from audiozoo.recipe import Recipe

if TYPE_CHECKING:
    import keras

Builder = Callable[..., "keras.Model"]
InputKind = Literal["waveform", "spectral", "vector"]

KINDS: dict[int, InputKind] = {1: "vector", 2: "waveform", 3: "spectral"}
"""Kind of input, by number of axes."""

Task = Literal["tagging", "keywords", "scenes", "embedding"]

TASKS: dict[Task, str] = {
    "tagging": "sound events and tags",
    "keywords": "spoken commands in about a second",
    "scenes": "acoustic scenes",
    "embedding": "embeddings of published weights, for other classes",
}
"""Tasks that models were designed for, with a description."""


@dataclass(frozen=True)
class Reference:
    """A published configuration and its number of parameters. A test builds each one and compares the number.

    Args:
        input_shape: Shape of one window, without the batch axis.
        num_classes: Number of classes.
        parameters: Number of all weights, trainable or not.
        options: Options of the builder that differ from its defaults.
        multiply_adds: Number of multiplications of the convolutions, dense and recurrent layers for one window; `None` if
            nobody counted them.
    """

    input_shape: tuple[int, ...]
    num_classes: int
    parameters: int
    options: Mapping[str, Any] = field(default_factory=dict)
    multiply_adds: int | None = None


@dataclass(frozen=True)
class Score:
    """A published result.

    Args:
        dataset: Name of the dataset, such as "ESC-10".
        metric: Name of the metric, such as "accuracy".
        value: Value in percent, or as a fraction for MAP.
        source: Publication and protocol of the result.
    """

    dataset: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True)
class PretrainedWeights:
    """Published weights of a model.

    Args:
        url: Address of the file: HTTPS, or ``"hf://org/name@revision/file"`` on the Hugging Face hub.
        sha256: Checksum of the file, hexadecimal; `None` if it is not known.
        licence: Licence of the weights, such as "Apache-2.0".
        labels: Classes that the weights were trained on, in the order of the model's output.
        md5: Another checksum, for files whose SHA-256 is not known. Without both, the first download is trusted.
        page: Page where the authors publish the file; "" if the address says it.
        converted: Checksum of the arrays that the file is converted into, see `arrays_checksum`; `None` if it is not.
    """

    url: str
    sha256: str | None = None
    licence: str = ""
    labels: tuple[str, ...] = ()
    md5: str | None = None
    page: str = ""
    converted: str | None = None

    @property
    def checksum(self) -> str | None:
        """Checksum as "sha256:..." or "md5:..."; `None` if none is known."""
        if self.sha256 is not None:
            return f"sha256:{self.sha256}"
        return None if self.md5 is None else f"md5:{self.md5}"

    @property
    def origin(self) -> dict[str, str]:
        """Address, checksum and page, as far as they are known."""
        facts = {"url": self.url, "sha256": self.sha256, "md5": self.md5, "page": self.page}
        return {name: value for name, value in facts.items() if value}

    def fetch(self) -> Path:
        """Return the path of the file in the cache; download it if it is missing, see `audiozoo.download.fetch_published`."""
        return fetch_published(self.url, expected=self.checksum)

    def is_copy(self, path: Path) -> bool:
        """Tell whether a file is known to be a copy of this one, or a NumPy archive of the arrays that it is converted into.

        Without a published checksum, no copy is known.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file ends with .npz and is not an archive of arrays.
        """
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file of weights; without one, the published weights are downloaded")
        if self.converted and path.suffix == ".npz":
            with refusing(path, "not a file of weights"):
                return arrays_checksum(read_npz(path)) == self.converted
        kind, _, expected = (self.checksum or "").partition(":")
        return bool(expected) and checksum(path, kind) == expected


def arrays_checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of arrays with their names (hexadecimal), the same for every file that holds them."""
    hashed = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        hashed.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return hashed.hexdigest()


WeightsLoader = Callable[["keras.Model", PretrainedWeights | Path], None]


@dataclass(frozen=True)
class ModelSpec:
    """Description of a model, available without building it.

    Args:
        name: Name in the registry.
        builder: Function ``builder(input_shape, num_classes, **options)`` that returns the Keras model.
        frontend: Frontend that the model was designed for.
        reference: Published configuration.
        description: Description in one line.
        paper: Paper or repository that the model comes from.
        year: Year of publication.
        scores: Published results.
        aliases: Other names.
        formerly: Names that the model had in an earlier version; they still work, with a DeprecationWarning.
        recipe: Training settings.
        weights: Published weights by the name that `build` takes.
        load_weights: Function that loads published weights, or a file of the same format, into a model.
        renamed_options: Current name of each renamed option, by former name; former names still work, with a
            DeprecationWarning.
        family: Name of the family of networks, such as "bcresnet".
        tasks: Tasks that the model was designed for, see `TASKS`.
        any_length: Whether the network takes any number of frames, above a minimum.
    """

    name: str
    builder: Builder
    frontend: Frontend
    reference: Reference
    description: str
    paper: str
    year: int
    scores: tuple[Score, ...] = ()
    aliases: tuple[str, ...] = ()
    formerly: tuple[str, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)
    weights: Mapping[str, PretrainedWeights] = field(default_factory=dict)
    load_weights: WeightsLoader | None = None
    renamed_options: Mapping[str, str] = field(default_factory=dict)
    family: str = ""
    tasks: tuple[Task, ...] = ("tagging",)
    any_length: bool = False

    @property
    def input(self) -> InputKind:
        """The kind of input: "waveform", "spectral" or "vector"."""
        return KINDS[len(self.frontend.shape)]

    def input_shape(self, frontend: Frontend) -> tuple[int | None, ...]:
        """Return the input of a network for a frontend, with `None` frames if the network takes any number of them."""
        bands, *others = frontend.shape
        return (bands, None, *others[1:]) if self.any_length else frontend.shape

    @property
    def options(self) -> dict[str, Any]:
        """The builder's options and their defaults."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def suits(self, task: Task) -> bool:
        """Tell whether the model is for a task. Every model with published weights is also for "embedding"."""
        return task in self.tasks or (task == "embedding" and bool(self.weights))

    def current_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return options under their current names."""
        return {self.renamed_options.get(name, name): value for name, value in options.items()}


def checked_options(spec: ModelSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a builder under their current names, with a DeprecationWarning for each former name.

    Raises:
        ValueError: The builder does not have an option, or an option has both its former and its current name.
    """
    for name in options.keys() & spec.renamed_options.keys():
        current = spec.renamed_options[name]
        if current in options:
            raise ValueError(f"{name} is the former name of {current}: pass only {current} to {spec.name}")
        warnings.warn(
            f"the option {name} of {spec.name} is now {current}; the old name will be removed in the next version",
            DeprecationWarning,
            stacklevel=3,  # the caller of `build`, `train` or `fold_jobs`
        )
    current_names = spec.current_options(options)
    refuse_unknown(f"option of {spec.name}", current_names, spec.options)
    return current_names
