"""The starting point of a training that continues another one."""

from __future__ import annotations

from typing import Any, Protocol

from audiozoo.features import Scaler
from audiozoo.training.examples import Examples


class Start(Protocol):
    """Model that a training continues, instead of building a new one by name."""

    scaler: Scaler
    """Scaler that the model expects."""

    def model(self, examples: Examples) -> Any:
        """Return a new Keras model for the training on examples, its layers marked as trainable or not."""
