"""Everything between a sound and an answer: frontend, scaler, model, labels; saved, loaded and asked as one thing."""

from __future__ import annotations

import io
import json
import os
import platform
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from audiozoo import audio
from audiozoo._version import __version__
from audiozoo.checks import unknown_name
from audiozoo.classifier.scorers import BATCH, SCORERS, KerasScorer, Scorer, batched
from audiozoo.features import Frontend, Scaler
from audiozoo.files import replacing
from audiozoo.layers import keras
from audiozoo.registry import build, list_models, model_info, split_weights

SCHEMA = 2
"""Version of the saved form; older ones load. In the first the class of a value stood under "kind"."""

Pooling = Literal["mean", "max"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer for one clip.

    Args:
        labels: All classes.
        scores: Their probabilities ``(classes,)``.
        source: The file's name, or "" for an array.
    """

    labels: tuple[str, ...]
    scores: np.ndarray
    source: str = ""

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.labels[int(self.scores.argmax())]

    @property
    def score(self) -> float:
        """The probability of the likeliest class."""
        return float(self.scores.max())

    def top(self, k: int = 3) -> list[tuple[str, float]]:
        """Return the `k` likeliest classes and their probabilities, likeliest first."""
        order = np.argsort(-self.scores, kind="stable")[:k]
        return [(self.labels[i], float(self.scores[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON data, all classes in it."""
        scores = dict(zip(self.labels, map(float, self.scores), strict=True))
        return {"file": self.source, "label": self.label, "score": self.score, "scores": scores}


class WindowScore(NamedTuple):
    """The answer for one window of a clip; times in seconds."""

    start: float
    end: float
    label: str
    score: float


_POOLINGS: dict[str, Callable[..., np.ndarray]] = {"mean": np.mean, "max": np.max}


class _Counted:
    """The pieces of a sound, and how many samples of it have been heard so far."""

    def __init__(self, pieces: Iterable[np.ndarray]) -> None:
        self.pieces, self.samples = pieces, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for piece in self.pieces:
            self.samples += len(piece)
            yield piece


@dataclass(eq=False)
class Classifier:
    """A trained model with all it needs to answer for a sound.

    Args:
        frontend: What turns a window of sound into an array.
        scaler: Mean and deviation of the training data.
        scorer: What turns such arrays into probabilities.
        labels: The classes, in the order of the scorer's output.
        pooling: How the windows of a clip become one answer: "mean" or "max".
        temperature: Divides the logarithms of the probabilities; above 1 they become less sure. 1 changes nothing.
        history: What training recorded, a list for each quantity.
        about: Facts to keep with it, as JSON data: the model's name, its recipe, its training data.

    Raises:
        ValueError: An unknown pooling, a temperature that is not positive, labels that repeat, or parts that do not fit
            together.
    """

    frontend: Frontend
    scaler: Scaler
    scorer: Scorer
    labels: tuple[str, ...]
    pooling: Pooling = "mean"
    temperature: float = 1.0
    history: dict[str, list[float]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.labels, str) or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels must be a sequence of different names, got {self.labels!r}")
        self.labels = tuple(self.labels)
        self.scaler.check(self.frontend.shape)
        self.scorer.check(self.frontend.shape, len(self.labels))
        if self.pooling not in _POOLINGS:
            raise unknown_name("pooling", self.pooling, _POOLINGS)
        if self.temperature <= 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")

    @classmethod
    def from_keras(
        cls, model: Any, frontend: Frontend, labels: Sequence[str], *, scaler: Scaler | None = None, **rest: Any
    ) -> Self:
        """Make a classifier of a Keras model that you trained yourself.

        Args:
            model: Takes ``(batch, *frontend.shape)`` and gives probabilities ``(batch, len(labels))``, first if it gives more.
            frontend: What its training data were computed with.
            labels: The classes, in the order of its output.
            scaler: What its training data were standardised with; `None` if they were not.
            **rest: Further arguments of `Classifier`.

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
            sample_rate: Of an array, in Hz; a file states its own.
            hop: Seconds from one window to the next, at most the window's length; `None` is half a window.

        Returns:
            The answer, pooled over the windows. A clip shorter than one window is padded as the frontend says; silence is
            classified like any sound.

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
        """Classify each window of a sound; arguments and errors as for `predict`.

        Returns:
            Rows ``(start, end, label, score)`` in seconds of the sound; the last window ends with it.
        """
        pieces, rate = _Counted(self._pieces(source, sample_rate)), self.frontend.sample_rate
        rows = []
        for starts, scores in self._window_scores(pieces, hop):
            for start, row in zip(starts, scores, strict=True):
                best, end = int(row.argmax()), min(start + self.frontend.samples, pieces.samples)
                rows.append(WindowScore(start / rate, end / rate, self.labels[best], float(row[best])))
        return rows

    def embed(
        self, source: audio.Source | np.ndarray, *, sample_rate: float | None = None, hop: float | None = None
    ) -> np.ndarray:
        """Return the mean over windows of the model's embedding, ``(width,)``; arguments and errors as for `predict`."""
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
        scores = [self._tempered(self.scorer.scores(self.scaler(features[part]))) for part in batched(chosen)]
        return np.concatenate(scores)

    def pool(self, scores: np.ndarray) -> np.ndarray:
        """Make one answer ``(classes,)`` of the windows' ``(windows, classes)``."""
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
        # A batch at a time: an hour of sound has thousands of windows.
        windows = self.frontend.windows(pieces, hop=hop)
        while batch := list(islice(windows, BATCH)):
            yield [start for start, _ in batch], self.scaler(np.stack([array for _, array in batch]))

    def _tempered(self, scores: np.ndarray) -> np.ndarray:
        if not (scores.min() >= -1e-3 and scores.max() <= 1 + 1e-3):
            raise ValueError(
                f"the model gives scores from {scores.min():.3g} to {scores.max():.3g}, which are no probabilities: "
                "end it in a softmax or sigmoid, and feed it finite features"
            )
        if self.temperature == 1:
            return scores
        cooled, rest = (np.power(np.maximum(p, 1e-12), 1 / self.temperature) for p in (scores, 1 - scores))
        exclusive = np.allclose(scores.sum(axis=-1), 1, atol=1e-3)
        # One class of many (softmax) shares the weight with the others, one of several (sigmoid) with its own absence.
        return cooled / (cooled.sum(axis=-1, keepdims=True) if exclusive else cooled + rest)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save everything as one file, a ZIP of `card.json`, `scaler.npz` and the model; whole or not at all.

        Raises:
            OSError: The file cannot be written.
        """
        scaler = io.BytesIO()
        np.savez(scaler, mean=self.scaler.mean, deviation=self.scaler.deviation)
        files = {"scaler.npz": scaler.getvalue(), **self.scorer.to_files()}
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            archive.writestr("card.json", json.dumps(self._card(), indent=1))
            for name, content in files.items():
                archive.writestr(name, content)

    def _card(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "scorer": self.scorer.kind,
            "frontend": self.frontend.to_config(),
            "labels": list(self.labels),
            "pooling": self.pooling,
            "temperature": self.temperature,
            "history": self.history,
            "about": self.about,
            "versions": versions(),
        }


def versions() -> dict[str, str]:
    """Say which versions made a result: of this package, Python, NumPy, Keras and its backend."""
    return {
        "audiozoo": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }


def load_classifier(path: str | os.PathLike[str]) -> Classifier:
    """Load a classifier that `Classifier.save` wrote.

    Args:
        path: The file's; or a name from ``list_models(pretrained=True)`` for `pretrained_classifier`, if no file is called so.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no saved classifier, is cut short or damaged, or is of a newer schema than this version reads.
    """
    if not Path(path).is_file():
        if str(path) in list_models(pretrained=True):
            return pretrained_classifier(str(path))
        raise FileNotFoundError(f"{path}: no such file; a classifier is saved by `audiozoo train DIR -o FILE`")
    try:
        with zipfile.ZipFile(path) as archive:
            return _from_files({name: archive.read(name) for name in archive.namelist()})
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: no saved classifier, or cut short ({error}); save or copy it again") from error
    except KeyError as error:
        raise ValueError(f"{path}: no saved classifier, or one cut short: {error} is not in it") from error
    except (ValueError, TypeError, AttributeError, OSError, EOFError) as error:
        raise ValueError(f"{path}: not a classifier that this version reads: {error}") from error


def pretrained_classifier(
    name: str, *, weights: str | None = None, weights_file: str | os.PathLike[str] | None = None
) -> Classifier:
    """Return a classifier with published weights, ready to use without training.

    Args:
        name: A name from ``list_models(pretrained=True)``.
        weights: Name of published weights from ``model_info(name).weights``; `None` means the first.
        weights_file: Path of a copy of the published file; `None` downloads it once.

    Returns:
        A classifier of the classes that the weights were trained on.

    Raises:
        ValueError: An unknown name, a model without published weights, or a file with the weights of another model.
        OSError: The file is missing, or the weights cannot be fetched; the message says where to put a copy.
    """
    spec = model_info(name)
    if not spec.weights:
        raise ValueError(f"{spec.name} has no published weights; those have: {', '.join(list_models(pretrained=True))}")
    weights, weights_file = split_weights(weights, weights_file, spec.weights)
    chosen = next(iter(spec.weights)) if weights is None else weights
    if chosen not in spec.weights:
        raise unknown_name(f"weights of {spec.name}", chosen, spec.weights)
    published = spec.weights[chosen]
    source = {"weights": chosen} if weights_file is None else {"weights_file": weights_file}
    model = build(spec.name, len(published.labels), **source)
    about = {"model": spec.name, "weights": chosen, "licence": published.licence}
    return Classifier.from_keras(model, spec.frontend, published.labels, about=about)


def _from_files(files: Mapping[str, bytes]) -> Classifier:
    card = json.loads(files["card.json"])
    if card["schema"] > SCHEMA:
        raise ValueError(f"saved in schema {card['schema']}, and this version reads up to {SCHEMA}: upgrade audiozoo")
    if card["scorer"] not in SCORERS:
        raise unknown_name("kind of model", card["scorer"], SCORERS)
    with np.load(io.BytesIO(files["scaler.npz"]), allow_pickle=False) as arrays:
        scaler = Scaler(arrays["mean"], arrays["deviation"])
    return Classifier(
        frontend=Frontend.from_config(_renamed(card["frontend"]) if card["schema"] == 1 else card["frontend"]),
        scaler=scaler,
        scorer=SCORERS[card["scorer"]].from_files(files),
        labels=card["labels"],
        pooling=card["pooling"],
        temperature=card["temperature"],
        history=dict(card["history"]),
        about=dict(card["about"]),
    )


def _renamed(config: Any) -> Any:
    if not isinstance(config, dict):
        return config
    return {"class" if name == "kind" else name: _renamed(value) for name, value in config.items()}


class Failure(NamedTuple):
    """A file that could not be classified, and why."""

    source: str
    error: str


def predict_files(classifier: Classifier, paths: Iterable[str], *, strict: bool = False) -> Iterator[Prediction | Failure]:
    """Classify files one after the other; a bad one is a `Failure` among the answers and stops nothing.

    Raises:
        OSError, ValueError: With `strict`, at the first bad file.
    """
    for path in paths:
        try:
            yield classifier.predict(path)
        except (OSError, ValueError) as error:
            if strict:
                raise
            yield Failure(path, str(error))
