"""Batches of training examples, prepared ahead by threads."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import Any

import numpy as np

from audiozoo import audio
from audiozoo.features import Frontend, Scaler
from audiozoo.features.reading import load_clip, warm_up
from audiozoo.recipe import Recipe
from audiozoo.training.examples import Examples, example_weights, one_hot

# Every seed starts with one of these; otherwise an epoch's order, its clips and its mixtures would share random numbers.
_ORDER, _CLIP, _MIX_WAVE, _MIX = 1, 2, 3, 4
_WAVES_KEPT = 2**30  # bytes of waveforms kept between epochs; others are read again in each epoch


class Batches:
    """Batches of all epochs. The random draws for a clip depend only on the seed, the epoch and the clip.

    Args:
        examples: Clips to train on.
        recipe: Batch size, augmentation, class weights and seed.
        scaler: Scaler of the features.
        frontend: Frontend that computes the features of augmented waveforms.
        classes: Number of classes.
        outputs: Number of outputs of the model, which all get the same targets.
        whole: Whether all batches have the size of the recipe. The last one of an epoch then repeats its clips, with weights
            under which its loss stays the same.
    """

    def __init__(
        self,
        examples: Examples,
        recipe: Recipe,
        scaler: Scaler,
        frontend: Frontend,
        classes: int,
        outputs: int,
        *,
        whole: bool = False,
    ) -> None:
        self.examples, self.recipe, self.scaler, self.frontend, self.outputs = examples, recipe, scaler, frontend, outputs
        self.whole = whole
        self.hot = one_hot(examples.targets, classes)
        self.weights = example_weights(examples, recipe)
        self._kept: dict[int, np.ndarray] = {}
        self._room = _WAVES_KEPT

    @contextmanager
    def stream(self, workers: int = 0, *, first: int = 0) -> Iterator[Iterator[tuple[Any, ...]]]:
        """Context manager that gives an endless iterator of ``(x, y, weights)``; `y` is repeated for each output of the model.

        Args:
            workers: Number of threads that prepare batches in advance, as for `streams`.
            first: Epoch of the first batch, from 0.
        """
        with self.streams(workers, first=first) as begin:
            yield begin()

    @contextmanager
    def streams(self, workers: int = 0, *, first: int = 0, skip: int = 0) -> Iterator[Callable[[], Iterator[tuple[Any, ...]]]]:
        """Context manager that gives a function, which returns the iterator of `stream` from its first batch at each call.

        Args:
            workers: Number of threads that prepare batches in advance; 0 prepares each batch on request. The number does not
                change the batches.
            first: Epoch of the first batch, from 0.
            skip: Number of batches of that epoch to leave out.

        Yields:
            The function.

        Raises:
            Exception: A batch raised it. The ``with`` block raises this error and not the backend's replacement for it.
        """
        pool = ThreadPoolExecutor(workers) if workers and self.recipe.augments else None
        if pool:
            warm_up(self.frontend)
        errors: list[Exception] = []
        ended = Event()

        def begin() -> Iterator[tuple[Any, ...]]:
            plans = itertools.islice(self._plans(first), skip, None)
            inline = (self._batch(*plan) for plan in plans)
            return _telling(self._ahead(pool, 2 * workers, plans) if pool else inline, errors, ended)

        try:
            yield begin
        except Exception as error:
            if errors and error is not errors[0]:
                raise errors[0] from None
            raise
        finally:
            ended.set()
            if pool:
                pool.shutdown(cancel_futures=True)

    def _ahead(
        self, pool: ThreadPoolExecutor, count: int, plans: Iterator[tuple[int, np.ndarray]]
    ) -> Iterator[tuple[Any, ...]]:
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
        x, weights = self.scaler(x), self.weights[clips]
        if self.whole and len(x) < recipe.batch_size:
            x, y, weights = _filled(x, y, weights, recipe.batch_size)
        # For several outputs, TensorFlow accepts the targets as a tuple but not as a list.
        return x, (y,) * self.outputs if self.outputs > 1 else y, weights

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


def _filled(x: np.ndarray, y: np.ndarray, weights: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Repeat the clips of a batch in turn up to a size, with weights under which its mean loss stays the same."""
    place = np.arange(size) % len(x)
    each = weights / np.bincount(place) * (size / len(x))
    return x[place], y[place], each[place].astype(np.float32)


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
