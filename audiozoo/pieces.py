"""The seam between verbs that do many independent pieces of work and the places that do it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class PieceExecutor(Protocol):
    """Applies a function to many items, for example on a cluster."""

    def mapped(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Generator[_Result, None, None]:
        """Yield the result of the function for each item, in order.

        Closing the generator stops what has not been done.

        Args:
            function: Function that other processes can load by its name, or a `functools.partial` of one.
            items: Items, which are drawn a little ahead.

        Raises:
            Exception: The function raised it.
        """


@dataclass(frozen=True)
class LocalPieces:
    """Executor that works on this machine, with joblib.

    Args:
        jobs: Number of threads or processes; -1 is one for each core.
        threads: Whether threads do the work, which suits functions that release the interpreter's lock.
    """

    jobs: int = -1
    threads: bool = False

    def mapped(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Generator[_Result, None, None]:
        """Yield the result of the function for each item, in order."""
        from joblib import Parallel, delayed

        tasks = (delayed(function)(item) for item in items)
        results = Parallel(n_jobs=self.jobs, prefer="threads" if self.threads else None, return_as="generator")(tasks)
        try:
            # `yield from` would close the results itself, outside of the block below.
            for result in results:  # noqa: UP028
                yield result
        finally:
            # Without this, the work would continue after an interruption. joblib warns that it stops it.
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                results.close()
