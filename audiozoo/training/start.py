"""The starting point of a training that continues another one."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from audiozoo.classifier import TrainingFacts
from audiozoo.features import Scaler
from audiozoo.training.examples import Examples


class Start(Protocol):
    """Model that a training continues, instead of building a new one by name."""

    @property
    def facts(self) -> TrainingFacts:
        """Facts about the model that hold before the training."""

    def scaler(self, examples: Examples, per: Literal["band", "all"] | None) -> Scaler:
        """Return the scaler of the features.

        Args:
            examples: Clips to train on.
            per: Granularity of the recipe, see `Scaler.fit`.
        """

    def model(self, examples: Examples) -> Any:
        """Return a new Keras model for the training on examples, its layers marked as trainable or not."""
