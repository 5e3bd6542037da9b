"""How the command line ends: errors of the user in one line, bugs with a traceback, and Ctrl-C in one line.

Exit status: 0 after success, 1 if some files could not be used, 2 after an error of the user, 70 after a bug, 130 after Ctrl-C.
"""

from __future__ import annotations

import errno
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
_USER, _BUG, _INTERRUPTED = 2, 70, 130
_CLICK_EXCEPTION: type[Exception] = typer.BadParameter.__mro__[2]  # of the Click inside typer, where it has one
_FLOW: tuple[type[BaseException], ...] = (typer.Exit, typer.Abort, _CLICK_EXCEPTION)  # how typer ends a command


class Verbs(TyperGroup):
    """The group of all verbs. It takes `--traceback` before or after the verb, and reports what the verbs raise."""

    def make_context(self, *args: Any, **rest: Any) -> Any:
        """Parse the words; typer itself would end without a word if Ctrl-C came here."""
        with reported(show_traceback=False):
            return super().make_context(*args, **rest)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move `--traceback` to the front, where it is an option of the group."""
        end = args.index("--") if "--" in args else len(args)  # what follows -- is never an option
        before = [word for word in args[:end] if word != TRACEBACK]
        found = [TRACEBACK] if len(before) < end else []
        return super().parse_args(ctx, [*found, *before, *args[end:]])

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        with reported(show_traceback=ctx.params["traceback"]):
            return super().invoke(ctx)


@contextmanager
def reported(*, show_traceback: bool) -> Iterator[None]:
    """Report an exception on standard error, and exit with a status that tells users' errors, bugs and Ctrl-C apart.

    Args:
        show_traceback: Whether the traceback of a user's error or of Ctrl-C is printed; that of a bug always is.

    Raises:
        SystemExit: The block raised an exception.
    """
    try:
        yield
    except _FLOW:
        raise
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            raise  # the reader of a pipe has gone, as in `audiozoo list | head`: typer ends without a word
        status = _status(error)
        if show_traceback or status == _BUG:
            traceback.print_exception(error)
        _describe(error, status, show_traceback)
        sys.exit(status)


def _status(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    # Arguments are checked with ValueErrors, files raise OSErrors, and memory or a package may be missing. All other
    # exceptions mean that the code is wrong.
    return _USER if isinstance(error, (ValueError, OSError, MemoryError, ImportError)) else _BUG


def _describe(error: BaseException, status: int, show_traceback: bool) -> None:
    if status == _INTERRUPTED:
        err.print(f"interrupted: {str(error) or 'nothing was saved'}", style="yellow", soft_wrap=True)
        return
    if status == _BUG:
        text = "this is a bug in audiozoo and not a mistake in your command; please report the command and the traceback above"
        err.print(text, style="bold red", soft_wrap=True)
        return
    err.print("error:", style="bold red", end=" ")
    err.print(str(error) or type(error).__name__, soft_wrap=True)
    # A library does not know what the user asked for, so its message may be about a value that only the code chose.
    if (library := _raised_in(error)) and not show_traceback:
        err.print(f"{library} raised this, so it may be a bug in audiozoo: {TRACEBACK} shows where", soft_wrap=True)


def _raised_in(error: BaseException) -> str:
    """Name the third-party library that raised a ValueError; empty if audiozoo raised it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not frames or not isinstance(error, ValueError):
        return ""
    inside = Path(frames[-1].f_code.co_filename).is_relative_to(_PACKAGE)
    return "" if inside else frames[-1].f_globals.get("__name__", "a library").partition(".")[0]


@contextmanager
def keeping(what: str) -> Iterator[None]:
    """Say what is kept if Ctrl-C stops the block.

    Args:
        what: What is kept and how to continue, in a few words.

    Raises:
        KeyboardInterrupt: With `what` as its message, which `reported` prints.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(what) from None
