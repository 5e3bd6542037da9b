"""Claims, files that keep two runs on one folder from doing the same work at the same time."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

_BEAT = 10.0  # seconds between two signs of life
_STALE = 120.0  # seconds without one after which a claim is void; a busy machine may delay a few of them
_PAUSE = 0.2  # seconds between two attempts to get a claim


class Claims:
    """Claims of one run, such as a benchmark or a download, in a folder that it may share with others, also on other machines.

    A claim is a file with the process and the machine that hold it. While the run lives, a thread renews the time of the file.
    The claim of a process that has ended is void: at once on the same machine, and after two minutes on another one.

    The file of a claim is ``NAME.NUMBER``. To take over a void claim, a run creates the file with the next number, which only
    one run can do. No run renames or removes a file that another run may be about to renew.

    Args:
        folder: Folder of the claims. It is created when needed, and removed when the last claim is released.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held: dict[str, Path] = {}
        self._ended = threading.Event()
        self._renewing: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        for name in list(self._held):
            self.release(name)
        self._clear()

    def take(self, name: str) -> bool:
        """Claim a piece of work.

        Args:
            name: Name of the work, with which a file name can begin.

        Returns:
            Whether the claim is now held; `False` if another run, or another part of this one, holds it.

        Raises:
            OSError: The file of the claim cannot be written.
        """
        files = self._files(name)
        if any(map(self._holds, files)):
            return False
        path = self.folder / f"{name}.{1 + max(map(_number, files), default=0)}"
        if not self._created(path):
            return False
        # Another run may have begun and ended between the two looks, and a third one may hold the work again.
        if any(self._holds(other) for other in self._files(name) if other != path):
            path.unlink(missing_ok=True)
            return False
        self._held[name] = path
        self._renew()
        return True

    @contextmanager
    def waiting(self, name: str, *, tell: Callable[[], object] | None = None) -> Iterator[None]:
        """Context manager that holds a claim, and waits for it first.

        Args:
            name: Name of the work.
            tell: Function to call once if the claim is not free.
        """
        if not self.take(name):
            if tell:
                tell()
            while not self.take(name):
                time.sleep(_PAUSE)
        try:
            yield
        finally:
            self.release(name)

    def release(self, name: str) -> None:
        """Give up a claim; a name that is not held is ignored."""
        if (path := self._held.pop(name, None)) is None:
            return
        # The own file comes last, because other runs create none while it exists.
        for void in self._files(name):
            if _number(void) < _number(path):
                void.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # other claims are in it
            self.folder.rmdir()

    def _clear(self) -> None:
        """Remove the claims of runs that were killed after their work was done, which nobody takes over."""
        for name in {path.stem for path in self._files("*")}:
            if self.take(name):
                self.release(name)

    def _files(self, name: str) -> list[Path]:
        return [path for path in self.folder.glob(f"{name}.*") if path.suffix[1:].isdecimal()]

    def _created(self, path: Path) -> bool:
        while True:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                return False
            except FileNotFoundError:
                continue  # another run has just removed the folder, because it was empty
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"pid": os.getpid(), "host": _host()}, file)
            return True

    def _holds(self, path: Path) -> bool:
        """Tell whether the claim in a file is valid."""
        try:
            renewed = path.stat().st_mtime
            holder = _holder(path)
        except FileNotFoundError:
            return False
        if holder.get("host") == _host() and not _is_running(holder.get("pid")):
            return False
        return self._now() - renewed < _STALE

    def _now(self) -> float:
        """Return the time of the clock that sets the times of files, which for a network folder is that of another machine."""
        with tempfile.NamedTemporaryFile(prefix=".clock-", dir=self.folder.parent) as file:
            return os.fstat(file.fileno()).st_mtime

    def _renew(self) -> None:
        if self._renewing is None:
            self._renewing = threading.Thread(target=self._beat, name="audiozoo-claims", daemon=True)
            self._renewing.start()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            for path in list(self._held.values()):
                with suppress(OSError):  # it has just been released
                    os.utime(path)


def _number(path: Path) -> int:
    return int(path.suffix[1:])


def _holder(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # it is being written
        return {}
    return content if isinstance(content, dict) else {}


def _host() -> str:
    """Return the name of the machine and, in a container, of the space in which process numbers are unique."""
    space = ""
    with suppress(OSError):  # only Linux has such spaces
        space = os.readlink("/proc/self/ns/pid")
    return f"{platform.node()} {space}".strip()


def _is_running(pid: object) -> bool:
    if os.name == "nt" or not isinstance(pid, int):
        return True  # os.kill would end the process on Windows; there, a claim is void after two minutes
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # the process belongs to another user
        return True
    return True
