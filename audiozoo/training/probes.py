"""Probes: logistic regression on the embeddings of a pretrained network, trained in seconds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from audiozoo.checks import require_number
from audiozoo.classifier import (
    Answering,
    Classifier,
    ProbeHead,
    ProbeScorer,
    clip_statistics,
    load_classifier,
    pretrained_classifier,
)
from audiozoo.classifier.calibration import check_unknown, fitted_temperature, rejection_level, tempered
from audiozoo.classifier.embedding import STATISTICS
from audiozoo.classifier.facts import fingerprints_of
from audiozoo.classifier.familiarity import ClassDirections
from audiozoo.classifier.thresholds import fallback_thresholds, fitted_thresholds
from audiozoo.datasets import Clip, hold_out, recordings_by_label
from audiozoo.features import FeatureCache, Features, Frontend
from audiozoo.progress import Progress
from audiozoo.registry import model_info
from audiozoo.training.embeddings import embeddings, network_of
from audiozoo.training.examples import adapted, check_present, clip_weights, targets_of
from audiozoo.training.held_out import figures_of
from audiozoo.training.logistic import fitted_heads

STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Values of C, scikit-learn's inverse strength of regularisation, of which the held-out clips choose one."""

_WITHOUT_VALIDATION = 0.1  # close to the best on ESC-50, where accuracy hardly changes from 0.01 to 1


def probe(
    start: str | os.PathLike[str] | Classifier,
    clips: Sequence[Clip],
    *,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    labels: Sequence[str] | None = None,
    frontend: Frontend | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
    strict: bool = True,
    seed: int = 0,
    validation: float = 0.2,
    class_weight: Literal["balanced"] | None = None,
    unknown: float | None = None,
) -> Classifier:
    """Train logistic regression on a pretrained network's embeddings.

    The embeddings are computed once; the network does not change. The logistic regression gets their mean, maximum and standard
    deviation over the windows of a clip. Its strength of regularisation is the one with the lowest log loss on held-out
    recordings. Then it is fitted again on all clips.

    Args:
        start: Name from ``list_models(pretrained=True)``, path of a saved classifier, or a classifier.
        clips: Labelled clips. If a clip has several labels, the classes become independent (sigmoid).
        weights: Name of published weights; `None` uses the first of the model.
        weights_file: Path of a copy of the published weights; `None` downloads them once.
        labels: Names of the classes in the order of the scores; `None` sorts all labels that occur.
        frontend: Frontend whose output the network takes; `None` uses that of `start`.
        cache: Cache of features and embeddings; `None` for no cache.
        progress: Callback, see `audiozoo.progress`; the stages are "features", "embeddings" and "probe".
        strict: Raise if a clip cannot be read; otherwise it is left out and named in ``classifier.about.failures``.
        seed: Random seed of the held-out recordings.
        validation: Share of each class's recordings that is held out. With 0, or where no class has two recordings, the
            strength is 0.1, and the temperature 1.
        class_weight: "balanced" weights each class by the inverse of its share; `None` weights all clips alike.
        unknown: Share of the known clips to keep when the classifier answers "unknown", as for `audiozoo.train`.

    Returns:
        The classifier, with a `ProbeScorer`. ``about.validation`` has its results on the held-out recordings, before the
        fit on all clips, and ``about.notes["probe"]`` the strength.

    Raises:
        ValueError: The model has no published weights, there are fewer than two classes, a class has no clips, a clip cannot
            be read, or a number is out of range.
        OSError: The weights cannot be downloaded; the message says where to put a copy.
    """
    require_number("validation", validation, 0, 0.99)
    origin = starting_point(start, weights=weights, weights_file=weights_file, frontend=frontend, clips=clips)
    classes = tuple(sorted({label for clip in clips for label in clip.labels})) if labels is None else tuple(labels)
    targets = targets_of(clips, classes)
    found = embeddings(origin, clips, cache=cache, progress=progress)
    if strict:
        found.raise_failures()
    statistics, kept = statistics_of(found)
    used = [clips[i] for i in kept]
    check_present(classes, targets[kept], found)
    each = clip_weights(used, targets[kept], class_weight)
    how: dict[str, Any] = {"seed": seed, "validation": validation, "unknown": unknown, "labels": classes}
    fitted = fit_probe(statistics, targets[kept], used, weights=each, progress=progress, **how)
    settings = {"C": fitted.strength, "seed": seed, "validation": validation}
    facts: dict[str, Any] = {"training_clips": len(used), "failures": tuple(found.failures.values())}
    return _assembled(
        origin, fitted, classes, fingerprints=fingerprints_of(clip.path for clip in clips), settings=settings, **facts
    )


def _assembled(
    origin: Classifier, fitted: FittedProbe, classes: tuple[str, ...], *, settings: dict[str, Any], **facts: Any
) -> Classifier:
    """Return the classifier of a fitted probe on the network of another classifier."""
    scorer = ProbeScorer(network_of(origin), fitted.head, fitted.directions)
    about = replace(
        origin.about,
        parameters=scorer.parameters,
        recipe=None,
        best_epoch=None,
        validation=fitted.figures,
        notes={**origin.about.notes, "probe": settings},
        **facts,
    )
    levels: dict[str, Any] = {name: getattr(fitted, name) for name in ("temperature", "thresholds", "rejection")}
    return Classifier(origin.frontend, origin.scaler, scorer, classes, about=about, **levels)


def starting_point(
    start: str | os.PathLike[str] | Classifier,
    *,
    weights: str | None = None,
    weights_file: str | os.PathLike[str] | None = None,
    frontend: Frontend | None = None,
    clips: Sequence[Clip] = (),
) -> Classifier:
    """Return the classifier that transfer starts from.

    Args:
        start: Name of a model with published weights, path of a saved classifier, or a classifier.
        weights: Name of published weights; `None` uses the first of the model.
        weights_file: Path of a copy of the published weights; `None` downloads them once.
        frontend: Frontend that replaces that of the classifier; `None` keeps it.
        clips: Clips whose longest limits the window of published weights, if the network takes any length.

    Returns:
        The classifier; one that was passed is not changed.

    Raises:
        ValueError: The model has no published weights, weights are given for a classifier that has its own, or the
            frontend does not fit the network.
        OSError: A file cannot be opened, or the weights cannot be downloaded.
    """
    saved = isinstance(start, (Answering, os.PathLike)) or os.path.isfile(start)
    if saved and not (weights is None and weights_file is None):
        raise ValueError("a saved classifier has weights of its own: leave weights= and weights_file= out")
    found: Any
    if isinstance(start, Answering):
        found = start
    elif saved:
        found = load_classifier(start)
    else:
        found = pretrained_classifier(str(start), weights=weights, weights_file=weights_file)
        if frontend is None and model_info(str(start)).any_length:
            # Shorter clips would be padded with silence, which the mean over frames includes.
            frontend = adapted(found.frontend, clips)
    if not isinstance(found, Classifier):
        raise ValueError("an ensemble has several networks: start from one of its members")
    return found if frontend is None else replace(found, frontend=frontend)


def statistics_of(found: Features, *, whole: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return statistics of the clips that could be read, and the positions of these clips.

    Args:
        found: Embeddings of the windows.
        whole: Whether to return all statistics that a probe uses, and not the mean embeddings alone.
    """
    kept = found.readable
    reduce = clip_statistics if whole else STATISTICS["mean"]
    each = [reduce(np.asarray(found.values[found.windows(i)])) for i in kept]
    width = found.values.shape[1] * (3 if whole else 1)
    return (np.stack(each) if each else np.zeros((0, width), np.float32)), kept


@dataclass(frozen=True, eq=False)
class FittedProbe:
    """A logistic regression with the results of its validation.

    Args:
        head: Logistic regression, fitted on all clips.
        strength: C of scikit-learn.
        temperature: Temperature fitted on the held-out clips.
        figures: Metrics of the held-out clips, see `figures_of`; `None` if there are none.
        thresholds: Thresholds of several labels; `None` for one label a clip.
        directions: Directions of the classes, fitted on all clips; `None` without a rejection level or with several labels.
        rejection: Rejection level from the held-out clips.
    """

    head: ProbeHead
    strength: float
    temperature: float = 1.0
    figures: dict[str, float] | None = None
    thresholds: tuple[float, ...] | None = None
    directions: ClassDirections | None = None
    rejection: float | None = None


def fit_probe(
    statistics: np.ndarray,
    targets: np.ndarray,
    clips: Sequence[Clip],
    *,
    weights: np.ndarray,
    seed: int = 0,
    validation: float = 0.2,
    unknown: float | None = None,
    labels: Sequence[str] = (),
    progress: Progress | None = None,
) -> FittedProbe:
    """Choose the strength on held-out recordings, and fit on all clips.

    Args:
        statistics: Statistics of the clips, see `audiozoo.classifier.clip_statistics`.
        targets: Class indices ``(clips,)``, or 0 and 1 ``(clips, classes)``.
        clips: The clips, for their recordings.
        weights: Weight of each clip, ``(clips,)``.
        seed: Random seed of the held-out recordings.
        validation: Share of the recordings that is held out.
        unknown: Share of the known clips to keep; `None` for no rejection level.
        labels: Names of the classes; none of them may be "unknown" with a rejection level.
        progress: Callback, see `audiozoo.progress`; the stage is "probe", and a step is a fit.

    Returns:
        The logistic regression with its results.
    """
    enough = any(len(recordings) > 1 for recordings in recordings_by_label(clips).values())
    if not (validation and enough):
        if unknown is not None:
            check_unknown(unknown, labels, 0)
        *_, head = fitted_heads(statistics, targets, [_WITHOUT_VALIDATION], weights=weights)
        thresholds = fallback_thresholds(targets.shape[1]) if targets.ndim == 2 else None
        return FittedProbe(head, _WITHOUT_VALIDATION, thresholds=thresholds)
    out = hold_out(clips, validation, seed=seed)
    if unknown is not None:
        check_unknown(unknown, labels, int(out.sum()))
    judged: list[tuple[float, float, np.ndarray]] = []
    heads = fitted_heads(statistics[~out], targets[~out], STRENGTHS, weights=weights[~out])
    for strength, head in zip(STRENGTHS, heads, strict=True):
        scores = head.scores(statistics[out])
        judged.append((figures_of(scores, targets[out])["val_loss"], strength, scores))
        if progress:
            progress("probe", len(judged), len(STRENGTHS) + 1, {"val_loss": judged[-1][0]})
    _, strength, scores = min(judged, key=lambda one: one[:2])
    # The same path up to the chosen strength: a fit that starts elsewhere ends elsewhere within the tolerance.
    *_, head = fitted_heads(statistics, targets, [one for one in STRENGTHS if one <= strength], weights=weights)
    figures = figures_of(scores, targets[out])
    if progress:
        progress("probe", len(STRENGTHS) + 1, len(STRENGTHS) + 1, figures)
    temperature = fitted_temperature(scores, targets[out], head.activation)
    fitted = FittedProbe(head, strength, temperature, figures)
    final = tempered(scores, temperature, head.activation)
    if targets.ndim == 2:
        level = None if unknown is None else rejection_level(final.max(axis=1), unknown)
        return replace(fitted, thresholds=fitted_thresholds(final, targets[out]), rejection=level)
    return fitted if unknown is None else _rejecting(fitted, statistics, targets, out, unknown)


def _rejecting(
    fitted: FittedProbe, statistics: np.ndarray, targets: np.ndarray, held_out: np.ndarray, share: float
) -> FittedProbe:
    """Return a probe with the directions of the classes, and the level that keeps a share of the held-out clips."""
    means = statistics[:, : statistics.shape[1] // 3]
    level = rejection_level(ClassDirections.fit(means[~held_out], targets[~held_out])(means[held_out]), share)
    return replace(fitted, directions=ClassDirections.fit(means, targets), rejection=level)
