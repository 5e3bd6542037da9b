"""Interface that classifiers and ensembles of them share: from sounds to predictions."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from audiozoo import audio
from audiozoo.classifier.clipscores import Answer, ClipScores, Timeline
from audiozoo.classifier.embedding import Statistic
from audiozoo.classifier.manyfiles import ManyFiles
from audiozoo.classifier.prediction import Prediction, WindowScore
from audiozoo.classifier.steps import AnswerSteps, run
from audiozoo.classifier.streaming import Lane, Stream

if TYPE_CHECKING:
    from audiozoo.classifier.facts import TrainingFacts
    from audiozoo.datasets import Clip
    from audiozoo.features import FeatureCache, Frontend
    from audiozoo.layers import Activation
    from audiozoo.progress import Progress


class Answering(ManyFiles):
    """Interface of a `Classifier` and an `Ensemble`. Both are predicted with, evaluated, saved and loaded in the same way."""

    labels: tuple[str, ...]
    temperature: float
    activation: Activation
    thresholds: tuple[float, ...] | None
    rejection: float | None
    history: dict[str, list[float]]
    about: TrainingFacts

    def predict(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Prediction:
        """Classify a sound of any length, at any sample rate.

        Args:
            source: Path, bytes of a file, open file, or array ``(samples,)`` or ``(samples, channels)``.
            sample_rate: Sample rate of an array (Hz), not allowed for a file.
            hop: Time between window starts (seconds), at most the duration of a window; `None` uses the frontend's own.

        Returns:
            The prediction, pooled over the windows. The frontend pads a clip that is shorter than a window. Silence is
            classified like any other sound.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        answer = self.answer(source, sample_rate=sample_rate, hop=hop)
        name = "" if isinstance(source, np.ndarray) else audio.describe(source)
        return self.prediction(answer.scores, name, familiarity=answer.familiarity)

    def prediction(self, scores: np.ndarray, source: str = "", *, familiarity: float | None = None) -> Prediction:
        """Return the prediction for the scores of a clip, with this classifier's thresholds and rejection level.

        Args:
            scores: Probabilities of the classes, ``(classes,)``.
            source: Name of the file; "" for an array.
            familiarity: Familiarity of the clip, see `Answer`.

        Returns:
            The prediction.
        """
        levels = {"thresholds": self.thresholds, "rejection": self.rejection}
        return Prediction(self.labels, scores, source, familiarity=familiarity, **levels)  # type: ignore[arg-type]

    def predict_windows(
        self,
        source: audio.Source | np.ndarray,
        *,
        sample_rate: float | None = None,
        hop: float | None = None,
        all_scores: bool = False,
    ) -> list[WindowScore]:
        """Classify each window of a sound; `iter_windows` does the same one by one, for sounds of hours.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.
            all_scores: Whether to return an item for every class of a window, in the order of `labels`, instead of one for
                the class with the highest score.

        Returns:
            ``(start, end, label, score)`` of each window, times in seconds; the last window ends with the sound.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        return list(self.iter_windows(source, sample_rate=sample_rate, hop=hop, all_scores=all_scores))

    def iter_windows(
        self,
        source: audio.Source | np.ndarray,
        *,
        sample_rate: float | None = None,
        hop: float | None = None,
        all_scores: bool = False,
    ) -> Iterator[WindowScore]:
        """Classify the windows of a sound while it is read. The memory in use does not depend on the length of the sound.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.
            all_scores: Whether to yield an item for every class of a window, as for `predict_windows`.

        Yields:
            ``(start, end, label, score)`` of each window, times in seconds.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        for part in self.timeline_parts(source, sample_rate=sample_rate, hop=hop):
            yield from part.answers(self.labels, all_scores=all_scores)

    def stream(self, *, sample_rate: float, hop: float | None = None, all_scores: bool = False) -> Stream:
        """Start to classify a sound that arrives in blocks, such as from a microphone.

        Pass each block to `Stream.write`, which returns the answers for the windows that it completes, and call `Stream.finish`
        after the last one.

        Args:
            sample_rate: Sample rate of the blocks (Hz).
            hop: Time between window starts (seconds), as for `predict`.
            all_scores: Whether to return an item for every class of a window, as for `predict_windows`.

        Returns:
            The stream, which has called the model once, so that the first answer is not late.

        Raises:
            ValueError: The rate or the hop is out of range, or the members of an ensemble have different windows.
        """
        lanes, combine = self.lanes()
        return Stream(lanes, combine, self.labels, sample_rate=sample_rate, hop=hop, all_scores=all_scores)

    @abstractmethod
    def lanes(self) -> tuple[list[Lane], Callable[[list[np.ndarray]], np.ndarray]]:
        """Return the frontends with their models, and the function that combines their probabilities, for a `Stream`."""

    def timeline(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Timeline:
        """Compute the scores of each window of a sound. The result has four bytes for each window and class.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.

        Returns:
            The times and scores of the windows; the last window ends with the sound.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        return Timeline.joined(self.timeline_parts(source, sample_rate=sample_rate, hop=hop))

    def answer(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Answer:
        """Compute the scores of a sound.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`. An ensemble's member uses at most its own duration.

        Returns:
            The scores, pooled over the windows; for an ensemble, the weighted mean of the members' scores, tempered.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        return run(self.answer_steps(source, sample_rate=sample_rate, hop=hop))

    @abstractmethod
    def answer_steps(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> AnswerSteps:
        """Compute the scores of a sound, as `answer`, for a caller that runs the models itself; see `AnswerSteps`.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `answer`.

        Returns:
            The steps.
        """

    @property
    @abstractmethod
    def window_frontend(self) -> Frontend:
        """Frontend that sets the windows of `timeline`."""

    @abstractmethod
    def timeline_parts(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Iterator[Timeline]:
        """Compute the scores of the windows of a sound, a batch of windows at a time.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.

        Yields:
            The times and scores of consecutive windows.
        """

    @abstractmethod
    def embed(
        self,
        source: audio.Source | np.ndarray,
        *,
        sample_rate: float | None = None,
        hop: float | None = None,
        statistic: str | Statistic = "mean",
    ) -> np.ndarray:
        """Embed a sound as a vector.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.
            statistic: Statistic over the windows: "mean", "max", "deviation" or "all", or a function.

        Returns:
            The vector, ``(width,)``.
        """

    @abstractmethod
    def score_clips(
        self, clips: Sequence[Clip], *, cache: FeatureCache | None = None, progress: Progress | None = None
    ) -> ClipScores:
        """Score many clips.

        Args:
            clips: Clips to score; their labels are ignored.
            cache: Cache of features; `None` for no cache.
            progress: Callback, see `audiozoo.progress`.

        Returns:
            The scores of the clips that could be read.

        Raises:
            ValueError: No clip can be read.
        """

    @abstractmethod
    def save(self, path: str | os.PathLike[str]) -> None:
        """Save everything as one file, which `load_classifier` reads.

        Raises:
            OSError: The file cannot be written.
            ValueError: The path is a folder, or a value could not be loaded again.
        """
