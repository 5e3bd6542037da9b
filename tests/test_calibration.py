"""Calibration of probabilities on held-out clips."""

import numpy as np
import pytest

from audiozoo.classifier import Prediction
from audiozoo.classifier.calibration import fitted_temperature, tempered


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


def test_a_prediction_knows_what_is_present_and_what_is_not_known():
    scores = np.array([0.2, 0.6, 0.5])
    several = Prediction(("a", "b", "c"), scores, thresholds=(0.1, 0.7, 0.5))
    assert several.present == ("a", "c")
    assert several.to_dict()["present"] == ["a", "c"]
    assert Prediction(("a", "b", "c"), scores).present == ("b",)
    refused = Prediction(("a", "b", "c"), scores, rejection=0.61)
    assert (refused.label, refused.known, refused.present) == ("unknown", False, ())
    assert Prediction(("a", "b", "c"), scores, rejection=0.6).label == "b"
