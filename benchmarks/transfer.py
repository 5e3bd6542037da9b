"""Measure probes and fine-tuning of YAMNet on the five official folds of ESC-10 and ESC-50.

python benchmarks/transfer.py ESC-50/ [--weights-file yamnet.npz] [--only probe | finetune | trial]

Each fold is a JSON file in `results/transfer`, so an interrupted run continues; `results/transfer.md` has the table. The
settings were chosen on held-out recordings inside the training folds, never on a test fold. `--only trial` fine-tunes on the
training clips of fold 1 and prints the results on held-out recordings among them, to choose the settings.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import audiozoo
from audiozoo import metrics
from audiozoo.augment import Mixup
from audiozoo.features import FeatureCache
from audiozoo.files import write_json
from audiozoo.training import FINETUNING, finetune, probe
from audiozoo.training.embeddings import embeddings

RESULTS = Path(__file__).resolve().parent / "results"
UNFREEZE = "layer1[0-4].*"
# All training clips learn, for a fixed number of epochs: the schedule ends at the last one.
RECIPE = replace(FINETUNING, epochs=15, validation=0.0, mix=Mixup())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("--weights-file")
    parser.add_argument("--only", choices=["probe", "finetune", "trial"])
    given = parser.parse_args()
    cache = FeatureCache()
    if given.only == "trial":
        trial(given, cache)
        return
    if given.only != "finetune":
        for name in ("esc10", "esc50"):
            warm(name, given, cache)
            measure("probe", name, given, cache, probe)
    if given.only != "probe":
        measure("finetune", "esc50", given, cache, finetune, recipe=RECIPE, unfreeze=UNFREEZE)
    report()


def warm(name, given, cache):
    """Compute the embeddings of all clips, so that the folds are timed with a warm cache."""
    clips = audiozoo.load_dataset(name, root=given.root).clips
    embeddings(audiozoo.pretrained_classifier("yamnet", weights_file=given.weights_file), clips, cache=cache, progress=show)


def show(stage, done, total, figures):
    if done == total:
        print(stage, total, {name: round(value, 4) for name, value in figures.items()}, flush=True)


def measure(way, name, given, cache, function, **options):
    """Train and test each fold that has no result yet."""
    dataset = audiozoo.load_dataset(name, root=given.root)
    for fold, train, test in dataset.splits():
        path = RESULTS / "transfer" / f"{way}-{name}-{fold}.json"
        if path.is_file():
            continue
        begin = time.perf_counter()
        classifier = function(
            "yamnet", train, weights_file=given.weights_file, labels=dataset.labels, cache=cache, progress=show, **options
        )
        seconds = time.perf_counter() - begin
        scores = test_scores(classifier, test, cache)
        targets = np.array([dataset.labels.index(clip.label) for clip in test])
        row = {
            "way": way,
            "dataset": name,
            "fold": fold,
            "accuracy": metrics.accuracy(scores, targets),
            "loss": metrics.log_loss(scores, targets),
            "validation": classifier.about.validation,
            "temperature": classifier.temperature,
            "notes": classifier.about.notes,
            "recipe": classifier.about.recipe,
            "training_seconds": seconds,
        }
        write_json(path, row)
        print(f"{way} {name} fold {fold}: {100 * row['accuracy']:.1f} % in {seconds:.0f} s", flush=True)


def test_scores(classifier, clips, cache):
    """Return the probabilities of clips; for a probe, from the embeddings in the cache."""
    if classifier.scorer.kind != "probe":
        return np.stack([classifier.predict(clip.path).scores for clip in clips])
    found = embeddings(classifier, clips, cache=cache)
    return np.stack([classifier.pool(np.asarray(found.values[found.windows(i)])) for i in range(len(clips))])


def trial(given, cache):
    """Print the results of each epoch on recordings held out from the training clips of fold 1."""
    _, train, _ = next(audiozoo.load_dataset("esc50", root=given.root).splits())
    begin = time.perf_counter()

    def tell(stage, done, total, figures):
        if stage == "training":
            print(f"{time.perf_counter() - begin:.0f} s", done, total, figures, flush=True)

    recipe = replace(RECIPE, validation=0.2)
    finetune("yamnet", train, recipe, weights_file=given.weights_file, unfreeze=UNFREEZE, cache=cache, progress=tell)


def report():
    """Write the table of all results."""
    rows = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((RESULTS / "transfer").glob("*.json"))]
    lines = [
        "# Transfer from YAMNet: official folds",
        "",
        "Written by `benchmarks/transfer.py`. The time is that of the training of all folds; embeddings are cached.",
        "",
        "| Way | Dataset | Folds | Accuracy (%) | Log loss | Folds' accuracies (%) | Training (s) |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, name in dict.fromkeys((row["way"], row["dataset"]) for row in rows):
        own = [row for row in rows if (row["way"], row["dataset"]) == (way, name)]
        accuracies = [100 * row["accuracy"] for row in own]
        figures = [
            f"{statistics.mean(accuracies):.2f}",
            f"{statistics.mean(row['loss'] for row in own):.3f}",
            ", ".join(f"{value:.2f}" for value in accuracies),
            f"{sum(row['training_seconds'] for row in own):.0f}",
        ]
        lines.append(f"| {way} | {name} | {len(own)} | {' | '.join(figures)} |")
    (RESULTS / "transfer.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
