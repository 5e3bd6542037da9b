"""Download published datasets: archive by archive, verified, unpacked safely, and continued after an interruption."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from audiozoo.claims import Claims
from audiozoo.datasets.sources import Archive, Source, source_of
from audiozoo.download import cache_folder, transfer, unpack
from audiozoo.files import checksum, naming, write_json
from audiozoo.progress import Progress

_WORK = ".archives"
"""Folder inside that of a dataset, with unfinished downloads and a note about each unpacked archive."""
_HEADER = 1_000  # Most bytes that an archive has about a file.


def fetch_dataset(name: str, folder: str | os.PathLike[str], *, progress: Progress | None = None) -> Path:
    """Download and unpack a published dataset; an interrupted call continues where it stopped.

    Each archive is deleted after it is unpacked. Its SHA-256 is kept in the folder ``.archives``. If the publisher states no
    lasting checksum, the first download that can be unpacked is trusted, and later ones must equal it. If another call fills
    the same folder, this one waits for it.

    Args:
        name: Name of a dataset in `audiozoo.datasets.SOURCES`.
        folder: Folder of the dataset; it may hold a part of it already.
        progress: Callback, see `audiozoo.progress`; the stages are such as "download a.zip" and "unpack a.zip", which
            count bytes, or "waiting for another download".

    Returns:
        The folder, for ``load_dataset(name, root=folder)``.

    Raises:
        ValueError: The name is unknown, the folder is a file, a checksum is wrong, or an archive is damaged or not safe; such
            an archive is deleted.
        OSError: A download failed, the folder cannot be written, or the disk is too small.
    """
    source, folder = source_of(name), Path(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file; name the folder to fill, or one to create")
    work = folder / _WORK
    with naming(work):
        work.mkdir(parents=True, exist_ok=True)
    waiting = partial(progress, "waiting for another download", 0, 1, {}) if progress else None
    with Claims(work / ".claims") as claims, claims.waiting("fetch", tell=waiting):
        _sweep(work)
        missing = [archive for archive in source.archives if not _is_unpacked(archive, folder)]
        if len(missing) == len(source.archives):
            _check_room(source, folder)
        for archive in missing:
            _fetch(archive, source, folder, progress)
    return folder


def _sweep(work: Path) -> None:
    """Remove the files that killed calls have left; the caller holds the claim, so no running call needs them."""
    for path in work.iterdir():
        if path.is_dir() and ".unpacked" in path.name:
            shutil.rmtree(path)
        elif path.name.startswith(".") and path.suffix == ".json":  # a note that was being written
            path.unlink()


def _check_room(source: Source, folder: Path) -> None:
    arrived = sum(path.stat().st_size for path in (folder / _WORK).iterdir() if path.is_file())
    needed, free = int(1e9 * source.download_gb) - arrived, shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{folder}: the archives have about {needed:,} bytes, and the disk has {free:,} free; choose another folder"
        )


def _note(archive: Archive, folder: Path) -> Path:
    return folder / _WORK / f"{archive.name}.json"


def _known(archive: Archive, folder: Path) -> dict[str, Any]:
    """Return the facts about an archive that was unpacked; a note of an earlier version may be about one that was not."""
    try:
        known = json.loads(_note(archive, folder).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and known.get("unpacked") else {}


def _is_unpacked(archive: Archive, folder: Path) -> bool:
    known = _known(archive, folder)
    return bool(known) and all((folder / name).exists() for name in known.get("contents", ()))


def _fetch(archive: Archive, source: Source, folder: Path, progress: Progress | None) -> None:
    parts = [_download(one, source, folder, progress) for one in (*archive.earlier, archive)]
    found = checksum(parts[-1])
    try:
        contents = _unpack(parts, source, folder, progress)
    except ValueError as error:
        # Otherwise every later call would find the same archive, complete, and fail again.
        _remove(parts)
        raise ValueError(f"{error}; the archive was deleted, so the next call downloads it again") from error
    content = {"url": archive.url, "sha256": found, "published": archive.checksum, "unpacked": True, "contents": contents}
    write_json(_note(archive, folder), content)
    _remove(parts)


def _remove(parts: Sequence[Path]) -> None:
    for part in parts:
        part.unlink()


def _named(archive: str, progress: Progress | None) -> Progress | None:
    """Return a callback that reports a stage with the name of the archive, such as "download a.zip"."""
    return (lambda stage, done, total, figures: progress(f"{stage} {archive}", done, total, figures)) if progress else None


def _download(archive: Archive, source: Source, folder: Path, progress: Progress | None) -> Path:
    trusted = None if archive.checksum else _known(archive, folder).get("sha256")
    expected = f"sha256:{trusted}" if trusted else archive.checksum
    try:
        return transfer(
            archive.url,
            folder / _WORK / archive.name,
            checksum=expected,
            # An archive is larger than its files by no more than their headers.
            most_bytes=source.most_bytes + _HEADER * source.most_files,
            progress=_named(archive.name, progress),
        )
    except ValueError as error:
        if trusted is None:
            raise
        note = _note(archive, folder)
        raise ValueError(f"{error}; if the publisher has changed the file, delete {note} to accept it") from error


def _unpack(parts: Sequence[Path], source: Source, folder: Path, progress: Progress | None) -> list[str]:
    """Unpack an archive into the folder of the dataset, and return the names that it has there."""
    *earlier, path = parts
    unpacked = path.with_name(f"{path.name}.unpacked")
    unpack(
        path,
        unpacked,
        most_bytes=source.most_bytes,
        most_files=source.most_files,
        earlier=earlier,
        progress=_named(path.name, progress),
    )
    names = sorted(one.name for one in unpacked.iterdir())
    if _WORK in map(str.casefold, names):
        raise ValueError(f"{path}: refused, because it has files for {_WORK}, which would replace the notes about archives")
    # Several archives share folders, so the files are moved one by one.
    for file in sorted(one for one in unpacked.rglob("*") if one.is_file()):
        target = folder / file.relative_to(unpacked)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.replace(target)
    shutil.rmtree(unpacked)
    return names


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
