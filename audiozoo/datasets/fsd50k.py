"""FSD50K: Freesound clips with several of 200 labels of the AudioSet ontology.

Source: E. Fonseca, X. Favory, J. Pons, F. Font, X. Serra, "FSD50K: an Open Dataset of Human-Labeled Sound Events",
IEEE/ACM TASLP 2022, arXiv:2010.00475. Archives: https://zenodo.org/record/4060432. Licence: CC BY 4.0 for the dataset; each
sound has its own (CC0, CC BY, CC BY-NC or CC Sampling+), in the `metadata` archive.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

from audiozoo.datasets.clip import Clip
from audiozoo.datasets.sources import source_of
from audiozoo.datasets.table import Dataset, register_dataset
from audiozoo.datasets.unpacked import find_table, read_table, require_sounds

_TABLES = "FSD50K.ground_truth"
_COLUMNS = {"dev": ("fname", "labels", "split"), "eval": ("fname", "labels")}


@register_dataset
def fsd50k(root: str | os.PathLike[str] | None, *, validation_clips: bool = True) -> Dataset:
    """Read FSD50K: 40,966 development and 10,231 test clips (16-bit mono, 44.1 kHz, 0.3 to 30 s), 200 classes.

    There is one fold, the published evaluation set. The metric is the mean average precision over the classes, "map".

    Args:
        root: Folder of the unpacked archives, with `FSD50K.ground_truth/`, `FSD50K.dev_audio/` and `FSD50K.eval_audio/`, or
            its parent.
        validation_clips: Whether the published validation clips are among the training clips. Training then holds out exactly
            these; without them, it holds out clips of its own.

    Raises:
        FileNotFoundError: A table or a sound is missing.
        ValueError: A table lacks a column, or a clip has a label that is not in the vocabulary.
    """
    base, table = find_table(root, (f"{_TABLES}/dev.csv",), name="FSD50K", inside=("FSD50K",))
    clips = (*_clips(base, "dev", None, validation_clips), *_clips(base, "eval", 1, validation_clips))
    require_sounds(clips, f"unpack all audio archives (https://zenodo.org/record/4060432) into {base}")
    return Dataset(
        name="fsd50k",
        clips=clips,
        labels=_vocabulary(table.parent / "vocabulary.csv"),
        metric=source_of("fsd50k").metric,
        licence=source_of("fsd50k").licence,
    )


def _vocabulary(path: Path) -> tuple[str, ...]:
    _require(path)
    # The table has no header: number, label, AudioSet identifier.
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(row[1] for row in csv.reader(file) if len(row) > 1)


def _clips(base: Path, part: str, fold: int | None, validation_clips: bool) -> list[Clip]:
    table, audio = base / _TABLES / f"{part}.csv", base / f"FSD50K.{part}_audio"
    _require(table)
    rows = read_table(table, _COLUMNS[part], name="FSD50K")
    return [
        Clip(
            path=str(audio / f"{row['fname']}.wav"),
            labels=tuple(row["labels"].split(",")),
            fold=fold,
            validation=row.get("split") == "val",
        )
        for row in rows
        if validation_clips or row.get("split") != "val"
    ]


def _require(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the table is missing; unpack {_TABLES}.zip into {path.parents[1]}")
