"""The former function for many files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator

from audiozoo.classifier.answering import Answering
from audiozoo.classifier.prediction import Failure, Prediction


def predict_files(classifier: Answering, paths: Iterable[str], *, strict: bool = False) -> Iterator[Prediction | Failure]:
    """Classify files; deprecated, use `Classifier.predict_many`.

    Args:
        classifier: Classifier to use.
        paths: Paths of sound files.
        strict: Whether to raise an error for the first file that cannot be used.

    Returns:
        Iterator over the prediction or failure of each file, in order.
    """
    warnings.warn("predict_files is deprecated, use Classifier.predict_many", DeprecationWarning, stacklevel=2)
    return classifier.predict_many(paths, strict=strict)
