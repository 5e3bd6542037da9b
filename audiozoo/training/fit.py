"""The one place that seeds, compiles and fits."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo import metrics
from audiozoo.augment import ByClass
from audiozoo.checks import refuse_unknown
from audiozoo.classifier import Classifier, KerasScorer
from audiozoo.datasets import Clip, hold_out, recordings_by_label
from audiozoo.features import FeatureCache, Frontend, Scaler, extract
from audiozoo.layers import keras
from audiozoo.progress import Progress
from audiozoo.registry import ModelSpec, build, check_options, model_info
from audiozoo.training.examples import Batches, Examples, frontend_for, target_indices
from audiozoo.training.recipe import Recipe, recipe_for


def train(
    name: str,
    clips: Sequence[Clip],
    recipe: Recipe | None = None,
    *,
    labels: Sequence[str] | None = None,
    frontend: Frontend | None = None,
    weights: str | os.PathLike[str] | None = None,
    strict: bool = True,
    workers: int = 2,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Classifier:
    """Train a model of the zoo on clips.

    Args:
        name: A name from `audiozoo.list_models`.
        clips: What to learn from; see `audiozoo.load_dataset`.
        recipe: How; `None` is the model's own, `recipe_for(name)`.
        labels: The classes in their order; `None` is all that occur, sorted.
        frontend: What to feed the model; `None` is its own, adapted to the clips (`frontend_for`).
        weights: What to start from, as for `build`: a name in ``model_info(name).weights`` or a file. Another number of
            classes than the published one gets a last layer of its own. Published weights expect features as they are:
            their models' recipes have ``standardize=None``.
        strict: Raise if a clip cannot be read; otherwise it is left out and named in ``classifier.about["failures"]``.
        workers: Threads that make augmented batches while the model learns from those before; 0 for none. They change the time
            that training takes and nothing else.
        cache: Where features are kept from one run to the next.
        progress: Callback, see `audiozoo.progress`.
        **options: The builder's own. Auxiliary outputs are used where a model has them.

    Returns:
        The classifier with the history of its training. Its weights are those of the epoch with the best validation loss or,
        refitted, those after that many epochs on all clips.

    Raises:
        ValueError: Fewer than two classes, a class without clips, clips that cannot be read, an unknown name or option.
    """
    check_options(model_info(name), options)
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
        workers=workers,
        options=options,
        progress=progress,
    )
    classifier.about["failures"] = list(features.failures.values())
    return classifier


def train_examples(
    name: str,
    examples: Examples,
    classes: Sequence[str],
    recipe: Recipe,
    frontend: Frontend,
    *,
    weights: str | os.PathLike[str] | None = None,
    workers: int = 2,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Classifier:
    """Train on examples whose features are computed already; see `train`."""
    try:
        _check_classes(classes, examples.targets[examples.index])
    except ValueError as error:
        raise ValueError("\n".join([str(error), *examples.features.failures.values()])) from error
    spec = model_info(name)
    if (options or {}).get("activation", "softmax") not in _LOSSES:
        raise ValueError(f"training needs activation='softmax' or 'sigmoid', got {(options or {})['activation']!r}")
    if workers < 0:
        raise ValueError(f"workers must be at least 0, got {workers}")
    for change in filter(None, (recipe.augment_wave, recipe.augment_features)):
        for part in change.parts():
            refuse_unknown("class in ByClass", part.transforms if isinstance(part, ByClass) else (), classes)
    used = {**_auxiliary(spec), **(options or {})}
    run = _Run(spec, recipe, frontend, tuple(classes), used, weights=weights, workers=workers, progress=progress)
    return run.fit(examples)


def _check_classes(classes: Sequence[str], targets: np.ndarray) -> None:
    if len(classes) < 2:
        raise ValueError(f"a classifier needs at least two classes, got {', '.join(classes) or 'none'}")
    present = set(targets.tolist())
    if missing := [label for number, label in enumerate(classes) if number not in present]:
        raise ValueError(f"no clip to learn {', '.join(missing)} from: add clips, or leave the class out of the labels")


def _auxiliary(spec: ModelSpec) -> dict[str, Any]:
    return {"auxiliary": True} if "auxiliary" in spec.options else {}


@dataclass(eq=False)
class _Run:
    """One training: what is trained, how, and the figures so far."""

    spec: ModelSpec
    recipe: Recipe
    frontend: Frontend
    classes: tuple[str, ...]
    options: dict[str, Any]
    weights: str | os.PathLike[str] | None
    workers: int
    progress: Progress | None

    def fit(self, examples: Examples) -> Classifier:
        """Train, choosing the epoch on held-out recordings if the recipe says so."""
        held_out = self._held_out(examples)
        learnt, validation = examples.subset(~held_out), examples.subset(held_out)
        epochs = max(self.recipe.epochs, math.ceil(self.recipe.min_steps / self._steps(learnt)))
        if not held_out.any():
            return self._fit_once(examples, None, epochs, "training")
        chosen = self._fit_once(learnt, validation, epochs, "training")
        if not self.recipe.refit:
            return chosen
        refitted = self._fit_once(examples, None, chosen.about["best_epoch"], "refitting")
        refitted.history = {**chosen.history, **{f"refit_{key}": value for key, value in refitted.history.items()}}
        refitted.about["validation"] = chosen.about["validation"]
        return refitted

    def _held_out(self, examples: Examples) -> np.ndarray:
        clips = [examples.clips[i] for i in examples.index]
        enough = any(len(recordings) > 1 for recordings in recordings_by_label(clips).values())
        if not self.recipe.validation or not enough:
            return np.zeros(len(clips), bool)
        return hold_out(clips, self.recipe.validation, seed=self.recipe.seed)

    def _steps(self, examples: Examples) -> int:
        return math.ceil(len(examples.index) / self.recipe.batch_size)

    def _fit_once(self, examples: Examples, validation: Examples | None, epochs: int, stage: str) -> Classifier:
        scaler = Scaler.fit(examples.features.values, rows=examples.rows, per=self.recipe.standardize)
        steps = self._steps(examples)
        model = self._compiled(steps, epochs)
        classifier = Classifier(self.frontend, scaler, KerasScorer(model), self.classes)
        watch = _Watch(model, classifier, validation, self.recipe.patience, epochs, stage, self.progress)
        batches = Batches(examples, self.recipe, scaler, self.frontend, len(self.classes), len(model.outputs))
        with _seeded_dropout(self.recipe.seed), batches.stream(self.workers) as stream:
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

    def _compiled(self, steps: int, epochs: int) -> Any:
        with _precision(self.recipe.mixed_precision):
            model = build(
                self.spec.name,
                len(self.classes),
                input_shape=self.frontend.shape,
                weights=self.weights,
                seed=self.recipe.seed,
                **self.options,
            )
        auxiliaries = len(model.outputs) - 1
        options = {"activation": "softmax", **self.spec.options, **self.options}
        loss = _LOSSES[options["activation"]](self.recipe.label_smoothing)
        model.compile(
            optimizer=_optimizer(self.recipe, steps, epochs),
            loss=[loss] * (auxiliaries + 1) if auxiliaries else loss,
            loss_weights=[1.0] + [self.recipe.auxiliary_weight] * auxiliaries if auxiliaries else None,
        )
        return model

    def _about(self, clips: int, watch: _Watch) -> dict[str, Any]:
        return {
            "model": self.spec.name,
            "weights": None if self.weights is None else Path(self.weights).name,
            "options": self.options,
            "parameters": watch.model.count_params(),
            "recipe": self.recipe.to_config(),
            "training_clips": clips,
            "best_epoch": watch.best_epoch,
            "validation": watch.best,
        }


_LOSSES: dict[str, Callable[[float], Any]] = {
    "softmax": lambda smoothing: keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
    "sigmoid": lambda smoothing: keras.losses.BinaryCrossentropy(label_smoothing=smoothing),
}


@contextmanager
def _seeded_dropout(seed: int) -> Iterator[None]:
    # On TensorFlow and JAX a dropout layer has a seed of its own; on PyTorch Keras draws from the global generator.
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _precision(mixed: bool) -> Iterator[None]:
    before = keras.config.dtype_policy()
    if mixed:
        keras.config.set_dtype_policy("mixed_float16")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _optimizer(recipe: Recipe, steps: int, epochs: int) -> Any:
    rate = _schedule(recipe, steps, epochs)
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(rate)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def _schedule(recipe: Recipe, steps: int, epochs: int) -> Any:
    warmup = min(recipe.warmup, epochs - 1) * steps
    if recipe.schedule == "constant" and not warmup:
        return recipe.learning_rate
    decay = epochs * steps - warmup
    return keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate * (0.01 if warmup else 1),
        decay,
        alpha=0.0 if recipe.schedule == "cosine" else 1.0,
        warmup_target=recipe.learning_rate if warmup else None,
        warmup_steps=warmup,
    )


class _Watch:
    """Sees each epoch's end: records figures, keeps the best weights, and says when it is enough."""

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
        """Record the epoch and judge it on the validation clips, pooled over windows as in use."""
        figures = {"loss": float((logs or {})["loss"])}
        if not math.isfinite(figures["loss"]):
            raise ValueError(
                f"training broke down in epoch {epoch + 1}: the loss is {figures['loss']}. Use a smaller learning_rate"
            )
        if self.validation is not None:
            figures |= _validation_figures(self.classifier, self.validation)
            self._judge(epoch + 1, figures)
        for key, value in figures.items():
            self.history.setdefault(key, []).append(value)
        if self.progress:
            self.progress(self.stage, epoch + 1, self.epochs, figures)

    def _judge(self, epoch: int, figures: dict[str, float]) -> None:
        if self.best is None or figures["val_loss"] < self.best["val_loss"]:
            self.best, self.best_epoch = {key: figures[key] for key in ("val_loss", "val_accuracy")}, epoch
            self._best_weights = self.model.get_weights()
        elif self.patience is not None and epoch - self.best_epoch >= self.patience:
            self.model.stop_training = True

    def restore_best(self) -> None:
        """Put the best epoch's weights back."""
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)


def _validation_figures(classifier: Classifier, examples: Examples) -> dict[str, float]:
    scores = pooled_scores(classifier, examples)
    targets = examples.targets[examples.index]
    return {"val_loss": metrics.log_loss(scores, targets), "val_accuracy": metrics.accuracy(scores, targets)}


def pooled_scores(classifier: Classifier, examples: Examples) -> np.ndarray:
    """Return each example's probabilities ``(examples, classes)``, pooled over its windows."""
    features = examples.features
    scores = classifier.window_scores(features.values, rows=examples.rows)
    ends = np.cumsum(features.counts[examples.index])
    return np.stack([classifier.pool(part) for part in np.split(scores, ends[:-1])])
