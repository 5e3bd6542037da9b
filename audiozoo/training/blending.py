"""Weights, temperature and rejection level of an ensemble, fitted on clips that no member has learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from audiozoo import audio
from audiozoo.classifier.calibration import check_unknown, fitted_temperature, rejection_level
from audiozoo.classifier.ensemble import Ensemble
from audiozoo.classifier.thresholds import fitted_thresholds
from audiozoo.datasets import Clip
from audiozoo.features import FeatureCache
from audiozoo.progress import Progress
from audiozoo.training.examples import targets_of

_MOST_STEPS, _LEAST_CHANGE = 10_000, 1e-7


def fit_ensemble(
    ensemble: Ensemble,
    clips: Sequence[Clip],
    *,
    weights: bool = True,
    unknown: float | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Ensemble:
    """Fit an ensemble on labelled clips that no member has learnt from.

    Args:
        ensemble: Ensemble whose members are trained.
        clips: Clips with their labels. Use others to measure the ensemble.
        weights: Whether to learn the weights of the members; otherwise they stay.
        unknown: Share of known clips to keep when the ensemble answers "unknown", as for `audiozoo.train`; `None` keeps the
            rejection level of the ensemble.
        cache: Cache of features; `None` for no cache.
        progress: Callback, see `audiozoo.progress`.

    Returns:
        A new ensemble of the same members. Its temperature is fitted, too, if the activation of the members is known, and so
        are the thresholds if clips have several labels.

    Raises:
        ValueError: A member has learnt from a clip, a label is not one of the ensemble's, no clip can be read by all members,
            or there are too few clips for `unknown`.
    """
    _refuse_learnt(ensemble, clips)
    targets = targets_of(clips, ensemble.labels)
    several = targets.ndim == 2
    _check_kind(ensemble, several=several)
    if unknown is not None:
        check_unknown(unknown, ensemble.labels, len(clips))
    members = [member.score_clips(clips, cache=cache, progress=progress) for member in ensemble.members]
    plain = replace(ensemble, temperature=1.0)
    if weights:
        common = plain.combine_clips(members).index
        each = [
            one.scores[np.searchsorted(one.index, common)][:, order] for one, order in zip(members, plain.orders, strict=True)
        ]
        plain = replace(plain, weights=learnt_weights(each, targets[common]))
    scored = plain.combine_clips(members)
    temperature = 1.0
    if plain.activation is not None:
        temperature = fitted_temperature(scored.raw, targets[scored.index], plain.activation)
    fitted = replace(plain, temperature=temperature)
    # After the temperature, which changes the probabilities that the levels are compared with.
    scored = fitted.combine_clips(members)
    if several:
        fitted = replace(fitted, thresholds=fitted_thresholds(scored.scores, targets[scored.index]))
    if unknown is None:
        return fitted
    return replace(fitted, rejection=rejection_level(scored.familiarity, unknown))


def _check_kind(ensemble: Ensemble, *, several: bool) -> None:
    if several and ensemble.activation == "softmax":
        raise ValueError("some clips have several labels, and the members give each clip one: use clips with one label")


def learnt_weights(scores: Sequence[np.ndarray], targets: np.ndarray) -> tuple[float, ...]:
    """Return the weights of the mean with the lowest cross-entropy.

    The cross-entropy is convex in the weights, and the EM algorithm for the weights of a mixture (Dempster et al. 1977) finds
    its minimum.

    Args:
        scores: Probabilities of each member, ``(clips, classes)``.
        targets: Class indices ``(clips,)``, or 0 and 1 for several labels ``(clips, classes)``.

    Returns:
        Weights of at least 0, with a sum of 1.
    """
    if targets.ndim == 1:
        each = np.stack([one[np.arange(len(targets)), targets] for one in scores], axis=1)
    else:
        each = np.stack([np.where(targets == 1, one, 1 - one).ravel() for one in scores], axis=1)
    each = np.clip(each.astype(float), 1e-7, 1)
    weights = np.full(len(scores), 1 / len(scores))
    for _ in range(_MOST_STEPS):
        # The share of each member in the probability of the truth, averaged over the clips.
        updated = (weights * each / (each @ weights)[:, None]).mean(axis=0)
        change, weights = np.abs(updated - weights).max(), updated
        if change < _LEAST_CHANGE:
            break
    return tuple(map(float, weights / weights.sum()))


def _refuse_learnt(ensemble: Ensemble, clips: Sequence[Clip]) -> None:
    for number, member in enumerate(ensemble.members, 1):
        learnt = [clip for clip in clips if member.about.has_learnt_from(clip.path)]
        if learnt:
            raise ValueError(
                f"member {number} was trained on {len(learnt)} of the {len(clips)} clips, such as "
                f"{audio.describe(learnt[0].path)}; its scores for them are too good to learn weights from: "
                "use clips that no member was trained on"
            )
