"""Starting points of a training: a model of the registry, or a trained network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from audiozoo.classifier import TrainingFacts
from audiozoo.download import hub_file
from audiozoo.features import Scaler
from audiozoo.registry import ModelSpec, build
from audiozoo.training.examples import Examples


class Start(Protocol):
    """Starting point of a training: a model of the registry, or a trained network."""

    @property
    def activation(self) -> str:
        """Last step of the model, a key of `LOSSES`."""

    @property
    def facts(self) -> TrainingFacts:
        """Facts about the model that hold before the training."""

    def scaler(self, examples: Examples, per: Literal["band", "all"] | None) -> Scaler:
        """Return the scaler of the features.

        Args:
            examples: Clips to train on.
            per: Standardisation of the recipe, see `Scaler.fit`.
        """

    def model(self, examples: Examples) -> Any:
        """Return a new Keras model for a training on examples, its layers marked as trainable or not."""


@dataclass(frozen=True, eq=False)
class Registered:
    """Start from a model of the registry, with random or published weights.

    Args:
        spec: Registry entry of the model.
        options: Options of its builder.
        classes: Number of classes.
        shape: Shape of the features.
        seed: Random seed of the initial weights.
        weights: Name of published weights.
        weights_file: File of initial weights.
    """

    spec: ModelSpec
    options: Mapping[str, Any]
    classes: int
    shape: tuple[int, ...]
    seed: int
    weights: str | None = None
    weights_file: str | os.PathLike[str] | None = None

    @property
    def activation(self) -> str:
        """Last step of the model."""
        return str({"activation": "softmax", **self.spec.options, **self.options}["activation"])

    @property
    def facts(self) -> TrainingFacts:
        """Name, options and initial weights of the model."""
        weights = self.weights
        if self.weights_file is not None:
            # The folders of this computer mean nothing elsewhere; an address on the hub does.
            weights = str(self.weights_file) if hub_file(self.weights_file) else Path(self.weights_file).name
        return TrainingFacts(model=self.spec.name, weights=weights, options=dict(self.options))

    def scaler(self, examples: Examples, per: Literal["band", "all"] | None) -> Scaler:
        """Fit a scaler to the windows of the examples."""
        return Scaler.fit(examples.features.values, index=examples.window_index, per=per)

    def model(self, examples: Examples) -> Any:
        """Build the model; the examples do not matter."""
        return build(
            self.spec.name,
            self.classes,
            input_shape=self.shape,
            weights=self.weights,
            weights_file=self.weights_file,
            seed=self.seed,
            **self.options,
        )
