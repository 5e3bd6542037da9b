"""The table of models: register, list and look up. Nothing here loads Keras."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from typing import Any

from audiozoo.checks import refuse_unknown, unknown_name
from audiozoo.config import import_all
from audiozoo.features import Frontend
from audiozoo.recipe import Recipe
from audiozoo.registry.spec import (
    TASKS,
    Builder,
    ModelSpec,
    PretrainedWeights,
    Reference,
    Score,
    Task,
    WeightsLoader,
    checked_options,
)

_SPECS: dict[str, ModelSpec] = {}
_ALIASES: dict[str, str] = {}
_FORMER_NAMES: dict[str, str] = {}
_INHERITED = ("paper", "year", "recipe", "load_weights", "renamed_options", "family", "tasks", "any_length")
"""Facts that a variant takes from the other model, unless it has its own."""


def register(
    *,
    frontend: Frontend,
    reference: Reference,
    paper: str,
    year: int,
    scores: Sequence[Score] = (),
    aliases: Sequence[str] = (),
    formerly: Sequence[str] = (),
    recipe: Recipe | None = None,
    weights: Mapping[str, PretrainedWeights] | None = None,
    load_weights: WeightsLoader | None = None,
    renamed_options: Mapping[str, str] | None = None,
    family: str | None = None,
    tasks: Sequence[Task] = ("tagging",),
    any_length: bool = False,
) -> Callable[[Builder], Builder]:
    """Register the decorated builder as a model of the builder's name.

    The builder takes ``(input_shape, num_classes, *, ...)``. Its options are keyword-only and have defaults. It returns a Keras
    model whose last layers are named `embedding`, `logits` and `probabilities`. The first line of its docstring is the
    model's description.

    An installed package can add models: its entry point in the group "audiozoo.models" is the module that registers them.

    Args:
        frontend: Frontend that the model was designed for.
        reference: Published configuration and its number of parameters.
        paper: Paper or repository that the model comes from.
        year: Year of publication.
        scores: Published results.
        aliases: Other names of the model.
        formerly: Names that the model had in an earlier version; they still work, with a DeprecationWarning.
        recipe: Training settings; `None` means ``Recipe()``.
        weights: Published weights by name.
        load_weights: Function that loads published weights, or a file of the same format, into a model. `None` if the published
            files are in a Keras format.
        renamed_options: Current name of each renamed option, by former name; former names still work, with a
            DeprecationWarning.
        family: Name of the family of networks, by which ``audiozoo list`` groups; `None` means the name of the module that
            defines the builder.
        tasks: Tasks that the model was designed for: "tagging", "keywords", "scenes" or "embedding". Every model with published
            weights is also for "embedding".
        any_length: Whether the network takes any number of frames, above a minimum: the builder accepts `None` for them.

    Returns:
        A decorator that returns the builder unchanged.

    Raises:
        ValueError: The name or an alias is taken, the builder has no docstring, or a task is unknown.
    """
    refuse_unknown("task", tasks, TASKS)

    def add(builder: Builder) -> Builder:
        name = builder.__name__
        _check_builder(builder, [name, *aliases, *formerly])
        spec = ModelSpec(
            name=name,
            builder=builder,
            frontend=frontend,
            reference=reference,
            description=(builder.__doc__ or "").strip().splitlines()[0],
            paper=paper,
            year=year,
            scores=tuple(scores),
            aliases=tuple(aliases),
            formerly=tuple(formerly),
            recipe=_typed(recipe),
            weights=dict(weights or {}),
            load_weights=load_weights,
            renamed_options=dict(renamed_options or {}),
            family=family or _module_name(builder),
            tasks=tuple(tasks),
            any_length=any_length,
        )
        _add(spec)
        return builder

    return add


def _add(spec: ModelSpec) -> None:
    _SPECS[spec.name] = spec
    _ALIASES.update(dict.fromkeys(spec.aliases, spec.name))
    _FORMER_NAMES.update(dict.fromkeys(spec.formerly, spec.name))


def _check_builder(builder: Builder, names: Sequence[str]) -> None:
    for name in names:
        if (known := _ALIASES.get(name, _FORMER_NAMES.get(name, name))) in _SPECS:
            raise ValueError(f"a model named {name!r} is registered already, choose another name: {_SPECS[known]}")
    if not builder.__doc__:
        raise ValueError(f"the builder {names[0]} needs a docstring; its first line is the model's description")


def _module_name(builder: Builder) -> str:
    # A script that is run, and a notebook, are named __main__, which says nothing.
    module = builder.__module__.rsplit(".", 1)[-1]
    return builder.__name__ if module == "__main__" else module


def register_variant(
    name: str,
    builder: Builder,
    *,
    options: Mapping[str, Any],
    parameters: int,
    multiply_adds: int | None = None,
    num_classes: int | None = None,
    description: str = "",
    **facts: Any,
) -> Builder:
    """Register a variant of a registered model, with some options fixed.

    The variant has its own name, number of parameters, scores and weights. It takes the frontend, paper, year, recipe, family
    and tasks of the other model, unless they are given here, and the other model's remaining options.

    Args:
        name: Name of the variant.
        builder: Builder of the other model, which must be registered.
        options: Options of `builder` and the values that they have in the variant.
        parameters: Number of weights of the variant in its published configuration.
        multiply_adds: Number of multiplications for one window in its published configuration, see `Reference`.
        num_classes: Number of classes in the published configuration; `None` means as for the other model.
        description: Description in one line; "" means the other model's name and the fixed options.
        **facts: Arguments of `register` that differ from the other model: `frontend`, `paper`, `year`, `scores`, `aliases`,
            `formerly`, `recipe`, `weights`, `load_weights`, `renamed_options`, `family`, `tasks` or `any_length`.

    Returns:
        The builder of the variant.

    Raises:
        ValueError: The builder is not registered, it has no such option, or a name is taken.

    >>> from audiozoo.models.lstm import lstm_stacked
    >>> spare = register_variant("my_lstm", lstm_stacked, options={"attention": "additive"}, parameters=321_926)
    >>> model_info("my_lstm").description
    "`lstm_stacked` with attention='additive'."
    """
    base = _SPECS.get(builder.__name__)
    if base is None or base.builder is not builder:
        raise ValueError(f"a variant needs the builder of a registered model, got {builder.__name__!r}: register it first")
    options = checked_options(base, options)
    frontend = facts.pop("frontend", base.frontend)
    reference = replace(
        base.reference,
        input_shape=frontend.shape,
        num_classes=num_classes or base.reference.num_classes,
        parameters=parameters,
        multiply_adds=multiply_adds,
        options={option: value for option, value in base.reference.options.items() if option not in options},
    )
    inherited = {fact: getattr(base, fact) for fact in _INHERITED}
    fixed = ", ".join(f"{option}={value!r}" for option, value in options.items())
    variant = _with_options(name, base, options, description or f"`{base.name}` with {fixed}.")
    return register(frontend=frontend, reference=reference, **{**inherited, **facts})(variant)


def _with_options(name: str, base: ModelSpec, fixed: Mapping[str, Any], description: str) -> Builder:
    def build_variant(input_shape: tuple[int, ...], num_classes: int, **options: Any) -> Any:
        try:
            model = base.builder(input_shape, num_classes, **fixed, **options)
        except ValueError as error:
            # The builder knows only the name of the other model.
            raise ValueError(f"{name}: {error}") from error
        model.name = name
        return model

    # The registry reads the options of a builder from its signature, so the fixed options must not be in it.
    signature = inspect.signature(base.builder)
    free = [parameter for parameter in signature.parameters.values() if parameter.name not in fixed]
    build_variant.__signature__ = signature.replace(parameters=free)  # type: ignore[attr-defined]
    build_variant.__name__ = build_variant.__qualname__ = name
    build_variant.__module__ = base.builder.__module__
    build_variant.__doc__ = f"{description}\n\n{inspect.cleandoc(base.builder.__doc__ or '')}"
    return build_variant


def _typed(recipe: Recipe | Mapping[str, Any] | None) -> Recipe:
    if isinstance(recipe, Mapping):
        warnings.warn(
            "register(recipe={...}) is deprecated: pass a value, recipe=audiozoo.Recipe(...)", DeprecationWarning, stacklevel=3
        )
        return Recipe(**recipe)
    return recipe or Recipe()


def registered() -> dict[str, ModelSpec]:
    """Return all models by name, those of installed packages too."""
    import_all("audiozoo.models")
    _load_plugins()
    return _SPECS


@cache
def _load_plugins() -> None:
    """Load the models of installed packages; a broken package is left out with a warning."""
    from importlib.metadata import entry_points

    for point in entry_points(group="audiozoo.models"):
        try:
            point.load()
        except Exception as error:  # the other models must still work
            warnings.warn(
                f"the models {point.name!r} of {point.value!r} are left out: loading them raised {error!r}. "
                "Repair or uninstall the package that registers them",
                RuntimeWarning,
                stacklevel=2,
            )


def current_name(name: str) -> str:
    """Return the current name of a model, given its name, an alias or a former name; unknown names are returned unchanged."""
    registered()
    return _ALIASES.get(name, _FORMER_NAMES.get(name, name))


def current_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a model under their current names; those of an unknown model are returned unchanged."""
    spec = registered().get(current_name(name))
    return spec.current_options(options) if spec else dict(options)


def model_info(name: str) -> ModelSpec:
    """Return the description of a model by its name or an alias, without building it.

    Raises:
        ValueError: The name is unknown; the message suggests the closest names.
    """
    specs = registered()
    if name in _FORMER_NAMES:
        message = f"the model {name!r} is now named {_FORMER_NAMES[name]!r}; the old name will be removed in the next version"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
    name = current_name(name)
    if name not in specs:
        raise unknown_name("model", name, [*specs, *_ALIASES])
    return specs[name]


def recipe_for(name: str, **changes: Any) -> Recipe:
    """Return the recipe that a model is registered with, with some fields changed.

    Raises:
        ValueError: The model or a field is unknown (the message suggests the closest name), or `Recipe` rejects a value.
    """
    refuse_unknown("recipe field", changes, [field.name for field in fields(Recipe)])
    return replace(model_info(name).recipe, **changes)
