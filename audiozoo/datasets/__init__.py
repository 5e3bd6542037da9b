"""Datasets as tables of clips with their official splits; each is one file of this folder, found and not listed."""

from __future__ import annotations

import inspect
import os
from typing import Any

from audiozoo.checks import refuse_unknown
from audiozoo.config import import_all
from audiozoo.datasets.table import (
    Clip,
    Dataset,
    check_disjoint,
    hold_out,
    loader_named,
    loader_names,
    recordings_by_label,
    register_dataset,
)

__all__ = [
    "Clip",
    "Dataset",
    "check_disjoint",
    "hold_out",
    "list_datasets",
    "load_dataset",
    "recordings_by_label",
    "register_dataset",
]


def list_datasets() -> list[str]:
    """List the names that `load_dataset` knows."""
    import_all(__name__)
    return loader_names()


def load_dataset(name: str, /, *, root: str | os.PathLike[str] | None = None, **options: Any) -> Dataset:
    """Read a dataset's table of clips; no sound is read yet.

    Args:
        name: A name from `list_datasets`.
        root: The folder into which the dataset was unpacked. "synthetic" needs none.
        **options: The loader's own, see for example ``help(audiozoo.datasets.folder.folder)``.

    Raises:
        ValueError: An unknown name or option (the nearest is proposed), or a folder that is not such a dataset.
        FileNotFoundError: There is no such folder.
    """
    import_all(__name__)
    loader = loader_named(name)
    refuse_unknown(f"option of the dataset {name}", options, inspect.signature(loader).parameters)
    return loader(root, **options)
