"""TAU Urban Acoustic Scenes 2022 Mobile, the development set of DCASE 2022 task 1: ten scenes, nine devices, clips of 1 s.

Source: T. Heittola, A. Mesaros, T. Virtanen, "Acoustic scene classification in DCASE 2020 Challenge: generalization across
devices and low complexity solutions", DCASE Workshop 2020, arXiv:2005.14623. Archives: https://zenodo.org/record/6337421.
Licence: free for non-commercial use, see LICENSE in the archive.
"""

from __future__ import annotations

import os
from pathlib import Path

from audiozoo.datasets.clip import Clip
from audiozoo.datasets.sources import source_of
from audiozoo.datasets.table import Dataset, register_dataset
from audiozoo.datasets.unpacked import as_published, find_table, read_table, require_list, require_listed, require_sounds

_NAME = "TAU 2022 mobile"
_ARCHIVE = "TAU-urban-acoustic-scenes-2022-mobile-development"
_COLUMNS = ("filename", "scene_label", "identifier", "source_label")
_LISTS = {"fold1_train.csv": None, "fold1_evaluate.csv": 1}  # The published training clips belong to no test fold.


@register_dataset
def tau2022(root: str | os.PathLike[str] | None) -> Dataset:
    """Read the development set of TAU Urban Acoustic Scenes 2022 Mobile: clips of 1 s (mono, 44.1 kHz), 10 scenes.

    There is one fold, the published one. Its test clips come also from the devices s4, s5 and s6, which no training clip has.
    The domain of a clip is its device. The group of a clip is its city and location. The metric is the macro accuracy. Clips
    that are in neither list are left out.

    Args:
        root: Folder of the unpacked archives, with `meta.csv`, `evaluation_setup/` and `audio/`, or its parent.

    Raises:
        FileNotFoundError: The table, a list or a sound is missing.
        ValueError: A table lacks a column, or a list names a file that is not in the table.
    """
    base, table = find_table(root, ("meta.csv",), name=_NAME, inside=(_ARCHIVE,))
    # The tables of this dataset separate columns by tabs.
    rows = {row["filename"]: row for row in read_table(table, _COLUMNS, name=_NAME, delimiter="\t")}
    listed = [clip for name, fold in _LISTS.items() for clip in _clips(base, name, fold, rows)]
    require_sounds(listed, f"unpack the audio archives (https://zenodo.org/record/6337421) into {base.parent}")
    clips, notes = as_published(listed)
    return Dataset(
        name="tau2022",
        clips=clips,
        labels=tuple(sorted({clip.label for clip in clips})),
        metric=source_of("tau2022").metric,
        licence=source_of("tau2022").licence,
        notes=notes,
    )


def _clips(base: Path, name: str, fold: int | None, rows: dict[str, dict[str, str]]) -> list[Clip]:
    path = base / "evaluation_setup" / name
    require_list(path, f"unpack {_ARCHIVE}.meta.zip into {base.parent}")
    files = [row["filename"] for row in read_table(path, ("filename",), name=_NAME, delimiter="\t")]
    require_listed(path, files, rows)
    return [_clip(base, rows[file], fold) for file in files]


def _clip(base: Path, row: dict[str, str], fold: int | None) -> Clip:
    path = str(base / row["filename"])
    return Clip(path=path, labels=(row["scene_label"],), fold=fold, group=row["identifier"], domain=row["source_label"])
