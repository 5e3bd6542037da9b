"""The way from a sound to its scores in steps, so that another one than the classifier can run the models."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from audiozoo.classifier.clipscores import Answer
from audiozoo.classifier.scorers import Scorer

AnswerSteps = Generator[tuple[Scorer, np.ndarray], np.ndarray, Answer]
"""Generator that yields a scorer with a batch of standardised windows, again and again, and at last returns the scores.

Its caller sends back what the scorer's `outputs` gives for the batch, and can compute the batches of several sounds together.
"""


def advance(steps: AnswerSteps, outputs: Any = None) -> tuple[Scorer, np.ndarray] | Answer:
    """Go on to the next step, with the outputs for the one before; return the step, or the scores after the last."""
    try:
        return steps.send(outputs)
    except StopIteration as end:
        answer: Answer = end.value
        return answer


def run(steps: AnswerSteps) -> Answer:
    """Run the models for all steps of a sound, and return its scores."""
    step = advance(steps)
    while not isinstance(step, Answer):
        scorer, windows = step
        step = advance(steps, scorer.outputs(windows))
    return step
