"""Rows that are computed again: which jobs to run, and where the earlier row goes."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from audiozoo.crossval.rows import Row, read_row, write_row
from audiozoo.crossval.variants import variant
from audiozoo.files import replacing

Rerun = Literal["missing", "stale", "all"]

SUPERSEDED = "superseded"
"""Name of the subfolder of earlier rows, which `read_rows` does not read."""

_TOLERANCE = 1e-3
"""Difference of scores that is not a different result: processors round differently, and training amplifies that."""


@dataclass(frozen=True)
class Conflict:
    """Two rows of the same job with different results.

    Args:
        earlier: Row that was there.
        row: Row that replaces it.
        folder: Folder of the earlier row now.
    """

    earlier: Row
    row: Row
    folder: Path

    def __str__(self) -> str:
        """Describe both results in a sentence."""
        return (
            f"{self.row.model}, fold {self.row.fold}, seed {self.row.seed}: {self.row.metric} is {self.row.score:.4f}, and was "
            f"{self.earlier.score:.4f}; the earlier row is kept in {self.folder}"
        )

    @classmethod
    def of(cls, earlier: Row | None, row: Row, folder: Path) -> Conflict | None:
        """Compare a row with the earlier row of the same job.

        Args:
            earlier: Row that was in the folder; `None` if there was none.
            row: Row that replaces it.
            folder: Folder of rows.

        Returns:
            Both rows if their results differ, otherwise `None`.
        """
        return cls(earlier, row, folder / SUPERSEDED) if earlier and _differ(earlier, row) else None


def distinct(rows: Iterable[Row]) -> list[Row]:
    """Return rows without the copies that other folders hold; of two copies, one with the scores of its clips stays.

    Raises:
        ValueError: Two rows of the same job have different results.
    """
    rows = list(rows)
    often = Counter(map(_about, rows))
    found: dict[Hashable, Row] = {}
    for place, row in enumerate(rows):
        question = (_question(row) if often[_about(row)] > 1 else None) or place
        if (earlier := found.setdefault(question, row)) is row:
            continue
        if _differ(earlier, row):
            raise ValueError(
                f"{row.model}, fold {row.fold}, seed {row.seed}: two rows of the same job have different results, {row.metric} "
                f"{earlier.score:.4f} and {row.score:.4f}; delete one of them, or name a folder that has only one"
            )
        if row.test and not earlier.test:
            found[question] = row
    return list(found.values())


def _about(row: Row) -> Hashable:
    return row.request.dataset, row.model, row.fold, row.seed


def _question(row: Row) -> Hashable:
    """Return what a row answers, or `None` if its clips are not known; a key would need a registered model."""
    return (_about(row), row.request.content, variant(row)) if row.request.content else None


def usable(row: Row, rerun: Rerun) -> bool:
    """Return whether a row answers its job, so that the job need not run."""
    return rerun == "missing" or (rerun == "stale" and not row.stale)


def keep(path: Path, row: Row) -> None:
    """Write a row after a copy of each earlier row of the same job is in the subfolder, so that a killed process loses none.

    Raises:
        OSError: A file cannot be written.
    """
    named = {one: read_row(one) for one in _of_the_same_job(path, row)}
    earlier = {one: before for one, before in named.items() if before.key == row.key}
    for one, before in earlier.items():
        supersede(one, before)
    write_row(path, row)
    for one in earlier:
        if one != path:
            one.unlink(missing_ok=True)


def _of_the_same_job(path: Path, row: Row) -> list[Path]:
    # An earlier version may have written the row under another key.
    start = path.name.removesuffix(f"-{row.key}.json")
    return sorted(path.parent.glob(f"{start}-*.json"))


def supersede(path: Path, row: Row) -> None:
    """Copy the file of a row into the subfolder of earlier rows, under a name that none has there.

    Raises:
        OSError: The copy cannot be written.
    """
    folder, code = path.parent / SUPERSEDED, row.provenance.code or "unknown"
    folder.mkdir(exist_ok=True)
    number, target = 1, folder / f"{path.stem}-{code}.json"
    while target.exists():
        number += 1
        target = folder / f"{path.stem}-{code}-{number}.json"
    with replacing(target) as temporary:
        shutil.copyfile(path, temporary)


def _differ(one: Row, other: Row) -> bool:
    if one.test and other.test and one.test.clips == other.test.clips:
        return not np.allclose(one.test.scores, other.test.scores, rtol=0, atol=_TOLERANCE, equal_nan=True)
    return one.measures != other.measures
