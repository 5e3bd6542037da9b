"""List the registered models by name and by facts. Nothing here loads Keras."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from audiozoo.checks import require_choice, unknown_name
from audiozoo.registry.spec import KINDS, TASKS, InputKind, ModelSpec, Task
from audiozoo.registry.table import registered

Globs = str | Sequence[str]


def list_models(
    pattern: Globs = "*",
    *,
    exclude: Globs = (),
    input: InputKind | None = None,
    task: Task | None = None,
    family: Globs = "*",
    licence: Globs | None = None,
    pretrained: bool = False,
    min_parameters: float = 0,
    max_parameters: float = math.inf,
    max_multiply_adds: float = math.inf,
) -> list[str]:
    """List the names of the models that match all conditions.

    Args:
        pattern: Glob or globs; the name or an alias must match at least one.
        exclude: Glob or globs; the name must match none.
        input: Kind of input: "waveform", "spectral" or "vector"; `None` means any.
        task: Task that the model is for: "tagging", "keywords", "scenes" or "embedding"; `None` means any. Models with
            published weights are for "embedding".
        family: Glob or globs; the name of the family must match at least one.
        licence: Glob or globs such as "CC-BY*"; the licence of some published weights must match at least one, in any case.
            `None` also lists models without published weights.
        pretrained: Whether to list only models with published weights.
        min_parameters: Smallest number of parameters of the reference configuration.
        max_parameters: Largest number of parameters of the reference configuration.
        max_multiply_adds: Largest number of multiply-adds for one window in the reference configuration. A model for which the
            number is not known matches only without this condition.

    Returns:
        The names in alphabetical order, with numbers in names in numerical order.

    Raises:
        ValueError: `input` or `task` is unknown.

    >>> list_models("feature_*")
    ['feature_cnn', 'feature_mlp']
    >>> list_models(task="keywords", max_parameters=20_000)
    ['bcresnet_1']
    """
    if input is not None and input not in KINDS.values():
        raise unknown_name("input", input, KINDS.values())
    if task is not None:
        require_choice("task", task, TASKS)
    names = [
        name
        for name, spec in registered().items()
        if any(_matches(called, pattern) for called in (name, *spec.aliases))
        and not _matches(name, exclude)
        and _matches(spec.family, family)
        and input in (None, spec.input)
        and (task is None or spec.suits(task))
        and (licence is None or _licensed(spec, licence))
        and (spec.weights or not pretrained)
        and min_parameters <= spec.reference.parameters <= max_parameters
        and _multiply_adds(spec) <= max_multiply_adds
    ]
    return sorted(names, key=_numerical)


def _matches(name: str, globs: Globs) -> bool:
    return any(fnmatchcase(name, glob) for glob in ([globs] if isinstance(globs, str) else globs))


def _licensed(spec: ModelSpec, globs: Globs) -> bool:
    lower = globs.lower() if isinstance(globs, str) else [glob.lower() for glob in globs]
    return any(_matches(weights.licence.lower(), lower) for weights in spec.weights.values())


def _multiply_adds(spec: ModelSpec) -> float:
    known = spec.reference.multiply_adds
    return math.inf if known is None else known


def _numerical(name: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
