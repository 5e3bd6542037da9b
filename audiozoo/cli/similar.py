"""``audiozoo similar``: find similar sounds and near copies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.cli.console import out, sounds_of
from audiozoo.cli.options import ReadingJobs
from audiozoo.cli.recorded import csv_text
from audiozoo.cli.stores import ModelName, Source, StorePath
from audiozoo.embeddings.neighbours import THRESHOLD

if TYPE_CHECKING:
    from audiozoo.embeddings import Embeddings, Neighbour

EXAMPLE = "audiozoo similar embeddings.npz dog.wav --top 10"


def run(
    store: StorePath,
    queries: Annotated[
        list[str] | None, typer.Argument(metavar="QUERY...", help="Sound files or folders, or names in the embeddings.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Number of sounds to show for each query.")] = 5,
    model: ModelName = None,
    duplicates: Annotated[
        bool, typer.Option("--duplicates", help="Find groups of near copies among the embeddings instead.")
    ] = False,
    threshold: Annotated[
        float | None, typer.Option(help=f"With --duplicates, lowest cosine similarity of near copies; {THRESHOLD} by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    jobs: ReadingJobs = -1,
) -> None:
    """Find the sounds that are most similar to others, by the cosine of their embeddings.

    Queries that are sound files are embedded by the model of the embeddings. With --duplicates, groups of near copies are
    listed, such as re-encoded, quieter or trimmed copies of a sound; each file has its highest similarity to another file.

    Files that cannot be used are listed at the end, and the exit status is then 1.
    """
    _check_choice(queries or (), duplicates=duplicates, threshold=threshold, forms=as_json + as_csv)
    source = Source(store, model, jobs=jobs)
    if duplicates:
        from audiozoo.embeddings import near_copies

        groups = near_copies(source.store, threshold=THRESHOLD if threshold is None else threshold)
        _print_groups(groups, len(source.store), as_json=as_json, as_csv=as_csv)
    else:
        _print_neighbours(_neighbours(source, queries or (), top), as_json=as_json, as_csv=as_csv)
    source.report()


def _check_choice(queries: Sequence[str], *, duplicates: bool, threshold: float | None, forms: int) -> None:
    if forms > 1:
        raise ValueError("--json and --csv cannot be combined: choose one")
    if duplicates == bool(queries):
        raise ValueError("name sounds to compare with the others, or --duplicates without any")
    if threshold is not None and not duplicates:
        raise ValueError("--threshold is the lowest similarity of near copies: it needs --duplicates")


def _neighbours(source: Source, queries: Sequence[str], top: int) -> list[tuple[str, list[Neighbour]]]:
    """Return the neighbours of each query that can be used, in the order of the queries."""
    import numpy as np

    from audiozoo.embeddings import nearest

    store = source.store
    asked = _spread(store, queries)
    names = {query: name for query in asked if (name := _stored(store, query))}
    others = [query for query in asked if query not in names]
    if missing := [query for query in others if not Path(query).exists()]:
        raise FileNotFoundError(f"{missing[0]}: neither a sound file nor a name in {source.path}")
    vectors = {query: store.vector(name) for query, name in names.items()}
    if others:
        vectors |= source.embed(others)
    asked = [query for query in asked if query in vectors]
    if not asked:
        return []
    found = nearest(store, np.stack([vectors[query] for query in asked]), top=top, exclude=list(map(names.get, asked)))
    return list(zip(asked, found, strict=True))


def _spread(store: Embeddings, queries: Sequence[str]) -> list[str]:
    """Return the queries with the sounds in folders, each once."""
    found = [each for query in queries for each in ([query] if query in store else _sounds(query))]
    return list(dict.fromkeys(found))


def _sounds(query: str) -> list[str]:
    return sounds_of([Path(query)]) if Path(query).is_dir() else [query]


def _stored(store: Embeddings, query: str) -> str | None:
    """Return the name in the embeddings that a query means: the same name, or the only one that ends in these parts."""
    if query in store or Path(query).exists():
        return query if query in store else None
    parts = PurePath(query).parts
    ends = [name for name in store.files if name.endswith(parts[-1:] or "/") and PurePath(name).parts[-len(parts) :] == parts]
    return ends[0] if len(ends) == 1 else None


def _print_neighbours(found: Sequence[tuple[str, list[Neighbour]]], *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        print(json.dumps([{"query": query, "neighbours": [one._asdict() for one in each]} for query, each in found], indent=1))
        return
    rows = [[query, str(rank), one.file, f"{one.similarity:.4f}"] for query, each in found for rank, one in enumerate(each, 1)]
    _print_rows(["query", "rank", "file", "similarity"], rows, as_csv=as_csv)


def _print_groups(groups: Sequence[list[Neighbour]], count: int, *, as_json: bool, as_csv: bool) -> None:
    if as_json:
        print(json.dumps([[one._asdict() for one in group] for group in groups], indent=1))
        return
    rows = [[str(number), one.file, f"{one.similarity:.4f}"] for number, group in enumerate(groups, 1) for one in group]
    if rows or as_csv:
        _print_rows(["group", "file", "similarity"], rows, as_csv=as_csv)
    if not as_csv:
        out.print(f"{len(groups)} groups of near copies, with {len(rows)} of {count:,} files")


def _print_rows(columns: list[str], rows: list[list[str]], *, as_csv: bool) -> None:
    if as_csv:
        print(csv_text([columns, *rows]), end="")
        return
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in ("rank", "group", "similarity") else "left", overflow="fold")
    before = ""
    for row in rows:
        table.add_row("" if row[0] == before else row[0], *row[1:])
        before = row[0]
    out.print(table)
