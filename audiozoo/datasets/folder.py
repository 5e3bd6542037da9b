"""Your own sounds: a folder for each class, or files and a CSV table that labels them."""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from audiozoo import audio
from audiozoo.datasets.table import Clip, Dataset, register_dataset

_COLUMNS = ("file", "label", "fold", "group", "start", "end", "weight")


@register_dataset
def folder(
    root: str | os.PathLike[str] | None,
    *,
    table: str | os.PathLike[str] | None = None,
    labels: tuple[str, ...] | None = None,
) -> Dataset:
    """Read a folder of sounds.

    Args:
        root: A folder that has one folder for each class, with sounds anywhere below; or, with a table, what the table's paths
            are relative to.
        table: A CSV file with a header and the columns `file` and `label`, optionally `fold`, `group` (the recording that a
            clip was cut from), `start` and `end` (seconds), `weight`. Several labels of a clip are joined by ";".
        labels: The labels in their order; `None` is all that occur, sorted.

    Returns:
        The dataset "folder". Without a table, each file is its own recording and there are no folds: see
        `Dataset.with_folds`. Files that are no sounds are passed over and named in `notes`.

    Raises:
        FileNotFoundError: The folder, the table, or a file named in it is missing.
        ValueError: There are no sounds, or the table lacks a column or has an unreadable number.
    """
    if root is None:
        raise ValueError("the dataset 'folder' needs root=, a folder that has one folder of sounds for each class")
    base = Path(root)
    if not base.is_dir():
        raise FileNotFoundError(f"{base}: no such folder")
    clips, notes = _from_folders(base) if table is None else (_from_table(base, Path(table)), ())
    found = tuple(sorted({label for clip in clips for label in clip.labels}))
    return Dataset(name="folder", clips=tuple(clips), labels=found if labels is None else labels, notes=notes)


def _from_folders(base: Path) -> tuple[list[Clip], tuple[str, ...]]:
    clips, passed = [], []
    for path in sorted(base.rglob("*")):
        inside = path.relative_to(base).parts
        if path.is_dir() or any(part.startswith(".") for part in inside):
            continue
        if audio.is_sound_file(path) and len(inside) > 1:
            clips.append(Clip(path=str(path), labels=(inside[0],)))
        else:
            passed.append(str(Path(*inside)))
    if not clips:
        raise ValueError(
            f"{base}: no sounds in folders here. Expected {base}/CLASS/FILE with files ending in "
            f"{', '.join(audio.SOUND_SUFFIXES)}; or pass a CSV table that labels the files"
        )
    note = f"{len(passed)} file(s) passed over as no sound in a class folder: {', '.join(passed[:5])}"
    return clips, (note,) if passed else ()


def _from_table(base: Path, table: Path) -> list[Clip]:
    if not table.is_file():
        raise FileNotFoundError(f"{table}: no such table")
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_columns(table, reader.fieldnames or ())
            return [_clip(base, row, f"{table}, line {reader.line_num}") for row in reader]
    except UnicodeDecodeError as error:
        raise ValueError(f"{table}: not UTF-8 text ({error}); save the table as UTF-8") from error


def _check_columns(table: Path, names: Sequence[str]) -> None:
    if missing := {"file", "label"} - set(names):
        raise ValueError(
            f"{table}: the column(s) {', '.join(sorted(missing))} are missing, there are {', '.join(names)}; "
            f"known are {', '.join(_COLUMNS)}"
        )
    for name in set(names) - set(_COLUMNS):
        # A column may be the user's own, but a fold or a group that is passed over by its spelling ruins a split.
        if near := difflib.get_close_matches(name.strip().lower(), _COLUMNS, n=1, cutoff=0.75):
            raise ValueError(f"{table}: the column {name!r} is not known; did you mean {near[0]!r}?")


def _clip(base: Path, row: dict[str, str], where: str) -> Clip:
    path = base / row["file"]
    if not path.is_file():
        raise FileNotFoundError(f"{where}: {path} is not there; paths are relative to {base}")
    labels = tuple(label.strip() for label in (row["label"] or "").split(";") if label.strip())
    if not labels:
        raise ValueError(f"{where}: {row['file']} has no label")
    fold, start, end, weight = (_number(row, name, where) for name in ("fold", "start", "end", "weight"))
    if fold is not None and not fold.is_integer():
        raise ValueError(f"{where}: fold must be a whole number, got {fold}")
    try:
        return Clip(
            path=str(path),
            labels=labels,
            fold=None if fold is None else int(fold),
            group=row.get("group") or None,
            start=start or 0.0,
            end=end,
            weight=1.0 if weight is None else weight,
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _number(row: dict[str, str], name: str, where: str) -> float | None:
    text = row.get(name)
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: {name} must be a number, got {text!r}") from None
