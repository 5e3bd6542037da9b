"""Download published datasets: archive by archive, verified, unpacked safely, and continued after an interruption."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from audiozoo.datasets.sources import Archive, Source, source_of
from audiozoo.download import cache_folder, transfer, unpack
from audiozoo.files import checksum, write_json
from audiozoo.progress import Progress

_WORK = ".archives"
"""Folder inside that of a dataset, with unfinished downloads and a note about each finished archive."""


def fetch_dataset(name: str, folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
    """Download and unpack a published dataset; an interrupted call continues where it stopped.

    Each archive is deleted after it is unpacked. Its SHA-256 is kept in the folder ``.archives``. If the publisher states no
    lasting checksum, the first download is trusted, and later ones must equal it.

    Args:
        name: Name of a dataset in `audiozoo.datasets.SOURCES`.
        folder: Folder of the dataset; it may hold a part of it already.
        progress: Callback, see `audiozoo.progress`; the stages are the names of the archives.

    Returns:
        The folder, for ``load_dataset(name, root=folder)``.

    Raises:
        ValueError: The name is unknown, the dataset cannot be downloaded automatically, a checksum is wrong, or an archive is
            damaged or not safe.
        OSError: A download failed, or the folder cannot be written.
    """
    source, folder = source_of(name), Path(folder)
    if not source.archives:
        raise ValueError(f"{name} cannot be downloaded automatically: get its archives from {source.page}, and unpack them")
    for archive in source.archives:
        _fetch(archive, source, folder, progress)
    return folder


def _fetch(archive: Archive, source: Source, folder: Path, progress: Progress | None) -> None:
    work = folder / _WORK
    note = work / f"{archive.name}.json"
    known = json.loads(note.read_text(encoding="utf-8")) if note.is_file() else {}
    if known.get("unpacked"):
        return

    def named(stage: str, done: int, total: int, figures: object) -> None:
        if progress:
            progress(archive.name, done, total, {})

    trusted = f"sha256:{known['sha256']}" if "sha256" in known else None
    path = transfer(archive.url, work / archive.name, checksum=archive.checksum or trusted, progress=named)
    found = checksum(path)
    write_json(note, {"url": archive.url, "sha256": found, "published": archive.checksum, "unpacked": False})
    _unpack(path, source, folder)
    write_json(note, {"url": archive.url, "sha256": found, "published": archive.checksum, "unpacked": True})
    path.unlink()


def _unpack(path: Path, source: Source, folder: Path) -> None:
    unpacked = path.with_name(f"{path.name}.unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)  # a killed call may have left a part
    unpack(path, unpacked, most_bytes=source.most_bytes, most_files=source.most_files)
    # Several archives share folders, so the files are moved one by one.
    for file in sorted(one for one in unpacked.rglob("*") if one.is_file()):
        target = folder / file.relative_to(unpacked)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
    shutil.rmtree(unpacked)


def accepted_licences() -> dict[str, str]:
    """Return the licences that the user has accepted, by the name of the dataset."""
    try:
        found = json.loads(_licences().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(text) for name, text in found.items()} if isinstance(found, dict) else {}


def accept_licence(name: str) -> None:
    """Remember that the user has accepted the licence of a dataset.

    Raises:
        OSError: The note cannot be written to the cache folder.
    """
    write_json(_licences(), {**accepted_licences(), name: source_of(name).licence})


def _licences() -> Path:
    return cache_folder() / "licences.json"
