"""``audiozoo predict``: classify sound files."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.cli.console import out, progress_bar, quiet_backend, report_failures
from audiozoo.cli.errors import keeping
from audiozoo.cli.labels import listed

if TYPE_CHECKING:
    from audiozoo.classifier import Failure, Prediction

EXAMPLE = "audiozoo predict my.audiozoo door.wav street.ogg"


def run(
    classifier: Annotated[
        Path, typer.Argument(help="Classifier saved by `audiozoo train`, or a name from `audiozoo list --pretrained`.")
    ],
    files: Annotated[list[Path], typer.Argument(help="Sound files or folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="Number of classes to show for each file.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of predictions with all scores.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV with the columns file, rank, label and score, file by file.")
    ] = False,
    strict: Annotated[bool, typer.Option(help="Stop at the first file that cannot be used.")] = False,
) -> None:
    """Classify sound files.

    A classifier of several labels lists each class whose score reaches its threshold, whatever their number; if none does, the
    label is empty and the score is the highest.

    Files that cannot be used are listed at the end, and the exit status is then 1.
    """
    if as_json and as_csv:
        raise ValueError("--json and --csv cannot be combined: choose one")
    quiet_backend()
    from audiozoo.classifier import Failure, load_classifier, predict_files

    sounds = _sounds(files)
    predictions = predict_files(load_classifier(classifier), sounds, strict=strict)
    if as_csv:
        with keeping("the predictions printed so far are complete"):
            results = list(_print_csv(predictions, top))
    else:
        with keeping("no predictions were printed; --csv prints each one at once"):
            results = list(_watched(predictions, len(sounds)))
    if as_json:
        print(json.dumps([_plain(result) for result in results], indent=1))
    elif not as_csv:
        _print_table([result for result in results if not isinstance(result, Failure)], top)
    failures = [result.error for result in results if isinstance(result, Failure)]
    report_failures(failures, used=len(results) - len(failures))


def _sounds(paths: Sequence[Path]) -> list[str]:
    from audiozoo import audio

    found: list[str] = []
    for path in paths:
        found += [str(file) for file in audio.sounds_in(path)] if path.is_dir() else [str(path)]
    if not found:
        raise ValueError(f"no sounds in {', '.join(map(str, paths))}")
    return found


def _plain(result: Prediction | Failure) -> dict[str, object]:
    return result._asdict() if isinstance(result, tuple) else result.to_dict()


def _watched(predictions: Iterable[Prediction | Failure], total: int) -> Iterator[Prediction | Failure]:
    with progress_bar("predict") as show:
        for done, prediction in enumerate(predictions, 1):
            show("", done, total, {})
            yield prediction


def _print_csv(predictions: Iterable[Prediction | Failure], top: int) -> Iterator[Prediction | Failure]:
    """Print each prediction at once, so that a long run can be piped and Ctrl-C loses none, then yield it."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "rank", "label", "score"])
    for prediction in predictions:
        if not isinstance(prediction, tuple):  # a Failure is listed at the end
            rows = [
                [prediction.source, rank, label, f"{score:.6f}"]
                for rank, (label, score) in enumerate(listed(prediction, top), 1)
            ]
            writer.writerows(rows)
            sys.stdout.flush()
        yield prediction


def _print_table(results: Sequence[Prediction], top: int) -> None:
    from rich.table import Column, Table

    ranks = [f"{rank}." for rank in range(1, max([len(listed(result, top)) for result in results], default=top) + 1)]
    table = Table(Column("file", overflow="fold"), *ranks, box=None, header_style="bold", pad_edge=False)
    for result in results:
        table.add_row(result.source, *[f"{label or '(none)'} {100 * score:.1f} %" for label, score in listed(result, top)])
    out.print(table)
