"""Checks of a folder of answers before a run writes into it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from audiozoo.parts import MANIFEST, Manifest, Part, has_manifest, read_manifest

CLAIMS = ".claims"
"""Name of the folder of claims in a folder of answers."""

_ABSENT = object()
_LONGEST_VALUE = 200  # characters of a value in an error
# Files that are written atomically have such names until they are complete.
_UNFINISHED = re.compile(r"\.manifest-.*\.json|\.(part|failures)-[0-9]{5}-.*\.parquet")


def found_manifest(folder: Path, request: Mapping[str, Any], *, resume: bool) -> Manifest | None:
    """Return the manifest of a folder after a check that a run with a request may write there. Nothing is changed.

    Args:
        folder: Folder of answers, which need not exist.
        request: Request of the run.
        resume: Whether the run goes on with the answers in the folder.

    Returns:
        The manifest; `None` for a folder that is empty or does not exist.

    Raises:
        ValueError: The path is no folder, has other content, has answers although `resume` is not set, or has those of another
            request; or the manifest is damaged.
        OSError: The folder cannot be read.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: is a file, and the answers need a folder; name another path")
    if not has_manifest(folder):
        if other := _other_content(folder):
            raise ValueError(f"{folder}: has other content, such as {other}, and no {MANIFEST}; name another folder")
        return None
    if not resume:
        raise ValueError(f"{folder}: has the answers of a run; continue it with --resume, or name another folder")
    manifest = read_manifest(folder)
    for place, old, new in _differences(manifest.request, request):
        raise ValueError(
            f"{folder}: {place} was {_shown(old)} in the request of these answers and is {_shown(new)} now; "
            "--resume needs the same request, or name another folder"
        )
    return manifest


def _other_content(folder: Path) -> str | None:
    """Return the name of something that a run, killed before it wrote a manifest, did not leave."""
    names = (path.name for path in folder.iterdir()) if folder.exists() else iter(())
    own = (CLAIMS, ".clock-")
    return next((name for name in names if not name.startswith(own) and not _UNFINISHED.fullmatch(name)), None)


def _differences(old: Any, new: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {**new, **old}:
            yield from _differences(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{place}.{key}" if place else key)
    elif isinstance(old, list) and isinstance(new, list):
        for number, pair in enumerate(zip_longest(old, new, fillvalue=_ABSENT)):
            yield from _differences(*pair, f"{place}[{number}]")
    elif old != new:
        yield place, old, new


def _shown(value: Any) -> str:
    return "not given" if value is _ABSENT else json.dumps(value)[:_LONGEST_VALUE]


def remove_unfinished(folder: Path, following: Part) -> None:
    """Remove what a killed run left: unfinished files, and the tables of a part that the manifest does not list.

    Args:
        folder: Folder of answers.
        following: Part that the run will write first.

    Raises:
        OSError: A file cannot be removed.
    """
    unlisted = {following.name, following.failures_name}
    for path in folder.iterdir():
        if path.name in unlisted or _UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)
