"""Download files into the cache folder and verify their checksums."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from audiozoo.files import checksum, open_to_all


def cache_folder() -> Path:
    """Return the folder of all cached files, weights and features: ``$AUDIOZOO_CACHE``, or the user's cache folder.

    A leading "~" is the user's home folder. The returned path is absolute; the folder may not exist yet.
    """
    if chosen := os.environ.get("AUDIOZOO_CACHE"):
        return Path(chosen).expanduser().absolute()
    import pooch

    return Path(pooch.os_cache("audiozoo")).absolute()


def fetch(url: str, *, sha256: str) -> Path:
    """Return the cached copy of a file; download it if it is missing or has another checksum.

    Args:
        url: HTTP or HTTPS address. The last part of its path names the file in the cache folder.
        sha256: Expected checksum, hexadecimal.

    Returns:
        The path of a file with this checksum.

    Raises:
        OSError: The download failed; the message says where to put a copy.
        ValueError: The downloaded file has another checksum, and was deleted.
    """
    import pooch

    name = url.rsplit("/", 1)[-1]
    path = cache_folder() / name
    # pooch announces each download on standard error.
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(url, f"sha256:{sha256}", name, path.parent, _shared, pooch.HTTPDownloader())
    except OSError as error:
        raise OSError(
            f"{url} could not be downloaded ({error}); without a network, download it elsewhere and put it at {path}"
            f"{_what_is_there(path, sha256)}"
        ) from error
    except ValueError as error:
        raise ValueError(f"{url}: the download is not the expected file and was deleted: {error}") from error
    return path


def _shared(path: str, action: str, _: object) -> None:
    if action != "fetch":
        open_to_all(Path(path))


def _what_is_there(path: Path, sha256: str) -> str:
    """Describe the file that the copy must replace, if there is one."""
    if not path.is_file():
        return ""
    return f"; the file that is there now has the SHA-256 {checksum(path)} instead of {sha256}"
