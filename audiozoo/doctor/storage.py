"""The cache folder: its place, size and limit, and whether it can be written."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from audiozoo.doctor.finding import Finding
from audiozoo.download import cache_folder
from audiozoo.features import FeatureCache

_LEAST_FREE = 2**30  # bytes; the features of a small dataset take some hundred megabytes

_ELSEWHERE = "set the environment variable AUDIOZOO_CACHE to a folder that you can write, such as ~/audiozoo-cache"


def check_cache() -> Iterator[Finding]:
    """Check the cache folder."""
    folder = cache_folder()
    try:
        limit = FeatureCache().limit_bytes
    except ValueError as error:
        yield Finding("cache limit", "broken", str(error), "export AUDIOZOO_CACHE_LIMIT=10GiB, or unset it")
        return
    try:
        place = _write_test(folder)
    except OSError as error:
        yield Finding("cache", "broken", f"{folder} cannot be written: {error}", _ELSEWHERE)
        return
    free = shutil.disk_usage(place).free
    detail = f"{folder}, {_size(_total(folder))} used, features at most {_size(limit)}, {_size(free)} free on the disk"
    if free < _LEAST_FREE:
        fix = f"free some space, run `audiozoo cache clear`, or {_ELSEWHERE}"
        yield Finding("cache", "broken", f"{detail}: less than {_size(_LEAST_FREE)} is left", fix)
    else:
        yield Finding("cache", "ok", detail)


def _write_test(folder: Path) -> Path:
    """Write a temporary file to the folder, or to the closest folder above that exists, and return that folder."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    with tempfile.TemporaryFile(dir=place) as file:
        file.write(b"audiozoo")
    return place


def _total(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue  # another process has removed it
    return total


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
