"""Helpers for loaders of published datasets: find and read tables, check the sounds, keep the published folds."""

from __future__ import annotations

import csv
import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from audiozoo.datasets.clip import Clip


def find_table(
    root: str | os.PathLike[str] | None, tables: Sequence[str], *, name: str, inside: Sequence[str] = ()
) -> tuple[Path, Path]:
    """Find an unpacked dataset by its table.

    Args:
        root: Folder of the dataset, or the folder into which its archives were unpacked.
        tables: Paths of the table in the folder of the dataset; the first one that exists is used.
        name: Name of the dataset, for messages.
        inside: Names that the folder of the dataset may have in `root`.

    Returns:
        The folder of the dataset and the path of the table.

    Raises:
        ValueError: `root` is `None`.
        FileNotFoundError: None of the tables exists.
    """
    if root is None:
        raise ValueError(f"{name} needs root= (--root on the command line), the folder with {tables[0]}")
    for folder in (Path(root), *(Path(root) / folder for folder in inside)):
        for table in tables:
            if (folder / table).is_file():
                return folder, folder / table
    raise FileNotFoundError(
        f"{os.fspath(root)}: no {' and no '.join(tables)} here; root= is the folder into which {name} was unpacked"
    )


def read_table(table: Path, columns: Iterable[str], *, name: str, delimiter: str = ",") -> list[dict[str, str]]:
    """Read a CSV table with a header.

    Args:
        table: Path of the table.
        columns: Names of the columns that the table must have.
        name: Name of the dataset, for messages.
        delimiter: Character between two columns.

    Returns:
        A mapping from column to text for each line.

    Raises:
        ValueError: The table lacks a column or has no lines, or a line is damaged.
    """
    columns = tuple(columns)
    try:
        # utf-8-sig also reads files with a byte order mark.
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, delimiter=delimiter))
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{table}: the table of {name} is damaged ({error}); unpack {name} again") from error
    if missing := set(columns) - set(rows[0] if rows else ()):
        raise ValueError(f"{table}: not the table of {name}: it lacks {', '.join(sorted(missing))}")
    if damaged := next((number for number, row in enumerate(rows, 2) if any(row[column] is None for column in columns)), None):
        raise ValueError(f"{table}: line {damaged} of the table of {name} is cut; unpack {name} again")
    return rows


def require_list(path: Path, way_out: str) -> None:
    """Check that a published list of clips exists.

    Raises:
        FileNotFoundError: It is missing. The message ends with `way_out`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the published list is missing; {way_out}")


def require_listed(path: Path, files: Iterable[str], known: Container[str]) -> None:
    """Check that the table of a dataset has all files of a published list.

    Args:
        path: Path of the list, for the message.
        files: Names in the list.
        known: Names in the table, `meta.csv`.

    Raises:
        ValueError: Some files are not in the table. The message gives their number and the first one.
    """
    if unknown := [file for file in files if file not in known]:
        raise ValueError(f"{path}: {len(unknown)} file(s) are not in meta.csv, the first is {unknown[0]!r}; unpack both again")


def require_sounds(clips: Sequence[Clip], way_out: str) -> None:
    """Check that the sounds of all clips exist.

    Raises:
        FileNotFoundError: Some sounds are missing. The message gives their number and the first one, and ends with `way_out`.
    """
    missing = [clip.path for clip in clips if not os.path.isfile(clip.path)]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of {len(clips)} sounds are missing, the first is {missing[0]!r}; {way_out}")


def as_published(clips: Sequence[Clip]) -> tuple[tuple[Clip, ...], tuple[str, ...]]:
    """Keep the published folds, even if they divide a recording.

    `Dataset.splits` refuses a recording with clips in several folds, so each part of a divided recording gets its own group.

    Returns:
        The clips, and a note if the folds divide recordings.
    """
    folds: dict[str | None, set[int | None]] = {}
    for clip in clips:
        folds.setdefault(clip.group, set()).add(clip.fold)
    shared = {group for group, among in folds.items() if group is not None and len(among) > 1}
    if not shared:
        return tuple(clips), ()
    note = (
        f"{len(shared)} recording(s) are on both sides of a published split, for example {min(map(str, shared))!r}; "
        "audiozoo keeps the published splits for comparable scores, which are slightly too high"
    )
    divided = (replace(clip, group=f"{clip.group} in {clip.fold}") if clip.group in shared else clip for clip in clips)
    return tuple(divided), (note,)
