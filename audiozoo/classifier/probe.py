"""Probes: logistic regression on statistics of a network's embeddings of a clip."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from audiozoo.bounded import MIB, read_npz
from audiozoo.checks import require_choice
from audiozoo.classifier.embedding import every
from audiozoo.classifier.familiarity import ClassDirections
from audiozoo.classifier.scorers import KerasScorer, Pooling, Scorer
from audiozoo.layers import Activation

_MOST_HEAD_BYTES = 512 * MIB
_ARRAYS = ("mean", "deviation", "kernel", "bias")
_SIGMOID = "sigmoid"


def clip_statistics(embeddings: np.ndarray) -> np.ndarray:
    """Return the statistics of a clip that a probe learns from.

    Args:
        embeddings: Embeddings of the clip's windows, ``(windows, width)``.

    Returns:
        Mean, maximum and standard deviation over the windows, ``(3 * width,)``. The deviation of a single window is NaN,
        because it is unknown.
    """
    # Activations after a ReLU have a long tail, which would dominate the mean and the maximum.
    statistics = every(np.sign(embeddings) * np.log1p(np.abs(embeddings)))
    if len(embeddings) == 1:
        statistics[-embeddings.shape[1] :] = np.nan
    return statistics


@dataclass(frozen=True, eq=False)
class ProbeHead:
    """Logistic regression on standardised statistics. All arrays are float32.

    Args:
        mean: Mean of each statistic over the training clips, ``(statistics,)``.
        deviation: Standard deviation of each statistic over the training clips, positive, ``(statistics,)``.
        kernel: Weights ``(statistics, classes)``.
        bias: Intercepts ``(classes,)``.
        activation: "softmax" for one label, or "sigmoid" for independent classes.

    Raises:
        ValueError: The shapes do not fit together, a value is not finite, or a deviation is not positive.
    """

    mean: np.ndarray
    deviation: np.ndarray
    kernel: np.ndarray
    bias: np.ndarray
    activation: Activation = "softmax"

    def __post_init__(self) -> None:
        require_choice("activation", self.activation, ("softmax", _SIGMOID))
        for name in _ARRAYS:
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float32))
        if self.kernel.ndim != 2 or {self.mean.shape, self.deviation.shape} != {self.kernel.shape[:1]}:
            raise ValueError(f"a probe with a kernel {self.kernel.shape}, a mean {self.mean.shape} and {self.deviation.shape}")
        if self.bias.shape != self.kernel.shape[1:]:
            raise ValueError(f"a probe with a kernel {self.kernel.shape} needs a bias for each class, got {self.bias.shape}")
        if not all(np.isfinite(getattr(self, name)).all() for name in _ARRAYS) or not (self.deviation > 0).all():
            raise ValueError("a probe needs finite values and positive deviations")

    def standardised(self, statistics: np.ndarray) -> np.ndarray:
        """Standardise the statistics of clips, ``(clips, statistics)``; unknown deviations become 0, their mean."""
        standardised = (statistics - self.mean) / self.deviation
        # Only the deviation can be unknown. NaN in another statistic comes from the network and must not be hidden.
        last = standardised[:, -(standardised.shape[1] // 3) :]
        last[np.isnan(last).all(axis=1)] = 0
        return standardised

    def scores(self, statistics: np.ndarray) -> np.ndarray:
        """Return probabilities ``(clips, classes)`` from the statistics of clips, ``(clips, statistics)``."""
        logits = self.standardised(statistics) @ self.kernel + self.bias
        if self.activation == _SIGMOID:
            return 0.5 * (1 + np.tanh(logits / 2))
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def to_bytes(self) -> bytes:
        """Return the head as a NumPy archive."""
        content = io.BytesIO()
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        np.savez(content, **arrays, sigmoid=np.array(self.activation == _SIGMOID))
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what `to_bytes` returned, from a file that is not trusted.

        Raises:
            ValueError: The content is not such an archive, or declares more than it holds.
        """
        arrays = read_npz(content, dict.fromkeys((*_ARRAYS, _SIGMOID), _MOST_HEAD_BYTES))
        if missing := [name for name in (*_ARRAYS, _SIGMOID) if name not in arrays]:
            raise ValueError(f"probe.npz has no {', '.join(missing)}")
        if arrays[_SIGMOID].shape != () or arrays[_SIGMOID] not in (0, 1):
            raise ValueError("probe.npz: sigmoid must be 0 or 1")
        return cls(**{name: arrays[name] for name in _ARRAYS}, activation="sigmoid" if arrays[_SIGMOID] else "softmax")


class ProbeScorer(Scorer):
    """Logistic regression on statistics (mean, maximum, deviation) of a network's embeddings of a clip's windows.

    Args:
        network: Scorer with the network whose layer `embedding` gives the embeddings. Its own output is not used.
        head: Logistic regression.
        directions: Directions of the classes in the mean part of the statistics, which tell the familiarity of a clip; `None`
            if the highest probability replaces it.

    Raises:
        ValueError: The network has no layer named `embedding`, or the head or the directions are for embeddings of another
            width.
    """

    kind: ClassVar[str] = "probe"
    files: ClassVar[dict[str, int]] = {
        **KerasScorer.files,
        "probe.npz": _MOST_HEAD_BYTES,
        "directions.npz": _MOST_HEAD_BYTES,
    }
    optional: ClassVar[frozenset[str]] = frozenset({"directions.npz"})

    def __init__(self, network: KerasScorer, head: ProbeHead, directions: ClassDirections | None = None) -> None:
        self.network, self.head, self.directions = network, head, directions
        width = network.embedding_width
        if len(head.mean) != 3 * width:
            raise ValueError(f"a probe of {len(head.mean)} statistics does not fit embeddings of {width} numbers")
        if directions is not None and len(directions.centre) != width:
            raise ValueError(f"directions of {len(directions.centre)} numbers do not fit embeddings of {width}")

    @property
    def activation(self) -> Activation:
        """Last step of the model."""
        return self.head.activation

    @property
    def parameters(self) -> int:
        """Number of weights of the network and of the logistic regression."""
        return self.network.parameters + self.head.kernel.size + self.head.bias.size

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        """Raise an error unless the model takes windows of this shape and has this number of classes.

        Raises:
            ValueError: The shapes or the numbers differ; the message has both.
        """
        self.network.check_shape(shape)
        if len(self.head.bias) != classes:
            raise ValueError(f"the probe has {len(self.head.bias)} outputs and there are {classes} labels")

    def outputs(self, windows: np.ndarray) -> np.ndarray:
        """Return the embeddings ``(windows, width)``, which `pooled` needs."""
        return self.network.embed(windows)

    def pooled(self, outputs: np.ndarray, pooling: Pooling) -> np.ndarray:
        """Return the probabilities of a clip, ``(classes,)``, from the embeddings of its windows.

        Args:
            outputs: Embeddings ``(windows, width)``.
            pooling: Not used, because the statistics combine the windows.

        Returns:
            The probabilities.
        """
        return self.head.scores(clip_statistics(outputs)[None])[0]

    def scores(self, windows: np.ndarray) -> np.ndarray:
        """Return probabilities ``(windows, classes)``, as if each window were a clip."""
        return self.head.scores(np.stack([clip_statistics(vector[None]) for vector in self.outputs(windows)]))

    def familiarity(self, outputs: np.ndarray) -> float | None:
        """Return the largest cosine of a clip with a class, see `ClassDirections`; `None` without directions."""
        if self.directions is None:
            return None
        mean = clip_statistics(outputs)[: outputs.shape[1]]
        return float(self.directions(mean[None])[0])

    def embed(self, windows: np.ndarray) -> np.ndarray:
        """Return the network's embeddings ``(windows, width)``."""
        return self.network.embed(windows)

    def to_files(self) -> dict[str, bytes]:
        """Return the network in the ``.keras`` format and the head as a NumPy archive."""
        further = {} if self.directions is None else {"directions.npz": self.directions.to_bytes()}
        return {**self.network.to_files(), "probe.npz": self.head.to_bytes(), **further}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Load a probe, with the checks of `KerasScorer.from_files`.

        Raises:
            ValueError: A file is damaged, would take more memory than its size justifies, or the two do not fit together.
        """
        head = ProbeHead.from_bytes(files["probe.npz"])
        content = files.get("directions.npz")
        directions = None if content is None else ClassDirections.from_bytes(content, most=_MOST_HEAD_BYTES)
        return cls(KerasScorer.from_files(files), head, directions)
