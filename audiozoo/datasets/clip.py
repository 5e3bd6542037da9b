"""`Clip`, a labelled sound."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Clip:
    """A labelled sound, a whole file or a part of it.

    Args:
        path: Path of a sound file, or its content as bytes.
        labels: Names of the classes in the clip, one for most datasets.
        fold: Number of the official test fold; `None` for clips that are used only for training.
        group: Name of the recording that the clip comes from. Splits keep the clips of a recording together. `None` if the file
            is a recording of its own.
        start: Start in the file (seconds).
        end: End in the file (seconds); `None`, or a time beyond the end of the file, is the end of the file.
        weight: Weight in training.
        licence: Licence of the sound, if the licences in the dataset differ; otherwise "".
        domain: Recording device or another condition, by which scores can be compared; "" if unknown.
        validation: Whether the publishers keep the clip for validation. If some training clips are marked so, training holds
            out these and no others.

    Raises:
        ValueError: There is no label, `start` and `end` are not in order, or the weight is negative.
    """

    path: str | bytes
    labels: tuple[str, ...]
    fold: int | None = None
    group: str | None = None
    start: float = 0.0
    end: float | None = None
    weight: float = 1.0
    licence: str = ""
    domain: str = ""
    validation: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.start < math.inf and (self.end is None or self.start < self.end)):
            raise ValueError(f"a clip needs 0 <= start < end in seconds, got start={self.start} and end={self.end}")
        if not self.labels or not 0 <= self.weight < math.inf:
            raise ValueError(f"a clip needs a label and a weight of at least 0, got {self.labels} and {self.weight}")

    @property
    def label(self) -> str:
        """The first label."""
        return self.labels[0]
