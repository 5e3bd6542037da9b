"""Classification of a sound while it arrives, in blocks of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from audiozoo import audio
from audiozoo.audio.waves import RESAMPLING
from audiozoo.classifier.clipscores import Timeline
from audiozoo.classifier.prediction import WindowScore
from audiozoo.features import Frontend
from audiozoo.features.reading import warm_up

_SAME = 1e-3  # seconds; windows of one duration differ by less at different sample rates


class Lane(NamedTuple):
    """A frontend and the function that scores its windows: one for a classifier, one for each member of an ensemble.

    Args:
        frontend: Frontend that computes the windows.
        scores: Function from windows ``(windows, *frontend.shape)`` to probabilities ``(windows, classes)``.
    """

    frontend: Frontend
    scores: Callable[[np.ndarray], np.ndarray]


class Stream:
    """Classifies a sound that arrives in blocks, with `write` for each block and `finish` after the last one.

    `Classifier.stream` and `Ensemble.stream` make one. The answers are those of `predict_windows` for the whole sound, up to
    rounding. The memory in use does not depend on the length of the sound. A stream is for one thread.

    A window is answered by the call that brings its last sample, so a change of the sound affects an answer at most `hop`
    seconds later. If the rates of the sound and of the frontend differ, resampling adds a delay: up to 20 ms from 44.1 to
    32 kHz, 58 ms from 16 to 32 kHz, and 116 ms from 8 to 16 kHz.

    Args:
        lanes: Frontends and models.
        combine: Function that combines the probabilities of all lanes into those of the windows.
        labels: Names of the classes.
        sample_rate: Sample rate of the blocks (Hz).
        hop: Time between window starts (seconds); `None` uses the frontend's own.
        all_scores: Whether to return an item for every class of a window.

    Raises:
        ValueError: The rate or the hop is out of range, or the windows of the lanes differ in length or hop.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        combine: Callable[[list[np.ndarray]], np.ndarray],
        labels: Sequence[str],
        *,
        sample_rate: float,
        hop: float | None = None,
        all_scores: bool = False,
    ) -> None:
        _check_alike([lane.frontend for lane in lanes], hop)
        self.sample_rate = float(sample_rate)
        self._combine, self._labels, self._all = combine, tuple(labels), all_scores
        self._flows = [_Flow(lane, sample_rate, hop) for lane in lanes]
        self._channels: int | None = None
        self._finished = False

    def write(self, block: np.ndarray, *, sample_rate: float | None = None) -> list[WindowScore]:
        """Take a block of sound.

        Args:
            block: Floating point samples in [-1, 1], ``(samples,)`` or ``(samples, channels)``, at least one sample.
            sample_rate: Sample rate of the block (Hz), which must be that of the stream; `None` trusts that it is.

        Returns:
            ``(start, end, label, score)`` of each window that the block completes, times in seconds since the first block.

        Raises:
            ValueError: The block is not a valid wave, its rate or number of channels changes, or the stream is finished. The
                block is then left out, and the stream can go on.
        """
        return self._listed(self.add(block, sample_rate=sample_rate))

    def finish(self) -> list[WindowScore]:
        """End the sound, and return the windows at its end, which the frontend aligns, pads or drops.

        Raises:
            ValueError: The stream is finished already.
        """
        return self._listed(self.rest())

    def _listed(self, part: Timeline) -> list[WindowScore]:
        return list(part.answers(self._labels, all_scores=self._all))

    def add(self, block: np.ndarray, *, sample_rate: float | None = None) -> Timeline:
        """Take a block of sound as `write` does, and return the scores of all classes for the windows that it completes."""
        if self._finished:
            raise ValueError("the stream is finished: start another one with classifier.stream(sample_rate=...)")
        if sample_rate is not None and sample_rate != self.sample_rate:
            raise ValueError(
                f"the sample rate changes from {self.sample_rate:g} to {sample_rate:g} Hz: finish this stream and start another"
            )
        wave, _ = audio.check_wave(block, self.sample_rate, channels=self._channels, name="block")
        channels = 1 if wave.ndim == 1 else wave.shape[1]
        if channels != (self._channels or channels):
            raise ValueError(
                f"the number of channels changes from {self._channels} to {channels}: finish this stream and start another"
            )
        # All lanes must be able to take the block before the first one does.
        mixed = [audio.set_channels(wave, flow.frontend.channels) for flow in self._flows]
        self._channels = channels
        return self._completed([flow.add(part) for flow, part in zip(self._flows, mixed, strict=True)])

    def rest(self) -> Timeline:
        """End the sound as `finish` does, and return the scores of all classes."""
        if self._finished:
            raise ValueError("the stream is finished already")
        self._finished = True
        return self._completed([flow.rest() for flow in self._flows])

    def _completed(self, parts: list[Timeline]) -> Timeline:
        # Resamplers of different rates can complete the same window with different blocks.
        for flow, part in zip(self._flows, parts, strict=True):
            flow.hold(part)
        count = min(len(flow.held.starts) for flow in self._flows)
        taken = [flow.take(count) for flow in self._flows]
        scores = self._combine([one.scores for one in taken]) if count else taken[0].scores
        return Timeline(taken[0].starts, taken[0].ends, scores)


class _Flow:
    """State of one lane: its resampler, the samples that wait for a window, and the windows that wait for other lanes."""

    def __init__(self, lane: Lane, sample_rate: float, hop: float | None) -> None:
        self.frontend, self._scores = lane
        rate = self.frontend.sample_rate
        audio.check_rate(sample_rate, name="stream")
        audio.check_upsampling(sample_rate, rate, name="stream")
        self._resample = _resampler(sample_rate, rate, self.frontend.channels)
        self._cutter = self.frontend.cutter(hop)
        # The first call of a model compiles it, which must not delay the first answer.
        warm_up(self.frontend)
        classes = self._scores(np.zeros((1, *self.frontend.shape), np.float32)).shape[1]
        self._none = self.held = Timeline(np.zeros(0), np.zeros(0), np.zeros((0, classes), np.float32))

    def add(self, wave: np.ndarray) -> Timeline:
        """Return the windows that some samples complete."""
        return self._timeline(self._cut(self._resample(wave, False)))

    def rest(self) -> Timeline:
        """Return the windows at the end of the sound."""
        channels = self.frontend.channels
        nothing = np.zeros((0,) if channels == 1 else (0, channels), np.float32)
        return Timeline.joined([self._timeline(self._cut(self._resample(nothing, True))), self._timeline(self._cutter.rest())])

    def hold(self, part: Timeline) -> None:
        """Keep windows until all lanes have them."""
        self.held = Timeline.joined([self.held, part])

    def take(self, count: int) -> Timeline:
        """Remove and return the first windows that were kept."""
        taken, self.held = (Timeline(*(values[part] for values in self.held)) for part in (slice(count), slice(count, None)))
        return taken

    def _cut(self, wave: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        return self._cutter.add(wave) if len(wave) else iter(())

    def _timeline(self, windows: Iterable[tuple[int, np.ndarray]]) -> Timeline:
        parts = [self._window(start, values) for start, values in self.frontend.computed(windows)]
        return Timeline.joined(parts) if parts else self._none

    def _window(self, start: int, values: np.ndarray) -> Timeline:
        rate, end = self.frontend.sample_rate, min(start + self.frontend.samples, self._cutter.samples)
        return Timeline(np.array([start / rate]), np.array([end / rate]), self._scores(values[None]))


def _resampler(orig_rate: float, target_rate: int, channels: int) -> Callable[[np.ndarray, bool], np.ndarray]:
    """Return a function that resamples a block, with a flag for the end of the sound."""
    if orig_rate == target_rate:
        return lambda wave, last: wave
    import soxr

    stream = soxr.ResampleStream(orig_rate, target_rate, channels, dtype="float32", quality=RESAMPLING)
    return lambda wave, last: stream.resample_chunk(wave, last=last)


def _check_alike(frontends: Sequence[Frontend], hop: float | None) -> None:
    found = [(one.samples / one.sample_rate, one.hop_samples(hop) / one.sample_rate, one.last) for one in frontends]
    first = found[0]
    if any(abs(one[0] - first[0]) > _SAME or abs(one[1] - first[1]) > _SAME or one[2] != first[2] for one in found):
        windows = "; ".join(f"{length:g} s every {step:g} s, last={last!r}" for length, step, last in found)
        raise ValueError(
            f"the members of an ensemble that classifies a stream must have the same windows, they have {windows}: stream "
            "each member, or train them with frontends of one duration and hop"
        )
