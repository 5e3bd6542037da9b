"""TUT Urban Acoustic Scenes 2018, the development set of the DCASE 2018 challenge, task 1A: ten scenes in six cities.

Source: A. Mesaros, T. Heittola, T. Virtanen, "A multi-device dataset for urban acoustic scene classification", DCASE
Workshop 2018, arXiv:1807.09840. Archives: `meta`, `doc` and `audio.1` to `audio.13` at
https://zenodo.org/record/1228142. Licence: free for non-commercial use, see LICENSE in the archive.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from audiozoo.datasets.clip import Clip
from audiozoo.datasets.sources import source_of
from audiozoo.datasets.table import Dataset, register_dataset
from audiozoo.datasets.unpacked import as_published, find_table, read_table, require_list, require_listed, require_sounds
from audiozoo.recipe import Recipe

_ARCHIVE = "TUT-urban-acoustic-scenes-2018-development"
_COLUMNS = ("filename", "scene_label", "identifier")
_LISTS = {"fold1_train.txt": None, "fold1_evaluate.txt": 1}  # The published training clips belong to no test fold.


@register_dataset
def dcase2018(root: str | os.PathLike[str] | None) -> Dataset:
    """Read the development set of DCASE 2018 task 1A: 8,640 clips of 10 s (24-bit stereo, 48 kHz), 10 scenes.

    There is one fold, the published one, with 6,122 clips for training and 2,518 for testing. The group of a clip is its city
    and location, so validation holds out whole locations. The protocol holds out 30 % of them, as the baseline of the challenge
    does, chooses the epoch on them, and does not train again on all clips. The metric is the macro accuracy over the scenes.

    Args:
        root: Folder of the unpacked archives, with `meta.csv`, `evaluation_setup/` and `audio/`, or its parent.

    Raises:
        FileNotFoundError: The table, a list or a sound is missing.
        ValueError: The table lacks a column, or a list names a file that is not in the table.
    """
    base, table = find_table(root, ("meta.csv",), name="DCASE 2018 task 1A", inside=(_ARCHIVE,))
    # The table of this dataset separates columns by tabs.
    rows = {row["filename"]: row for row in read_table(table, _COLUMNS, name="DCASE 2018 task 1A", delimiter="\t")}
    listed = [clip for name, fold in _LISTS.items() for clip in _clips(base, name, fold, rows)]
    require_sounds(
        listed,
        f"unpack {_ARCHIVE}.audio.1.zip to {_ARCHIVE}.audio.13.zip (https://zenodo.org/record/1228142) into {base}",
    )
    clips, notes = as_published(listed)
    return Dataset(
        name="dcase2018",
        clips=clips,
        labels=tuple(sorted({clip.label for clip in clips})),
        metric=source_of("dcase2018").metric,
        licence=source_of("dcase2018").licence,
        notes=notes,
        protocol=_as_the_baseline,
    )


def _as_the_baseline(recipe: Recipe) -> Recipe:
    # The protocol of the baseline, except that the baseline chooses the epoch by accuracy and audiozoo by loss.
    return replace(recipe, validation=0.3, refit=False, epochs=200, patience=None)


def _clips(base: Path, name: str, fold: int | None, rows: dict[str, dict[str, str]]) -> list[Clip]:
    path = base / "evaluation_setup" / name
    require_list(path, f"unpack {_ARCHIVE}.meta.zip into {base}")
    # The lists have no header, and their second column repeats the label from meta.csv.
    files = [line.split("\t")[0].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    require_listed(path, files, rows)
    return [
        Clip(path=str(base / file), labels=(rows[file]["scene_label"],), fold=fold, group=rows[file]["identifier"])
        for file in files
    ]
