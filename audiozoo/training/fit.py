"""Training loop: the only module that seeds, compiles and fits models."""

from __future__ import annotations

import gc
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo.augment import ByClass
from audiozoo.checks import refuse_unknown
from audiozoo.classifier import Classifier, KerasScorer, TrainingFacts
from audiozoo.datasets import Clip, hold_out, recordings_by_label
from audiozoo.features import FeatureCache, Frontend, Scaler, extract
from audiozoo.layers import keras
from audiozoo.progress import Progress
from audiozoo.recipe import Recipe
from audiozoo.registry import ModelSpec, build, checked_options, model_info, recipe_for, split_weights
from audiozoo.training.budget import Budget, Clock, Meter
from audiozoo.training.examples import Batches, Examples, frontend_for, target_indices
from audiozoo.training.optimization import LOSSES, optimizer, precision, seeded_dropout
from audiozoo.training.validation import held_out_temperature, validation_figures, validation_seconds
from audiozoo.training.watch import Watch


def train(
    name: str,
    clips: Sequence[Clip],
    recipe: Recipe | None = None,
    *,
    budget: Budget | None = None,
    labels: Sequence[str] | None = None,
    frontend: Frontend | None = None,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    strict: bool = True,
    workers: int = 2,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    **options: Any,
) -> Classifier:
    """Train a model of the zoo on clips.

    Args:
        name: Name of a model, see `audiozoo.list_models`.
        clips: Labelled clips, for example from `audiozoo.load_dataset`.
        recipe: Training settings; `None` uses the model's own, `recipe_for(name)`.
        budget: Time that the training may take, ``Budget(minutes=5)``, with the computation of features; `None` trains the
            recipe in full. ``classifier.about.recipe`` is the recipe that fitted, which gives the same training again.
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
        stop: Function that training calls after each step; when it returns true, training ends and keeps the best epoch so
            far, or the weights of that step in the first epoch. `None` never ends training.
        **options: Options of the builder. Models with auxiliary outputs train with them.

    Returns:
        The classifier with the history of its training. Its weights are those of the epoch with the lowest validation loss.
        With ``refit=True``, the model trains once more on all clips, for as many epochs. If the refit is cut short by `stop` or
        the budget, the classifier is the one before it, and ``classifier.about.stopped`` tells.

    Raises:
        ValueError: There are fewer than two classes, a class has no clips, a clip cannot be read, or the name or an option is
            unknown.
    """
    clock = Clock(budget, stop)
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
        clock=clock,
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
    clock: Clock | None = None,
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
        clock: Clock that may end the training, see `train`; `None` never ends it.

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
    clock = clock or Clock()
    return _Run(spec, recipe, frontend, tuple(classes), used, weights, weights_file, workers, progress, clock).fit(examples)


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
    """One training with all of its settings."""

    spec: ModelSpec
    recipe: Recipe
    frontend: Frontend
    classes: tuple[str, ...]
    options: dict[str, Any]
    weights: str | None
    weights_file: str | os.PathLike[str] | None
    workers: int
    progress: Progress | None
    clock: Clock

    def fit(self, examples: Examples) -> Classifier:
        """Train, and choose the best epoch on held-out recordings if the recipe asks for validation."""
        held_out = self._held_out(examples)
        if held_out.any():
            learnt, validation = examples.subset(~held_out), examples.subset(held_out)
        else:
            learnt, validation = examples, None
        # With few clips an epoch has few steps, too few for the optimiser; `min_steps` then adds epochs.
        epochs = max(self.recipe.epochs, math.ceil(self.recipe.min_steps / self._steps(learnt)))
        run, chosen = self._within_budget(learnt, validation, epochs, refitted=examples)
        if validation is None:
            return chosen
        chosen.temperature = held_out_temperature(chosen, validation)
        return run._refit(examples, chosen) if run.recipe.refit else chosen

    def _within_budget(
        self, learnt: Examples, validation: Examples | None, epochs: int, refitted: Examples
    ) -> tuple[_Run, Classifier]:
        """Train once; return the run with the recipe that fits the budget, and the classifier."""
        if not self.clock.limited:
            return self, self._fit_once(learnt, validation, epochs, "training")
        refits = self.recipe.refit and validation is not None
        meter = Meter(
            self.clock,
            self.recipe,
            epochs=epochs,
            steps=self._steps(learnt),
            refit_steps=self._steps(refitted) if refits else None,
            ahead=2 * self.workers if self.recipe.augments else 0,
        )
        chosen = self._fit_once(learnt, validation, epochs, "training", meter)
        run = replace(self, recipe=meter.chosen_recipe())
        if meter.restarts:
            # A schedule cannot change while it runs. From scratch, the weights are also those that the recipe gives again.
            if self.progress:
                self.progress("training", 0, meter.epochs, {})
            chosen = run._fit_once(learnt, validation, meter.epochs, "training")
        chosen.about = replace(chosen.about, recipe=run.recipe.to_config(), budget=meter.facts())
        return run, chosen

    def _refit(self, examples: Examples, chosen: Classifier) -> Classifier:
        """Train on all clips for the best number of epochs; if that is cut short, return the first classifier."""
        without = {**(chosen.about.recipe or {}), "refit": False}
        if reason := chosen.about.stopped or self.clock.ended:
            chosen.about = replace(chosen.about, recipe=without, stopped=reason)
            return chosen
        # The refit has no validation clips, so its number of epochs comes from the first training.
        assert chosen.about.best_epoch is not None
        refitted = self._fit_once(examples, None, chosen.about.best_epoch, "refitting")
        if refitted.about.stopped:
            chosen.about = replace(chosen.about, recipe=without, stopped=refitted.about.stopped)
            return chosen
        refitted.history = {**chosen.history, **{f"refit_{key}": value for key, value in refitted.history.items()}}
        refitted.about = replace(refitted.about, validation=chosen.about.validation, budget=chosen.about.budget)
        # No clip is left to calibrate the second model, which resembles the first.
        refitted.temperature = chosen.temperature
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

    def _fit_once(
        self, examples: Examples, validation: Examples | None, epochs: int, stage: str, meter: Meter | None = None
    ) -> Classifier:
        scaler = Scaler.fit(examples.features.values, index=examples.window_index, per=self.recipe.standardize)
        steps = self._steps(examples)
        model = self._compiled(steps, epochs)
        classifier = Classifier(self.frontend, scaler, KerasScorer(model), self.classes)
        if meter and validation:
            meter.validation = validation_seconds(classifier, validation)
        watch = Watch(
            model,
            partial(validation_figures, classifier, validation) if validation else None,
            patience=self.recipe.patience,
            epochs=epochs,
            steps=steps,
            stage=stage,
            progress=self.progress,
            clock=self.clock,
            meter=meter,
        )
        batches = Batches(examples, self.recipe, scaler, self.frontend, len(self.classes), len(model.outputs))
        # Batches have a weight for each example and an order of their own, so Keras must not shuffle them again.
        with seeded_dropout(self.recipe.seed), batches.stream(self.workers) as stream:
            model.fit(
                stream,
                steps_per_epoch=steps,
                epochs=epochs,
                callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=watch.batch_end, on_epoch_end=watch.epoch_end)],
                shuffle=False,
                verbose=0,
            )
        if model.stop_training:
            # Otherwise TensorFlow keeps the iterator of an unfinished epoch until Python exits, and then prints a warning.
            gc.collect()
        watch.restore_best()
        classifier.history = watch.history
        classifier.about = self._about(len(examples.index), watch)
        return classifier

    def _compiled(self, steps: int, epochs: int) -> Any:
        with precision(self.recipe.mixed_precision):
            model = build(
                self.spec.name,
                len(self.classes),
                input_shape=self.frontend.shape,
                weights=self.weights,
                weights_file=self.weights_file,
                seed=self.recipe.seed,
                **self.options,
            )
        # The first output is the classifier; auxiliary outputs follow it and have the same targets.
        auxiliaries = len(model.outputs) - 1
        options = {"activation": "softmax", **self.spec.options, **self.options}
        loss = LOSSES[options["activation"]](self.recipe.label_smoothing)
        model.compile(
            optimizer=optimizer(self.recipe, steps, epochs),
            loss=[loss] * (auxiliaries + 1) if auxiliaries else loss,
            loss_weights=[1.0] + [self.recipe.auxiliary_weight] * auxiliaries if auxiliaries else None,
        )
        return model

    def _about(self, clips: int, watch: Watch) -> TrainingFacts:
        return TrainingFacts(
            model=self.spec.name,
            weights=self.weights if self.weights_file is None else Path(self.weights_file).name,
            options=self.options,
            parameters=watch.model.count_params(),
            recipe=self.recipe.to_config(),
            training_clips=clips,
            best_epoch=watch.best_epoch,
            validation=watch.best,
            stopped=watch.stopped,
        )
