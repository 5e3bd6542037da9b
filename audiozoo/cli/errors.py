"""Reports of errors: one line for a user error or Ctrl-C, a traceback for a bug.

Exit status: 0 after success, 1 if some files could not be used, 2 after a user error, 70 after a bug, 130 after Ctrl-C.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from audiozoo.cli.console import err

TRACEBACK = "--traceback"

_PACKAGE = Path(__file__).resolve().parents[1]
INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report it."""

_USER, _BUG = 2, 70
_CLICK_EXCEPTION: type[Exception] = typer.BadParameter.__mro__[2]  # newer versions of typer contain a copy of Click
_FLOW: tuple[type[BaseException], ...] = (typer.Exit, typer.Abort, _CLICK_EXCEPTION)  # how typer ends a command


class Verbs(TyperGroup):
    """Group of all verbs. It accepts `--traceback` before or after the verb, and reports the exceptions of verbs."""

    def make_context(self, *args: Any, **rest: Any) -> Any:
        """Parse the arguments. This reports Ctrl-C, which typer itself would ignore silently here."""
        with reported(show_traceback=False):
            return super().make_context(*args, **rest)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move `--traceback` to the front, because it is an option of the group."""
        end = args.index("--") if "--" in args else len(args)  # arguments after -- are never options
        before = [word for word in args[:end] if word != TRACEBACK]
        found = [TRACEBACK] if len(before) < end else []
        return super().parse_args(ctx, [*found, *before, *args[end:]])

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with reported(show_traceback=ctx.params["traceback"]):
            return super().invoke(ctx)


@contextmanager
def reported(*, show_traceback: bool) -> Iterator[None]:
    """Context manager that reports an exception on standard error, and exits with the status for its kind.

    Args:
        show_traceback: Whether to print the traceback of a user error or Ctrl-C too; that of a bug is always printed.

    Raises:
        SystemExit: The block raised an exception.
    """
    try:
        yield
    except _FLOW:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # the reader of a pipe has closed it, as in `audiozoo list | head`: typer exits silently
        status = _status(error)
        if show_traceback or status == _BUG:
            traceback.print_exception(error)
        _describe(error, status, show_traceback)
        sys.exit(status)


def _status(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    # Checks of arguments raise ValueError, files raise OSError, and memory or a package may be missing. Any other exception
    # is a bug.
    return _USER if isinstance(error, (ValueError, OSError, MemoryError, ImportError)) else _BUG


def _describe(error: BaseException, status: int, show_traceback: bool) -> None:
    if status == INTERRUPTED:
        err.print(f"interrupted: {str(error) or 'nothing was saved'}", style="yellow", soft_wrap=True)
        return
    if status == _BUG:
        text = "this is a bug in audiozoo, not a mistake in your command; please report the command and the traceback above"
        err.print(text, style="bold red", soft_wrap=True)
        return
    err.print("error:", style="bold red", end=" ")
    err.print(_text(error) or type(error).__name__, soft_wrap=True)
    # A ValueError of a library may be about a value that audiozoo chose and not the user.
    if (library := _raised_in(error)) and not show_traceback:
        err.print(f"{library} raised this error, so it may be a bug in audiozoo: {TRACEBACK} shows where", soft_wrap=True)


def _text(error: BaseException) -> str:
    # Python puts the number of an error of the operating system first, and the names of the files last.
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes | os.PathLike) and error.strerror:
        names = [os.fsdecode(name) for name in (error.filename, error.filename2) if name]
        return f"{' -> '.join(names)}: {error.strerror}"
    return str(error)


def _raised_in(error: BaseException) -> str:
    """Return the third-party library that raised a ValueError, or "" if audiozoo raised it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames or not isinstance(error, ValueError):
        return ""
    inside = Path(frames[-1].f_code.co_filename).is_relative_to(_PACKAGE)
    return "" if inside else frames[-1].f_globals.get("__name__", "a library").partition(".")[0]


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """Context manager that reports after Ctrl-C which results are kept.

    Args:
        what: Message that states the kept results and the way to continue.

    Raises:
        KeyboardInterrupt: With `what` as its message, which `reported` prints.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(what) from None
