"""Many independent pieces of work on a Ray cluster."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import Any, TypeVar

from audiozoo.processes import limited_to
from audiozoo.scale.cluster import HERE, connect, passed_on

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_EACH = 16  # items in a task, each of which costs Ray about a millisecond
_AHEAD = 4  # tasks for each core that run or wait


class RayPieces:
    """Executor for `audiozoo.features.extract` and `audiozoo.augment.files.augment_files` on a Ray cluster.

    Each core of the cluster works on items of its own. Ray repeats the work of a node that is lost on the others. All nodes
    must see the sounds, and the folder of the copies, under the same paths as this machine.

    Args:
        address: Address of the cluster, see `connect`.

    Raises:
        ImportError: Ray is not installed.
        ValueError: The address has a wrong form.
        ConnectionError: The cluster cannot be used; see `connect`.
    """

    def __init__(self, address: str = HERE) -> None:
        self._ray = connect(address)

    def mapped(self, function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Generator[_Result, None, None]:
        """Yield the result of the function for each item, in order, see `PieceExecutor.mapped`.

        Raises:
            ConnectionError: The cluster lost a piece of work again and again.
        """
        how: dict[str, Any] = {"num_cpus": 1, "runtime_env": {"env_vars": limited_to(1) | passed_on()}}
        task, shared, rest = self._ray.remote(**how)(_done), self._ray.put(function), iter(items)
        most = _AHEAD * max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        running: deque[Any] = deque()
        try:
            while (batch := list(islice(rest, _EACH))) or running:
                if batch:
                    running.append(task.remote(shared, batch, os.getcwd()))
                if not batch or len(running) >= most:
                    results = self._results(running[0])
                    running.popleft()
                    yield from results
        finally:
            for one in running:
                self._ray.cancel(one, force=True)

    def _results(self, ended: Any) -> list[Any]:
        try:
            return list(self._ray.get(ended))
        except self._ray.exceptions.RayTaskError as error:
            # The function's own error, without the report of the other process.
            raise error.cause from None
        except self._ray.exceptions.RayError as error:
            raise ConnectionError(
                f"the cluster lost a piece of work ({type(error).__name__}): run the command again"
            ) from error


def _done(function: Callable[[Any], Any], items: list[Any], folder: str) -> list[Any]:
    # Paths may be relative to the folder of the process that gives out the work.
    try:
        os.chdir(folder)
    except OSError as error:
        raise OSError(f"a node of the cluster has no folder {folder}: run the command in one that all nodes share") from error
    return [function(item) for item in items]
