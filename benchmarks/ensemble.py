"""Ensembles on a dataset's official folds: a waveform model and a log-mel model, alone and together.

``python benchmarks/ensemble.py FOLDER esc10 wave_cnn,mel_cnn`` trains each member on each fold once and saves it; a second run
continues where the first stopped. The weights are equal, because a fold has no clips that no member has learnt from.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import audiozoo
from audiozoo import crossval, metrics
from audiozoo.classifier import Classifier, Ensemble
from audiozoo.features import FeatureCache
from audiozoo.files import replacing


def member(folder: Path, job: crossval.FoldJob, cache: FeatureCache) -> Classifier:
    """Return the trained classifier of a job, saved by an earlier run if there was one."""
    path = folder / f"{job.key}.audiozoo"
    if path.exists():
        return audiozoo.load_classifier(path)
    bank = crossval.FeatureBank.of([*job.train, *job.test], job.frontend, cache=cache)
    _, classifier = crossval.run_fold(job, bank=bank)
    classifier.save(path)
    return classifier


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder of the dataset")
    parser.add_argument("dataset", nargs="?", default="esc10")
    parser.add_argument("models", nargs="?", default="wave_cnn,mel_cnn")
    parser.add_argument("--epochs", type=int, help="epochs of each member, for a trial")
    given = parser.parse_args()
    results = Path(__file__).parent / "results"
    data, cache, models = audiozoo.load_dataset(given.dataset, root=given.root), FeatureCache(), given.models.split(",")
    values: dict[str, list[tuple[float, float]]] = {}
    changes = {} if given.epochs is None else {"epochs": given.epochs, "min_steps": 0}
    jobs = [
        crossval.fold_jobs(data, name, recipe=replace(data.protocol(audiozoo.recipe_for(name)), **changes)) for name in models
    ]
    for fold in zip(*jobs, strict=True):
        members = tuple(member(results / "ensemble-members", job, cache) for job in fold)
        named = {**dict(zip(models, members, strict=True)), "ensemble": Ensemble(members)}
        for name, classifier in named.items():
            measures = crossval.evaluate(classifier, fold[0].test, cache=cache).measures
            values.setdefault(name, []).append((measures.accuracy, measures.map_at_3))
            print(json.dumps({"fold": fold[0].fold, "model": name, **measures.by_name()}), flush=True)
    lines = ["| model | accuracy | MAP@3 |", "| --- | ---: | ---: |"]
    for name, pairs in values.items():
        (mean, deviation), (map_at_3, _) = (metrics.mean_and_deviation(list(one)) for one in zip(*pairs, strict=True))
        lines.append(f"| {name} | {100 * mean:.1f} ± {100 * deviation:.1f} % | {map_at_3:.3f} |")
    with replacing(results / f"ensemble-{data.name}.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
