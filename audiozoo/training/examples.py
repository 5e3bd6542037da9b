"""Training examples (clips with features and targets), and batches of them."""

from __future__ import annotations

import itertools
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from audiozoo import audio
from audiozoo.datasets import Clip, is_multilabel
from audiozoo.features import Features, Frontend, Scaler
from audiozoo.features.reading import load_clip, measure_clip, warm_up
from audiozoo.recipe import Recipe
from audiozoo.registry import model_info

# Every seed starts with one of these; otherwise an epoch's order, its clips and its mixtures would share random numbers.
_ORDER, _CLIP, _MIX_WAVE, _MIX = 1, 2, 3, 4
_WAVES_KEPT = 2**30  # bytes of waveforms kept between epochs; others are read again in each epoch


def frontend_for(name: str, clips: Sequence[Clip]) -> Frontend:
    """Return a model's frontend after `adapted` has fitted it to the clips."""
    return adapted(model_info(name).frontend, clips)


def adapted(frontend: Frontend, clips: Sequence[Clip]) -> Frontend:
    """Limit the duration of a frontend to that of the longest clip (at least 1 s), and its channels to those of the clips.

    Clips that cannot be opened are ignored.
    """
    sizes = [size for clip in clips if (size := measure_clip(clip))]
    if not sizes:
        return frontend
    longest = max(seconds for seconds, _ in sizes)
    channels = max(channels for _, channels in sizes)
    # At least a second: networks pool over time, and a shorter window could be too small for them.
    return frontend.adapt(duration=min(frontend.duration, max(longest, 1.0)), channels=min(frontend.channels, max(1, channels)))


@dataclass(eq=False)
class Examples:
    """Clips with their features and targets.

    Args:
        clips: All clips in `features`, including those that are not used here.
        features: Features of all clips.
        targets: Class index of each clip, ``(clips,)``; for several labels 0 and 1, ``(clips, classes)``. See `targets_of`.
        index: Indices of the clips used here.
        numbers: Number of each used clip, which seeds its random draws; `None` counts from 0. The numbers do not depend on the
            unused clips, so a fold gives the same draws whichever other clips are in `features`.
    """

    clips: Sequence[Clip]
    features: Features
    targets: np.ndarray
    index: np.ndarray
    numbers: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.numbers is None:
            self.numbers = np.arange(len(self.index))

    def subset(self, chosen: np.ndarray) -> Examples:
        """Return some of the used examples, selected by a boolean mask or by positions."""
        assert self.numbers is not None
        return replace(self, index=self.index[chosen], numbers=self.numbers[chosen])

    @property
    def multilabel(self) -> bool:
        """Whether the clips have several labels, see `targets_of`."""
        return self.targets.ndim == 2

    @property
    def window_index(self) -> np.ndarray:
        """Indices of the windows of the used clips in `features.values`."""
        return np.concatenate([np.r_[self.features.windows(i)] for i in self.index])

    @property
    def rows(self) -> np.ndarray:
        """`window_index`; deprecated name."""
        warnings.warn("Examples.rows is deprecated, use Examples.window_index", DeprecationWarning, stacklevel=2)
        return self.window_index


def target_indices(clips: Sequence[Clip], labels: Sequence[str]) -> np.ndarray:
    """Return the index of each clip's label in `labels`, ``(clips,)``.

    Raises:
        ValueError: A clip has another label, or several labels.
    """
    for clip in clips:
        if len(set(clip.labels)) > 1:
            raise ValueError(f"{audio.describe(clip.path)}: has the labels {', '.join(clip.labels)}, but exactly one is needed")
    return target_matrix(clips, labels).argmax(axis=1)


def target_matrix(clips: Sequence[Clip], labels: Sequence[str]) -> np.ndarray:
    """Return for each clip and class whether the clip has this label, 0 or 1, ``(clips, classes)``.

    Raises:
        ValueError: A clip has another label.
    """
    numbers = {label: index for index, label in enumerate(labels)}
    matrix = np.zeros((len(clips), len(labels)), np.int8)
    for row, clip in zip(matrix, clips, strict=True):
        if unknown := [label for label in clip.labels if label not in numbers]:
            raise ValueError(
                f"{audio.describe(clip.path)}: the label {unknown[0]!r} is not one of the classes: {', '.join(labels)}. "
                "Correct the label, leave the clip out, or train with this class"
            )
        row[[numbers[label] for label in clip.labels]] = 1
    return matrix


def targets_of(clips: Sequence[Clip], labels: Sequence[str]) -> np.ndarray:
    """Return the targets of clips: class indices ``(clips,)``, or a `target_matrix` if any of the clips has several labels.

    Raises:
        ValueError: A clip has another label.
    """
    return target_matrix(clips, labels) if is_multilabel(clips) else target_indices(clips, labels)


def check_classes(classes: Sequence[str], targets: np.ndarray) -> None:
    """Check that there are two classes at least, and that each of them has clips.

    Raises:
        ValueError: There are fewer than two classes, or a class has no clips.
    """
    if len(classes) < 2:
        raise ValueError(f"a classifier needs at least two classes, got {', '.join(classes) or 'none'}")
    present = set((targets.max(axis=0).nonzero()[0] if targets.ndim == 2 else targets).tolist())
    if missing := [label for number, label in enumerate(classes) if number not in present]:
        raise ValueError(f"no clips of {', '.join(missing)}: add clips, or leave the class out of the labels")


def check_present(classes: Sequence[str], targets: np.ndarray, found: Features) -> None:
    """Check the classes of the clips that could be read.

    Args:
        classes: Names of the classes.
        targets: Targets of these clips.
        found: Features of all clips.

    Raises:
        ValueError: As for `check_classes`; the message has the failures, because a class often has no clips for this reason.
    """
    try:
        check_classes(classes, targets)
    except ValueError as error:
        raise ValueError("\n".join([str(error), *found.failures.values()])) from error


def one_hot(targets: np.ndarray, classes: int) -> np.ndarray:
    """Return targets of either form as label weights, float32 ``(clips, classes)``."""
    return targets.astype(np.float32) if targets.ndim == 2 else np.eye(classes, dtype=np.float32)[targets]


class Batches:
    """Batches of all epochs. The random draws for a clip depend only on the seed, the epoch and the clip.

    Args:
        examples: Clips to train on.
        recipe: Batch size, augmentation, class weights and seed.
        scaler: Scaler of the features.
        frontend: Frontend that computes the features of augmented waveforms.
        classes: Number of classes.
        outputs: Number of outputs of the model, which all get the same targets.
    """

    def __init__(
        self, examples: Examples, recipe: Recipe, scaler: Scaler, frontend: Frontend, classes: int, outputs: int
    ) -> None:
        self.examples, self.recipe, self.scaler, self.frontend, self.outputs = examples, recipe, scaler, frontend, outputs
        self.hot = one_hot(examples.targets, classes)
        self.weights = example_weights(examples, recipe)
        self._kept: dict[int, np.ndarray] = {}
        self._room = _WAVES_KEPT

    @contextmanager
    def stream(self, workers: int = 0, *, first: int = 0) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Context manager that gives an endless iterator of ``(x, y, weights)``; `y` is repeated for each output of the model.

        If a batch raises an error, the ``with`` block raises that error and not the backend's replacement for it.

        Args:
            workers: Number of threads that prepare batches in advance; 0 prepares each batch on request. The number does not
                change the batches.
            first: Epoch of the first batch, from 0.
        """
        if workers and self.recipe.augments:
            warm_up(self.frontend)
            pool = ThreadPoolExecutor(workers)
            batches = self._ahead(pool, 2 * workers, first)
        else:
            pool = None
            batches = (self._batch(*plan) for plan in self._plans(first))
        errors: list[Exception] = []
        ended = Event()
        try:
            yield _telling(batches, errors, ended)
        except Exception as error:
            if errors and error is not errors[0]:
                raise errors[0] from None
            raise
        finally:
            ended.set()
            if pool:
                pool.shutdown(cancel_futures=True)

    def _ahead(self, pool: ThreadPoolExecutor, count: int, first: int) -> Iterator[tuple[Any, ...]]:
        plans = self._plans(first)
        coming = deque(pool.submit(self._batch, *plan) for plan in itertools.islice(plans, count))
        for plan in plans:
            yield coming.popleft().result()
            coming.append(pool.submit(self._batch, *plan))

    def _plans(self, first: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the epoch and the positions in `Examples.index` of each batch."""
        for epoch in itertools.count(first):
            order = np.random.default_rng([_ORDER, self.recipe.seed, epoch]).permutation(len(self.examples.index))
            for start in range(0, len(order), self.recipe.batch_size):
                yield epoch, order[start : start + self.recipe.batch_size]

    def _batch(self, epoch: int, places: np.ndarray) -> tuple[Any, ...]:
        assert self.examples.numbers is not None
        recipe, rate = self.recipe, self.frontend.sample_rate
        clips, numbers = self.examples.index[places].tolist(), self.examples.numbers[places].tolist()
        # One generator for each clip and epoch: the draws depend neither on the batch nor on the order of the threads.
        generators = [np.random.default_rng([_CLIP, recipe.seed, epoch, number]) for number in numbers]
        x, y = self._inputs(clips, generators, (_MIX_WAVE, recipe.seed, epoch, *numbers))
        if recipe.mix:
            x, y = recipe.mix(x, y, sample_rate=rate, rng=(_MIX, recipe.seed, epoch, *numbers))
        if change := recipe.augment_features:
            labels = [self.examples.clips[clip].label for clip in clips]
            each = zip(x, labels, generators, strict=True)
            x = np.stack([change(one, sample_rate=rate, label=label, rng=rng) for one, label, rng in each])
        x = self.scaler(x)
        # For several outputs, TensorFlow accepts the targets as a tuple but not as a list.
        return x, (y,) * self.outputs if self.outputs > 1 else y, self.weights[clips]

    def _inputs(
        self, clips: Sequence[int], generators: Sequence[np.random.Generator], seed: tuple[int, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the features and the target of one window of each clip; augmented waveforms need new features each time."""
        recipe, y = self.recipe, self.hot[clips]
        if not (recipe.augment_wave or recipe.mix_wave):
            windows = [self.examples.features.windows(clip) for clip in clips]
            chosen = [rng.integers(one.start, one.stop) for one, rng in zip(windows, generators, strict=True)]
            return self.examples.features.values[chosen], y
        waves = np.stack([self._window(*one) for one in zip(clips, generators, strict=True)])
        if recipe.mix_wave:
            waves, y = recipe.mix_wave(waves, y, sample_rate=self.frontend.sample_rate, rng=seed)
        return np.stack([self.frontend(wave) for wave in waves]), y

    def _window(self, clip: int, rng: np.random.Generator) -> np.ndarray:
        fit = partial(audio.fit, length=self.frontend.samples, pad=self.frontend.pad)
        wave = fit(self._wave(clip), crop="random", rng=rng)
        if change := self.recipe.augment_wave:
            label = self.examples.clips[clip].label
            channels = wave.shape[1:]
            wave = fit(change(wave, sample_rate=self.frontend.sample_rate, label=label, rng=rng))
            if wave.shape[1:] != channels:
                raise ValueError(
                    f"augment_wave must not change the channels, {channels}, which the frontend needs; got {wave.shape[1:]}; "
                    "use Downmix(keep_channels=True) to mix channels down"
                )
        return wave

    def _wave(self, clip: int) -> np.ndarray:
        if clip in self._kept:
            return self._kept[clip]
        wave = load_clip(self.examples.clips[clip], self.frontend)
        if wave.nbytes <= self._room:
            self._room -= wave.nbytes
            self._kept[clip] = wave
        return wave


def _telling(batches: Iterator[tuple[Any, ...]], errors: list[Exception], ended: Event) -> Iterator[tuple[Any, ...]]:
    """Yield batches, and append an error that a batch raises to `errors`, because TensorFlow replaces it by its own.

    TensorFlow also requests batches after training has ended and the workers have stopped; their errors are not appended.
    """
    try:
        yield from batches
    except Exception as error:
        if not ended.is_set():
            errors.append(error)
            raise


def example_weights(examples: Examples, recipe: Recipe) -> np.ndarray:
    """Return the weight of each clip in the loss, ``(clips,)``: `Clip.weight`, times the weight of its class if balanced.

    A clip with several labels has the mean of the weights of its classes.
    """
    return clip_weights(examples.clips, examples.targets, recipe.class_weight, index=examples.index)


def clip_weights(
    clips: Sequence[Clip], targets: np.ndarray, class_weight: str | None, *, index: np.ndarray | None = None
) -> np.ndarray:
    """Return the weight of each clip in the loss.

    Args:
        clips: Clips.
        targets: Targets of the clips, see `targets_of`.
        class_weight: "balanced" or `None`, as in a `Recipe`.
        index: Indices of the clips whose classes are counted; `None` counts all.

    Returns:
        The weights, float32 ``(clips,)``.
    """
    weights = np.array([clip.weight for clip in clips], np.float32)
    if class_weight == "balanced":
        hot = one_hot(targets, int(targets.max()) + 1)
        counts = (hot if index is None else hot[index]).sum(axis=0, dtype=float)
        by_class = counts.sum() / (len(counts) * np.maximum(counts, 1))
        weights *= hot @ by_class / hot.sum(axis=1)
    return weights.astype(np.float32)
