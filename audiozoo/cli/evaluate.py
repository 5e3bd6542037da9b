"""``audiozoo evaluate``: measure a saved classifier on labelled sounds."""

from __future__ import annotations

import json
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
from audiozoo.files import check_target

if TYPE_CHECKING:
    from audiozoo.classifier.answering import Answering
    from audiozoo.crossval import Evaluation

EXAMPLE = "audiozoo evaluate my.audiozoo more-sounds/ --picture confusion.png"


def run(
    classifier: Annotated[Path, typer.Argument(help="Classifier saved by `audiozoo train`.")],
    folder: Annotated[Path, typer.Argument(help="Folder with one folder of sounds for each class.")],
    table: Annotated[Path | None, typer.Option(help="CSV table with the columns file and label, instead of folders.")] = None,
    dataset: Annotated[str, typer.Option(help="Layout of the folder: folder, esc10, urbansound8k, ...")] = "folder",
    options: DatasetOptions = None,
    picture: Annotated[Path | None, typer.Option(help="Picture of the confusion matrix to write.")] = None,
    reliability: Annotated[
        Path | None, typer.Option(help="Picture of the reliability diagrams to write, before and after the temperature.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: Annotated[bool, typer.Option(help="Stop if a file cannot be read; by default it is left out.")] = False,
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
) -> None:
    """Measure a saved classifier on labelled sounds that it was not trained on.

    For a dataset with an official test set, only that test set is used.
    """
    for target in filter(None, (picture, reliability)):
        # Before the evaluation, which may take minutes.
        check_target(target)
    quiet_backend()
    from audiozoo.classifier import load_classifier
    from audiozoo.crossval import evaluate
    from audiozoo.report import confusion_picture, reliability_picture

    loaded = load_classifier(classifier)
    data = open_dataset(dataset, folder, table, options)
    with progress_bar("evaluating") as show:
        result = evaluate(loaded, data.test_clips, cache=feature_cache(cache), progress=show)
    # After the evaluation, so that the message lists all bad files at once.
    if strict and result.failures:
        raise ValueError("\n".join(result.failures.values()))
    matrix = np.array(result.measures.confusion)
    if as_json:
        print(json.dumps(_plain(result, loaded), indent=1))
    else:
        _print(result, matrix, loaded)
    title = f"{classifier.name} on {folder.name}"
    if picture:
        confusion_picture(matrix, loaded.labels, picture, title=title)
    if reliability:
        reliability_picture(result, reliability, title=title)
    report_failures(list(result.failures.values()), used=int(matrix.sum()))


def _plain(result: Evaluation, classifier: Answering) -> dict[str, Any]:
    clips = sum(map(sum, result.measures.confusion))
    return {
        "clips": clips,
        "labels": classifier.labels,
        **result.measures.by_name(),
        "confusion": result.measures.confusion,
        "temperature": classifier.temperature,
        "calibration": {"before": result.before.to_dict(), "after": result.after.to_dict()},
        "refused": result.refused,
    }


def _print(result: Evaluation, matrix: np.ndarray, classifier: Answering) -> None:
    from rich.table import Table

    measures, labels = result.measures, classifier.labels

    out.print(
        f"{matrix.sum()} clips: accuracy {100 * measures.accuracy:.1f} %, "
        f"macro accuracy {100 * measures.macro_accuracy:.1f} %, MAP@3 {measures.map_at_3:.3f}"
    )
    out.print(_calibration(result, classifier.temperature))
    if result.refused is not None:
        out.print(f"{result.refused} of {matrix.sum()} clips ({100 * result.refused / matrix.sum():.1f} %) refused as unknown")
    table = Table("class", "clips", "correct", "most often confused with", box=None, header_style="bold", pad_edge=False)
    for index, label in enumerate(labels):
        # The errors of this class: its row of the confusion matrix without the diagonal.
        wrong = matrix[index].copy()
        right, wrong[index] = wrong[index], 0
        taken = f"{labels[int(wrong.argmax())]} ({wrong.max()})" if wrong.any() else ""
        table.add_row(label, str(matrix[index].sum()), str(right), taken)
    out.print(table)


def _calibration(result: Evaluation, temperature: float) -> str:
    before, after = (f"{100 * one.error:.1f} %" for one in (result.before, result.after))
    if temperature == 1:
        return f"expected calibration error {after}; the temperature is 1"
    return f"expected calibration error {before} before and {after} after the temperature of {temperature:.2f}"
