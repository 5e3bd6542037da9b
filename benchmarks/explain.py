"""Explanations by deletion: does the score fall further without the part that an explanation marks than without another part?

``python benchmarks/explain.py FOLDER-OF-ESC-50`` writes results/explain.md. The classifier is `house_cnn/esc10`, which learnt
from folds 1 to 4 of ESC-10; the clips are those of fold 5. Each method explains the class that the classifier chooses. The
marked part is the fifth of the cells with the highest values; it gets the mean of the training data. The other parts have the
same size: single cells that are not marked, or the marked part as a whole moved by random distances in time and frequency.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import audiozoo
from audiozoo.classifier import Classifier
from audiozoo.datasets import Clip
from audiozoo.explain import METHODS, Deletion, deletion_gain, explain
from audiozoo.files import replacing

RESULTS = Path(__file__).parent / "results"
NAME, FOLD = "house_cnn/esc10", 5
ELSEWHERE = {"cells": "cells that are not marked", "shifted": "the marked part, moved"}


def deletions(classifier: Classifier, clips: Sequence[Clip], method: str, draws: int) -> dict[str, list[Deletion]]:
    """Explain each clip, and measure the deletion with each kind of other part."""
    found: dict[str, list[Deletion]] = {elsewhere: [] for elsewhere in ELSEWHERE}
    for number, clip in enumerate(clips):
        explanation = explain(classifier, clip.path, method=method)
        for elsewhere, each in found.items():
            each.append(deletion_gain(classifier, explanation, draws=draws, elsewhere=elsewhere, seed=number))
    return found


def line(method: str, elsewhere: str, found: Sequence[Deletion]) -> str:
    marked, others = np.array([one.marked for one in found]), np.array([one.elsewhere.mean() for one in found])
    low, high = np.quantile(_means(marked - others), (0.025, 0.975))
    cells = [
        method,
        ELSEWHERE[elsewhere],
        f"{marked.mean():.3f}",
        f"{others.mean():.3f}",
        f"{(marked - others).mean():.3f} [{low:.3f}, {high:.3f}]",
        f"{(marked > others).sum()} of {len(found)} ({100 * (marked > others).mean():.0f} %)",
    ]
    return f"| {' | '.join(cells)} |"


def _means(differences: np.ndarray, resamples: int = 10_000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return differences[rng.integers(len(differences), size=(resamples, len(differences)))].mean(axis=1)


def table(lines: Sequence[str], clips: int, draws: int, scores: np.ndarray) -> str:
    """Format the results in Markdown."""
    return "\n".join(
        [
            "# Explanations, checked by deletion",
            "",
            f"`python benchmarks/explain.py ESC-50/`: the classifier `{NAME}` on {clips} clips of fold {FOLD} of ESC-10,",
            "which it has not learnt from. The explained class is the one that it chooses, whether it is right or not;",
            f"its mean probability is {scores.mean():.3f}. The fifth of the cells that the explanation marks gets the mean of",
            f"the training data, and so do {draws} other parts of the same size. The columns are the mean falls of the score,",
            "their difference with its 95 % interval (bootstrap over clips), and the clips where the fall without the marked",
            "part is the larger one.",
            "",
            "| method | other part | fall, marked | fall, other | difference | larger |",
            "| --- | --- | ---: | ---: | ---: | ---: |",
            *lines,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of ESC-50")
    parser.add_argument("--draws", type=int, default=10, help="number of other parts for each clip")
    given = parser.parse_args()
    classifier = audiozoo.load_classifier(NAME)
    clips = [clip for clip in audiozoo.load_dataset("esc10", root=given.root).clips if clip.fold == FOLD]
    lines, scores = [], np.zeros(0)
    for method in METHODS:
        for elsewhere, found in deletions(classifier, clips, method, given.draws).items():
            lines.append(line(method, elsewhere, found))
            scores = np.array([one.score for one in found])
    text = table(lines, len(clips), given.draws, scores)
    with replacing(RESULTS / "explain.md") as temporary:
        temporary.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
