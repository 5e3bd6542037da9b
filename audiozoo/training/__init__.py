"""Recipes, and training by them."""

from audiozoo.progress import Progress
from audiozoo.training.examples import Examples, adapted, frontend_for, target_indices
from audiozoo.training.fit import pooled_scores, train, train_examples
from audiozoo.training.recipe import Recipe, recipe_for

__all__ = [
    "Examples",
    "Progress",
    "Recipe",
    "adapted",
    "frontend_for",
    "pooled_scores",
    "recipe_for",
    "target_indices",
    "train",
    "train_examples",
]
