"""The option ``--on``: where a verb does its work, on this machine or on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.threads import thread_count

if TYPE_CHECKING:
    from audiozoo.classifier import FileExecutor
    from audiozoo.crossval.executors import Executor
    from audiozoo.pieces import PieceExecutor

LOCAL = "local"

On = Annotated[
    str,
    typer.Option(
        "--on",
        help="Place of the work: local, ray (the Ray cluster of this machine, or a new one) or ray://HOST:PORT; see the extra "
        "scale.",
    ),
]
"""Option that `file_executor`, `piece_executor` and `job_executor` take."""


def file_executor(on: str) -> FileExecutor | None:
    """Return the executor for many files; `None` for this process.

    Raises:
        ValueError: The place has another form.
        ImportError: Ray is not installed.
        ConnectionError: The cluster cannot be used.
    """
    if on == LOCAL:
        return None
    from audiozoo.scale import RayFiles

    return RayFiles(_address(on))


def piece_executor(on: str) -> PieceExecutor | None:
    """Return the executor for independent pieces of work; `None` for this machine.

    Raises:
        ValueError: The place has another form.
        ImportError: Ray is not installed.
        ConnectionError: The cluster cannot be used.
    """
    if on == LOCAL:
        return None
    from audiozoo.scale import RayPieces

    return RayPieces(_address(on))


def job_executor(on: str, executor: str, jobs: int) -> str | Executor | None:
    """Return the executor for trainings; `None` for this process.

    Args:
        on: Place of the work.
        executor: Name of the executor on this machine.
        jobs: Number of trainings at a time; -1 is one for each core, and 0 trains in this process.

    Returns:
        The executor, or its name.

    Raises:
        ValueError: The place has another form.
        ImportError: Ray is not installed.
        ConnectionError: The cluster cannot be used.
    """
    if on == LOCAL:
        return executor if jobs else None
    from audiozoo.scale import RayJobs

    return RayJobs(_address(on), workers=thread_count(jobs) if jobs else 1)


def _address(on: str) -> str:
    if on != "ray" and not on.startswith("ray:"):
        raise ValueError(f"--on is local, ray or ray://HOST:PORT, got {on!r}")
    return on
