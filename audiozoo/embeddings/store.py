"""Embeddings of many sounds with the facts about the classifier that computed them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from audiozoo._version import __version__
from audiozoo.bounded import MIB, parse_json
from audiozoo.checks import require_count, require_number, unknown_name

if TYPE_CHECKING:
    from audiozoo.classifier import Answering, Failure, FileExecutor
    from audiozoo.progress import Progress

SCHEMA = 1
"""Version of the facts in a file."""

MOST_FACTS_BYTES = 4 * MIB
"""Largest size of the facts in a file (bytes)."""

MOST_VALUES = 2**16
"""Largest number of values in an embedding."""

LONGEST_NAME = 4_096
"""Longest name of a file (characters)."""

Row = tuple[str, np.ndarray]
"""Name of a sound file and its embedding ``(width,)``."""

_TOLERANCE = 0.02  # relative to the largest value; backends and weights in half precision round differently


@dataclass(frozen=True, kw_only=True)
class EmbeddingFacts:
    """Facts about the classifier and the options that gave embeddings.

    Args:
        model: Name of the classifier, or path of its file, as the user gave it.
        width: Number of values in an embedding.
        statistic: Statistic over the windows of a file: "mean", "max", "deviation" or "all".
        hop: Time between window starts (seconds); `None` for the frontend's own.
        window: Duration of a window (seconds).
        sample_rate: Sample rate of the windows (Hz).
        signature: Embedding of a fixed sound, ``(width,)``. It tells whether a classifier is the same one.
        version: Version of audiozoo that computed the embeddings.

    Raises:
        ValueError: A value is of the wrong type or out of bounds.
    """

    model: str
    width: int
    statistic: str = "mean"
    hop: float | None = None
    window: float
    sample_rate: float
    signature: tuple[float, ...]
    version: str = __version__

    def __post_init__(self) -> None:
        for name in ("model", "statistic", "version"):
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > LONGEST_NAME:
                raise ValueError(f"{name} must be a text of at most {LONGEST_NAME:,} characters, got {str(text)[:80]!r}")
        require_count("width", self.width, 1, MOST_VALUES)
        for name in ("window", "sample_rate", *(["hop"] if self.hop is not None else [])):
            require_number(name, getattr(self, name), 0)
        if len(self.signature) != self.width:
            raise ValueError(f"the signature must have {self.width} values, it has {len(self.signature)}")
        for value in self.signature:
            require_number("a value of the signature", value, -1e30, 1e30)

    @classmethod
    def of(cls, classifier: Answering, model: str = "", *, statistic: str = "mean", hop: float | None = None) -> Self:
        """Return the facts about a classifier's embeddings.

        Args:
            classifier: Classifier or ensemble.
            model: Name of the classifier, or path of its file.
            statistic: Statistic over the windows of a file, as for `Classifier.embed_many`.
            hop: Time between window starts (seconds); `None` for the frontend's own.

        Returns:
            The facts, with the signature of the classifier.

        Raises:
            ValueError: The classifier has no embeddings, or an argument is unknown or out of range.
        """
        signature = _signature(classifier, statistic, hop)
        frontend = classifier.window_frontend
        return cls(
            model=model,
            width=len(signature),
            statistic=statistic,
            hop=hop,
            window=frontend.samples / frontend.sample_rate,
            sample_rate=frontend.sample_rate,
            signature=tuple(map(float, signature)),
        )

    def check(self, classifier: Answering, name: str) -> None:
        """Raise an error unless a classifier gives the same embeddings.

        Args:
            classifier: Classifier or ensemble that embeds a query.
            name: Its name, for an error.

        Raises:
            ValueError: Its embedding of the fixed sound differs.
        """
        signature = _signature(classifier, self.statistic, self.hop)
        if not self._recognises(signature):
            raise ValueError(
                f"the embeddings are of {self.model or 'another model'} ({self.width} values), and {name} gives others "
                f"({len(signature)} values), so their distances mean nothing: use the model of the embeddings (--model), or "
                "embed the sounds again"
            )

    def agrees(self, other: EmbeddingFacts | None) -> bool:
        """Tell whether other facts are about the same embeddings: of the same model, with the same options.

        The version may differ, and so may the signature by rounding.
        """
        if other is None or not self._recognises(np.array(other.signature)):
            return False
        return replace(other, signature=self.signature, version=self.version) == self

    def _recognises(self, signature: np.ndarray) -> bool:
        own = np.array(self.signature)
        return bool(signature.shape == own.shape and np.abs(signature - own).max() <= _TOLERANCE * max(np.abs(own).max(), 1e-6))

    def to_json(self) -> str:
        """Return the facts as JSON text, which `parse` reads."""
        return json.dumps({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read facts from JSON text, which is not trusted.

        Raises:
            ValueError: The text is not JSON, has a newer schema, or a value is missing, of the wrong type or out of bounds.
        """
        facts = parse_json(content, most=MOST_FACTS_BYTES, depth=4)
        if not isinstance(facts, dict) or not isinstance(facts.get("signature"), list):
            raise ValueError("the facts must be an object with a signature")
        require_count("schema", schema := facts.pop("schema", None), 1)
        if schema > SCHEMA:
            raise ValueError(f"saved in schema {schema}, and this version reads up to {SCHEMA}: upgrade audiozoo")
        return cls(**_known(facts))


def _known(facts: dict[str, Any]) -> dict[str, Any]:
    names = EmbeddingFacts.__dataclass_fields__
    if missing := [name for name in ("model", "width", "window", "sample_rate") if name not in facts]:
        raise ValueError(f"the facts lack {', '.join(missing)}")
    # A later version may add facts.
    known = {name: value for name, value in facts.items() if name in names}
    return {**known, "signature": tuple(facts["signature"])}


def _signature(classifier: Answering, statistic: str, hop: float | None) -> np.ndarray:
    # A chirp from 100 Hz to 7 kHz excites all bands, is no silence that a frontend could remove, and needs no random numbers.
    time = np.arange(16_000) / 16_000
    chirp = 0.5 * np.sin(2 * np.pi * (100 + 3_450 * time) * time)
    return classifier.embed(chirp.astype(np.float32), sample_rate=16_000, hop=hop, statistic=statistic)


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings of sound files.

    Args:
        files: Name of each sound file; all are different.
        vectors: Embeddings ``(files, width)``, float32.
        facts: Facts about the classifier; `None` if they are not known.

    Raises:
        ValueError: The shapes do not fit together, a name is empty, too long or there twice, or a value is not finite.
    """

    files: tuple[str, ...]
    vectors: np.ndarray
    facts: EmbeddingFacts | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(self.files))
        object.__setattr__(self, "vectors", checked_vectors(self.vectors))
        if len(self.files) != len(self.vectors):
            raise ValueError(f"there are {len(self.files):,} names of files and {len(self.vectors):,} embeddings")
        if self.facts is not None and self.facts.width != self.width:
            raise ValueError(f"the facts state {self.facts.width} values in an embedding, there are {self.width}")
        lengths = {len(name) if isinstance(name, str) else 0 for name in self.files}
        if not 0 < min(lengths) <= max(lengths) <= LONGEST_NAME:
            raise ValueError(f"each name of a file must be a text of 1 to {LONGEST_NAME:,} characters")
        if len(self._places) != len(self.files):
            raise ValueError("a name of a file is there twice; each sound file has one embedding")

    @classmethod
    def of(cls, rows: Iterable[Row], facts: EmbeddingFacts | None = None) -> Self:
        """Collect the embeddings of sound files in memory.

        Args:
            rows: Name and embedding of each file, for example from `embed_files`.
            facts: Facts about the classifier.

        Returns:
            The embeddings.

        Raises:
            ValueError: There are none, or they do not fit together.
        """
        names, vectors = [], []
        for name, vector in rows:
            names.append(name)
            vectors.append(vector)
        if not names:
            raise ValueError("there are no embeddings: no sound file could be used")
        return cls(tuple(names), np.stack(vectors), facts)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def width(self) -> int:
        """Number of values in an embedding."""
        return int(self.vectors.shape[1])

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.files)}

    @cached_property
    def unit(self) -> np.ndarray:
        """Embeddings of length 1, ``(files, width)``, whose products are cosine similarities. Zeros stay zeros."""
        norms = np.sqrt(np.einsum("ij,ij->i", self.vectors, self.vectors))
        return self.vectors / np.where(norms > 0, norms, 1)[:, None]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def vector(self, name: str) -> np.ndarray:
        """Return the embedding of a file, ``(width,)``.

        Raises:
            ValueError: There is no such file; the message suggests the closest names.
        """
        if name not in self._places:
            # A search for close names among all would take seconds.
            raise unknown_name("file", name, self.files[:1_000])
        return self.vectors[self._places[name]]


def checked_vectors(vectors: np.ndarray) -> np.ndarray:
    """Return embeddings as float32 after a check of their shape and values.

    Args:
        vectors: Embeddings ``(files, width)``.

    Raises:
        ValueError: The array is not one of floating-point numbers with two dimensions, or a value is not finite.
    """
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or not 0 < vectors.shape[1] <= MOST_VALUES or not len(vectors):
        raise ValueError(
            f"embeddings must be floating-point numbers of shape (files, values) with 1 to {MOST_VALUES:,} values, "
            f"got {vectors.dtype} of shape {vectors.shape}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        vectors = np.asarray(vectors, np.float32)
        squares = np.einsum("ij,ij->i", vectors, vectors)
    if not np.isfinite(squares).all():
        raise ValueError(f"embedding {int(np.argmin(np.isfinite(squares))) + 1} has NaN, infinity or values above 1e19")
    return vectors


def embed_files(
    classifier: Answering,
    paths: Sequence[str],
    facts: EmbeddingFacts,
    *,
    failures: list[Failure] | None = None,
    jobs: int = -1,
    progress: Progress | None = None,
    executor: FileExecutor | None = None,
) -> Iterable[Row]:
    """Embed sound files with the statistic and the hop of some facts.

    Args:
        classifier: Classifier or ensemble.
        paths: Paths of sound files.
        facts: Facts about the classifier, see `EmbeddingFacts.of`.
        failures: List to which the failure of each file that cannot be used is added; `None` raises an error for the first.
        jobs: Number of threads that read files; -1 uses one per core.
        progress: Callback, see `audiozoo.progress`.
        executor: Executor that embeds the files elsewhere, see `Classifier.embed_many`.

    Yields:
        The path and the embedding ``(width,)`` of each file, in order.

    Raises:
        OSError: Without `failures`, a file cannot be opened.
        ValueError: Without `failures`, a file cannot be embedded; or an argument is out of range.
    """
    how: dict[str, Any] = {"jobs": jobs, "strict": failures is None, "progress": progress, "executor": executor}
    answers = classifier.embed_many(paths, statistic=facts.statistic, hop=facts.hop, **how)
    for path, answer in zip(paths, answers, strict=True):
        if isinstance(answer, np.ndarray):
            yield str(path), answer
        elif failures is not None:
            failures.append(answer)
