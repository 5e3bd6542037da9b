"""Forms of one answer: a line of the table, rows of CSV, an object of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

if TYPE_CHECKING:
    from audiozoo.classifier import Failure, Prediction

PREDICTION_COLUMNS = ("file", "rank", "label", "score")
"""Columns of `prediction_rows`."""


def listed(prediction: Prediction, top: int) -> list[tuple[str, float]]:
    """Return the classes to list for a sound, best first, with their scores.

    Without thresholds, these are the `top` answers. With thresholds, these are all classes present; if there is none, the list
    has one entry with an empty label and the highest score, so that each sound has a line.
    """
    if prediction.thresholds is None or not prediction.known:
        return prediction.ranked(top)
    present = set(prediction.present)
    found = [(label, score) for label, score in prediction.top(len(prediction.labels)) if label in present]
    return found or [("", prediction.score)]


def prediction_rows(prediction: Prediction, top: int) -> list[list[str]]:
    """Return the rows of a prediction in CSV, one for each class of `listed`."""
    best = enumerate(listed(prediction, top), 1)
    return [[prediction.source, str(rank), label, f"{score:.6f}"] for rank, (label, score) in best]


def plain(answer: Prediction | Failure) -> dict[str, Any]:
    """Return a prediction or a failure as JSON data."""
    return failure_object(answer) if isinstance(answer, tuple) else answer.to_dict()


def failure_object(failure: Failure) -> dict[str, Any]:
    """Return a failure as JSON data."""
    return {"file": failure.source, "error": failure.error}


class Columns:
    """Columns of a table of predictions that is printed line by line, so their widths are fixed before the first answer.

    Args:
        files: Names of all files.
        labels: Names of all classes, and of other answers.
        top: Number of classes to show for each file. With several labels, a line has all classes that are present.
        widest: Largest width of the column of files (characters); a longer name moves the rest of its line.
    """

    def __init__(self, files: Iterable[str], labels: Iterable[str], *, top: int, widest: int) -> None:
        # One very long path must not move the columns of all others off the screen.
        file = min(widest, max((cell_len(name) for name in files), default=0))
        answer = max((cell_len(label) for label in labels), default=0) + len(" 100.0 %")
        self.top, self.widths = top, [max(file, len("file")), *[answer] * top]

    def header(self) -> str:
        """Return the line above the table."""
        return self._line(["file", *[f"{rank}." for rank in range(1, self.top + 1)]])

    def line(self, prediction: Prediction) -> str:
        """Return the line of a prediction."""
        best = [f"{label or '(none)'} {100 * score:.1f} %" for label, score in listed(prediction, self.top)]
        return self._line([prediction.source, *best])

    def _line(self, cells: Sequence[str]) -> str:
        # A sound may have more classes than the header has ranks.
        widths = [*self.widths, *[0] * len(cells)]
        padded = [cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=False)]
        return " ".join(padded).rstrip()
