"""What the loaders of published datasets share: the folder, its tables, its sounds, and folds that stay as published."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from audiozoo.datasets.table import Clip


def find_table(
    root: str | os.PathLike[str] | None, tables: Sequence[str], *, name: str, inside: Sequence[str] = ()
) -> tuple[Path, Path]:
    """Find an unpacked dataset by its table.

    Args:
        root: The folder that the user names: the dataset's own, or the one into which its archives were unpacked.
        tables: Paths in the dataset's folder, the first that is there counts.
        name: Of the dataset, for messages.
        inside: Names that the dataset's folder may have in `root`.

    Returns:
        The dataset's folder, and the table.

    Raises:
        ValueError: No root is given.
        FileNotFoundError: There is no such table.
    """
    if root is None:
        raise ValueError(f"{name} needs root=, the folder that has {tables[0]}")
    for folder in (Path(root), *(Path(root) / folder for folder in inside)):
        for table in tables:
            if (folder / table).is_file():
                return folder, folder / table
    raise FileNotFoundError(
        f"{os.fspath(root)}: no {' and no '.join(tables)} here; root= is the folder into which {name} was unpacked"
    )


def read_table(table: Path, columns: Iterable[str], *, name: str, delimiter: str = ",") -> list[dict[str, str]]:
    """Read a table with a header.

    Raises:
        ValueError: It lacks one of the columns, or has no rows.
    """
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter=delimiter))
    if missing := set(columns) - set(rows[0] if rows else ()):
        raise ValueError(f"{table}: not the table of {name}, it lacks {', '.join(sorted(missing))}")
    return rows


def require_sounds(clips: Sequence[Clip], way_out: str) -> None:
    """Refuse a dataset of which a part was not unpacked.

    Raises:
        FileNotFoundError: Saying how many sounds are missing, which is the first, and what to do.
    """
    missing = [clip.path for clip in clips if not os.path.isfile(clip.path)]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of {len(clips)} sounds are missing, the first is {missing[0]!r}; {way_out}")


def as_published(clips: Sequence[Clip]) -> tuple[tuple[Clip, ...], tuple[str, ...]]:
    """Let the folds stand as published, even where clips of one recording lie in several.

    Returns:
        The clips, each part of such a recording being a recording of its own, and a note that says so where there are any.
    """
    folds: dict[str | None, set[int | None]] = {}
    for clip in clips:
        folds.setdefault(clip.group, set()).add(clip.fold)
    shared = {group for group, among in folds.items() if group is not None and len(among) > 1}
    if not shared:
        return tuple(clips), ()
    note = (
        f"{len(shared)} recording(s) lie on both sides of a published split, for example {min(map(str, shared))!r}; "
        "the splits stay as published, so scores compare with others', a little flattered"
    )
    divided = (replace(clip, group=f"{clip.group} in {clip.fold}") if clip.group in shared else clip for clip in clips)
    return tuple(divided), (note,)
