"""Recipes, and the one place that seeds, compiles and fits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from audiozoo import audio, metrics
from audiozoo.augment import Mix, Transform
from audiozoo.classifier import Classifier, KerasScorer
from audiozoo.config import Configured, refuse_unknown
from audiozoo.datasets import Clip, hold_out, recordings_by_label
from audiozoo.features import Features, Frontend, Scaler, extract
from audiozoo.features.extract import load_clip
from audiozoo.layers import keras
from audiozoo.registry import ModelSpec, build, check_options, model_info

Progress = Callable[[str, int, int, Mapping[str, float]], Any]
"""Called with what is being done, steps done, steps in all, and the latest figures."""

_OPTIMIZERS = ("adam", "adamw", "sgd")


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
        refit: Train once more on all clips, for as many epochs as were best on the held-out ones.
        standardize: "band", "all" or `None`, see `Scaler.fit`.
        augment_wave: Changes a clip's waveform before the frontend, anew in each epoch.
        mix: Mixes the examples of a batch and their labels, as sounds heard together.
        augment_features: Changes each array after that, before it is standardised.
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
    mix: Mix | None = None
    auxiliary_weight: float = 1.0
    class_weight: Literal["balanced"] | None = None
    mixed_precision: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation must be a share from 0 to below 1, got {self.validation}")
        if self.refit and not self.validation:
            raise ValueError("refit needs a validation share above 0, which tells it how many epochs are best")
        for name, choices in (
            ("optimizer", _OPTIMIZERS),
            ("schedule", ("constant", "cosine")),
            ("standardize", ("band", "all", None)),
            ("class_weight", ("balanced", None)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")


def recipe_for(name: str, **changes: Any) -> Recipe:
    """Return a model's own recipe, with changes.

    Raises:
        ValueError: An unknown model or an unknown field; the nearest is proposed.
    """
    refuse_unknown("recipe field", changes, [field.name for field in fields(Recipe)])
    return Recipe(**{**model_info(name).recipe, **changes})


def frontend_for(name: str, clips: Sequence[Clip]) -> Frontend:
    """Return a model's own frontend, `adapted` to clips."""
    return adapted(model_info(name).frontend, clips)


def adapted(frontend: Frontend, clips: Sequence[Clip]) -> Frontend:
    """Adapt a frontend to clips: a window no longer than the longest (but a second), no more channels than there are.

    Clips that cannot be opened do not count.
    """
    sizes = [size for clip in clips if (size := _size(clip))]
    if not sizes:
        return frontend
    longest = max(seconds for seconds, _ in sizes)
    channels = max(channels for _, channels in sizes)
    # A second at least: networks pool time away, and padding is cheaper than an error.
    return frontend.adapt(duration=min(frontend.duration, max(longest, 1.0)), channels=min(frontend.channels, max(1, channels)))


def _size(clip: Clip) -> tuple[float, int] | None:
    try:
        seconds, _, channels = audio.measure(clip.path)
    except (OSError, ValueError):
        return None
    return min(seconds, clip.end or seconds) - clip.start, channels


@dataclass(eq=False)
class Examples:
    """Clips with their features and targets.

    Args:
        clips: All clips that `features` are of.
        features: Their windows.
        targets: Class indices ``(clips,)``.
        index: Which of the clips count here.
    """

    clips: Sequence[Clip]
    features: Features
    targets: np.ndarray
    index: np.ndarray

    def subset(self, chosen: np.ndarray) -> Examples:
        """Return the chosen ones of the examples that count here; booleans or positions."""
        return replace(self, index=self.index[chosen])

    @property
    def rows(self) -> np.ndarray:
        """Positions of the examples' windows among all windows."""
        return np.concatenate([np.r_[self.features.rows(i)] for i in self.index])


def target_indices(clips: Sequence[Clip], labels: Sequence[str]) -> np.ndarray:
    """Translate each clip's label into its index.

    Raises:
        ValueError: A label that is not among the labels, or a clip with several.
    """
    numbers = {label: index for index, label in enumerate(labels)}
    for clip in clips:
        if clip.label not in numbers:
            raise ValueError(
                f"{audio.describe(clip.path)}: the label {clip.label!r} is none of those trained: {', '.join(labels)}"
            )
        if len(clip.labels) > 1:
            raise ValueError(
                f"{audio.describe(clip.path)}: has the labels {', '.join(clip.labels)}; one label a clip is trained and scored"
            )
    return np.array([numbers[clip.label] for clip in clips], int)


def train(
    name: str,
    clips: Sequence[Clip],
    recipe: Recipe | None = None,
    *,
    labels: Sequence[str] | None = None,
    frontend: Frontend | None = None,
    strict: bool = True,
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
        strict: Raise if a clip cannot be read; otherwise it is left out and named in ``classifier.about["failures"]``.
        progress: Called as training goes on.
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
    features = extract(clips, frontend, progress=stage_of(progress, "features"))
    if strict:
        features.raise_failures()
    index = np.array([i for i in range(len(clips)) if i not in features.failures], int)
    classifier = train_examples(
        name,
        Examples(clips, features, targets, index),
        classes,
        recipe or recipe_for(name),
        frontend,
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
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Classifier:
    """Train on examples whose features are computed already; see `train`."""
    if len(classes) < 2:
        raise ValueError(f"a classifier needs at least two classes, got {', '.join(classes) or 'none'}")
    present = set(examples.targets[examples.index])
    if missing := [label for number, label in enumerate(classes) if number not in present]:
        raise ValueError(f"no clip to learn {', '.join(missing)} from: add clips, or leave the class out of the labels")
    spec = model_info(name)
    run = _Run(spec, recipe, frontend, tuple(classes), {**_auxiliary(spec), **(options or {})}, progress)
    return run.fit(examples)


def _auxiliary(spec: ModelSpec) -> dict[str, Any]:
    return {"auxiliary": True} if "auxiliary" in spec.options else {}


def stage_of(progress: Progress | None, stage: str) -> Callable[[int, int], Any] | None:
    """Narrow a `Progress` to one stage without figures, as `extract` calls it."""
    return None if progress is None else lambda done, total: progress(stage, done, total, {})


@dataclass(eq=False)
class _Run:
    """One training: what is trained, how, and the figures so far."""

    spec: ModelSpec
    recipe: Recipe
    frontend: Frontend
    classes: tuple[str, ...]
    options: dict[str, Any]
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
        watch = _Watch(classifier, validation, self.recipe.patience, epochs, stage, self.progress)
        batches = _Batches(examples, self.recipe, scaler, self.frontend, len(self.classes), len(model.outputs))
        with _seeded_dropout(self.recipe.seed):
            model.fit(
                batches.endless(),
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
                self.spec.name, len(self.classes), input_shape=self.frontend.shape, seed=self.recipe.seed, **self.options
            )
        auxiliaries = len(model.outputs) - 1
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=self.recipe.label_smoothing)
        model.compile(
            optimizer=_optimizer(self.recipe, steps, epochs),
            loss=[loss] * (auxiliaries + 1) if auxiliaries else loss,
            loss_weights=[1.0] + [self.recipe.auxiliary_weight] * auxiliaries if auxiliaries else None,
        )
        return model

    def _about(self, clips: int, watch: _Watch) -> dict[str, Any]:
        return {
            "model": self.spec.name,
            "options": self.options,
            "parameters": watch.classifier.scorer.model.count_params(),  # type: ignore[attr-defined]
            "recipe": self.recipe.to_config(),
            "training_clips": clips,
            "best_epoch": watch.best_epoch,
            "validation": watch.best,
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


class _Batches:
    """The batches of all epochs, each a function of the seed, the epoch and the clip alone."""

    def __init__(
        self, examples: Examples, recipe: Recipe, scaler: Scaler, frontend: Frontend, classes: int, outputs: int
    ) -> None:
        self.examples, self.recipe, self.scaler, self.frontend, self.outputs = examples, recipe, scaler, frontend, outputs
        self.hot = np.eye(classes, dtype=np.float32)[examples.targets]
        self.weights = _weights(examples, recipe)
        self.waves = self._waves() if recipe.augment_wave else {}

    def endless(self) -> Iterator[tuple[Any, ...]]:
        """Yield ``(x, y, weights)``, epoch after epoch; y once for each output."""
        for epoch in itertools.count():
            order = np.random.default_rng([self.recipe.seed, epoch]).permutation(self.examples.index)
            for start in range(0, len(order), self.recipe.batch_size):
                yield self._batch(epoch, order[start : start + self.recipe.batch_size])

    def _batch(self, epoch: int, clips: np.ndarray) -> tuple[Any, ...]:
        # One generator for each clip of each epoch, whatever the batch it falls into.
        generators = [np.random.default_rng([self.recipe.seed, epoch, int(clip)]) for clip in clips]
        x = np.stack([self._window(int(clip), rng) for clip, rng in zip(clips, generators, strict=True)])
        y = self.hot[clips]
        if self.recipe.mix:
            x, y = self.recipe.mix(x, y, rng=np.random.default_rng([self.recipe.seed, epoch, *clips.tolist()]))
        if change := self.recipe.augment_features:
            rate = self.frontend.sample_rate
            x = np.stack([change(one, sample_rate=rate, rng=rng) for one, rng in zip(x, generators, strict=True)])
        x = self.scaler(x)
        # With several outputs TensorFlow takes the targets as a tuple, not a list.
        return x, (y,) * self.outputs if self.outputs > 1 else y, self.weights[clips]

    def _window(self, clip: int, rng: np.random.Generator) -> np.ndarray:
        if self.recipe.augment_wave:
            wave = audio.fit(self.waves[clip], self.frontend.samples, pad=self.frontend.pad, crop="random", rng=rng)
            return self.frontend(self.recipe.augment_wave(wave, sample_rate=self.frontend.sample_rate, rng=rng))
        rows = self.examples.features.rows(clip)
        return self.examples.features.values[rng.integers(rows.start, rows.stop)]

    def _waves(self) -> dict[int, np.ndarray]:
        return {int(i): load_clip(self.examples.clips[i], self.frontend) for i in self.examples.index}


def _weights(examples: Examples, recipe: Recipe) -> np.ndarray:
    weights = np.array([clip.weight for clip in examples.clips], np.float32)
    if recipe.class_weight == "balanced":
        counts = np.bincount(examples.targets[examples.index])
        weights *= (len(examples.index) / (len(counts) * np.maximum(counts, 1)))[examples.targets]
    return weights.astype(np.float32)


class _Watch:
    """Sees each epoch's end: records figures, keeps the best weights, and says when it is enough."""

    def __init__(
        self,
        classifier: Classifier,
        validation: Examples | None,
        patience: int | None,
        epochs: int,
        stage: str,
        progress: Progress | None,
    ) -> None:
        self.classifier, self.validation, self.patience = classifier, validation, patience
        self.epochs, self.stage, self.progress = epochs, stage, progress
        self.model = classifier.scorer.model  # type: ignore[attr-defined]
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
            figures |= evaluate_examples(self.classifier, self.validation)
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


def evaluate_examples(classifier: Classifier, examples: Examples) -> dict[str, float]:
    """Return the validation loss (nats) and accuracy of a classifier."""
    scores = pooled_scores(classifier, examples)
    targets = examples.targets[examples.index]
    return {"val_loss": metrics.log_loss(scores, targets), "val_accuracy": metrics.accuracy(scores, targets)}


def pooled_scores(classifier: Classifier, examples: Examples) -> np.ndarray:
    """Return each example's probabilities ``(examples, classes)``, pooled over its windows."""
    features = examples.features
    scores = classifier.window_scores(features.values[examples.rows])
    ends = np.cumsum([features.offsets[i + 1] - features.offsets[i] for i in examples.index])
    return np.stack([classifier.pool(part) for part in np.split(scores, ends[:-1])])
