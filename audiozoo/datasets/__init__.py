"""Datasets: tables of clips with official splits. `load_dataset` finds the loaders in the modules of this package."""

from __future__ import annotations

import inspect
import os
from typing import Any

from audiozoo.checks import refuse_unknown
from audiozoo.config import import_all
from audiozoo.datasets.clip import Clip
from audiozoo.datasets.fetching import accept_licence, accepted_licences, fetch_dataset
from audiozoo.datasets.presence import Found, find_dataset
from audiozoo.datasets.sources import SOURCES, Archive, Source, source_of
from audiozoo.datasets.splits import check_disjoint, check_taught, hold_out, is_multilabel, recordings_by_label
from audiozoo.datasets.table import Dataset, loader_named, loader_names, register_dataset

__all__ = [
    "SOURCES",
    "Archive",
    "Clip",
    "Dataset",
    "Found",
    "Source",
    "accept_licence",
    "accepted_licences",
    "check_disjoint",
    "check_taught",
    "fetch_dataset",
    "find_dataset",
    "hold_out",
    "is_multilabel",
    "list_datasets",
    "load_dataset",
    "recordings_by_label",
    "register_dataset",
    "source_of",
]


def list_datasets() -> list[str]:
    """List the names that `load_dataset` accepts."""
    import_all(__name__)
    return loader_names()


def load_dataset(name: str, /, *, root: str | os.PathLike[str] | None = None, **options: Any) -> Dataset:
    """Load the table of a dataset's clips, without reading the sounds.

    Args:
        name: Name of a dataset, see `list_datasets`.
        root: Folder of the unpacked dataset; "synthetic" needs none.
        **options: Options of the loader, for example those in ``help(audiozoo.datasets.folder.folder)``.

    Returns:
        The dataset: clips, labels, folds and metric.

    Raises:
        ValueError: The name or an option is unknown (the message suggests the closest one), or the folder has another dataset.
        FileNotFoundError: The folder, a table or a sound is missing.
    """
    import_all(__name__)
    loader = loader_named(name)
    refuse_unknown(f"option of the dataset {name}", options, inspect.signature(loader).parameters)
    return loader(root, **options)
