"""Classes of the files in a store, from their folders or from a table."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path, PurePath

from audiozoo.bounded import MIB, refusing

_MOST_BYTES = 64 * MIB
_NAMES, _LABELS = ("file", "filename", "path"), ("label", "category", "class")


def folder_labels(files: Sequence[str]) -> list[str] | None:
    """Return the folder of each file below the folder that all files share, as training on a folder takes it for the class.

    Args:
        files: Names of sound files.

    Returns:
        The names of the folders, "" for a file without one; `None` if all files are in one folder.
    """
    folders = [PurePath(name).parts[:-1] for name in files]
    # The first and the last in order share what all share.
    ends = min(folders, default=()), max(folders, default=())
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
    labels = [parts[shared] if len(parts) > shared else "" for parts in folders]
    return labels if any(labels) else None


def table_labels(table: str | os.PathLike[str], files: Sequence[str]) -> list[str]:
    """Read the class of each file from a CSV table.

    Args:
        table: CSV file with a header, and the columns `file` (or `filename`) and `label` (or `category`). A name in the table
            may be the end of a longer path, such as the name without its folders. The first of several labels counts.
        files: Names of sound files.

    Returns:
        The class of each file, "" for a file that the table does not have.

    Raises:
        FileNotFoundError: There is no such table.
        ValueError: The table is too large, lacks a column, or has none of the files.
    """
    path = Path(table)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such table")
    with refusing(path, "not a table of labels"):
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, more than {_MOST_BYTES:,}")
        known = dict(_rows(path.read_text(encoding="utf-8-sig")))
        labels = [_label(known, PurePath(name).parts) for name in files]
        if not any(labels):
            raise ValueError(f"it has none of the files, such as {files[0]}")
    return labels


def _rows(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = reader.fieldnames or ()
    name, label = (next((one for one in known if one in columns), None) for known in (_NAMES, _LABELS))
    if name is None or label is None:
        raise ValueError(f"the columns are {', '.join(columns[:10])}; file and label are needed")
    for row in reader:
        yield PurePath(row[name] or "").parts, (row[label] or "").partition(";")[0].strip()


def _label(known: Mapping[tuple[str, ...], str], parts: tuple[str, ...]) -> str:
    return next((known[parts[start:]] for start in range(len(parts)) if parts[start:] in known), "")
