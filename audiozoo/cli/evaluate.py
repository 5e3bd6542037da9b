"""``audiozoo evaluate``: measure a saved classifier on labelled sounds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from audiozoo.cli.console import (
    CACHE_HELP,
    DatasetOptions,
    feature_cache,
    open_dataset,
    out,
    progress_bar,
    quiet_backend,
    report_failures,
)
from audiozoo.cli.labels import print_labels
from audiozoo.files import check_target

if TYPE_CHECKING:
    from audiozoo.classifier import Classifier
    from audiozoo.classifier.answering import Answering
    from audiozoo.crossval import Calibration, Evaluation, Measures
    from audiozoo.datasets import Clip
    from audiozoo.features import FeatureCache

EXAMPLE = "audiozoo evaluate my.audiozoo more-sounds/ --picture confusion.png"

SubBands = Annotated[
    Path | None, typer.Option(help="Picture to write: accuracy of each sub-band's own classifier, for subspectralnet.")
]
Bands = Annotated[Path | None, typer.Option(help="Picture to write: mean and deviation of the frontend's bands by class.")]


def run(
    classifier: Annotated[
        Path, typer.Argument(help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`.")
    ],
    folder: Annotated[
        Path, typer.Argument(help="Folder with one folder of sounds for each class, or of the files in the table.")
    ],
    table: Annotated[Path | None, typer.Option(help="CSV table with the columns file and label, instead of folders.")] = None,
    dataset: Annotated[str, typer.Option(help="Layout of the folder: folder, esc10, urbansound8k, ...")] = "folder",
    options: DatasetOptions = None,
    picture: Annotated[
        Path | None, typer.Option(help="Picture to write: the confusion matrix, or AP and F1 by class for several labels.")
    ] = None,
    reliability: Annotated[
        Path | None, typer.Option(help="Picture of the reliability diagrams to write, before and after the temperature.")
    ] = None,
    sub_bands: SubBands = None,
    bands: Bands = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: Annotated[bool, typer.Option(help="Stop if a file cannot be read; by default it is left out.")] = False,
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
) -> None:
    """Measure a saved classifier on labelled sounds that it was not trained on.

    For a dataset with an official test set, only that test set is used. For clips with several labels, a class counts as found
    where its score reaches the threshold that training chose.
    """
    # Before the evaluation, which may take minutes.
    for target in filter(None, (picture, reliability, sub_bands, bands)):
        check_target(target)
    quiet_backend()
    from audiozoo.crossval import evaluate

    loaded = _loaded(classifier, sub_bands=sub_bands, bands=bands)
    data = open_dataset(dataset, folder, table, options)
    with progress_bar("evaluating") as show:
        result = evaluate(loaded, data.test_clips, cache=feature_cache(cache), progress=show)
    # After the evaluation, so that the message lists all bad files at once.
    if strict and result.failures:
        raise ValueError("\n".join(result.failures.values()))
    clips = len(data.test_clips) - len(result.failures)
    if as_json:
        print(json.dumps({"clips": clips, "labels": loaded.labels, **_figures(result, loaded)}, indent=1))
    else:
        _print(result, loaded, clips)
    title = f"{classifier.name} on {folder.name}"
    _draw(result, loaded.labels, title, picture=picture, reliability=reliability)
    _draw_bands(loaded, data.test_clips, title, cache=feature_cache(cache), sub_bands=sub_bands, bands=bands)
    report_failures(list(result.failures.values()), used=clips)


def _figures(result: Evaluation, classifier: Answering) -> dict[str, Any]:
    from audiozoo.crossval import Measures

    measures = result.measures
    both = {"temperature": classifier.temperature, "refused": result.refused}
    if not isinstance(measures, Measures):
        return {**measures.by_name(), "by_label": measures.by_label(classifier.labels), **both}
    calibration = {name: one and one.to_dict() for name, one in (("before", result.before), ("after", result.after))}
    return {**measures.by_name(), "confusion": measures.confusion, "calibration": calibration, **both}


def _draw(result: Evaluation, labels: tuple[str, ...], title: str, *, picture: Path | None, reliability: Path | None) -> None:
    from audiozoo.crossval import LabelMeasures, Measures
    from audiozoo.report import confusion_picture, label_picture, reliability_picture

    measures = result.measures
    if picture and isinstance(measures, Measures):
        confusion_picture(np.array(measures.confusion), labels, picture, title=title)
    elif picture and isinstance(measures, LabelMeasures):
        label_picture({"average precision": measures.average_precision, "F1": measures.f1}, labels, picture, title=title)
    if reliability:
        reliability_picture(result, reliability, title=title)


def _draw_bands(
    classifier: Answering,
    clips: Sequence[Clip],
    title: str,
    *,
    cache: FeatureCache | None,
    sub_bands: Path | None,
    bands: Path | None,
) -> None:
    from audiozoo.report import band_picture, band_statistics, sub_band_accuracy, sub_band_picture

    if sub_bands:
        accuracy = sub_band_accuracy(_single(classifier, "--sub-bands"), clips, cache=cache)
        sub_band_picture(accuracy, sub_bands, title=title)
    if bands:
        frontend = _single(classifier, "--bands").frontend
        band_picture(band_statistics(frontend, clips, labels=classifier.labels, cache=cache), bands, title=title)


def _loaded(path: Path, *, sub_bands: Path | None, bands: Path | None) -> Answering:
    """Load a classifier, and check that the pictures of bands can be drawn of it."""
    from audiozoo.classifier import load_classifier
    from audiozoo.report.bands import require_bands
    from audiozoo.report.subbands import require_sub_bands

    classifier = load_classifier(path)
    if sub_bands:
        require_sub_bands(_single(classifier, "--sub-bands"))
    if bands:
        require_bands(_single(classifier, "--bands").frontend)
    return classifier


def _single(classifier: Answering, option: str) -> Classifier:
    from audiozoo.classifier import Classifier

    if not isinstance(classifier, Classifier):
        raise ValueError(f"{option} needs a single classifier, and this is an ensemble: name one of its members")
    return classifier


def _print(result: Evaluation, classifier: Answering, clips: int) -> None:
    from audiozoo.crossval import Measures

    if isinstance(result.measures, Measures):
        _print_classes(result.measures, classifier.labels)
    else:
        print_labels(result.measures, classifier.labels, clips=clips)
    if result.before and result.after:
        out.print(_calibration(result.before, result.after, classifier.temperature))
    if result.refused is not None:
        out.print(f"{result.refused} of {clips} clips ({100 * result.refused / clips:.1f} %) refused as unknown")


def _print_classes(measures: Measures, labels: tuple[str, ...]) -> None:
    from rich.table import Table

    from audiozoo.report import measured

    matrix = np.array(measures.confusion)
    out.print(
        f"{matrix.sum()} clips: accuracy {measured('accuracy', measures.accuracy)}, "
        f"macro accuracy {measured('accuracy', measures.macro_accuracy)}, MAP@3 {measured('map@3', measures.map_at_3)}"
    )
    table = Table("class", "clips", "correct", "most often confused with", box=None, header_style="bold", pad_edge=False)
    for index, label in enumerate(labels):
        # The errors of this class: its row of the confusion matrix without the diagonal.
        wrong = matrix[index].copy()
        right, wrong[index] = wrong[index], 0
        taken = f"{labels[int(wrong.argmax())]} ({wrong.max()})" if wrong.any() else ""
        table.add_row(label, str(matrix[index].sum()), str(right), taken)
    out.print(table)


def _calibration(before: Calibration, after: Calibration, temperature: float) -> str:
    first, second = (f"{100 * one.error:.1f} %" for one in (before, after))
    if temperature == 1:
        return f"expected calibration error {second}; the temperature is 1"
    return f"expected calibration error {first} before and {second} after the temperature of {temperature:.2f}"
