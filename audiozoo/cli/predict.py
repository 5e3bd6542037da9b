"""``audiozoo predict``: what is heard in sound files."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.cli.console import out, quiet_backend, report_failures

if TYPE_CHECKING:
    from audiozoo.classifier import Failure, Prediction

EXAMPLE = "audiozoo predict my.audiozoo door.wav street.ogg"


def run(
    classifier: Annotated[Path, typer.Argument(help="Saved by `audiozoo train`, or a name of `audiozoo list --pretrained`.")],
    files: Annotated[list[Path], typer.Argument(help="Sound files, or folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to show for each file.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of answers with all scores.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: file, rank, label, score.")] = False,
    strict: Annotated[bool, typer.Option(help="Stop at the first file that cannot be read.")] = False,
) -> None:
    """Classify sound files; a bad file is reported at the end and the exit status is then 1."""
    if as_json and as_csv:
        raise ValueError("--json and --csv are two ways to print: choose one")
    quiet_backend()
    from audiozoo.classifier import Failure, load_classifier, predict_files

    results = list(predict_files(load_classifier(classifier), _sounds(files), strict=strict))
    if as_json:
        print(json.dumps([_plain(result) for result in results], indent=1))
    elif as_csv:
        _print_csv([result for result in results if not isinstance(result, Failure)], top)
    else:
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


def _print_csv(results: Sequence[Prediction], top: int) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["file", "rank", "label", "score"])
    for result in results:
        for rank, (label, score) in enumerate(result.top(top), 1):
            writer.writerow([result.source, rank, label, f"{score:.6f}"])


def _print_table(results: Sequence[Prediction], top: int) -> None:
    from rich.table import Column, Table

    ranks = [f"{rank}." for rank in range(1, top + 1)]
    table = Table(Column("file", overflow="fold"), *ranks, box=None, header_style="bold", pad_edge=False)
    for result in results:
        table.add_row(result.source, *[f"{label} {100 * score:.1f} %" for label, score in result.top(top)])
    out.print(table)
