"""Names of the classes of AudioSet, which several pretrained networks share.

Source: Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for audio events", ICASSP 2017. The file
`audioset_class_labels.csv` is Google's list of the 527 classes, under CC BY 4.0.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path


@cache
def class_names(file: str = "audioset_class_labels.csv") -> tuple[str, ...]:
    """Return the names of classes in the order of a network's outputs.

    Args:
        file: Name of a CSV file in this folder with a column "display_name"; the default has the 527 classes of AudioSet.
    """
    with Path(__file__).with_name(file).open(encoding="utf-8", newline="") as lines:
        return tuple(row["display_name"] for row in csv.DictReader(lines))
