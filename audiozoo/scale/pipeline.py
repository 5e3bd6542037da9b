"""The pipeline of Ray Data over many files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from audiozoo.classifier.manyfiles import What
from audiozoo.scale.cluster import passed_on
from audiozoo.scale.stages import Member, Scoring, read_files

_LEAST, _MOST = 16, 512  # files in a task; Ray lets a core wait a tenth of a second between two
_ROWS = 32  # rows of `read_files` in a batch of the model


class Work(NamedTuple):
    """Files to read, and models to run on them.

    Args:
        names: Paths or URLs of the files.
        members: Parts of each member of the classifier with which its files are read.
        parcels: Reference to the list of the packed members in the object store. It is in a list, so that Ray hands it on.
        what: Method of the scorers to call.
    """

    names: list[bytes]
    members: list[Member]
    parcels: list[Any]
    what: What


def near_rows(work: Work) -> Iterator[dict[str, Any]]:
    """Do some work on the cluster that this process has joined; yield the rows of `Scoring` in the order of the files."""
    for table in _tables(work):
        yield from table.to_pylist()


def distant_rows(work: Work) -> Iterator[dict[str, Any]]:
    """Do the same as `near_rows` in an actor, for a client of a cluster, which cannot run Ray Data itself."""
    import ray

    actor = ray.remote(num_cpus=0)(_Pipeline).remote(work)
    following = actor.take.remote()
    while (taken := ray.get(following)) is not None:
        following = actor.take.remote()
        yield from taken


class _Pipeline:
    """Actor that runs the pipeline and hands out its rows, a table at a time."""

    def __init__(self, work: Work) -> None:
        self._tables = _tables(work)

    def take(self) -> list[dict[str, Any]] | None:
        """Return the next rows, `None` after the last."""
        table = next(self._tables, None)
        return None if table is None else table.to_pylist()


def _tables(work: Work) -> Iterator[Any]:
    import ray

    cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
    tasks = _tasks(work.names, cores)
    with _options(ray):
        read = ray.data.from_arrow(tasks).map_batches(read_files, fn_args=(work.members,), batch_size=None, num_cpus=1)
        scored = read.map_batches(
            Scoring,
            fn_constructor_args=(work.parcels, work.what),
            batch_size=_ROWS,
            batch_format="pyarrow",
            **_placing(ray, len(tasks)),
        )
        yield from scored.iter_batches(batch_size=None, batch_format="pyarrow")


def _tasks(names: Sequence[bytes], cores: int) -> list[Any]:
    """Return the tables of files that a task reads one after the other."""
    import pyarrow

    each = min(max(len(names) // (8 * cores), _LEAST), _MOST)
    return [
        pyarrow.table({"number": range(start, min(start + each, len(names))), "file": names[start : start + each]})
        for start in range(0, len(names), each)
    ]


def _placing(ray: Any, most: int) -> dict[str, Any]:
    """Return how many actors run the models, at most a given number, and what they get."""
    how: dict[str, Any] = {"runtime_env": {"env_vars": passed_on()}}
    if gpus := int(ray.cluster_resources().get("GPU", 0)):
        return how | {"concurrency": min(gpus, most), "num_gpus": 1}
    # A model uses what the readers leave of the cores of its node.
    return how | {"concurrency": min(sum(node["Alive"] for node in ray.nodes()), most), "num_cpus": 0}


@contextmanager
def _options(ray: Any) -> Iterator[None]:
    """Context manager that sets the options of the datasets that the block makes."""
    context = ray.data.DataContext.get_current()
    before = context.enable_progress_bars, context.execution_options.preserve_order
    context.enable_progress_bars, context.execution_options.preserve_order = False, True
    try:
        yield
    finally:
        context.enable_progress_bars, context.execution_options.preserve_order = before
