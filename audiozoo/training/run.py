"""One training: its starting point, its epochs within a budget, the refit, and the calibration on held-out clips."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from audiozoo.classifier import Classifier, KerasScorer, TrainingFacts
from audiozoo.classifier.calibration import check_unknown
from audiozoo.classifier.thresholds import fallback_thresholds
from audiozoo.datasets import hold_out, recordings_by_label
from audiozoo.features import Frontend
from audiozoo.layers import keras
from audiozoo.progress import Progress
from audiozoo.recipe import Recipe
from audiozoo.training.batches import Batches
from audiozoo.training.budget import Clock, Meter
from audiozoo.training.devices import Devices
from audiozoo.training.examples import Examples
from audiozoo.training.held_out import calibrate, validation_figures, validation_seconds
from audiozoo.training.optimization import LOSSES, optimizer, own_dropout, precision, seed_dropout
from audiozoo.training.resuming import Checkpoint, Checkpoints, clips_digest, facts_of
from audiozoo.training.start import Start
from audiozoo.training.watch import Watch


@dataclass(eq=False)
class Run:
    """One training with all of its settings.

    Args:
        start: Starting point of the training.
        recipe: Training settings.
        frontend: Frontend that computed the features.
        classes: Names of the classes in the order of the outputs.
        workers: Number of threads that prepare augmented batches ahead.
        unknown: Share of the held-out clips that the rejection level keeps; `None` sets no level.
        progress: Callback, see `audiozoo.progress`.
        clock: Clock that may end the training.
        checkpoints: Folder to continue from; `None` for none.
        devices: Devices that share the batches; `None` for one.
    """

    start: Start
    recipe: Recipe
    frontend: Frontend
    classes: tuple[str, ...]
    workers: int = 2
    unknown: float | None = None
    progress: Progress | None = None
    clock: Clock = field(default_factory=Clock)
    checkpoints: Checkpoints | None = None
    devices: Devices | None = None

    def __post_init__(self) -> None:
        if self.devices and (over := self.recipe.batch_size % len(self.devices.names)):
            number = len(self.devices.names)
            raise ValueError(
                f"{number} devices need a batch_size that is a multiple of {number}, such as "
                f"{self.recipe.batch_size - over + number}; it is {self.recipe.batch_size}"
            )
        if self.devices and self.devices.hosts > 1 and self.clock.limited:
            raise ValueError("several hosts cannot keep to a budget of time together: leave the budget out")
        if self.checkpoints and self.clock.limited:
            raise ValueError(
                "a training with a budget of time has no checkpoints, because it cannot have the same epochs a second time: "
                "leave the budget or the checkpoints out"
            )

    def fit(self, examples: Examples) -> Classifier:
        """Train, and choose the best epoch on held-out recordings if the recipe asks for validation."""
        held_out = self._held_out(examples)
        if self.unknown is not None:
            check_unknown(self.unknown, self.classes, int(held_out.sum()))
        if held_out.any():
            learnt, validation = examples.subset(~held_out), examples.subset(held_out)
        else:
            learnt, validation = examples, None
        # With few clips an epoch has few steps, too few for the optimiser; `min_steps` then adds epochs.
        epochs = max(self.recipe.epochs, math.ceil(self.recipe.min_steps / self._steps(learnt)))
        run, chosen = self._within_budget(learnt, validation, epochs, refitted=examples)
        if validation is None:
            return chosen
        calibrate(chosen, validation, unknown=self.unknown)
        return run._refit(examples, chosen) if run.recipe.refit else chosen

    def _within_budget(
        self, learnt: Examples, validation: Examples | None, epochs: int, refitted: Examples
    ) -> tuple[Run, Classifier]:
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
        refitted.temperature, refitted.thresholds, refitted.rejection = chosen.temperature, chosen.thresholds, chosen.rejection
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
        if self.devices:
            self.devices.check_same(clips_digest(examples))
        with self.devices.scope() if self.devices else nullcontext():
            model, classifier = self._fit_in_scope(examples, validation, epochs, stage, meter)
        if self.recipe.mixed_precision or self.devices:
            classifier.scorer = KerasScorer(self._plain(model, examples))
        return classifier

    def _fit_in_scope(
        self, examples: Examples, validation: Examples | None, epochs: int, stage: str, meter: Meter | None
    ) -> tuple[Any, Classifier]:
        scaler, steps = self.start.scaler(examples, self.recipe.standardize), self._steps(examples)
        whole = self.devices is not None
        model = self._compiled(self.start, examples, epochs)
        # Without held-out clips, these thresholds remain.
        thresholds = fallback_thresholds(len(self.classes)) if examples.multilabel else None
        classifier = Classifier(self.frontend, scaler, KerasScorer(model), self.classes, thresholds=thresholds)
        if meter and validation:
            meter.validation = validation_seconds(classifier, validation)
        watch = Watch(
            model,
            self._judge(classifier, model, examples, validation) if validation else None,
            patience=self.recipe.patience,
            epochs=epochs,
            steps=steps,
            sizes=(steps * self.recipe.batch_size if whole else len(examples.index), self.recipe.batch_size),
            stage=stage,
            progress=self.progress,
            clock=self.clock,
            meter=meter,
            checkpoint=self._checkpoint(model, examples, epochs, stage),
        )
        batches = Batches(examples, self.recipe, scaler, self.frontend, len(self.classes), len(model.outputs), whole=whole)
        if not watch.reached.finished:
            self._epochs(model, batches, watch)
        watch.restore_best()
        classifier.history = watch.history
        classifier.about = self._about(len(examples.index), watch)
        return model, classifier

    def _judge(
        self, classifier: Classifier, model: Any, examples: Examples, validation: Examples
    ) -> Callable[[], dict[str, float]]:
        """Return the function that measures the model in training on held-out clips."""
        devices = self.devices
        if devices is None or devices.hosts == 1:
            return partial(validation_figures, classifier, validation)
        # The outputs of a model of several hosts lie on all of them. A copy has its own.
        with devices.alone():
            local = self._plain(model, examples)
            copy = replace(classifier, scorer=KerasScorer(local))

        def judge() -> dict[str, float]:
            with devices.alone():
                local.set_weights(model.get_weights())
                figures = validation_figures(copy, validation)
            return devices.agreed(figures)

        return judge

    def _epochs(self, model: Any, batches: Batches, watch: Watch) -> None:
        """Train the epochs that a watch has left."""
        if watch.skipped:
            # The rest of an epoch that had begun has fewer steps than the others.
            self._fit(model, batches, watch, watch.reached.epochs + 1)
        if watch.reached.epochs < watch.epochs and not model.stop_training:
            self._fit(model, batches, watch, watch.epochs)

    def _fit(self, model: Any, batches: Batches, watch: Watch, epochs: int) -> None:
        """Train from where a watch is to a number of epochs."""
        done, skip = watch.reached.epochs, watch.skipped

        def batch_begin(step: int, logs: Any = None) -> None:
            # Not at the beginning of an epoch: for its first one, PyTorch's loader then still draws a number.
            seed_dropout(self.recipe.seed, watch.reached.epochs, skip + step)

        def batch_end(step: int, logs: Any = None) -> None:
            watch.batch_end(skip + step, logs)

        calls = {"on_train_batch_begin": batch_begin, "on_train_batch_end": batch_end, "on_epoch_end": watch.epoch_end}
        # Batches have a weight for each example and an order of their own, so Keras must not shuffle them again.
        with own_dropout(), batches.streams(self.workers, first=done, skip=skip) as begin:
            model.fit(
                self.devices.feed(begin, model, self.recipe.batch_size) if self.devices else begin(),
                steps_per_epoch=watch.steps - skip,
                initial_epoch=done,
                epochs=epochs,
                callbacks=[keras.callbacks.LambdaCallback(**calls)],
                shuffle=False,
                verbose=0,
            )
        if model.stop_training:
            # Otherwise TensorFlow keeps the iterator of an unfinished epoch until Python exits, and then prints a warning.
            gc.collect()

    def _checkpoint(self, model: Any, examples: Examples, epochs: int, stage: str) -> Checkpoint | None:
        if not self.checkpoints:
            return None
        start = self.start.facts
        facts = {
            "model": [start.model, start.weights, start.options, self.start.activation],
            "list of trained weights": [list(variable.shape) for variable in model.trainable_variables],
            "recipe": self.recipe.to_config(),
            "frontend": self.frontend.to_config(),
            "list of classes": self.classes,
            "number of epochs": epochs,
        }
        writes = self.devices is None or self.devices.host == 0
        return self.checkpoints.stage(stage, facts_of(examples, **facts), writes=writes)

    def _plain(self, model: Any, examples: Examples) -> Any:
        """Return a copy of a model in full precision, on one device."""
        full = self.start.model(examples)
        full.set_weights(model.get_weights())
        return full

    def _compiled(self, start: Start, examples: Examples, epochs: int) -> Any:
        with precision(self.recipe.mixed_precision):
            model = start.model(examples)
        if self.devices:
            self.devices.prepare(model)
        # The first output is the classifier; auxiliary outputs follow it and have the same targets.
        auxiliaries = len(model.outputs) - 1
        loss = LOSSES[start.activation](self.recipe.label_smoothing)
        model.compile(
            optimizer=optimizer(self.recipe, self._steps(examples), epochs),
            loss=[loss] * (auxiliaries + 1) if auxiliaries else loss,
            loss_weights=[1.0] + [self.recipe.auxiliary_weight] * auxiliaries if auxiliaries else None,
        )
        return model

    def _about(self, clips: int, watch: Watch) -> TrainingFacts:
        return replace(
            self.start.facts,
            parameters=watch.model.count_params(),
            recipe=self.recipe.to_config(),
            training_clips=clips,
            best_epoch=watch.best_epoch,
            validation=watch.best,
            stopped=watch.stopped,
        )
