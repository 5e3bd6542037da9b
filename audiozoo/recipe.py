"""Recipes, the training settings of models.

The registry, the datasets and the command line all use recipes, so this module must not import any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal

from audiozoo.augment import Mix, Transform
from audiozoo.augment.spectrogram import require_waves
from audiozoo.checks import require_choice
from audiozoo.config import Configured


@dataclass(frozen=True, kw_only=True)
class Recipe(Configured):
    """Training settings of a model.

    `audiozoo.recipe_for` returns the recipe that a model is registered with. ``dataclasses.replace(recipe, epochs=10)`` changes
    some fields of a recipe.

    Args:
        epochs: Largest number of passes over the training clips. In each pass every clip gives one random window.
        min_steps: Minimum number of optimizer steps. If `epochs` passes give fewer, training makes more passes: a small dataset
            needs more passes than a large one.
        batch_size: Number of windows in a step.
        optimizer: "adam", "adamw", or "sgd" (Nesterov momentum 0.9).
        learning_rate: Learning rate at the start, after the warm-up.
        schedule: "constant", or "cosine", which decays the learning rate to zero at the last epoch.
        warmup: Number of epochs in which the learning rate rises linearly to its value.
        weight_decay: Decoupled weight decay of the kernels; only with the optimizer "adamw".
        label_smoothing: Share of a label's weight that is spread over all classes.
        patience: Number of epochs without a better validation loss after which training stops; `None` never stops early.
        validation: Share of each class's recordings that is held out to choose the epoch. 0 holds out none and keeps the last
            epoch. If the dataset has published validation clips, any other value holds out these.
        refit: Whether to train again on all clips, for the number of epochs that was best on the held-out ones. The schedule
            then ends at that epoch.
        standardize: "band", "all" or `None`, see `Scaler.fit`.
        augment_wave: Transform of a clip's waveform before the frontend, drawn anew in each epoch.
        mix_wave: Mix of the waveforms of a batch and of their labels, after `augment_wave`, as if the sounds overlapped.
        mix: Mix of the features of a batch and of their labels.
        augment_features: Transform of each feature array after `mix` and before the array is standardised. `ByClass` follows
            the clip's own label, not the labels that `mix` added.
        auxiliary_weight: Weight of the loss of each auxiliary output; the first output's weight is 1.
        class_weight: "balanced" weights each class by the inverse of its share; `None` weights all clips alike.
        mixed_precision: Whether to train in half precision: float16 on a GPU, bfloat16 on a processor. This is faster on a GPU,
            and for large convolutions on a processor with instructions for bfloat16. The trained model computes in float32.
        seed: Random seed of the initial weights, dropout, clip order, windows and augmentation. The same seed gives the same
            training.

    Raises:
        ValueError: A value is of the wrong type or outside its range, or two fields contradict each other.
    """

    epochs: int = 60
    min_steps: int = 0
    batch_size: int = 32
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = 0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    patience: int | None = None
    validation: float = 0.2
    refit: bool = False
    standardize: Literal["band", "all"] | None = "band"
    augment_wave: Transform | None = None
    augment_features: Transform | None = None
    mix_wave: Mix | None = None
    mix: Mix | None = None
    auxiliary_weight: float = 1.0
    class_weight: Literal["balanced"] | None = None
    mixed_precision: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for names, kind, rule, holds in _RULES:
            for name in names:
                value = getattr(self, name)
                if not (isinstance(value, kind) and not isinstance(value, bool) and holds(value)):
                    raise ValueError(f"{name} must be {rule}, got {value!r}")
        for name, choices in _CHOICES.items():
            require_choice(name, getattr(self, name), choices)
        if self.augment_wave:
            require_waves(self.augment_wave, "augment_wave")
        if self.refit and not self.validation:
            raise ValueError(
                "refit=True needs validation above 0, because the held-out clips tell for how many epochs to train again; "
                "got validation=0"
            )
        if self.weight_decay and self.optimizer != "adamw":
            raise ValueError(
                f"weight_decay needs optimizer='adamw', got weight_decay={self.weight_decay} with {self.optimizer!r}"
            )

    @property
    def augments(self) -> bool:
        """Whether the recipe changes or mixes what the frontend computed from the clips."""
        return any((self.augment_wave, self.augment_features, self.mix_wave, self.mix))


_NUMBER = (int, float)
# Which fields, of which type, the rule in words for the error message, and the rule.
_RULES: tuple[tuple[tuple[str, ...], Any, str, Callable[[Any], bool]], ...] = (
    (("epochs", "batch_size"), int, "a whole number of at least 1", lambda value: value >= 1),
    (("min_steps", "warmup", "seed"), int, "a whole number of at least 0", lambda value: value >= 0),
    (("patience",), (int, NoneType), "None or a whole number of at least 1", lambda value: value is None or value >= 1),
    (("learning_rate",), _NUMBER, "positive", lambda value: 0 < value < math.inf),
    (("weight_decay", "auxiliary_weight"), _NUMBER, "at least 0", lambda value: 0 <= value < math.inf),
    (("validation", "label_smoothing"), _NUMBER, "a share from 0 to below 1", lambda value: 0 <= value < 1),
    (("augment_wave", "augment_features"), (Transform, NoneType), "None or a transform", lambda value: True),
    (("mix_wave", "mix"), (Mix, NoneType), "None or a mix such as Mixup()", lambda value: True),
)
_CHOICES = {
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "cosine"),
    "standardize": ("band", "all", None),
    "class_weight": ("balanced", None),
    "refit": (True, False),
    "mixed_precision": (True, False),
}
