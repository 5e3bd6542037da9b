"""Calibration and unknown sounds: a probe of YAMNet on ESC-50, with the network's weights in a file.

``python benchmarks/trust.py FOLDER-OF-ESC-50 yamnet.npz`` writes results/trust.md. Each fold and each draw of classes is saved
in results/trust/ when it ends, and a second run continues from there.

- Calibration: the five official folds. The error is that of all 2,000 test clips together, because a fold has too few clips for
  15 intervals.
- Unknown: ten draws of ten classes that are left out of the training on four folds. The rejection level keeps 95 % of the
  held-out clips. The table has the share of the fifth fold's known clips that are kept, and the shares of its clips of unseen
  classes, of noise and of silence that are refused. The choice of the familiarity was made on other draws (seeds 100 to 107).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import audiozoo
from audiozoo import metrics
from audiozoo.classifier import Classifier
from audiozoo.classifier.calibration import tempered
from audiozoo.crossval.testscores import pack, unpack
from audiozoo.datasets import Clip, Dataset
from audiozoo.features import FeatureCache
from audiozoo.files import replacing
from audiozoo.training import probe, target_indices

RESULTS = Path(__file__).parent / "results"
KEPT = 0.95
DRAWS, LEFT_OUT = 10, 10
NOISES = 60


def once(name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `compute` returned in this or an earlier run."""
    path = RESULTS / "trust" / f"{name}.json"
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(compute()))
    return dict(json.loads(path.read_text()))


def calibrated(data: Dataset, fold: int, weights_file: Path, cache: FeatureCache) -> dict[str, Any]:
    """Test a probe that was trained on the other folds."""
    learnt, tested = ([clip for clip in data.clips if (clip.fold == fold) == test] for test in (False, True))
    classifier = probe("yamnet", learnt, weights_file=weights_file, labels=data.labels, cache=cache)
    scored = classifier.score_clips(tested, cache=cache)
    return {
        "raw": pack(scored.raw),
        "targets": target_indices(tested, data.labels)[scored.index].tolist(),
        "temperature": classifier.temperature,
    }


def rejected(data: Dataset, seed: int, weights_file: Path, cache: FeatureCache) -> dict[str, float]:
    """Leave classes out of the training, and count what the classifier refuses."""
    rng, fold = np.random.default_rng(seed), 1 + seed % 5
    unseen = {data.labels[number] for number in rng.choice(len(data.labels), LEFT_OUT, replace=False)}
    known = [clip for clip in data.clips if clip.label not in unseen]
    learnt, tested = ([clip for clip in known if (clip.fold == fold) == test] for test in (False, True))
    others = [clip for clip in data.clips if clip.label in unseen and clip.fold == fold]
    classifier = probe("yamnet", learnt, weights_file=weights_file, cache=cache, unknown=KEPT)
    return {
        "known kept": 1 - refused_share(classifier, tested, cache),
        "unseen classes refused": refused_share(classifier, others, cache),
        "noise refused": float(np.mean([not known_sound(classifier, wave) for wave in noises(rng)])),
        "silence refused": float(not known_sound(classifier, np.zeros(5 * RATE, np.float32))),
    }


def refused_share(classifier: Classifier, clips: Sequence[Clip], cache: FeatureCache) -> float:
    return float((classifier.score_clips(clips, cache=cache).familiarity < classifier.rejection).mean())


def known_sound(classifier: Classifier, wave: np.ndarray) -> bool:
    return classifier.predict(wave, sample_rate=RATE).known


RATE = 16_000


def noises(rng: np.random.Generator) -> list[np.ndarray]:
    """Return noises of five seconds, a third each of white, pink and brown noise, at different levels."""
    frequencies = np.maximum(np.fft.rfftfreq(5 * RATE, 1 / RATE), 0.2)
    waves = []
    for number in range(NOISES):
        spectrum = np.fft.rfft(rng.normal(size=5 * RATE)) * frequencies ** (-(number % 3) / 2)
        wave = np.fft.irfft(spectrum)
        waves.append((rng.uniform(0.01, 1) * wave / np.abs(wave).max()).astype(np.float32))
    return waves


def table(folds: Sequence[dict[str, Any]], draws: Sequence[dict[str, float]]) -> str:
    """Format the results in Markdown."""
    each = [unpack(fold["raw"], len(fold["targets"])) for fold in folds]
    raw = np.concatenate(each)
    scores = np.concatenate([tempered(one, fold["temperature"], "softmax") for one, fold in zip(each, folds, strict=True)])
    targets = np.concatenate([fold["targets"] for fold in folds])
    before, after = (metrics.expected_calibration_error(one, targets) for one in (raw, scores))
    temperatures = ", ".join(f"{fold['temperature']:.2f}" for fold in folds)
    lines = [
        "# Calibration and unknown sounds",
        "",
        f"Probe of YAMNet on ESC-50, {len(targets)} test clips of {len(folds)} folds: accuracy "
        f"{100 * metrics.accuracy(scores, targets):.1f} %. Expected calibration error {100 * before:.1f} % at temperature 1, "
        f"{100 * after:.1f} % at the temperatures {temperatures}.",
        "",
        f"| {len(draws)} draws of {LEFT_OUT} unseen classes | mean | deviation |",
        "| --- | ---: | ---: |",
    ]
    for name in draws[0]:
        mean, deviation = metrics.mean_and_deviation([draw[name] for draw in draws])
        lines.append(f"| {name} | {100 * mean:.1f} % | {100 * deviation:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of ESC-50")
    parser.add_argument("weights_file", type=Path, help="file with the weights of YAMNet")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    data, cache = audiozoo.load_dataset("esc50", root=given.root), FeatureCache()
    how = (given.weights_file, cache)
    folds = [once(f"fold{fold}", lambda fold=fold: calibrated(data, fold, *how)) for fold in data.folds[: given.folds]]
    draws = [once(f"draw{seed}", lambda seed=seed: rejected(data, seed, *how)) for seed in range(given.draws)]
    with replacing(RESULTS / "trust.md") as temporary:
        temporary.write_text(table(folds, draws))
    print(table(folds, draws))


if __name__ == "__main__":
    main()
