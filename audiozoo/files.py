"""Files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file beside `path` to write to; it becomes `path` when the block ends without an error.

    A reader, or a run killed in between, sees the old file or the new one and never a part. Missing folders are made.

    Raises:
        OSError: The folder cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays: some writers choose their format by it.
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _open_to_all(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _open_to_all(path: Path) -> None:
    # mkstemp makes files for their owner alone; a result deserves the permissions of any other new file.
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
