"""Embeddings of many clips, computed once and cached like features."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from audiozoo.classifier import Classifier, KerasScorer, ProbeScorer, versions
from audiozoo.classifier.scorers import batched
from audiozoo.config import digest
from audiozoo.datasets import Clip
from audiozoo.features import FeatureCache, Features, extract
from audiozoo.features.cache import Store
from audiozoo.features.identity import signature
from audiozoo.progress import Progress

_CHUNK_CLIPS = 256  # a killed run loses the embeddings of at most this many clips


def network_of(classifier: Classifier) -> KerasScorer:
    """Return the network of a classifier, which computes its embeddings.

    Raises:
        ValueError: The classifier has no single network.
    """
    scorer = classifier.scorer
    if isinstance(scorer, ProbeScorer):
        return scorer.network
    if not isinstance(scorer, KerasScorer):
        raise ValueError(f"transfer needs a classifier with one network, this one has a {type(scorer).__name__}")
    return scorer


def embeddings(
    classifier: Classifier,
    clips: Sequence[Clip],
    *,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Features:
    """Compute the embeddings of the windows of many clips.

    Args:
        classifier: Classifier whose network has a layer named `embedding`.
        clips: Clips to read.
        cache: Cache of features and embeddings. Embeddings are found again by the sound, the frontend, the scaler, the weights
            and the layers of the network, and the versions of Keras and its backend.
        progress: Callback, see `audiozoo.progress`; the stages are "features" and "embeddings", and a step is a clip.

    Returns:
        The embeddings ``(windows, width)``. A clip that cannot be read has no windows and a message in `failures`.

    Raises:
        ValueError: The network has no layer named `embedding`.
    """
    width = network_of(classifier).embedding_width
    store = Store(cache, _signature(classifier) if cache else None, (width,))
    keys, known = store.keys(clips), store.known
    missing = [position for position, key in enumerate(keys) if key not in known]
    failures: dict[int, str] = {}
    for start in range(0, len(missing), _CHUNK_CLIPS):
        positions = missing[start : start + _CHUNK_CLIPS]
        chunk = [clips[position] for position in positions]
        features = extract(chunk, classifier.frontend, cache=cache, progress=progress)
        failures |= {positions[number]: message for number, message in features.failures.items()}
        for position, key in zip(positions, store.keys(chunk), strict=True):
            # As in `extract`: if a file changed meanwhile, its embeddings are not cached.
            keys[position] = key if key == keys[position] else position
        store.add(_embedded(classifier, features, [keys[position] for position in positions]))
        if progress:
            progress("embeddings", len(clips) - len(missing) + start + len(positions), len(clips), {})
    return store.gather(keys, failures)


def _embedded(classifier: Classifier, features: Features, keys: Sequence[Any]) -> Features:
    """Return the embeddings of features whose clips could be read, under other keys."""
    readable = features.readable
    index = np.concatenate([np.r_[features.windows(i)] for i in readable]) if len(readable) else np.zeros(0, int)
    scorer = network_of(classifier)
    values = np.zeros((0, scorer.embedding_width), np.float32)
    if len(index):
        shape = classifier.frontend.shape
        parts = [scorer.embed(classifier.scaler(features.values[part])) for part in batched(index, shape)]
        values = np.concatenate(parts)
    ends = np.cumsum(features.counts[readable])
    spans = zip(ends - features.counts[readable], ends, features.lasts[readable], strict=True)
    return Features.located(values.astype(np.float32), [keys[i] for i in readable], spans)


def _signature(classifier: Classifier) -> str | None:
    """Hash all that embeddings depend on except the sound; `None` if changes of the frontend would be missed."""
    frontend = signature(classifier.frontend, None)
    if frontend is None:
        return None
    model = network_of(classifier).model
    arrays = hashlib.sha256()
    for array in (classifier.scaler.mean, classifier.scaler.deviation, *model.get_weights()):
        arrays.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    used = {name: version for name, version in versions().items() if name in ("keras", "backend")}
    return digest(["embeddings", frontend, arrays.hexdigest(), _layers(model), used])


def _layers(model: Any) -> list[Any]:
    # Keras numbers the names of layers without a name, differently each time that a model is built.
    return [[type(layer).__name__, repr({**layer.get_config(), "name": None})] for layer in model.layers]
