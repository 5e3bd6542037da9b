"""Similar sounds: the nearest embeddings by cosine distance, and groups of near copies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audiozoo.checks import require_count, require_number
from audiozoo.embeddings.store import Embeddings, checked_vectors

THRESHOLD = 0.995
"""Cosine similarity from which two sounds count as near copies, see benchmarks/results/similar.md."""

_BLOCK = 2**22  # similarities in memory at a time
_ROUNDING = 1e-6  # error of a similarity in float32


class Neighbour(NamedTuple):
    """A sound file and its cosine similarity to another, from -1 to 1."""

    file: str
    similarity: float


def nearest(
    store: Embeddings, queries: np.ndarray, *, top: int = 5, exclude: Sequence[str | None] | None = None
) -> list[list[Neighbour]]:
    """Find the sounds whose embeddings are nearest to those of queries, by cosine distance.

    Args:
        store: Embeddings to search.
        queries: Embeddings of the queries ``(queries, width)``, by the same classifier.
        top: Number of neighbours for each query.
        exclude: Name of a file to leave out for each query, such as the query itself; `None` for none.

    Returns:
        The neighbours of each query, the most similar first.

    Raises:
        ValueError: `top` is less than 1, or the queries have another width.
    """
    import sklearn
    from sklearn.neighbors import NearestNeighbors

    require_count("top", top, 1)
    queries, left_out = checked_vectors(queries), exclude or [None] * len(queries)
    if queries.shape[1] != store.width:
        raise ValueError(f"the queries have {queries.shape[1]} values each, the embeddings {store.width}: use the same model")
    with sklearn.config_context(assume_finite=True):  # both were checked
        search = NearestNeighbors(n_neighbors=min(top + 1, len(store)), algorithm="brute", metric="cosine").fit(store.vectors)
        distances, places = search.kneighbors(queries)
    found = []
    for name, gaps, order in zip(left_out, distances, places, strict=True):
        each = [Neighbour(store.files[place], 1 - float(gap)) for gap, place in zip(gaps, order, strict=True)]
        found.append([one for one in each if one.file != name][:top])
    return found


def near_copies(store: Embeddings, *, threshold: float = THRESHOLD) -> list[list[Neighbour]]:
    """Find groups of near copies, such as re-encoded, attenuated or trimmed copies of a sound.

    Two sounds belong to one group if their cosine similarity reaches the threshold, or a chain of such pairs joins them. The
    similarities are computed in blocks, so the memory in use grows with the number of sounds and not with its square.

    Args:
        store: Embeddings of the sounds.
        threshold: Lowest cosine similarity of near copies, from 0 to 1.

    Returns:
        The groups in the order of their first file. Each file comes with its highest similarity to another file.

    Raises:
        ValueError: The threshold is out of range.
    """
    require_number("threshold", threshold, 0, 1)
    groups, best = np.arange(len(store), dtype=np.int32), np.zeros(len(store), np.float32)
    rows = max(1, _BLOCK // len(store))
    for start in range(0, len(store), rows):
        block = store.unit[start : start + rows] @ store.unit[start:].T
        # Each pair is above the diagonal of one block.
        first, second = np.nonzero(np.triu(block >= threshold - _ROUNDING, k=1))
        if not len(first):
            continue
        similarities = block[first, second]
        for ends in (first, second):
            np.maximum.at(best[start:], ends, similarities)
        groups = _joined(groups, groups[start:][first], groups[start:][second])
    return _listed(store, groups, best)


def _joined(groups: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the number of each sound's group after pairs of groups have been joined."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(groups), len(groups)))
    return connected_components(graph, directed=False)[1][groups]


def _listed(store: Embeddings, groups: np.ndarray, best: np.ndarray) -> list[list[Neighbour]]:
    found: dict[int, list[Neighbour]] = {}
    for place, group in enumerate(groups.tolist()):
        found.setdefault(group, []).append(Neighbour(store.files[place], min(1.0, float(best[place]))))
    return [group for group in found.values() if len(group) > 1]
