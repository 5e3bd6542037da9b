"""How a model is trained, as a value."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, Literal

from audiozoo.augment import Mix, Transform
from audiozoo.augment.spectrogram import require_waves
from audiozoo.checks import refuse_unknown, require_choice
from audiozoo.config import Configured
from audiozoo.registry import model_info


@dataclass(frozen=True, kw_only=True)
class Recipe(Configured):
    """How a model is trained.

    Args:
        epochs: Passes over the training clips at most; in each, every clip gives one random window.
        min_steps: Passes are added until there are so many steps: few clips need more passes than many do.
        batch_size: Windows in a step.
        optimizer: "adam", "adamw", or "sgd" (Nesterov momentum 0.9).
        learning_rate: Of the first epochs.
        schedule: "constant", or "cosine" down to zero at the last epoch.
        warmup: Epochs in which the learning rate rises to its value.
        weight_decay: With "adamw": decoupled, on kernels only.
        label_smoothing: Share of a label's weight spread over all classes.
        patience: Epochs without a better validation loss before training stops; `None` never stops early.
        validation: Share of each class's recordings held out for choosing the epoch; 0 holds out none and keeps the last epoch.
        refit: Train once more on all clips, for as many epochs as were best on the held-out ones; the schedule then ends there.
        standardize: "band", "all" or `None`, see `Scaler.fit`.
        augment_wave: Changes a clip's waveform before the frontend, anew in each epoch.
        mix_wave: Mixes the waveforms of a batch and their labels after that, as sounds heard together.
        mix: Mixes the features of a batch and their labels.
        augment_features: Changes each array after that, before it is standardised. `ByClass` goes by the clip's own label,
            whatever was mixed into it.
        auxiliary_weight: Weight of each auxiliary output's loss beside the first output's.
        class_weight: "balanced" weighs each class by the inverse of its share; `None` all clips alike.
        mixed_precision: Compute in half precision; worth it on a GPU.
        seed: Of the initial weights, dropout, order, windows and augmentation; same seed, same training.

    Raises:
        ValueError: A value outside what is said here.
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
            raise ValueError("refit needs a validation share above 0, which tells it how many epochs are best")
        if self.weight_decay and self.optimizer != "adamw":
            raise ValueError(f"weight_decay is for the optimizer 'adamw', got {self.weight_decay} with {self.optimizer!r}")

    @property
    def augments(self) -> bool:
        """Whether batches are more than what was computed before."""
        return any((self.augment_wave, self.augment_features, self.mix_wave, self.mix))


_NUMBER = (int, float)
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


def recipe_for(name: str, **changes: Any) -> Recipe:
    """Return a model's own recipe, with changes.

    Raises:
        ValueError: An unknown model or an unknown field; the nearest is proposed.
    """
    refuse_unknown("recipe field", changes, [field.name for field in fields(Recipe)])
    return Recipe(**{**model_info(name).recipe, **changes})
