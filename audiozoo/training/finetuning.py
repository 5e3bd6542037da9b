"""Fine-tuning: continue the training of a network for other classes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from audiozoo.checks import require_number
from audiozoo.classifier import Classifier, ProbeHead, TrainingFacts
from audiozoo.classifier.facts import fingerprints_of
from audiozoo.datasets import Clip
from audiozoo.features import FeatureCache, Features, Frontend, Scaler, extract
from audiozoo.layers import classify, keras
from audiozoo.progress import Progress
from audiozoo.recipe import Recipe
from audiozoo.training.budget import Budget, Clock
from audiozoo.training.devices import chosen_devices
from audiozoo.training.embeddings import embeddings, network_of
from audiozoo.training.examples import Examples, check_present, targets_of
from audiozoo.training.logistic import fitted_heads
from audiozoo.training.probes import starting_point
from audiozoo.training.resuming import Checkpoints
from audiozoo.training.run import Run

FINETUNING = Recipe(epochs=15, batch_size=32, learning_rate=1e-4, schedule="cosine", label_smoothing=0.1, standardize=None)
"""Training settings of `finetune`. Its learning rate is a tenth of that of a training from random weights."""

_HEAD_STRENGTH = 0.03  # C of the logistic regression that the last layer starts from


def finetune(
    start: str | os.PathLike[str] | Classifier,
    clips: Sequence[Clip],
    recipe: Recipe | None = None,
    *,
    budget: Budget | None = None,
    unfreeze: str | float = 0.3,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | None = None,
    frontend: Frontend | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    unknown: float | None = None,
    strict: bool = True,
    workers: int = 2,
    stop: Callable[[], bool] | None = None,
    checkpoints: Checkpoints | None = None,
    devices: str | int | None = None,
) -> Classifier:
    """Train a network for other classes, starting from its weights.

    Training has two stages. First the last layer alone: it becomes the logistic regression of the clips' mean embeddings, which
    is the optimum for a frozen network. Then the chosen layers train together with it at the recipe's learning rate, which is
    low, because the last layer needs no large steps any more. All other layers keep their weights.

    Args:
        start: Name from ``list_models(pretrained=True)``, path of a saved classifier, or a classifier, which is not changed.
        clips: Labelled clips. If a clip has several labels, the classes become independent (sigmoid).
        recipe: Training settings of the second stage; `None` uses `FINETUNING`. ``standardize`` has no effect, because the
            network expects the scaler of `start`.
        budget: Time that the training may take, as for `train`.
        unfreeze: Layers that train besides the last one: a regular expression that their whole name matches, such as
            ``"layer1[0-4].*"``, or the share of the layers with weights, from the top, from 0 to 1.
        weights: Name of published weights; `None` uses the first of the model.
        weights_file: Path of a copy of the published weights; `None` downloads them once.
        labels: Names of the classes in the order of the scores; `None` sorts all labels that occur.
        frontend: Frontend whose output the network takes; `None` uses that of `start`.
        cache: Cache of features and embeddings; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.
        strict: Raise if a clip cannot be read; otherwise it is left out and named in ``classifier.about.failures``.
        unknown: Share of the known clips to keep when the classifier answers "unknown", as for `train`.
        workers: Number of threads that prepare augmented batches ahead, as for `train`.
        stop: Function that ends the training when it returns true, as for `train`.
        checkpoints: Folder from which an interrupted training continues, as for `train`.
        devices: Devices that share each batch of the second stage, as for `train`.

    Returns:
        The classifier, with a single network (`KerasScorer`). As for `train`, the weights are those of the best epoch.

    Raises:
        ValueError: The model has no published weights, no layer matches, there are fewer than two classes, a class has no
            clips, or a clip cannot be read.
        OSError: The weights cannot be downloaded; the message says where to put a copy.
    """
    clock, recipe, shared = Clock(budget, stop), recipe or FINETUNING, chosen_devices(devices)
    origin = starting_point(start, weights=weights, weights_file=weights_file, frontend=frontend, clips=clips)
    chosen = chosen_layers(body_of(network_of(origin).model), unfreeze)
    classes = tuple(sorted({label for clip in clips for label in clip.labels})) if labels is None else tuple(labels)
    targets = targets_of(clips, classes)
    embedded = embeddings(origin, clips, cache=cache, progress=progress)
    features = extract(clips, origin.frontend, cache=cache, progress=progress)
    if strict:
        features.raise_failures()
    check_present(classes, targets[features.readable], features)
    activation = "softmax" if targets.ndim == 1 else "sigmoid"
    begin = Continued(origin, embedded, activation, len(classes), frozenset(chosen))
    run = Run(begin, recipe, origin.frontend, classes, workers, unknown, progress, clock, checkpoints, shared)
    trained = run.fit(Examples(clips, features, targets, features.readable))
    notes = {**origin.about.notes, "finetune": {"unfreeze": unfreeze, "layers": chosen}}
    learnt = fingerprints_of(clip.path for clip in clips)
    trained.about = replace(trained.about, failures=tuple(features.failures.values()), fingerprints=learnt, notes=notes)
    return trained


def chosen_layers(model: Any, unfreeze: str | float) -> list[str]:
    """Return the names of the layers to train.

    Args:
        model: Keras model.
        unfreeze: Regular expression for whole names, or the share of the layers with weights, from the top.

    Raises:
        ValueError: No layer matches, the expression is not valid, or the share is not from 0 to 1.
    """
    names = [layer.name for layer in model.layers if layer.weights]
    if not isinstance(unfreeze, str):
        require_number("unfreeze", unfreeze, 0, 1)
        return names[len(names) - round(unfreeze * len(names)) :]
    try:
        chosen = [name for name in names if re.fullmatch(unfreeze, name)]
    except re.error as error:
        raise ValueError(
            f"unfreeze={unfreeze!r} is not a regular expression ({error}); write for example 'layer1[0-4].*'"
        ) from error
    if not chosen:
        raise ValueError(f"no layer matches unfreeze={unfreeze!r}; the layers with weights are {', '.join(names)}")
    return chosen


def body_of(model: Any) -> Any:
    """Return the part of a model from its input to its embedding; it shares the layers."""
    return keras.Model(model.inputs[0], model.get_layer("embedding").output)


@dataclass(frozen=True, eq=False)
class Continued:
    """Start from a trained network.

    Args:
        origin: Classifier with the network.
        embedded: Embeddings of all clips, for the first stage.
        activation: Last step of the new model, "softmax" or "sigmoid".
        classes: Number of classes.
        unfrozen: Names of the layers to train besides the last one.
    """

    origin: Classifier
    embedded: Features
    activation: str
    classes: int
    unfrozen: frozenset[str]

    @property
    def facts(self) -> TrainingFacts:
        """Origin of the network; what was measured in its own training does not hold any more."""
        about = self.origin.about
        return TrainingFacts(model=about.model, weights=about.weights, licence=about.licence, notes=about.notes)

    def scaler(self, examples: Examples, per: str | None) -> Scaler:
        """Return the scaler that the network expects, whatever the examples are."""
        return self.origin.scaler

    def model(self, examples: Examples) -> Any:
        """Return a copy of the network with a new last layer, fitted on the embeddings of the examples."""
        original = body_of(network_of(self.origin).model)
        body = keras.models.clone_model(original)
        body.set_weights(original.get_weights())
        for layer in body.layers:
            # A frozen batch normalisation also keeps its statistics.
            layer.trainable = layer.name in self.unfrozen
        model = keras.Model(body.inputs[0], classify(body.outputs[0], self.classes, activation=self.activation))  # type: ignore[arg-type]
        model.get_layer("logits").set_weights(self._head(examples))
        return model

    def _head(self, examples: Examples) -> list[np.ndarray]:
        # Only the clips that the network trains on: others may be held out to choose the epoch.
        windows = [self.embedded.values[self.embedded.windows(i)] for i in examples.index]
        means = np.stack([np.asarray(one).mean(axis=0) for one in windows])
        *_, head = fitted_heads(means, examples.targets[examples.index], [_HEAD_STRENGTH])
        return dense_weights(head)


def dense_weights(head: ProbeHead) -> list[np.ndarray]:
    """Return kernel and bias of a dense layer that gives the same logits as a head, without standardisation."""
    kernel = head.kernel / head.deviation[:, None]
    return [kernel, head.bias - head.mean @ kernel]
