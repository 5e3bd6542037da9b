"""Training of models on clips with the settings of a recipe."""

from audiozoo.progress import Progress
from audiozoo.recipe import Recipe
from audiozoo.registry import recipe_for
from audiozoo.training.blending import fit_ensemble
from audiozoo.training.examples import Examples, adapted, frontend_for, target_indices
from audiozoo.training.fit import pooled_scores, train, train_examples, trained_options

__all__ = [
    "Examples",
    "Progress",
    "Recipe",
    "adapted",
    "fit_ensemble",
    "frontend_for",
    "pooled_scores",
    "recipe_for",
    "target_indices",
    "train",
    "train_examples",
    "trained_options",
]
