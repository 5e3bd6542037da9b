"""The classifier: frontend, scaler, model and labels in one object that predicts and can be saved."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, Any, Self

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_choice, require_number, unknown_name
from audiozoo.classifier.ahead import Counted, one_ahead
from audiozoo.classifier.answering import Answering
from audiozoo.classifier.calibration import TEMPERATURES, tempered
from audiozoo.classifier.card import card_of
from audiozoo.classifier.clipscores import Answer, ClipScores, Timeline, checked_labels
from audiozoo.classifier.embedding import EMBEDDINGS, Statistic, statistic_named
from audiozoo.classifier.facts import TrainingFacts
from audiozoo.classifier.kerasfile import halved
from audiozoo.classifier.many import Path, reduced_many
from audiozoo.classifier.prediction import Failure, checked_levels
from audiozoo.classifier.scorers import POOLINGS, KerasScorer, Pooling, Scorer, batch_size, batched
from audiozoo.classifier.steps import AnswerSteps
from audiozoo.classifier.streaming import Lane
from audiozoo.datasets import Clip
from audiozoo.features import FeatureCache, Features, Frontend, Scaler, extract
from audiozoo.features.reading import warm_up
from audiozoo.files import replacing
from audiozoo.layers import Activation
from audiozoo.progress import Progress
from audiozoo.threads import one_blas_thread


@dataclass(eq=False)
class Classifier(Answering):
    """A trained model with everything that it needs to classify sounds.

    Args:
        frontend: Frontend that turns a window of sound into an array.
        scaler: Scaler that standardises these arrays with the mean and deviation of the training data.
        scorer: Model that turns standardised arrays into probabilities.
        labels: Names of the classes, in the order of the scorer's outputs.
        pooling: Function that combines the scores of a clip's windows: "mean" or "max".
        temperature: Divisor of the logits, from 0.001 to 1,000. Values above 1 make the probabilities less certain. It
            applies after the pooling.
        history: Metrics recorded in training, a list over epochs for each.
        about: Origin of the classifier.
        activation: Last step of the model: "softmax" (one class is present) or "sigmoid" (independent scores). `None` takes
            that of the scorer, if it is known. A temperature other than 1 needs it.
        thresholds: Lowest score with which each class counts as present, from 0 to 1, for classifiers of several labels; `None`
            gives one label.
        rejection: Lowest familiarity, from 0 to 1, below which a sound is "unknown"; `None` never rejects. The familiarity is
            that of the scorer, or else the highest probability.

    Raises:
        ValueError: The labels are not distinct, non-empty names, the pooling is unknown, a number is out of range, the
            activation is not that of the model, there is not one threshold for each label, or the parts do not fit together.
    """

    frontend: Frontend
    scaler: Scaler
    scorer: Scorer
    labels: tuple[str, ...]
    pooling: Pooling = "mean"
    temperature: float = 1.0
    history: dict[str, list[float]] = field(default_factory=dict)
    about: TrainingFacts = field(default_factory=TrainingFacts)
    activation: Activation = None
    thresholds: tuple[float, ...] | None = None
    rejection: float | None = None

    def __post_init__(self) -> None:
        self.labels = checked_labels(self.labels)
        audio.check_features(self.frontend.shape)
        self.scaler.check(self.frontend.shape)
        self.scorer.check(self.frontend.shape, len(self.labels))
        if self.pooling not in POOLINGS:
            raise unknown_name("pooling", self.pooling, POOLINGS)
        require_number("temperature", self.temperature, *TEMPERATURES)
        require_choice("activation", self.activation, ("softmax", "sigmoid", None))
        known = self.scorer.activation
        if None not in (self.activation, known) and self.activation != known:
            raise ValueError(f"activation must be that of the model, {known!r}, or None, got {self.activation!r}")
        self.activation = self.activation or known
        self.thresholds = checked_levels(self.thresholds, self.rejection, self.labels)

    @classmethod
    def from_keras(
        cls, model: Any, frontend: Frontend, labels: Sequence[str], *, scaler: Scaler | None = None, **rest: Any
    ) -> Self:
        """Return a classifier with a Keras model of your own.

        Args:
            model: Keras model with input ``(batch, *frontend.shape)``. Its first output is probabilities ``(batch, classes)``.
            frontend: Frontend that computed the training data.
            labels: Names of the classes, in the order of the output.
            scaler: Scaler of the training data; `None` if they were not standardised.
            **rest: Further arguments of `Classifier`, and the errors are those of `Classifier`.

        Returns:
            The classifier, which shares the model.
        """
        return cls(frontend, scaler or Scaler.identity(), KerasScorer(model), tuple(labels), **rest)

    def answer_steps(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> AnswerSteps:
        """Compute the scores of a sound, as `answer`, for a caller that runs the model itself; see `AnswerSteps`.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.

        Returns:
            The steps.
        """
        outputs = []
        for _, windows in self._standardised(self._pieces(source, sample_rate), hop):
            outputs.append((yield self.scorer, windows))
        return self.combine(np.concatenate(outputs))

    @property
    def window_frontend(self) -> Frontend:
        """Frontend that sets the windows of `timeline`: the one of the classifier."""
        return self.frontend

    def timeline_parts(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Iterator[Timeline]:
        """Compute the scores of the windows of a sound, a batch of windows at a time.

        A thread reads the sound and computes the features of the next batch while the model scores the present one. The memory
        in use does not depend on the length of the sound. While the iterator is in use, NumPy's matrix products use one thread.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.

        Yields:
            The times and scores of consecutive windows; the last window ends with the sound.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        warm_up(self.frontend)
        rate = self.frontend.sample_rate
        with one_blas_thread(), one_ahead(self._timed(Counted(self._pieces(source, sample_rate)), hop)) as batches:
            for starts, ends, windows in batches:
                yield Timeline(starts / rate, ends / rate, self._tempered(self.scorer.scores(windows)))

    def lanes(self) -> tuple[list[Lane], Callable[[list[np.ndarray]], np.ndarray]]:
        """Return the frontend with its model, for a `Stream`."""
        lane = Lane(self.frontend, lambda windows: self._tempered(self.scorer.scores(self.scaler(windows))))
        return [lane], lambda scores: scores[0]

    def _timed(self, pieces: Counted, hop: float | None) -> Generator[tuple[np.ndarray, np.ndarray, np.ndarray], None, None]:
        """Yield the starts and ends (samples) of the windows in a batch, and the standardised batch."""
        for begins, windows in self._standardised(pieces, hop):
            starts = np.array(begins)
            # The sound may end inside the window; the samples that were read so far include the window.
            yield starts, np.minimum(starts + self.frontend.samples, pieces.samples), windows

    def embed(
        self,
        source: audio.Source | np.ndarray,
        *,
        sample_rate: float | None = None,
        hop: float | None = None,
        statistic: str | Statistic = "mean",
    ) -> np.ndarray:
        """Embed a sound as a vector, or as one vector for each window.

        Args:
            source: Path, bytes, open file or array, as for `predict`.
            sample_rate: Sample rate of an array (Hz), as for `predict`.
            hop: Time between window starts (seconds), as for `predict`.
            statistic: Statistic over the windows: "mean", "max", "deviation" (standard deviation, 0 for one window), "all" for
                these three in this order, or "windows" for the embedding of every window.

        Returns:
            Embedding ``(width,)``; ``(3 * width,)`` with "all", ``(windows, width)`` with "windows".

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used, the model has no layer named `embedding`, or the statistic is
                unknown.
        """
        reduce = statistic_named(statistic, EMBEDDINGS)
        vectors = [self.scorer.embed(windows) for _, windows in self._standardised(self._pieces(source, sample_rate), hop)]
        return reduce(np.concatenate(vectors))

    def _answers(self, paths: Iterable[Path], **how: Any) -> Iterator[tuple[str, Answer | Failure]]:
        return reduced_many(paths, self.frontend, self.scaler, self.scorer.outputs, self.combine, **how)

    def _vectors(self, paths: Iterable[Path], statistic: Statistic, **how: Any) -> Iterator[tuple[str, np.ndarray | Failure]]:
        return reduced_many(paths, self.frontend, self.scaler, self.scorer.embed, statistic, **how)

    def window_scores(
        self, features: np.ndarray, *, index: np.ndarray | None = None, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Classify windows that the frontend has already computed.

        Args:
            features: Windows ``(windows, *frontend.shape)``, not standardised.
            index: Indices of the windows to classify; `None` classifies all.
            rows: Former name of `index`, deprecated.

        Returns:
            Probabilities ``(windows, classes)``.
        """
        if rows is not None:
            warnings.warn("Classifier.window_scores(rows=) is deprecated, use index=", DeprecationWarning, stacklevel=2)
            index = rows
        return self._tempered(self._each(self.scorer.scores, features, index))

    def window_outputs(self, features: np.ndarray, *, index: np.ndarray | None = None) -> np.ndarray:
        """Compute what `pool` needs of each window, for windows that the frontend has already computed.

        Args:
            features: Windows ``(windows, *frontend.shape)``, not standardised.
            index: Indices of the windows; `None` takes all.

        Returns:
            Outputs of the scorer ``(windows, ...)``; for a Keras model, the probabilities before the temperature.
        """
        return self._each(self.scorer.outputs, features, index)

    def _each(self, function: Callable[[np.ndarray], np.ndarray], features: np.ndarray, index: np.ndarray | None) -> np.ndarray:
        chosen = np.arange(len(features)) if index is None else index
        return np.concatenate([function(self.scaler(features[part])) for part in batched(chosen, self.frontend.shape)])

    def pool(self, outputs: np.ndarray) -> np.ndarray:
        """Combine the outputs of a clip's windows (see `window_outputs`) into the probabilities of the clip, ``(classes,)``."""
        return self.combine(outputs).scores

    def combine(self, outputs: np.ndarray) -> Answer:
        """Combine the outputs of a clip's windows (see `window_outputs`) into the scores of the clip."""
        raw = self.scorer.pooled(outputs, self.pooling)
        return Answer(self._tempered(raw), raw, self.scorer.familiarity(outputs))

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
        return self.score_features(extract(clips, self.frontend, cache=cache, progress=progress))

    def score_features(self, features: Features, index: np.ndarray | None = None) -> ClipScores:
        """Score clips whose features the frontend has already computed.

        Args:
            features: Features of the clips.
            index: Positions of the clips to score; `None` takes all that could be read.

        Returns:
            The scores.

        Raises:
            ValueError: No clip could be read.
        """
        index = features.readable if index is None else index
        if not len(index):
            features.raise_failures()
        windows = np.concatenate([np.r_[features.windows(clip)] for clip in index])
        outputs = self.window_outputs(features.values, index=windows)
        # The windows of a clip are consecutive; split at the ends, they give one group for each clip.
        ends = np.cumsum(features.counts[index])
        answers = [self.combine(part) for part in np.split(outputs, ends[:-1])]
        return ClipScores.of(answers, index, features.failures)

    def _pieces(self, source: audio.Source | np.ndarray, sample_rate: float | None) -> Iterable[np.ndarray]:
        rate, channels = self.frontend.sample_rate, self.frontend.channels
        if isinstance(source, np.ndarray):
            wave, orig_rate = audio.check_wave(source, sample_rate)
            return [audio.conform(wave, orig_rate, sample_rate=rate, channels=channels)]
        if source is None or isinstance(source, (list, tuple)):
            raise ValueError(
                f"expected a path, bytes, an open file or a NumPy array, got {type(source).__name__}: "
                "make an array of samples with numpy.asarray(samples, numpy.float32)"
            )
        if sample_rate is not None:
            raise ValueError(f"{audio.describe(source)}: a file states its own sample rate; sample_rate= is for arrays")
        return audio.stream(source, sample_rate=rate, channels=channels)

    def _standardised(self, pieces: Iterable[np.ndarray], hop: float | None) -> Iterator[tuple[list[int], np.ndarray]]:
        # An hour of sound has thousands of windows, so only one batch of them is held at a time.
        windows, size = self.frontend.windows(pieces, hop=hop), batch_size(self.frontend.shape)
        while batch := list(islice(windows, size)):
            starts, stacked = [start for start, _ in batch], np.stack([array for _, array in batch])
            del batch  # large windows would be in memory twice
            yield starts, self.scaler(stacked)

    def _tempered(self, scores: np.ndarray) -> np.ndarray:
        if not (scores.min() >= -1e-3 and scores.max() <= 1 + 1e-3):
            raise ValueError(
                f"the model gives scores from {scores.min():.3g} to {scores.max():.3g}, which are not probabilities: "
                "the last layer must be a softmax or sigmoid, and the features must be finite"
            )
        return scores if self.temperature == 1 else tempered(scores, self.temperature, self.activation)

    def save(self, path: str | os.PathLike[str], *, half_precision: bool = False) -> None:
        """Save the classifier as one file, a ZIP archive of `card.json`, `scaler.npz` and the model.

        The file is written atomically: an older file at the path is kept until the new one is complete.

        Args:
            path: Path of the file.
            half_precision: Whether to store the weights of the network as float16, which halves the file. They are loaded as
                float32, rounded to three digits.

        Raises:
            OSError: The file cannot be written.
            ValueError: The path is a folder, or a value could not be loaded again, because it is not JSON data or is beyond the
                limits for files, such as a label of more than 1,000 characters.
        """
        with replacing(path) as temporary:
            self.write(temporary, half_precision=half_precision)

    def write(self, file: str | os.PathLike[str] | IO[bytes], *, half_precision: bool = False) -> None:
        """Write the archive that `save` saves, not atomically."""
        scaler = io.BytesIO()
        np.savez(scaler, mean=self.scaler.mean, deviation=self.scaler.deviation)
        files = {"card.json": card_of(self), "scaler.npz": scaler.getvalue(), **self.scorer.to_files()}
        if half_precision:
            files["model.keras"] = halved(files["model.keras"])
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
