"""Familiarity of a clip: the resemblance of its embedding to the classes of the training clips.

Sounds of unknown classes often get a high probability, because a softmax must choose a class. On the embeddings of YAMNet, the
cosine below refuses about three times as many of them as the highest probability, see benchmarks/trust.py.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Self

import numpy as np

from audiozoo.bounded import read_npz

_ARRAYS = ("centre", "whitening", "directions")

_SHRINKAGE = 0.01
"""Share of the mean variance in the variance of each direction. From 0.003 to 0.03 it hardly matters on ESC-50."""


@dataclass(frozen=True, eq=False)
class ClassDirections:
    """Directions of classes in the space of embeddings, in which the clips of a class vary equally in all directions.

    The within-class covariance normalisation with a cosine comes from speaker verification: Hatch, Kajarekar and Stolcke,
    "Within-class covariance normalization for SVM-based speaker recognition", Interspeech 2006. All arrays are float32.

    Args:
        centre: Mean embedding of the training clips, ``(width,)``.
        whitening: Matrix ``(width, width)`` after which the clips of a class have the same variance in every direction.
        directions: Unit vectors of the classes after the whitening, ``(classes, width)``.

    Raises:
        ValueError: The shapes do not fit together, or a value is not finite.
    """

    centre: np.ndarray
    whitening: np.ndarray
    directions: np.ndarray

    def __post_init__(self) -> None:
        for name in _ARRAYS:
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float32))
            if not np.isfinite(getattr(self, name)).all():
                raise ValueError(f"{name} must be finite")
        width = self.centre.shape
        if len(width) != 1 or self.whitening.shape != width * 2 or self.directions.ndim != 2:
            raise ValueError(f"centre {width} and whitening {self.whitening.shape} do not fit together")
        if self.directions.shape[1:] != width:
            raise ValueError(f"directions {self.directions.shape} do not fit embeddings {width}")

    @classmethod
    def fit(cls, embeddings: np.ndarray, targets: np.ndarray) -> Self:
        """Fit the directions on training clips.

        Args:
            embeddings: Mean embedding of each clip, ``(clips, width)``.
            targets: Class indices ``(clips,)``, in which every class occurs.

        Returns:
            The directions.
        """
        centred = embeddings.astype(np.float64) - embeddings.mean(axis=0)
        means = np.stack([centred[targets == one].mean(axis=0) for one in range(targets.max() + 1)])
        within = centred - means[targets]
        variances, axes = np.linalg.eigh(within.T @ within / len(within))
        variances = (1 - _SHRINKAGE) * np.maximum(variances, 0) + _SHRINKAGE * variances.mean()
        # Identical clips in every class leave no variance.
        whitening = axes / np.sqrt(np.maximum(variances, np.finfo(np.float32).tiny))
        whitened = _unit(means @ whitening)
        # A common scale changes no cosine, and keeps the numbers within single precision.
        return cls(embeddings.mean(axis=0), whitening / np.abs(whitening).max(), whitened)

    def to_bytes(self) -> bytes:
        """Return the directions as a NumPy archive."""
        content = io.BytesIO()
        np.savez(content, centre=self.centre, whitening=self.whitening, directions=self.directions)
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, *, most: int) -> Self:
        """Read what `to_bytes` returned, from a file that is not trusted.

        Args:
            content: NumPy archive.
            most: Largest size of each array (bytes).

        Returns:
            The directions.

        Raises:
            ValueError: The content is not such an archive, or declares more than it holds.
        """
        arrays = read_npz(content, dict.fromkeys(_ARRAYS, most))
        if missing := [name for name in _ARRAYS if name not in arrays]:
            raise ValueError(f"the directions of the classes have no {', '.join(missing)}")
        return cls(**arrays)

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Return the familiarity of clips from their mean embeddings.

        Args:
            embeddings: Mean embedding of each clip, ``(clips, width)``.

        Returns:
            Largest cosine with a class, ``(clips,)``; 0 if all are negative.
        """
        whitened = _unit((embeddings - self.centre).astype(np.float64) @ self.whitening)
        return np.clip((whitened @ self.directions.T).max(axis=1), 0, 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)
