"""Training loop: the only module that seeds, compiles and fits models."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo import metrics
from audiozoo.augment import ByClass
from audiozoo.checks import refuse_unknown
from audiozoo.classifier import Classifier, KerasScorer, TrainingFacts
from audiozoo.classifier.calibration import fitted_temperature
from audiozoo.datasets import Clip, hold_out, recordings_by_label
from audiozoo.features import FeatureCache, Frontend, Scaler, extract
from audiozoo.layers import keras
from audiozoo.progress import Progress
from audiozoo.recipe import Recipe
from audiozoo.registry import ModelSpec, build, checked_options, model_info, recipe_for, split_weights
from audiozoo.training.examples import Batches, Examples, frontend_for, target_indices
from audiozoo.training.optimization import LOSSES, optimizer, precision, seeded_dropout
from audiozoo.training.start import Start


def train(
    name: str,
    clips: Sequence[Clip],
    recipe: Recipe | None = None,
    *,
    labels: Sequence[str] | None = None,
    frontend: Frontend | None = None,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    strict: bool = True,
    workers: int = 2,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Classifier:
    """Train a model of the zoo on clips.

    Args:
        name: Name of a model, see `audiozoo.list_models`.
        clips: Labelled clips, for example from `audiozoo.load_dataset`.
        recipe: Training settings; `None` uses the model's own, `recipe_for(name)`.
        labels: Names of the classes in the order of the outputs; `None` sorts all labels that occur.
        frontend: Frontend that computes the features; `None` uses the model's own, adapted to the clips (`frontend_for`).
        weights: Name of published initial weights, see ``model_info(name).weights``. With another number of classes than the
            published one, the last layer starts from random weights. Published weights expect features that are not
            standardised, so the recipes of their models have ``standardize=None``.
        weights_file: Path of a file of initial weights, as for `build`.
        strict: Raise if a clip cannot be read; otherwise it is left out and named in ``classifier.about.failures``.
        workers: Number of threads that prepare augmented batches ahead; 0 prepares them in the training thread. The number
            changes only the time of the training, not its result.
        cache: Cache that keeps computed features between runs; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.
        **options: Options of the builder. Models with auxiliary outputs train with them.

    Returns:
        The classifier with the history of its training. Its weights are those of the epoch with the lowest validation loss.
        With ``refit=True``, the model trains once more on all clips, for as many epochs.

    Raises:
        ValueError: There are fewer than two classes, a class has no clips, a clip cannot be read, or the name or an option is
            unknown.
    """
    options = checked_options(model_info(name), options)
    weights, weights_file = split_weights(weights, weights_file, model_info(name).weights)
    frontend = frontend or frontend_for(name, clips)
    classes = tuple(sorted({clip.label for clip in clips})) if labels is None else tuple(labels)
    targets = target_indices(clips, classes)
    _check_classes(classes, targets)
    features = extract(clips, frontend, cache=cache, progress=progress)
    if strict:
        features.raise_failures()
    classifier = train_examples(
        name,
        Examples(clips, features, targets, features.readable),
        classes,
        recipe or recipe_for(name),
        frontend,
        weights=weights,
        weights_file=weights_file,
        workers=workers,
        options=options,
        progress=progress,
    )
    classifier.about = replace(classifier.about, failures=tuple(features.failures.values()))
    return classifier


def train_examples(
    name: str,
    examples: Examples,
    classes: Sequence[str],
    recipe: Recipe,
    frontend: Frontend,
    *,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    workers: int = 2,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Classifier:
    """Train on examples with features; `train` computes these first.

    Args:
        name: Name of a model, see `audiozoo.list_models`.
        examples: Clips with features and targets.
        classes: Names of the classes in the order of the outputs.
        recipe: Training settings.
        frontend: Frontend that computed the features.
        weights: Initial weights, as for `train`.
        workers: Number of threads that prepare augmented batches ahead.
        options: Options of the builder.
        progress: Callback, see `audiozoo.progress`.

    Returns:
        The trained classifier.

    Raises:
        ValueError: There are fewer than two classes, a class has no examples, `workers` is negative, the activation has no
            loss, or the augmentation names an unknown class.
    """
    try:
        _check_classes(classes, examples.targets[examples.index])
    except ValueError as error:
        # A class often has no examples because its clips cannot be read, so the message adds the reasons.
        raise ValueError("\n".join([str(error), *examples.features.failures.values()])) from error
    spec = model_info(name)
    if (options or {}).get("activation", "softmax") not in LOSSES:
        raise ValueError(f"training needs activation='softmax' or 'sigmoid', got {(options or {})['activation']!r}")
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")
    for change in filter(None, (recipe.augment_wave, recipe.augment_features)):
        for part in change.parts():
            refuse_unknown("class in ByClass", part.transforms if isinstance(part, ByClass) else (), classes)
    # The options of the caller come last, so they can switch the auxiliary outputs off.
    used = {**_auxiliary(spec), **checked_options(spec, options or {})}
    return _Run(spec, recipe, frontend, tuple(classes), used, weights, weights_file, workers, progress).fit(examples)


def _check_classes(classes: Sequence[str], targets: np.ndarray) -> None:
    if len(classes) < 2:
        raise ValueError(f"a classifier needs at least two classes, got {', '.join(classes) or 'none'}")
    present = set(targets.tolist())
    if missing := [label for number, label in enumerate(classes) if number not in present]:
        raise ValueError(f"no clips of {', '.join(missing)}: add clips, or leave the class out of the labels")


def trained_options(spec: ModelSpec) -> dict[str, Any]:
    """Return the builder options with which `train` builds a model: the builder's defaults, auxiliary outputs switched on."""
    return {**spec.options, **_auxiliary(spec)}


def _auxiliary(spec: ModelSpec) -> dict[str, Any]:
    return {"auxiliary": True} if "auxiliary" in spec.options else {}


@dataclass(eq=False)
class _Run:
    """One training with all of its settings; with a `start`, `spec` and `weights` are not used."""

    spec: ModelSpec | None
    recipe: Recipe
    frontend: Frontend
    classes: tuple[str, ...]
    options: dict[str, Any]
    weights: str | None
    weights_file: str | os.PathLike[str] | None
    workers: int
    progress: Progress | None
    start: Start | None = None

    def fit(self, examples: Examples) -> Classifier:
        """Train, and choose the best epoch on held-out recordings if the recipe asks for validation."""
        held_out = self._held_out(examples)
        learnt, validation = examples.subset(~held_out), examples.subset(held_out)
        # With few clips an epoch has few steps, too few for the optimiser; `min_steps` then adds epochs.
        epochs = max(self.recipe.epochs, math.ceil(self.recipe.min_steps / self._steps(learnt)))
        if not held_out.any():
            return self._fit_once(examples, None, epochs, "training")
        chosen = self._fit_once(learnt, validation, epochs, "training")
        temperature = _held_out_temperature(chosen, validation)
        if not self.recipe.refit:
            chosen.temperature = temperature
            return chosen
        # The refit has no validation clips, so its number of epochs comes from the first training.
        refitted = self._fit_once(examples, None, chosen.about.best_epoch or epochs, "refitting")
        refitted.history = {**chosen.history, **{f"refit_{key}": value for key, value in refitted.history.items()}}
        refitted.about = replace(refitted.about, validation=chosen.about.validation)
        # No clip is left to calibrate the second model, which resembles the first.
        refitted.temperature = temperature
        return refitted

    def _held_out(self, examples: Examples) -> np.ndarray:
        clips = [examples.clips[i] for i in examples.index]
        # A class with a single recording cannot be held out, so at least one class needs two.
        enough = any(len(recordings) > 1 for recordings in recordings_by_label(clips).values())
        if not self.recipe.validation or not enough:
            return np.zeros(len(clips), bool)
        return hold_out(clips, self.recipe.validation, seed=self.recipe.seed)

    def _steps(self, examples: Examples) -> int:
        return math.ceil(len(examples.index) / self.recipe.batch_size)

    def _fit_once(self, examples: Examples, validation: Examples | None, epochs: int, stage: str) -> Classifier:
        per = self.recipe.standardize
        windows = examples.features.values, examples.window_index
        scaler = self.start.scaler(examples, per) if self.start else Scaler.fit(windows[0], index=windows[1], per=per)
        steps = self._steps(examples)
        model = self._compiled(steps, epochs, examples)
        classifier = Classifier(self.frontend, scaler, KerasScorer(model), self.classes)
        watch = _Watch(model, classifier, validation, self.recipe.patience, epochs, stage, self.progress)
        batches = Batches(examples, self.recipe, scaler, self.frontend, len(self.classes), len(model.outputs))
        # Batches have a weight for each example and an order of their own, so Keras must not shuffle them again.
        with seeded_dropout(self.recipe.seed), batches.stream(self.workers) as stream:
            model.fit(
                stream,
                steps_per_epoch=steps,
                epochs=epochs,
                callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=watch.epoch_end)],
                shuffle=False,
                verbose=0,
            )
        watch.restore_best()
        classifier.history = watch.history
        classifier.about = self._about(len(examples.index), watch)
        return classifier

    def _compiled(self, steps: int, epochs: int, examples: Examples) -> Any:
        with precision(self.recipe.mixed_precision):
            model = self.start.model(examples) if self.start else self._built()
        # The first output is the classifier; auxiliary outputs follow it and have the same targets.
        auxiliaries = len(model.outputs) - 1
        options = {"activation": "softmax", **(self.spec.options if self.spec else {}), **self.options}
        loss = LOSSES[options["activation"]](self.recipe.label_smoothing)
        model.compile(
            optimizer=optimizer(self.recipe, steps, epochs),
            loss=[loss] * (auxiliaries + 1) if auxiliaries else loss,
            loss_weights=[1.0] + [self.recipe.auxiliary_weight] * auxiliaries if auxiliaries else None,
        )
        return model

    def _built(self) -> Any:
        assert self.spec is not None
        return build(
            self.spec.name,
            len(self.classes),
            input_shape=self.frontend.shape,
            weights=self.weights,
            weights_file=self.weights_file,
            seed=self.recipe.seed,
            **self.options,
        )

    def _about(self, clips: int, watch: _Watch) -> TrainingFacts:
        weights = self.weights if self.weights_file is None else Path(self.weights_file).name
        known = TrainingFacts(model=self.spec.name if self.spec else None, weights=weights, options=self.options)
        return replace(
            self.start.facts if self.start else known,
            parameters=watch.model.count_params(),
            recipe=self.recipe.to_config(),
            training_clips=clips,
            best_epoch=watch.best_epoch,
            validation=watch.best,
        )


class _Watch:
    """Callback at the end of each epoch: records metrics, keeps the best weights, and stops early."""

    def __init__(
        self,
        model: Any,
        classifier: Classifier,
        validation: Examples | None,
        patience: int | None,
        epochs: int,
        stage: str,
        progress: Progress | None,
    ) -> None:
        self.classifier, self.validation, self.patience = classifier, validation, patience
        self.epochs, self.stage, self.progress = epochs, stage, progress
        self.model = model
        self.history: dict[str, list[float]] = {}
        self.best: dict[str, float] | None = None
        self.best_epoch = epochs
        self._best_weights: list[np.ndarray] | None = None

    def epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Record the metrics of an epoch, with those of the validation clips pooled over windows as in `predict`."""
        figures = {"loss": float((logs or {})["loss"])}
        # A loss that is not finite never recovers.
        if not math.isfinite(figures["loss"]):
            raise ValueError(
                f"training diverged in epoch {epoch + 1}: the loss is {figures['loss']}; use a smaller learning_rate"
            )
        if self.validation is not None:
            figures |= _validation_figures(self.classifier, self.validation)
            self._judge(epoch + 1, figures)
        for key, value in figures.items():
            self.history.setdefault(key, []).append(value)
        if self.progress:
            self.progress(self.stage, epoch + 1, self.epochs, figures)

    def _judge(self, epoch: int, figures: dict[str, float]) -> None:
        # The epoch is chosen by loss and not by accuracy, because many epochs have the same accuracy on a few clips.
        if self.best is None or figures["val_loss"] < self.best["val_loss"]:
            self.best, self.best_epoch = {key: figures[key] for key in ("val_loss", "val_accuracy")}, epoch
            # In memory (at most 140 MB) and not in a file, so that no temporary file can be left behind.
            self._best_weights = self.model.get_weights()
        elif self.patience is not None and epoch - self.best_epoch >= self.patience:
            self.model.stop_training = True

    def restore_best(self) -> None:
        """Load the weights of the best epoch into the model."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)


def _validation_figures(classifier: Classifier, examples: Examples) -> dict[str, float]:
    scores = pooled_scores(classifier, examples)
    targets = examples.targets[examples.index]
    return {"val_loss": metrics.log_loss(scores, targets), "val_accuracy": metrics.accuracy(scores, targets)}


def _held_out_temperature(classifier: Classifier, validation: Examples) -> float:
    if classifier.activation is None:
        return 1.0
    return fitted_temperature(
        pooled_scores(classifier, validation), validation.targets[validation.index], classifier.activation
    )


def pooled_scores(classifier: Classifier, examples: Examples) -> np.ndarray:
    """Return the probabilities of each example, pooled over its windows, ``(examples, classes)``."""
    features = examples.features
    outputs = classifier.window_outputs(features.values, index=examples.window_index)
    # The windows of an example are consecutive; split at the ends, they give one group for each example.
    ends = np.cumsum(features.counts[examples.index])
    return np.stack([classifier.pool(part) for part in np.split(outputs, ends[:-1])])
