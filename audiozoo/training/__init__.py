"""Training of models on clips with the settings of a recipe."""

from audiozoo.progress import Progress
from audiozoo.recipe import Recipe
from audiozoo.registry import recipe_for
from audiozoo.training.examples import Examples, adapted, frontend_for, target_indices
from audiozoo.training.extension import extend
from audiozoo.training.finetuning import FINETUNING, finetune
from audiozoo.training.fit import pooled_scores, train, train_examples, trained_options
from audiozoo.training.probes import probe

__all__ = [
    "FINETUNING",
    "Examples",
    "Progress",
    "Recipe",
    "adapted",
    "extend",
    "finetune",
    "frontend_for",
    "pooled_scores",
    "probe",
    "recipe_for",
    "target_indices",
    "train",
    "train_examples",
    "trained_options",
]
