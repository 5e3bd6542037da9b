"""The zoo's register: names, what each model expects, and how to build it. Nothing here loads Keras before `build`."""

from __future__ import annotations

import inspect
import math
import os
import random
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from audiozoo.checks import refuse_unknown, unknown_name
from audiozoo.config import import_all
from audiozoo.features import Frontend

if TYPE_CHECKING:
    import keras

Builder = Callable[..., "keras.Model"]
InputKind = Literal["waveform", "spectral", "vector"]

_KINDS: dict[int, InputKind] = {1: "vector", 2: "waveform", 3: "spectral"}


@dataclass(frozen=True)
class Reference:
    """A published configuration and the size it must have; every one is a test.

    Args:
        input_shape: Of one window, without the batch.
        num_classes: Classes.
        parameters: All weights, trainable or not.
        options: Options of the builder that differ from its defaults.
    """

    input_shape: tuple[int, ...]
    num_classes: int
    parameters: int
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Score:
    """A published result.

    Args:
        dataset: For example "ESC-10".
        metric: For example "accuracy".
        value: In percent, or a fraction for MAP.
        source: Where it was published, and by which protocol.
    """

    dataset: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights that somebody published for a model.

    Args:
        url: Of the file.
        sha256: Its checksum, hexadecimal.
        licence: Of the weights, such as "Apache-2.0".
        labels: The classes they were trained on, in the order of the model's output.
    """

    url: str
    sha256: str
    licence: str
    labels: tuple[str, ...]


WeightsLoader = Callable[["keras.Model", PretrainedWeights | Path], None]


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model without building it.

    Args:
        name: Its name in the registry.
        builder: ``builder(input_shape, num_classes, **options)``.
        frontend: The frontend it was designed for.
        reference: A published configuration.
        description: One line.
        paper: Where it comes from.
        year: Of publication.
        scores: Published results.
        aliases: Other names.
        formerly: Names that the model had in an earlier version; they still work, with a DeprecationWarning.
        recipe: Training options in which it differs from the default recipe.
        weights: Published weights, by the name that `build` takes.
        load_weights: Puts published weights, or those in a file of the same kind, into a model.
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
    recipe: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, PretrainedWeights] = field(default_factory=dict)
    load_weights: WeightsLoader | None = None

    @property
    def input(self) -> InputKind:
        """ "waveform", "spectral" or "vector"."""
        return _KINDS[len(self.frontend.shape)]

    @property
    def options(self) -> dict[str, Any]:
        """The builder's options and their defaults."""
        parameters = inspect.signature(self.builder).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


_SPECS: dict[str, ModelSpec] = {}
_ALIASES: dict[str, str] = {}
_FORMER_NAMES: dict[str, str] = {}


def register(
    *,
    frontend: Frontend,
    reference: Reference,
    paper: str,
    year: int,
    scores: Sequence[Score] = (),
    aliases: Sequence[str] = (),
    formerly: Sequence[str] = (),
    recipe: Mapping[str, Any] | None = None,
    weights: Mapping[str, PretrainedWeights] | None = None,
    load_weights: WeightsLoader | None = None,
) -> Callable[[Builder], Builder]:
    """Register the decorated builder under its own name, and return it untouched.

    An installed package brings models by naming the module that registers them as an entry point of "audiozoo.models".

    The builder takes ``(input_shape, num_classes, *, ...)``, its options keyword-only with defaults, and returns a Keras model
    whose last layers are named `embedding`, `logits` and `probabilities`. The first line of its docstring describes it.

    Raises:
        ValueError: The name or an alias is taken, or the builder has no docstring.
    """

    def add(builder: Builder) -> Builder:
        name = builder.__name__
        for taken in (name, *aliases, *formerly):
            if (known := _ALIASES.get(taken, _FORMER_NAMES.get(taken, taken))) in _SPECS:
                raise ValueError(f"a model named {taken!r} is registered already: {_SPECS[known]}")
        if not builder.__doc__:
            raise ValueError(f"the builder {name} needs a docstring; its first line is the model's description")
        _SPECS[name] = ModelSpec(
            name=name,
            builder=builder,
            frontend=frontend,
            reference=reference,
            description=builder.__doc__.strip().splitlines()[0],
            paper=paper,
            year=year,
            scores=tuple(scores),
            aliases=tuple(aliases),
            formerly=tuple(formerly),
            recipe=dict(recipe or {}),
            weights=dict(weights or {}),
            load_weights=load_weights,
        )
        _ALIASES.update(dict.fromkeys(aliases, name))
        _FORMER_NAMES.update(dict.fromkeys(formerly, name))
        return builder

    return add


def _specs() -> dict[str, ModelSpec]:
    import_all("audiozoo.models")
    _load_plugins()
    return _SPECS


@cache
def _load_plugins() -> None:
    """Load what installed packages announce as models; one that is broken is left out with a warning."""
    from importlib.metadata import entry_points

    for point in entry_points(group="audiozoo.models"):
        try:
            point.load()
        except Exception as error:  # whatever it is, the other models still work
            warnings.warn(
                f"the models {point.name!r} of {point.value!r} are left out: loading them raised {error!r}. "
                "Repair or uninstall the package that brings them",
                RuntimeWarning,
                stacklevel=2,
            )


def list_models(
    pattern: str | Sequence[str] = "*",
    *,
    exclude: str | Sequence[str] = (),
    input: InputKind | None = None,
    pretrained: bool = False,
    min_parameters: int = 0,
    max_parameters: float = math.inf,
) -> list[str]:
    """List the models' names, numbers in them in numerical order.

    Args:
        pattern: Glob or globs, any of which a name or an alias must match.
        exclude: Glob or globs, none of which it may match.
        input: Only models that eat "waveform", "spectral" or "vector" input.
        pretrained: Only models with published weights.
        min_parameters, max_parameters: Only models whose reference has so many parameters.

    Raises:
        ValueError: An unknown kind of input.

    >>> list_models("feature_*")
    ['feature_cnn', 'feature_mlp']
    """
    if input is not None and input not in _KINDS.values():
        raise unknown_name("input", input, _KINDS.values())
    wanted, unwanted = _globs(pattern), _globs(exclude)
    names = [
        name
        for name, spec in _specs().items()
        if any(fnmatchcase(called, glob) for glob in wanted for called in (name, *spec.aliases))
        and not any(fnmatchcase(name, glob) for glob in unwanted)
        and input in (None, spec.input)
        and (spec.weights or not pretrained)
        and min_parameters <= spec.reference.parameters <= max_parameters
    ]
    return sorted(names, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)])


def _globs(patterns: str | Sequence[str]) -> Sequence[str]:
    return [patterns] if isinstance(patterns, str) else patterns


def current_name(name: str) -> str:
    """Return a model's present name for that name, an alias or a former name, as old files hold it; others stay as they are."""
    _specs()
    return _ALIASES.get(name, _FORMER_NAMES.get(name, name))


def model_info(name: str) -> ModelSpec:
    """Return what is known of a model, by its name or an alias, without building it.

    Raises:
        ValueError: An unknown name; the nearest are proposed.
    """
    specs = _specs()
    if name in _FORMER_NAMES:
        message = f"the model {name!r} is now named {_FORMER_NAMES[name]!r}; the next version will not know the old name"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    name = current_name(name)
    if name not in specs:
        raise unknown_name("model", name, [*specs, *_ALIASES])
    return specs[name]


def build(
    name: str,
    num_classes: int = 10,
    *,
    input_shape: Sequence[int] | None = None,
    weights: str | os.PathLike[str] | None = None,
    seed: int | None = None,
    **options: Any,
) -> keras.Model:
    """Build a Keras model by name, not compiled.

    Args:
        name: A name or alias from `list_models`.
        num_classes: Width of the output.
        input_shape: Of one window, without the batch; `None` is the shape of the model's own frontend.
        weights: A name in ``model_info(name).weights``, or the path of a file: Keras' own (``.weights.h5``, ``.keras``) for the
            same model and sizes, or one as those published. Published weights for another number of classes fill all but the
            last layer. `None` leaves the random initialisation. A builder with an option `weights` of its own, such
            as "imagenet", gets the name.
        seed: Makes the initial weights and the dropout repeatable; no global state is changed.
        **options: The builder's own, see ``model_info(name).options``.

    Returns:
        A model with one output, probabilities ``(batch, num_classes)``; with ``auxiliary=True`` further ones follow it.

    Raises:
        ValueError: An unknown name or option (the nearest is proposed), a number of classes that is not positive, an input too
            small for the model, or weights that are not this model's.
        OSError: Published weights cannot be fetched; the message says where to put a copy.
    """
    spec = model_info(name)
    check_options(spec, options)
    if weights is not None and "weights" in spec.options and not Path(weights).suffix:
        options, weights = {**options, "weights": weights}, None  # a name that the builder knows, and no file
    source = None if weights is None else _weights_source(spec, weights)
    if num_classes < 1:
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
    shape = spec.frontend.shape if input_shape is None else tuple(int(size) for size in input_shape)
    if min(shape, default=1) < 1:
        raise ValueError(f"{spec.name}: every size of input_shape must be at least 1, got {shape}")
    if len(shape) != len(spec.frontend.shape):
        raise ValueError(
            f"{spec.name} takes {spec.input} input like {spec.frontend.shape}, got input_shape={shape} (without the batch axis)"
        )
    with _seeded(seed):
        model = spec.builder(shape, num_classes, **options)
    if source is not None:
        _fill(model, spec, source)
    return model


def _weights_source(spec: ModelSpec, weights: str | os.PathLike[str]) -> PretrainedWeights | Path:
    if weights in spec.weights:
        return spec.weights[str(weights)]
    if not Path(weights).suffix:
        raise unknown_name(f"weights of {spec.name}", str(weights), spec.weights)
    return Path(weights)


def _fill(model: keras.Model, spec: ModelSpec, source: PretrainedWeights | Path) -> None:
    native = isinstance(source, Path) and source.name.endswith((".weights.h5", ".keras"))
    if native or spec.load_weights is None:
        model.load_weights(source)
    else:
        spec.load_weights(model, source)


def check_options(spec: ModelSpec, options: Mapping[str, Any]) -> None:
    """Refuse, by name, an option that a model's builder does not have."""
    refuse_unknown(f"option of {spec.name}", options, spec.options)


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    # Keras draws the seed of each initialiser and dropout that got none from Python's generator, which is put back after.
    if seed is None:
        yield
        return
    state = random.getstate()
    import keras

    keras.backend  # noqa: B018  loading Keras draws numbers too: it shall not happen between the seed and the weights
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
