"""``audiozoo train``: train a classifier on a folder of sounds and save it in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.cli.console import (
    CACHE_HELP,
    DatasetOptions,
    FrontendName,
    FrontendSettings,
    changed_recipe,
    chosen_frontend,
    feature_cache,
    open_dataset,
    out,
    progress_bar,
    quiet_backend,
    report_failures,
)
from audiozoo.cli.errors import keeping
from audiozoo.cli.transfer import Extend, Finetune, From, Probe, Transfer, Unfreeze
from audiozoo.files import check_target

if TYPE_CHECKING:
    from audiozoo.classifier import Classifier
    from audiozoo.datasets import Clip, Dataset
    from audiozoo.features import FeatureCache

Table = Annotated[
    Path | None, typer.Option(help="CSV table with the columns file and label, instead of a folder for each class.")
]
WeightsName = Annotated[str | None, typer.Option(help="Name of published initial weights, see `audiozoo info`.")]
WeightsFile = Annotated[Path | None, typer.Option(help="File with initial weights of the whole model.")]
BackboneWeights = Annotated[str | None, typer.Option(help="Initial weights of the backbone: imagenet.")]

EXAMPLE = "audiozoo train sounds/ -o my.audiozoo"


def run(
    folder: Annotated[Path, typer.Argument(help="Folder with one folder of sounds for each class.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to save the classifier to.")],
    model: Annotated[str, typer.Option(help="Name of the model, see `audiozoo list`.")] = "house_cnn",
    table: Table = None,
    dataset: Annotated[str, typer.Option(help="Layout of the folder: folder, esc10, urbansound8k, ...")] = "folder",
    options: DatasetOptions = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs; by default the model's own.")] = None,
    weights: WeightsName = None,
    weights_file: WeightsFile = None,
    backbone_weights: BackboneWeights = None,
    probe: Probe = False,
    finetune: Finetune = False,
    origin: From = None,
    extend: Extend = False,
    unfreeze: Unfreeze = None,
    seed: Annotated[int | None, typer.Option(help="Random seed.")] = None,
    recipe: Annotated[Path | None, typer.Option(help="JSON file with training options.")] = None,
    frontend: FrontendName = None,
    settings: FrontendSettings = None,
    strict: Annotated[bool, typer.Option(help="Stop if a file cannot be read; by default it is left out.")] = False,
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
) -> None:
    """Train a classifier on your own sounds and save it in one file."""
    from audiozoo.training import adapted

    way = Transfer(model, probe, finetune, extend, origin, unfreeze, weights, weights_file)
    other = chosen_frontend(frontend, settings or ()) if frontend else None
    check_target(output)
    chosen = changed_recipe(way.recipe, recipe, epochs=epochs, seed=seed)
    data = open_dataset(dataset, folder, table, options)
    clips = _described(data)
    further: dict[str, Any] = {"backbone_weights": backbone_weights} if backbone_weights else {}
    kept = feature_cache(cache)
    with keeping(_kept(kept, output)), progress_bar(model) as show:
        quiet_backend()
        front = adapted(other, clips) if other else None
        further |= {"labels": data.labels, "frontend": front, "strict": strict, "cache": kept, "progress": show}
        classifier = way.run(clips, chosen, **further)
    classifier.save(output)
    out.print(_summary(classifier, output), soft_wrap=True)
    report_failures(classifier.about.failures, used=classifier.about.training_clips or 0)


def _described(data: Dataset) -> Sequence[Clip]:
    """Print what a dataset holds, and return its training clips."""
    clips = data.training_clips
    out.print(f"{len(clips)} clips of {len(data.labels)} classes: {', '.join(data.labels)}", soft_wrap=True)
    if len(clips) < len(data):
        out.print(f"the {len(data) - len(clips)} clips of the official test set are not used for training")
    return clips


def _kept(cache: FeatureCache | None, output: Path) -> str:
    features = "; the features computed so far are kept for the next run" if cache else ""
    return f"{output} was not written{features}"


def _summary(classifier: Classifier, output: Path) -> str:
    about, validation = classifier.about, classifier.about.validation
    judged = "too few recordings for a validation set"
    if validation:
        judged = f"{100 * validation['val_accuracy']:.1f} % on held-out recordings"
        if (about.recipe or {}).get("refit"):
            judged += ", before the final training on all recordings"
    return f"saved {output} ({about.model}, {about.parameters:,} parameters, {judged})"
