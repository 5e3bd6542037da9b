"""Classification of many files, some of which may be unusable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from audiozoo.audio import explain
from audiozoo.classifier.answering import Answering
from audiozoo.classifier.prediction import Prediction


class Failure(NamedTuple):
    """A file that could not be classified, and the reason."""

    source: str
    error: str


def predict_files(classifier: Answering, paths: Iterable[str], *, strict: bool = False) -> Iterator[Prediction | Failure]:
    """Classify files one after the other.

    Args:
        classifier: Classifier to use.
        paths: Paths of sound files.
        strict: Whether to raise an error for the first file that cannot be used, instead of yielding a `Failure`.

    Yields:
        The prediction or failure of each file, in order.

    Raises:
        OSError: With `strict`, a file cannot be opened.
        ValueError: With `strict`, a file cannot be classified.
    """
    for path in paths:
        try:
            yield classifier.predict(path)
        # Any other exception is a bug, which must not pass as a bad file.
        except (OSError, ValueError) as error:
            if strict and isinstance(error, ValueError):
                raise ValueError(explain(path, error)) from error
            if strict:
                raise
            yield Failure(path, explain(path, error))
