"""Compare the default budget of 5 minutes with the recipe in full: wall time and accuracy.

    python benchmarks/budget.py [ESC-50/] [--clips 4000] [--minutes 5]

The first part synthesises half-second clips of ten classes in loud noise, trains on three quarters of them in processes of
their own (`audiozoo train`, without a cache), and tests on the others. The second part, with the folder of ESC-50, trains on
each of the five official folds of ESC-10; its full recipe is that of the rows in `results/esc10`. Finished trainings are kept
in `results/budget/`, so the same command continues after an interruption. The table is written to `results/budget.md`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

import audiozoo
from audiozoo.augment import AddNoise
from audiozoo.classifier.card import versions
from audiozoo.crossval import evaluate
from audiozoo.datasets.synthetic import LABELS, synthesize
from audiozoo.files import replacing, write_json

RESULTS = Path(__file__).parent / "results"
RATE = 22_050
NOISE = AddNoise(snr_db=(-6.0, 9.0), color="pink")  # the classes of clean clips are told apart without an error


def write_clips(root, count):
    """Write clips as ``root/{train,test}/LABEL/NUMBER.wav``: of four clips in turn, one is for the test."""
    for number in range(count):
        label, each = LABELS[number % len(LABELS)], number // len(LABELS)
        rng = np.random.default_rng([2026, number])
        wave = NOISE(synthesize(label, rng=rng, sample_rate=RATE, duration=0.5), sample_rate=RATE, rng=rng)
        path = root / ("test" if each % 4 == 3 else "train") / label / f"{each}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave / max(1.0, np.abs(wave).max()), RATE)


def kept(name, measure):
    """Return the row of a name, which is measured unless an earlier run did."""
    path = RESULTS / "budget" / f"{name}.json"
    if not path.exists():
        row = {"name": name, **measure(), "versions": versions()}
        write_json(path, row)
    return json.loads(path.read_text(encoding="utf-8"))


def described(classifier, seconds, accuracy, clips):
    about = classifier.about
    chosen = {name: about.recipe[name] for name in ("epochs", "min_steps", "refit")}
    facts = {"budget": about.budget, "stopped": about.stopped, "best_epoch": about.best_epoch}
    return {"seconds": round(seconds, 1), "accuracy": round(accuracy, 4), "clips": clips, "recipe": chosen, **facts}


def train_folder(root, minutes):
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "saved.audiozoo"
        words = ["train", root / "train", "-o", saved, "--minutes", minutes, "--no-cache"]
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "audiozoo", *map(str, words)], check=True)
        seconds = time.monotonic() - begin
        classifier = audiozoo.load_classifier(saved)
    test = audiozoo.load_dataset("folder", root=root / "test").clips
    learnt = sum(1 for _ in (root / "train").rglob("*.wav"))
    return described(classifier, seconds, evaluate(classifier, test).measures.accuracy, learnt)


def train_fold(data, fold, minutes):
    _, learnt, test = next(split for split in data.splits() if split[0] == fold)
    recipe = data.protocol(audiozoo.recipe_for("house_cnn"))
    begin = time.monotonic()
    classifier = audiozoo.train("house_cnn", learnt, recipe, budget=audiozoo.Budget(minutes=minutes))
    seconds = time.monotonic() - begin
    return described(classifier, seconds, evaluate(classifier, test).measures.accuracy, len(learnt))


def table(rows):
    yield "| training | clips | wall | epochs | refit | accuracy |"
    yield "| --- | ---: | ---: | ---: | --- | ---: |"
    for row in rows:
        recipe, budget = row["recipe"], row["budget"] or {}
        epochs = f"{budget['epochs']} of {budget['full_epochs']}" if "epochs" in budget else f"{recipe['epochs']}"
        refit = "yes" if recipe["refit"] else "no"
        accuracy = f"{100 * row['accuracy']:.1f} %"
        yield f"| {row['name']} | {row['clips']:,} | {row['seconds']:.0f} s | {epochs} | {refit} | {accuracy} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("esc50", nargs="?", help="folder of ESC-50")
    parser.add_argument("--clips", type=int, default=4_000, help="clips to synthesise, a quarter of them for the test")
    parser.add_argument("--minutes", type=float, default=5.0, help="budget")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        write_clips(Path(folder), given.clips)
        for minutes in (given.minutes, 0):
            name = f"{given.clips} synthetic clips, " + (f"{minutes:g} minutes" if minutes else "in full")
            rows.append(kept(name, lambda minutes=minutes: train_folder(Path(folder), minutes)))
    text = "\n".join(table(rows))
    if given.esc50:
        data = audiozoo.load_dataset("esc10", root=given.esc50)
        folds = [
            kept(f"ESC-10 fold {fold}, {given.minutes:g} minutes", lambda fold=fold: train_fold(data, fold, given.minutes))
            for fold in data.folds
        ]
        accuracies = [100 * row["accuracy"] for row in folds]
        mean, deviation = statistics.mean(accuracies), statistics.stdev(accuracies)
        text = "\n".join(table(rows + folds)) + f"\n\nESC-10, five folds: {mean:.1f} ± {deviation:.1f} %"
    with replacing(RESULTS / "budget.md") as temporary:
        Path(temporary).write_text(f"# Training within a budget\n\n{text}\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
