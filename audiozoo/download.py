"""Files from elsewhere, fetched once into the cache folder and checked."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from audiozoo.files import checksum, replacing


def cache_folder() -> Path:
    """Return the folder that fetched files are kept in: ``$AUDIOZOO_CACHE``, or the system's place for caches."""
    if chosen := os.environ.get("AUDIOZOO_CACHE"):
        return Path(chosen)
    import pooch

    return Path(pooch.os_cache("audiozoo"))


def fetch(url: str, *, sha256: str, strict: bool = False) -> Path:
    """Return the file at a URL from the cache folder, fetching it first if it is not there.

    Args:
        url: HTTP or HTTPS. The last part of its path names the file in the cache folder.
        sha256: Expected checksum, hexadecimal.
        strict: Raise if the checksum is another; otherwise warn.

    Returns:
        The file's path. A transfer that breaks off leaves no file.

    Raises:
        OSError: It cannot be fetched; the message says where to put a copy fetched by hand.
        ValueError: With `strict`, the checksum is not the expected one. What was fetched just now is thrown away.
    """
    path = cache_folder() / url.rsplit("/", 1)[-1]
    if path.is_file():
        _check(path, path, sha256, strict)
    else:
        _download(url, path, sha256, strict)
    return path


def _download(url: str, path: Path, sha256: str, strict: bool) -> None:
    import pooch

    with replacing(path) as temporary:
        try:
            pooch.HTTPDownloader()(url, str(temporary), None)
        except OSError as error:
            raise OSError(
                f"{url} could not be fetched ({error}); without a network, fetch it elsewhere and put it at {path}"
            ) from error
        _check(temporary, path, sha256, strict)


def _check(file: Path, path: Path, sha256: str, strict: bool) -> None:
    found = checksum(file)
    if found == sha256:
        return
    message = f"{path}: expected SHA-256 {sha256}, got {found}; if it is not the file you mean, delete it and fetch it again"
    if strict:
        raise ValueError(message)
    warnings.warn(message, RuntimeWarning, stacklevel=4)
