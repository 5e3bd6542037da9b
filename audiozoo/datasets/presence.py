"""Find the published datasets that are on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from audiozoo.config import import_all
from audiozoo.datasets.sources import SOURCES, Source, source_of
from audiozoo.datasets.table import loader_named


class Found(NamedTuple):
    """Place of a dataset.

    Args:
        folder: Folder of the dataset, for ``load_dataset(name, root=folder)``.
        complete: Whether the dataset can be loaded; otherwise `fetch_dataset` has downloaded a part of it.
    """

    folder: Path
    complete: bool


def find_dataset(name: str, base: str | os.PathLike[str] = ".") -> Found | None:
    """Find a published dataset in a folder.

    The dataset may be in a folder of its name there, or in the folder itself. If several datasets have the same archives, such
    as ESC-50 and ESC-10, the folder may have the name of any of them.

    Args:
        name: Name of a dataset in `SOURCES`.
        base: Folder in which to look.

    Returns:
        The place, or `None` if the dataset is not there.

    Raises:
        ValueError: The name is unknown.
    """
    import_all("audiozoo.datasets")
    source, load = source_of(name), loader_named(name)
    for folder in _candidates(source, Path(base)):
        try:
            load(folder)
        except (OSError, ValueError):
            # The folder may have another dataset, or an archive may be missing.
            if _has_begun(source, folder):
                return Found(folder, complete=False)
        else:
            return Found(folder, complete=True)
    return None


def _candidates(source: Source, base: Path) -> Iterator[Path]:
    names = [name for name, other in SOURCES.items() if other.archives == source.archives]
    return (folder for folder in (*(base / name for name in names), base) if folder.is_dir())


def _has_begun(source: Source, folder: Path) -> bool:
    names = {path.name for path in (folder / ".archives").glob("*")}
    return any(name.startswith(archive.name) for archive in source.archives for name in names)
