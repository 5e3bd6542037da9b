import numpy as np
import pytest
from sklearn import metrics as oracle

from audiozoo import metrics


@pytest.fixture
def answers(rng):
    return rng.dirichlet(np.ones(6), 200), rng.integers(0, 6, 200)


def test_metrics_agree_with_scikit_learn(answers):
    scores, targets = answers
    best = scores.argmax(axis=1)
    assert metrics.accuracy(scores, targets) == pytest.approx(oracle.accuracy_score(targets, best))
    assert metrics.macro_accuracy(scores, targets) == pytest.approx(oracle.balanced_accuracy_score(targets, best))
    assert np.array_equal(metrics.confusion_matrix(scores, targets), oracle.confusion_matrix(targets, best))
    assert metrics.log_loss(scores, targets) == pytest.approx(oracle.log_loss(targets, scores))
    binary = np.eye(6, dtype=int)[targets]
    ranked = oracle.label_ranking_average_precision_score(binary, scores)
    assert metrics.map_at_k(scores, targets, k=6) == pytest.approx(ranked)


def test_map_at_3_by_hand():
    scores = np.array([[0.4, 0.3, 0.2, 0.1]] * 4)
    assert metrics.map_at_k(scores, np.arange(4)) == pytest.approx((1 + 1 / 2 + 1 / 3 + 0) / 4)


def test_a_class_without_clips_does_not_count():
    assert metrics.macro_accuracy(np.eye(3)[[0, 0, 1]], np.array([0, 0, 1])) == 1


def test_mean_and_deviation_of_folds():
    assert metrics.mean_and_deviation([0.8, 0.9, 1.0]) == (pytest.approx(0.9), pytest.approx(0.1))
    assert metrics.mean_and_deviation([0.5]) == (0.5, 0.0)
    with pytest.raises(ValueError, match="none"):
        metrics.mean_and_deviation([])


@pytest.mark.parametrize(
    ("scores", "targets"),
    [
        (np.zeros((3, 2)), np.zeros(2, int)),
        (np.zeros(3), np.zeros(3, int)),
        (np.zeros((3, 2)), np.array([0, 1, 2])),
        (np.zeros((3, 2)), np.array([0, 1, -1])),
        (np.zeros((3, 2)), np.zeros(3)),
        (np.zeros((0, 2)), np.zeros(0, int)),
    ],
)
def test_invalid_shapes_and_targets_raise(scores, targets):
    with pytest.raises(ValueError, match="targets"):
        metrics.accuracy(scores, targets)


def test_map_at_k_needs_a_positive_k():
    with pytest.raises(ValueError, match="at least 1"):
        metrics.map_at_k(np.eye(2), np.array([0, 1]), k=0)


def test_reliability_by_hand():
    scores = np.array([[0.5, 0.5], [0.55, 0.45], [0.9, 0.1], [0.95, 0.05], [1.0, 0.0]])
    targets = np.array([0, 1, 0, 1, 0])
    groups = metrics.reliability(scores, targets, bins=10)
    assert [group.clips for group in groups] == [0, 0, 0, 0, 1, 1, 0, 0, 1, 2]  # the upper end belongs to an interval
    assert groups[9].confidence == pytest.approx(0.975)
    assert groups[9].accuracy == 0.5
    assert groups[0][:2] == (0, 0.1)
    by_hand = (1 * 0.5 + 1 * 0.55 + 1 * 0.1 + 2 * 0.475) / 5
    assert metrics.expected_calibration_error(scores, targets, bins=10) == pytest.approx(by_hand)


def test_calibrated_answers_have_a_small_calibration_error(rng):
    scores = rng.dirichlet(np.ones(4), 20_000)
    targets = np.array([rng.choice(4, p=one) for one in scores])
    assert metrics.expected_calibration_error(scores, targets) < 0.015
    sharp = scores**3 / (scores**3).sum(axis=1, keepdims=True)
    assert metrics.expected_calibration_error(sharp, targets) > 0.1
    # The order of the clips and a rounding error above 1 change nothing.
    assert metrics.reliability(np.array([[1 + 1e-7, 0.0]]), np.array([0]))[-1].clips == 1


@pytest.mark.parametrize("bins", [0, 2.5, True])
def test_the_number_of_bins_is_checked(bins):
    with pytest.raises(ValueError, match="bins must be"):
        metrics.reliability(np.array([[0.5, 0.5]]), np.array([0]), bins=bins)
