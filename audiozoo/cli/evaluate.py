"""``audiozoo evaluate``: measure a saved classifier on labelled sounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from audiozoo.crossval import Measures

EXAMPLE = "audiozoo evaluate my.audiozoo more-sounds/ --picture confusion.png"


def run(
    classifier: Annotated[Path, typer.Argument(help="Classifier saved by `audiozoo train`.")],
    folder: Annotated[Path, typer.Argument(help="Folder with one folder of sounds for each class.")],
    table: Annotated[Path | None, typer.Option(help="CSV table with the columns file and label, instead of folders.")] = None,
    dataset: Annotated[str, typer.Option(help="Layout of the folder: folder, esc10, urbansound8k, ...")] = "folder",
    options: DatasetOptions = None,
    picture: Annotated[Path | None, typer.Option(help="Picture of the confusion matrix to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    strict: Annotated[bool, typer.Option(help="Stop if a file cannot be read; by default it is left out.")] = False,
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
) -> None:
    """Measure a saved classifier on labelled sounds that it was not trained on.

    For a dataset with an official test set, only that test set is used.
    """
    if picture:
        # Before the evaluation, which may take minutes.
        check_target(picture)
    quiet_backend()
    from audiozoo.classifier import load_classifier
    from audiozoo.crossval import evaluate
    from audiozoo.report import confusion_picture

    loaded = load_classifier(classifier)
    data = open_dataset(dataset, folder, table, options)
    with progress_bar("evaluating") as show:
        measures, failures = evaluate(loaded, data.test_clips, cache=feature_cache(cache), progress=show)
    # After the evaluation, so that the message lists all bad files at once.
    if strict and failures:
        raise ValueError("\n".join(failures.values()))
    matrix = np.array(measures.confusion)
    if as_json:
        facts = {"clips": int(matrix.sum()), "labels": loaded.labels}
        print(json.dumps({**facts, **measures.by_name(), "confusion": measures.confusion}, indent=1))
    else:
        _print(measures, matrix, loaded.labels)
    if picture:
        confusion_picture(matrix, loaded.labels, picture, title=f"{classifier.name} on {folder.name}")
    report_failures(list(failures.values()), used=int(matrix.sum()))


def _print(measures: Measures, matrix: np.ndarray, labels: tuple[str, ...]) -> None:
    from rich.table import Table

    out.print(
        f"{matrix.sum()} clips: accuracy {100 * measures.accuracy:.1f} %, "
        f"macro accuracy {100 * measures.macro_accuracy:.1f} %, MAP@3 {measures.map_at_3:.3f}"
    )
    table = Table("class", "clips", "correct", "most often confused with", box=None, header_style="bold", pad_edge=False)
    for index, label in enumerate(labels):
        # The errors of this class: its row of the confusion matrix without the diagonal.
        wrong = matrix[index].copy()
        right, wrong[index] = wrong[index], 0
        taken = f"{labels[int(wrong.argmax())]} ({wrong.max()})" if wrong.any() else ""
        table.add_row(label, str(matrix[index].sum()), str(right), taken)
    out.print(table)
