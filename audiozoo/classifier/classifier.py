"""The classifier: frontend, scaler, model and labels in one object, which predicts and is saved."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal, Self

import numpy as np

from audiozoo import audio
from audiozoo.checks import require_choice, require_number, unknown_name
from audiozoo.classifier.card import card_of
from audiozoo.classifier.facts import TrainingFacts
from audiozoo.classifier.prediction import Prediction, WindowScore
from audiozoo.classifier.scorers import KerasScorer, Scorer, batch_size, batched
from audiozoo.features import Frontend, Scaler
from audiozoo.files import replacing
from audiozoo.layers import Activation

Pooling = Literal["mean", "max"]


_POOLINGS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "max": np.max}
_TEMPERATURES = (1e-3, 1e3)


class _Counted:
    """The pieces of a sound, and the number of samples that have passed so far."""

    def __init__(self, pieces: Iterable[np.ndarray]) -> None:
        self.pieces, self.samples = pieces, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for piece in self.pieces:
            self.samples += len(piece)
            yield piece


@dataclass(eq=False)
class Classifier:
    """A trained model with all that it needs to classify sounds.

    Args:
        frontend: Turns a window of sound into an array.
        scaler: Standardises such arrays by the mean and deviation of the training data.
        scorer: Turns standardised arrays into probabilities.
        labels: Names of the classes, in the order of the scorer's outputs.
        pooling: How the scores of a clip's windows are combined: "mean" or "max".
        temperature: Divisor of the logits, from 0.001 to 1,000; above 1 the probabilities become less certain, 1 leaves them.
        history: What training recorded, a list for each quantity.
        about: Where the classifier comes from.
        activation: Last step of the model: "softmax" (one class is present) or "sigmoid" (independent scores). `None` asks the
            scorer, and stays `None` if that does not know. A temperature needs it.

    Raises:
        ValueError: Labels that are not different, non-empty names, an unknown pooling, a temperature outside its range, an
            activation that is not the model's, or parts that do not fit together.
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

    def __post_init__(self) -> None:
        self.labels = _checked_labels(self.labels)
        audio.check_features(self.frontend.shape)
        self.scaler.check(self.frontend.shape)
        self.scorer.check(self.frontend.shape, len(self.labels))
        if self.pooling not in _POOLINGS:
            raise unknown_name("pooling", self.pooling, _POOLINGS)
        require_number("temperature", self.temperature, *_TEMPERATURES)
        require_choice("activation", self.activation, ("softmax", "sigmoid", None))
        known = self.scorer.activation
        if None not in (self.activation, known) and self.activation != known:
            raise ValueError(f"activation must be that of the model, {known!r}, or None, got {self.activation!r}")
        self.activation = self.activation or known

    @classmethod
    def from_keras(
        cls, model: Any, frontend: Frontend, labels: Sequence[str], *, scaler: Scaler | None = None, **rest: Any
    ) -> Self:
        """Return a classifier with a Keras model that you trained yourself.

        Args:
            model: Takes ``(batch, *frontend.shape)``; its first or only output is probabilities ``(batch, len(labels))``.
            frontend: Frontend that computed its training data.
            labels: Names of the classes, in the order of its output.
            scaler: Scaler of its training data; `None` if they were not standardised.
            **rest: Further arguments of `Classifier`.

        Returns:
            The classifier, which shares the model.

        Raises:
            ValueError: The model's shapes do not agree with the frontend and the labels.
        """
        return cls(frontend, scaler or Scaler.identity(), KerasScorer(model), tuple(labels), **rest)

    def predict(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> Prediction:
        """Classify a sound of any length, at any sample rate.

        Args:
            source: A path, the bytes of a file, an open file, or an array ``(samples,)`` or ``(samples, channels)``.
            sample_rate: Sample rate of an array (Hz); a file states its own.
            hop: Time between window starts (seconds), at most the window's duration; `None` is the frontend's own.

        Returns:
            The answer, pooled over the windows. The frontend pads a clip shorter than one window; silence is classified like
            any sound.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        scores = [scores for _, scores in self._window_scores(self._pieces(source, sample_rate), hop)]
        name = "" if isinstance(source, np.ndarray) else audio.describe(source)
        return Prediction(self.labels, self.pool(np.concatenate(scores)), name)

    def predict_windows(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> list[WindowScore]:
        """Classify each window of a sound.

        Args:
            source: As for `predict`.
            sample_rate: As for `predict`.
            hop: As for `predict`.

        Returns:
            ``(start, end, label, score)`` of each window, times in seconds; the last window ends with the sound.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used; the message says why.
        """
        pieces, rate = _Counted(self._pieces(source, sample_rate)), self.frontend.sample_rate
        answers = []
        for starts, scores in self._window_scores(pieces, hop):
            for start, window in zip(starts, scores, strict=True):
                best, end = int(window.argmax()), min(start + self.frontend.samples, pieces.samples)
                answers.append(WindowScore(start / rate, end / rate, self.labels[best], float(window[best])))
        return answers

    def embed(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> np.ndarray:
        """Embed a sound as a vector.

        Args:
            source: As for `predict`.
            sample_rate: As for `predict`.
            hop: As for `predict`.

        Returns:
            Mean over the windows of the model's embeddings, ``(width,)``.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file or the array cannot be used, or the model has no layer named `embedding`.
        """
        pieces = self._pieces(source, sample_rate)
        vectors = [self.scorer.embed(windows) for _, windows in self._standardised(pieces, hop)]
        return np.concatenate(vectors).mean(axis=0)

    def window_scores(
        self, features: np.ndarray, *, index: np.ndarray | None = None, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Classify windows that the frontend has already computed.

        Args:
            features: Windows ``(windows, *frontend.shape)``, not standardised.
            index: Indices of the windows to classify; `None` is all.
            rows: Former name of `index`, deprecated.

        Returns:
            Probabilities ``(windows, classes)``; `pool` combines those of a clip.
        """
        if rows is not None:
            warnings.warn("Classifier.window_scores(rows=) is deprecated, use index=", DeprecationWarning, stacklevel=2)
            index = rows
        chosen = np.arange(len(features)) if index is None else index
        scores = [
            self._tempered(self.scorer.scores(self.scaler(features[part]))) for part in batched(chosen, self.frontend.shape)
        ]
        return np.concatenate(scores)

    def pool(self, scores: np.ndarray) -> np.ndarray:
        """Combine the scores of a clip's windows, ``(windows, classes)``, into ``(classes,)``."""
        return _POOLINGS[self.pooling](scores, axis=0)

    def _window_scores(self, pieces: Iterable[np.ndarray], hop: float | None) -> Iterator[tuple[list[int], np.ndarray]]:
        for starts, windows in self._standardised(pieces, hop):
            yield starts, self._tempered(self.scorer.scores(windows))

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
                "end it in a softmax or sigmoid, and feed it finite features"
            )
        return scores if self.temperature == 1 else tempered(scores, self.temperature, self.activation)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save everything as one file, a ZIP of `card.json`, `scaler.npz` and the model.

        The file appears whole or not at all; an older file of that name stays until the new one is complete.

        Raises:
            OSError: The file cannot be written.
            ValueError: The path is a folder, or a value would not be loaded again: one that is no JSON data, or is beyond the
                limits for files, such as a label of more than 1,000 characters.
        """
        scaler = io.BytesIO()
        np.savez(scaler, mean=self.scaler.mean, deviation=self.scaler.deviation)
        files = {"card.json": card_of(self), "scaler.npz": scaler.getvalue(), **self.scorer.to_files()}
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)


def _checked_labels(labels: Sequence[str]) -> tuple[str, ...]:
    if isinstance(labels, str) or len(set(labels)) != len(labels):
        raise ValueError(f"labels must be a sequence of different names, got {labels!r}")
    if wrong := [label for label in labels if not isinstance(label, str) or not label]:
        raise ValueError(f"each label must be a non-empty text, got {wrong[0]!r}")
    return tuple(labels)


def tempered(scores: np.ndarray, temperature: float, activation: Activation) -> np.ndarray:
    """Divide the logits of probabilities by a temperature.

    Args:
        scores: Probabilities ``(..., classes)``.
        temperature: Divisor.
        activation: Last step of the model that gave them, "softmax" or "sigmoid". The sums of the scores do not tell it
            reliably: independent scores may happen to sum to 1.

    Returns:
        Probabilities, each vector's independent of all others.

    Raises:
        ValueError: The activation is not known.
    """
    if activation is None:
        raise ValueError(
            f"a temperature ({temperature}) needs to know the model's activation, and its last layer does not tell: "
            "set activation='softmax' or 'sigmoid', or the temperature to 1"
        )
    # Logarithms in double precision, shifted by their largest, neither overflow nor vanish at any allowed temperature.
    present = np.log(np.clip(scores, 1e-12, 1), dtype=np.float64) / temperature
    if activation == "sigmoid":
        absent = np.log(np.clip(1 - scores, 1e-12, 1), dtype=np.float64) / temperature
        return (0.5 * (1 + np.tanh((present - absent) / 2))).astype(scores.dtype)
    weights = np.exp(present - present.max(axis=-1, keepdims=True))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(scores.dtype)
