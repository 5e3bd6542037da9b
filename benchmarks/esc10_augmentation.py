"""Compare kinds of augmentation for one model on the five folds of ESC-10, each kind with the same number of epochs.

    python benchmarks/esc10_augmentation.py ESC-50/ [--folds 1,2]

The script writes one row for each kind and fold to `results/esc10-augmentation` and makes the table from these rows. The
class-conditional kind searches for its transforms on the training clips of each fold.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from audiozoo import load_dataset, metrics
from audiozoo.augment import (
    AddNoise,
    Compose,
    Filter,
    FilterAugment,
    Mixup,
    Reverse,
    SpecAugment,
    Speed,
    TimeMask,
    TimeRoll,
    TimeShift,
    Transform,
)
from audiozoo.config import digest
from audiozoo.crossval import FeatureBank, find_row, fold_jobs, run_fold, search_augmentation, write_row
from audiozoo.crossval.identity import differences
from audiozoo.files import replacing, write_json
from audiozoo.training import recipe_for

MODEL = "house_cnn"
RESULTS = Path(__file__).parent / "results" / "esc10-augmentation"
EPOCHS, SEARCH_EPOCHS = 40, 15

# There is no gain, because the frontend computes decibels relative to the loudest bin. There is no time stretch and no pitch
# shift, because their engines take ten times as long as all other transforms together; `Speed` changes tempo and pitch at once.
PARTS = {
    "speed": Speed(rate=(0.85, 1.18), p=0.5),
    "reverse": Reverse(p=0.5),
    "noise": AddNoise(snr_db=(10.0, 40.0), color=("white", "pink"), p=0.5),
    "filter": Filter(kind="peaking", frequency=(100.0, 10_000.0), p=0.5),
    "mask": TimeMask(p=0.5),
}
WAVEFORM = Compose([TimeShift(), *PARTS.values()])
SPECTRAL = Compose([TimeRoll(), FilterAugment(), FilterAugment(knots=(1, 1)), SpecAugment()])
NONE = recipe_for(
    MODEL, epochs=EPOCHS, min_steps=0, validation=0.0, refit=False, patience=None, augment_features=None, mix=None
)
KINDS = {
    "none": NONE,
    "waveform": replace(NONE, augment_wave=WAVEFORM),
    "spectral": replace(NONE, augment_features=SPECTRAL),
    "mixing": replace(NONE, mix=Mixup(alpha=0.2)),
    "spectral-mixing": replace(NONE, augment_features=SPECTRAL, mix=Mixup(alpha=0.2)),
    "all": replace(NONE, augment_wave=WAVEFORM, augment_features=SPECTRAL, mix=Mixup(alpha=0.2)),
    "class-conditional": None,
}


def searched(job):
    """Return a recipe with a transform for each class, which a search on the training clips of the job finds."""
    short = replace(NONE, epochs=SEARCH_EPOCHS)
    key = digest([job.key, differences(short), differences(PARTS)])
    kept = RESULTS / "search" / f"fold{job.fold}-{key}.json"
    if not kept.is_file():
        found = search_augmentation(MODEL, job.train, PARTS, short, labels=job.labels, frontend=job.frontend, finished=print)
        write_json(kept, {"best": found.best.to_config(), "choices": found.choices, "table": found.table})
    return replace(NONE, augment_wave=Transform.from_config(json.loads(kept.read_text())["best"]))


def rows(data, folds):
    """Yield each kind of augmentation with a row of it, found or computed."""
    bank = None
    for fold in folds or data.folds:
        for kind, recipe in KINDS.items():
            [job] = fold_jobs(data, MODEL, folds=[fold], recipe=recipe or NONE)
            job = job if recipe else replace(job, recipe=searched(job))
            row = find_row(RESULTS / "rows", job)
            if row is None:
                bank = bank or FeatureBank.of(data.clips, job.frontend)
                row, _ = run_fold(job, bank=bank, command="python benchmarks/esc10_augmentation.py ESC-50/")
                write_row(RESULTS / "rows" / f"{kind}-{job.file_name}", replace(row, notes={"augmentation": kind}))
            print(f"{kind} fold {fold}: {100 * row.measures.accuracy:.2f} % in {row.train_seconds:.0f} s", flush=True)
            yield kind, row


def table(found):
    lines = ["| augmentation | folds, % | accuracy | log loss | training |", "| --- | --- | ---: | ---: | ---: |"]
    for kind in KINDS:
        mine = [row for its_kind, row in found if its_kind == kind]
        if mine:
            mean, deviation = metrics.mean_and_deviation([row.measures.accuracy for row in mine])
            folds = ", ".join(f"{100 * row.measures.accuracy:g}" for row in mine)
            loss = sum(row.measures.log_loss for row in mine) / len(mine)
            seconds = sum(row.train_seconds for row in mine)
            lines.append(f"| {kind} | {folds} | {100 * mean:.1f} ± {100 * deviation:.1f} % | {loss:.3f} | {seconds:.0f} s |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", help="Folder into which you unpacked ESC-50.")
    parser.add_argument("--folds", default="", help="Folds, for example 1,2; by default all folds and the table.")
    given = parser.parse_args()
    found = list(rows(load_dataset("esc10", root=given.root), [int(fold) for fold in given.folds.split(",") if fold]))
    text = table(found)
    if not given.folds:
        with replacing(RESULTS / "table.md") as temporary:
            temporary.write_text(text)
    print(text)
