"""The registry of models: names, what each model expects, and how to build it. Nothing here loads Keras before `build`."""

from audiozoo.registry.building import build, check_options, split_weights
from audiozoo.registry.spec import Builder, InputKind, ModelSpec, PretrainedWeights, Reference, Score, WeightsLoader
from audiozoo.registry.table import current_name, list_models, model_info, recipe_for, register, register_variant

__all__ = [
    "Builder",
    "InputKind",
    "ModelSpec",
    "PretrainedWeights",
    "Reference",
    "Score",
    "WeightsLoader",
    "build",
    "check_options",
    "current_name",
    "list_models",
    "model_info",
    "recipe_for",
    "register",
    "register_variant",
    "split_weights",
]
