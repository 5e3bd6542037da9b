"""UrbanSound8K: ten classes of city sounds of up to 4 s in ten official folds.

Source: J. Salamon, C. Jacoby, J. P. Bello, "A Dataset and Taxonomy for Urban Sound Research", ACM Multimedia 2014,
doi:10.1145/2647868.2655045. Archive: `UrbanSound8K.tar.gz`, https://zenodo.org/record/1203745. Licence: CC BY-NC 3.0
by the README in the archive and https://urbansounddataset.weebly.com/urbansound8k.html, CC BY-NC 4.0 by the record at Zenodo;
both exclude commercial use.
"""

from __future__ import annotations

import os
from pathlib import Path

from audiozoo.datasets.clip import Clip
from audiozoo.datasets.sources import source_of
from audiozoo.datasets.table import Dataset, register_dataset
from audiozoo.datasets.unpacked import as_published, find_table, read_table, require_sounds

_COLUMNS = ("slice_file_name", "fsID", "fold", "classID", "class")


@register_dataset
def urbansound8k(root: str | os.PathLike[str] | None) -> Dataset:
    """Read UrbanSound8K: 8,732 clips of at most 4 s, 10 classes, WAV files of many rates, bit depths and one or two channels.

    The metric is the mean accuracy over the ten official folds; results on other folds are not comparable. The group of a clip
    is the Freesound recording that it comes from. A note names recordings with clips in several folds.

    Args:
        root: Folder of the unpacked archive, with `metadata/UrbanSound8K.csv` and `audio/fold1` to `audio/fold10`, or its
            parent.

    Raises:
        FileNotFoundError: The table or a sound is missing.
        ValueError: The table lacks a column.
    """
    base, table = find_table(root, ("metadata/UrbanSound8K.csv",), name="UrbanSound8K", inside=("UrbanSound8K",))
    rows = read_table(table, _COLUMNS, name="UrbanSound8K")
    found = [_clip(base, row) for row in rows]
    require_sounds(found, f"unpack all of UrbanSound8K.tar.gz (https://zenodo.org/record/1203745) into {base.parent}")
    clips, notes = as_published(found)
    # The order of the official class numbers.
    labels = {int(row["classID"]): row["class"] for row in rows}
    return Dataset(
        name="urbansound8k",
        clips=clips,
        labels=tuple(labels[number] for number in sorted(labels)),
        licence=source_of("urbansound8k").licence,
        notes=notes,
    )


def _clip(base: Path, row: dict[str, str]) -> Clip:
    path = base / "audio" / f"fold{row['fold']}" / row["slice_file_name"]
    return Clip(path=str(path), labels=(row["class"],), fold=int(row["fold"]), group=row["fsID"])
