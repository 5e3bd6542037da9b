"""Options of ``audiozoo train`` for several computers that train together."""

from __future__ import annotations

import re
from typing import Annotated

import typer

Coordinator = Annotated[
    str | None,
    typer.Option(help="Train with other computers, on JAX: address HOST:PORT of the first one, the same on all."),
]
Host = Annotated[
    str | None,
    typer.Option(help="Number of this computer, from 0, and of all with --coordinator, such as 0/2. The first one saves."),
]


def joined(coordinator: str | None, host: str | None, *, minutes: float | None) -> bool:
    """Join the other computers, if there are any.

    Args:
        coordinator: Address of the first one; `None` for a training on this computer alone.
        host: Number of this computer and number of all, such as "0/2".
        minutes: Limit of time that the user chose.

    Returns:
        Whether this computer saves the classifier.

    Raises:
        ValueError: The options contradict each other, or the backend is not JAX.
        ConnectionError: The computers did not find each other.
    """
    if coordinator is None and host is None:
        return True
    if coordinator is None or host is None:
        raise ValueError("several computers need both the address of the first one, --coordinator HOST:PORT, and --host 0/2")
    if not (parts := re.fullmatch(r"(\d{1,6})/(\d{1,6})", host)):
        raise ValueError(f"--host is the number of this computer, from 0, and that of all, such as 0/2, got {host!r}")
    if minutes:
        raise ValueError("several computers cannot keep to --minutes together: leave it out")
    from audiozoo.training import join_hosts

    join_hosts(coordinator, number=int(parts[1]), count=int(parts[2]))
    return int(parts[1]) == 0
