"""The registry of models: names, what each model expects, and how to build it. Nothing here loads Keras before `build`."""

from audiozoo.registry.building import build, split_weights
from audiozoo.registry.listing import list_models
from audiozoo.registry.shipped import shipped_classifiers
from audiozoo.registry.spec import (
    TASKS,
    Builder,
    InputKind,
    ModelSpec,
    PretrainedWeights,
    Reference,
    Score,
    Task,
    WeightsLoader,
    checked_options,
)
from audiozoo.registry.table import (
    current_name,
    current_options,
    model_info,
    recipe_for,
    register,
    register_variant,
)

__all__ = [
    "TASKS",
    "Builder",
    "InputKind",
    "ModelSpec",
    "PretrainedWeights",
    "Reference",
    "Score",
    "Task",
    "WeightsLoader",
    "build",
    "checked_options",
    "current_name",
    "current_options",
    "list_models",
    "model_info",
    "recipe_for",
    "register",
    "register_variant",
    "shipped_classifiers",
    "split_weights",
]
