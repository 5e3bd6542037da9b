"""Projection of embeddings to two dimensions, for a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np

from audiozoo.checks import require_choice
from audiozoo.embeddings.store import Embeddings

Method = Literal["auto", "umap", "pca"]

_NEIGHBOURS = 15  # the default of UMAP, which needs more points than this


@dataclass(frozen=True, eq=False)
class Projection:
    """Embeddings in two dimensions.

    Args:
        points: Coordinates ``(files, 2)``.
        method: Description of the method, such as "UMAP".
        axes: Names of the two axes; "" for axes without a meaning.
    """

    points: np.ndarray
    method: str
    axes: tuple[str, str] = ("", "")


def project(store: Embeddings, *, method: Method = "auto", seed: int = 0) -> Projection:
    """Project embeddings to two dimensions.

    Args:
        store: Embeddings of at least three sounds.
        method: "umap" (McInnes et al. 2018, arXiv:1802.03426) with the cosine distance, "pca" for principal components of the
            embeddings of length 1, or "auto" for UMAP if the package umap-learn is installed and there are more than 15 sounds.
        seed: Random seed.

    Returns:
        The projection.

    Raises:
        ValueError: The method is unknown, or there are too few sounds or values.
        ImportError: "umap" is asked for, and umap-learn is not installed.
    """
    require_choice("method", method, ("auto", "umap", "pca"))
    if method == "umap" and len(store) <= _NEIGHBOURS:
        raise ValueError(f"UMAP needs more than {_NEIGHBOURS} sounds, got {len(store)}; choose the method pca")
    installed = find_spec("umap") is not None
    if method == "umap" and not installed:
        raise ImportError("UMAP needs umap-learn: pip install 'audiozoo[umap]', or choose the method pca")
    if len(store) < 3 or store.width < 2:
        raise ValueError(f"a map needs at least 3 sounds with 2 values each, got {len(store)} with {store.width}")
    chosen: Callable[[Embeddings, int], Projection] = _pca
    if method == "umap" or (method == "auto" and installed and len(store) > _NEIGHBOURS):
        chosen = _umap
    return chosen(store, seed)


def _umap(store: Embeddings, seed: int) -> Projection:
    from audiozoo.layers import keras

    keras.ops.zeros(1)  # umap imports Keras, and fails on the lazy module unless it is loaded
    from umap import UMAP

    # One thread, because UMAP with several is not repeatable.
    found = UMAP(n_neighbors=_NEIGHBOURS, metric="cosine", random_state=seed, n_jobs=1)
    return Projection(np.asarray(found.fit_transform(store.vectors)), "UMAP")


def _pca(store: Embeddings, seed: int) -> Projection:
    from sklearn.decomposition import PCA

    found = PCA(n_components=2, random_state=seed)
    with np.errstate(invalid="ignore"):  # equal embeddings have no variance to share out
        points = found.fit_transform(store.unit)
    names = [f"component {number}, {100 * share:.0f} % of the variance" for number, share in _shares(found)]
    return Projection(points, "PCA", (names[0], names[1]))


def _shares(found: object) -> enumerate[float]:
    return enumerate(np.nan_to_num(found.explained_variance_ratio_), 1)  # type: ignore[attr-defined]
