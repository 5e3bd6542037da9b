"""``audiozoo inspect``: describe a folder of sounds before training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.cli.console import DatasetOptions, err, open_dataset, out, progress_bar, recipe_sets, report_failures
from audiozoo.files import check_target

if TYPE_CHECKING:
    from audiozoo.datasets import Clip
    from audiozoo.inspection import ClassFacts, Inspection
    from audiozoo.recipe import Recipe

EXAMPLE = "audiozoo inspect sounds/ --picture sounds.png"

_BAR = 40  # characters of the longest bar of the histogram


def run(
    folder: Annotated[Path, typer.Argument(help="Folder with one folder of sounds for each class.")],
    table: Annotated[Path | None, typer.Option(help="CSV table with the columns file and label, instead of folders.")] = None,
    dataset: Annotated[str, typer.Option(help="Layout of the folder: folder, esc10, urbansound8k, ...")] = "folder",
    options: DatasetOptions = None,
    picture: Annotated[Path | None, typer.Option(help="Picture of the classes and durations to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Describe a folder of sounds: classes, durations, rates, and files that are silent, clipped, damaged or copies."""
    if picture:
        # Before the sounds are read, which may take minutes.
        check_target(picture)
    from audiozoo.inspection import inspect_clips

    data = open_dataset(dataset, folder, table, options)
    with progress_bar() as show:
        inspection = inspect_clips(data.clips, progress=show)
    if as_json:
        print(json.dumps(inspection.to_dict(), indent=1))
    else:
        _print(inspection)
    if picture:
        from audiozoo.report import inspection_picture

        inspection_picture(inspection, picture, title=folder.resolve().name)
    report_failures(inspection.failures, used=len(inspection.readable))


def _print(inspection: Inspection) -> None:
    readable = inspection.readable
    total = sum(sound.seconds for sound in readable)
    out.print(f"{len(readable)} clips of {len(inspection.classes)} classes, {_duration(total)} in all")
    _print_classes(inspection.classes)
    out.print("\nsample rates: " + ", ".join(f"{rate:,} Hz ({count})" for rate, count in inspection.sample_rates.items()))
    out.print("channels: " + ", ".join(f"{number} ({count})" for number, count in inspection.channels.items()))
    _print_durations(inspection)
    for problem in inspection.errors():
        # The reasons for the single files follow at the end of the report.
        out.print(f"error: {problem.splitlines()[0]}", style="bold red", soft_wrap=True)
    for warning in inspection.warnings():
        out.print(f"warning: {warning}", style="yellow", soft_wrap=True)
    if not (inspection.errors() or inspection.warnings()):
        out.print("no problems found")


def _print_classes(classes: Sequence[ClassFacts]) -> None:
    from rich.table import Table

    # A column of zeros would hide the columns that matter.
    problems = [name for name in ("silent", "clipped", "unreadable") if any(getattr(one, name) for one in classes)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("class")
    for name in ("clips", "total", "shortest", "median", "longest", *problems):
        table.add_column(name, justify="right")
    for one in classes:
        seconds = (f"{value:.2f} s" for value in (one.shortest, one.median, one.longest))
        table.add_row(
            one.label, str(one.clips), _duration(one.seconds), *seconds, *(str(getattr(one, name) or "") for name in problems)
        )
    out.print(table)


def _print_durations(inspection: Inspection) -> None:
    counts, edges = inspection.histogram()
    if len({f"{sound.seconds:.2f}" for sound in inspection.readable}) < 2:
        return  # all clips are equally long, as the table shows
    out.print("durations:")
    for count, low, high in zip(counts, edges, edges[1:], strict=False):
        bar = "#" * -(-_BAR * int(count) // int(counts.max()))
        out.print(f"  {_seconds(low):>6} to {_seconds(high):>6} s {int(count):6d} {bar}")


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 1_000 else f"{value:.0f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def checked_recipe(clips: Sequence[Clip], recipe: Recipe, file: Path | None) -> Recipe:
    """Warn on standard error of problems in the training clips, and weight the classes if they are imbalanced.

    Args:
        clips: Training clips.
        recipe: Training settings.
        file: JSON file of the user's settings; its `class_weight` is kept.

    Returns:
        The recipe, with ``class_weight="balanced"`` if the largest class is much larger than the smallest.

    Raises:
        ValueError: A class has no readable clip, or all clips are silent.
    """
    from audiozoo.inspection import inspect_clips

    with progress_bar() as show:
        inspection = inspect_clips(clips, decode=None, progress=show)
    if errors := inspection.errors():
        raise ValueError("\n".join(errors))
    for warning in inspection.warnings():
        err.print(f"warning: {warning}", style="yellow", soft_wrap=True)
    # With several labels in a clip, a weight of the clip cannot balance the classes.
    if not inspection.imbalanced or recipe.class_weight or any(len(clip.labels) > 1 for clip in clips):
        return recipe
    if recipe_sets(file, "class_weight"):
        return recipe
    out.print(
        'classes are weighted by the inverse of their size (class_weight "balanced"); '
        'a --recipe file with {"class_weight": null} gives all clips the same weight',
        soft_wrap=True,
    )
    return replace(recipe, class_weight="balanced")
