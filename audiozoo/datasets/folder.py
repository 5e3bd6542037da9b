"""Your own sounds: one folder for each class, or sound files with a CSV table of labels."""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from audiozoo import audio
from audiozoo.datasets.clip import Clip
from audiozoo.datasets.table import Dataset, register_dataset

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
        root: Folder with one folder of sounds for each class. With a table, the folder that the paths in the table start from.
        table: CSV file with a header and the columns `file` and `label`, optionally `fold`, `group` (the recording that the
            clip comes from), `start` and `end` (seconds), `weight`. A semicolon separates several labels of a clip.
        labels: Labels in the order of the classifier's outputs; `None` sorts all labels that occur.

    Returns:
        The dataset "folder". Without a table, each file is a recording of its own and there are no folds;
        `Dataset.with_folds` makes some. `notes` names files that are not sounds.

    Raises:
        FileNotFoundError: The folder, the table, or a file in the table is missing.
        ValueError: `root` is `None`, the folder has no sounds, the table lacks a column, or a value in it is not a number.
    """
    if root is None:
        raise ValueError("the dataset 'folder' needs root=, a folder with one folder of sounds for each class")
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
        # Hidden folders are those of version control, of trash and of macOS archives.
        if path.is_dir() or any(part.startswith(".") for part in inside):
            continue
        if audio.is_sound_file(path) and len(inside) > 1:
            clips.append(Clip(path=str(path), labels=(inside[0],)))
        else:
            passed.append(str(Path(*inside)))
    if not clips:
        raise ValueError(
            f"{base}: no sounds in folders here; expected {base}/CLASS/FILE with files ending in "
            f"{', '.join(audio.SOUND_SUFFIXES)}, or a CSV table that labels the files"
        )
    note = f"skipped {len(passed)} file(s) that are not sounds in a class folder: {', '.join(passed[:5])}"
    return clips, (note,) if passed else ()


def _from_table(base: Path, table: Path) -> list[Clip]:
    if not table.is_file():
        raise FileNotFoundError(f"{table}: no such table")
    try:
        # utf-8-sig: Excel begins a CSV file with a byte order mark, which would become part of the first column's name.
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            _check_columns(table, reader.fieldnames or ())
            return [_clip(base, row, f"{table}, line {reader.line_num}") for row in reader]
    except UnicodeDecodeError as error:
        raise ValueError(f"{table}: not UTF-8 text ({error}); save the table as UTF-8") from error


def _check_columns(table: Path, names: Sequence[str]) -> None:
    if missing := {"file", "label"} - set(names):
        raise ValueError(
            f"{table}: the column(s) {', '.join(sorted(missing))} are missing, the table has {', '.join(names)}; "
            f"the loader reads {', '.join(_COLUMNS)}"
        )
    for name in set(names) - set(_COLUMNS):
        # A table may have columns of its own. A misspelt `fold` or `group`, however, would silently give a wrong split.
        if near := difflib.get_close_matches(name.strip().lower(), _COLUMNS, n=1, cutoff=0.75):
            raise ValueError(f"{table}: unknown column {name!r}; did you mean {near[0]!r}?")


def _clip(base: Path, row: dict[str, str], where: str) -> Clip:
    path = base / row["file"]
    if not path.is_file():
        raise FileNotFoundError(f"{where}: {path} does not exist; paths in the table start from {base}")
    # A dictionary keeps the order and drops a label that is given twice.
    labels = tuple(dict.fromkeys(label.strip() for label in (row["label"] or "").split(";") if label.strip()))
    if not labels:
        raise ValueError(f"{where}: {row['file']} has no label; give clips with none of the classes one such as 'background'")
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
        # `Clip` knows the rule, the table knows the line.
        raise ValueError(f"{where}: {error}") from error


def _number(row: dict[str, str], name: str, where: str) -> float | None:
    text = row.get(name)
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{where}: {name} must be a number, got {text!r}") from None
