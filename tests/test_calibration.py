"""Calibration of probabilities on held-out clips."""

import io

import numpy as np
import pytest

from audiozoo.classifier import Prediction
from audiozoo.classifier.calibration import check_unknown, fitted_temperature, rejection_level, tempered
from audiozoo.classifier.familiarity import ClassDirections


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("sharpness", [0.3, 4.0])
def test_the_temperature_undoes_a_change_of_certainty(rng, activation, sharpness):
    # Labels drawn from the probabilities themselves: no temperature but 1 describes them better.
    logits = rng.normal(0, 2, (4_000, 5))
    if activation == "softmax":
        true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        targets = np.array([rng.choice(5, p=one) for one in true])
        given = np.exp(sharpness * logits) / np.exp(sharpness * logits).sum(axis=1, keepdims=True)
    else:
        true = 1 / (1 + np.exp(-logits))
        targets = (rng.uniform(size=true.shape) < true).astype(int)
        given = 1 / (1 + np.exp(-sharpness * logits))
    temperature = fitted_temperature(given, targets, activation)
    assert temperature == pytest.approx(sharpness, rel=0.1)
    assert np.abs(tempered(given, temperature, activation) - true).mean() < 0.02


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("clips", [6, 60, 600])
def test_a_few_correct_clips_give_no_certainty(rng, activation, clips):
    logits = rng.normal(0, 1, (clips, 5))
    targets = logits.argmax(axis=1)
    logits += 4 * np.eye(5)[targets]  # all correct, and by far
    odds = np.exp(logits)
    given = odds / odds.sum(axis=1, keepdims=True) if activation == "softmax" else 1 / (1 + np.exp(2 - logits))
    hot = np.eye(5, dtype=int)[targets]
    temperature = fitted_temperature(given, targets if activation == "softmax" else hot, activation)
    # The error that remains is that of the smoothed targets.
    assert 0.1 / (clips + 2) < np.abs(hot - tempered(given, temperature, activation)).mean() < 5 / (clips + 2)


def test_a_prediction_knows_what_is_present_and_what_is_not_known():
    scores = np.array([0.2, 0.6, 0.5])
    several = Prediction(("a", "b", "c"), scores, thresholds=(0.1, 0.7, 0.5))
    assert several.present == ("a", "c")
    assert several.to_dict()["present"] == ["a", "c"]
    assert Prediction(("a", "b", "c"), scores).present == ("b",)
    refused = Prediction(("a", "b", "c"), scores, rejection=0.61)
    assert (refused.label, refused.known, refused.present) == ("unknown", False, ())
    assert Prediction(("a", "b", "c"), scores, rejection=0.6).label == "b"


def test_a_familiarity_of_its_own_decides_instead_of_the_probability():
    scores = np.array([0.2, 0.6, 0.2])
    refused = Prediction(("a", "b", "c"), scores, rejection=0.5, familiarity=0.4)
    assert (refused.label, refused.best, refused.known) == ("unknown", "b", False)
    assert {"known": False, "best": "b", "label": "unknown"}.items() <= refused.to_dict().items()
    assert refused.ranked(2) == [("unknown", 0.4), ("b", 0.6)]
    assert refused.ranked(1) == [("unknown", 0.4)]
    assert refused.top(1) == [("b", 0.6)]
    known = Prediction(("a", "b", "c"), scores, rejection=0.7, familiarity=0.7)
    assert (known.label, known.ranked(1)) == ("b", [("b", 0.6)])
    assert "known" not in Prediction(("a", "b", "c"), scores).to_dict()


@pytest.mark.parametrize("share", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("held_out", [19, 60, 999])
def test_the_level_keeps_the_share_of_new_clips(rng, share, held_out):
    # Each column is a training of its own: the share of the next clip that is kept, over many of them.
    familiarity = rng.beta(5, 2, (held_out + 1, 4_000))
    kept = [one[-1] >= rejection_level(one[:-1], share) for one in familiarity.T]
    assert share - 0.015 <= np.mean(kept) <= share + 1 / (held_out + 1) + 0.015


def test_too_few_clips_give_a_level_that_keeps_everything():
    assert rejection_level(np.full(18, 0.3), 0.95) == 0
    assert rejection_level(np.linspace(0.1, 0.9, 19), 0.95) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("share", "labels", "held_out", "reason"),
    [
        (0.95, ("a", "b"), 18, "unknown=0.95 needs at least 19 held-out clips, and there are 18: add recordings"),
        (0.99, ("a", "b"), 98, "needs at least 99 held-out clips"),
        (95, ("a", "b"), 1_000, r"the share of known clips to keep, must be a number from 0\.5 to 0\.999, got 95"),
        (0.95, ("a", "unknown"), 1_000, "a class is named 'unknown'"),
    ],
)
def test_a_level_that_cannot_be_found_is_refused(share, labels, held_out, reason):
    with pytest.raises(ValueError, match=reason):
        check_unknown(share, labels, held_out)
    check_unknown(0.95, ("a", "b"), 19)


def clouds(rng, centres, clips):
    """Return embeddings around each centre that vary most along one common direction, and their classes."""
    width = centres.shape[1]
    loud = np.linspace(1, 0, width)
    embeddings = np.concatenate([one + rng.normal(0, 1, (clips, width)) * (0.1 + 5 * (loud > 0.9)) for one in centres])
    return embeddings.astype(np.float32), np.repeat(np.arange(len(centres)), clips)


def test_sounds_of_other_classes_are_less_familiar(rng):
    centres = np.eye(8)[:6]
    embeddings, targets = clouds(rng, centres[:4], 60)
    directions = ClassDirections.fit(embeddings, targets)
    new, _ = clouds(rng, centres[:4], 40)
    others, _ = clouds(rng, centres[4:], 40)
    known, unknown = directions(new), directions(others)
    assert (unknown < np.quantile(known, 0.05)).mean() > 0.9
    # Without the whitening, the direction in which all classes vary hides the difference.
    plain = ClassDirections(
        directions.centre, np.eye(8), [(embeddings[targets == one] - directions.centre).mean(axis=0) for one in range(4)]
    )
    assert (plain(others) < np.quantile(plain(new), 0.05)).mean() < 0.5
    assert known.min() >= 0
    assert known.max() <= 1


def test_clips_without_variance_have_directions(rng):
    embeddings = np.repeat(np.eye(4, dtype=np.float32)[:2], 3, axis=0)
    directions = ClassDirections.fit(embeddings, np.array([0, 0, 0, 1, 1, 1]))
    assert directions(embeddings) == pytest.approx(1, abs=1e-5)
    assert directions(directions.centre[None]) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"whitening": np.eye(3)}, "do not fit together"),
        ({"directions": np.ones((2, 3))}, "do not fit embeddings"),
        ({"directions": np.ones(4)}, "do not fit"),
        ({"centre": np.full(4, np.nan)}, "centre must be finite"),
    ],
)
def test_directions_are_checked(changes, reason):
    with pytest.raises(ValueError, match=reason):
        ClassDirections(**{"centre": np.zeros(4), "whitening": np.eye(4), "directions": np.ones((2, 4)), **changes})


def test_directions_are_saved_and_read(rng):
    directions = ClassDirections.fit(*clouds(rng, np.eye(8)[:3], 20))
    again = ClassDirections.from_bytes(directions.to_bytes(), most=2**20)
    embeddings = rng.normal(size=(5, 8))
    assert np.array_equal(again(embeddings), directions(embeddings))
    with pytest.raises(ValueError, match="at most 10 are allowed"):
        ClassDirections.from_bytes(directions.to_bytes(), most=10)
    content = io.BytesIO()
    np.savez(content, centre=directions.centre)
    with pytest.raises(ValueError, match="have no whitening, directions"):
        ClassDirections.from_bytes(content.getvalue(), most=2**20)
