"""Training of models on clips with the settings of a recipe."""

from audiozoo.progress import Progress
from audiozoo.recipe import Recipe
from audiozoo.registry import recipe_for
from audiozoo.training.blending import fit_ensemble
from audiozoo.training.budget import Budget, Clock
from audiozoo.training.devices import join_hosts
from audiozoo.training.examples import Examples, adapted, frontend_for, target_indices, target_matrix, targets_of
from audiozoo.training.extension import extend
from audiozoo.training.finetuning import FINETUNING, finetune
from audiozoo.training.fit import train, train_examples, trained_options
from audiozoo.training.held_out import pooled_scores
from audiozoo.training.probes import probe
from audiozoo.training.resuming import Checkpoints
from audiozoo.training.ways import Finetune, Probe, Transfer, split_way, titled

__all__ = [
    "FINETUNING",
    "Budget",
    "Checkpoints",
    "Clock",
    "Examples",
    "Finetune",
    "Probe",
    "Progress",
    "Recipe",
    "Transfer",
    "adapted",
    "extend",
    "finetune",
    "fit_ensemble",
    "frontend_for",
    "join_hosts",
    "pooled_scores",
    "probe",
    "recipe_for",
    "split_way",
    "target_indices",
    "target_matrix",
    "targets_of",
    "titled",
    "train",
    "train_examples",
    "trained_options",
]
