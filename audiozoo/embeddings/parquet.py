"""Embeddings in Parquet files, one file or a folder of parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiozoo.bounded import MIB, refusing
from audiozoo.embeddings.store import LONGEST_NAME, MOST_VALUES, EmbeddingFacts, Embeddings, Row
from audiozoo.files import replacing
from audiozoo.parts import Table, check_columns, opened, pyarrow_for, read_manifest, stored_text, texts

_METADATA = b"audiozoo"  # key of the facts in the metadata of a file
_BLOCK_BYTES = 8 * MIB  # embeddings in a row group, and in memory while a file is written
_TEXTS = ("file",)


def write_parquet(path: Path, rows: Iterator[Row], facts: EmbeddingFacts) -> int:
    """Write embeddings atomically in row groups of at most 8 MiB.

    Args:
        path: Path of the file.
        rows: Name and embedding of each sound file.
        facts: Facts about the classifier.

    Returns:
        The number of embeddings.
    """
    pyarrow, parquet = pyarrow_for(path)
    element = pyarrow.field("element", pyarrow.float32(), nullable=False)
    columns = {"file": pyarrow.string(), "embedding": pyarrow.list_(element, facts.width)}
    fields = [pyarrow.field(name, kind, nullable=False) for name, kind in columns.items()]
    schema = pyarrow.schema(fields, {_METADATA: facts.to_json().encode()})
    each, count = rows_each(facts.width), 0
    # Float values of embeddings hardly shrink, and reading them uncompressed is several times faster.
    layout = {"compression": "none", "use_dictionary": False, "write_statistics": False, "data_page_size": _BLOCK_BYTES}
    with replacing(path) as temporary, parquet.ParquetWriter(temporary, schema, **layout) as file:
        while block := list(islice(rows, each)):
            store = Embeddings.of(block, facts)
            names = [stored_text(name) for name in store.files]
            values = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(store.vectors.ravel()), type=columns["embedding"])
            file.write_batch(pyarrow.record_batch([pyarrow.array(names), values], schema=schema))
            count += len(store)
    return count


def rows_each(width: int) -> int:
    """Return the number of embeddings of a width in a row group."""
    return max(1, _BLOCK_BYTES // (4 * width))


class _Open(NamedTuple):
    """An open file after a check of the sizes that it declares."""

    file: Any
    width: int
    facts: EmbeddingFacts | None

    def names(self) -> list[str]:
        return texts("file", self.file.read(columns=["file"]).column("file"), LONGEST_NAME)

    def fill(self, vectors: np.ndarray) -> None:
        """Read the embeddings into an array ``(files, width)``."""
        start = 0
        for batch in self.file.iter_batches(batch_size=rows_each(self.width), columns=["embedding"]):
            vectors[start : start + len(batch)] = _values(batch.column("embedding"), self.width)
            start += len(batch)
        if start != len(vectors):
            raise ValueError(f"it declares {len(vectors):,} embeddings and has {start:,}")


def _checked(file: Any, path: Path) -> _Open:
    width = _declared_width(file.schema_arrow)
    if not file.metadata.num_rows:
        raise ValueError("it declares 0 embeddings")
    check_columns(path, {"file": (1, 1), "embedding": (width, width)})
    metadata = file.schema_arrow.metadata or {}
    return _Open(file, width, EmbeddingFacts.parse(metadata[_METADATA]) if _METADATA in metadata else None)


def read_parquet(path: Path) -> Embeddings:
    """Read a file of embeddings.

    Raises:
        ValueError: The file is damaged, or its content is not embeddings of files.
    """
    _, parquet = pyarrow_for(path)
    with parquet.ParquetFile(path, memory_map=True, read_dictionary=list(_TEXTS)) as file:
        one = _checked(file, path)
        names, vectors = one.names(), np.empty((file.metadata.num_rows, one.width), np.float32)
        one.fill(vectors)
    return Embeddings(tuple(names), vectors, one.facts)


def read_parts(folder: Path) -> Embeddings:
    """Read the embeddings of a folder with a manifest, joined in the order of the parts.

    Raises:
        FileNotFoundError: The folder has no manifest, or a part is missing.
        ValueError: The manifest or a part is damaged, there are no embeddings, or two parts have different facts.
    """
    tables = read_manifest(folder).answer_tables(folder)
    if not tables:
        raise ValueError(f"{folder}: no part has embeddings yet")
    # All parts are checked before memory is allocated: the numbers in the manifest need not be true.
    width, facts = _shared(tables)
    vectors, names = np.empty((sum(table.rows for table in tables), width), np.float32), list[str]()
    for table in tables:
        with _opened(table) as part:
            part.fill(vectors[len(names) : len(names) + table.rows])
            names += part.names()
    with refusing(folder, "its parts do not fit together"):
        return Embeddings(tuple(names), vectors, facts)


@contextmanager
def _opened(table: Table) -> Iterator[_Open]:
    with opened(table, _TEXTS) as file:
        yield _checked(file, table.path)


def _shared(tables: list[Table]) -> tuple[int, EmbeddingFacts | None]:
    with _opened(tables[0]) as first:
        pass
    for table in tables[1:]:
        with _opened(table) as part:
            alike = part.facts is first.facts if first.facts is None else first.facts.agrees(part.facts)
            if not alike or part.width != first.width:
                raise ValueError(f"its embeddings are of another model or other options than those in {tables[0].path.name}")
    return first.width, first.facts


def _declared_width(schema: Any) -> int:
    import pyarrow

    kinds = {name: schema.field(name).type for name in ("file", "embedding") if schema.names.count(name) == 1}
    if len(kinds) != 2:
        raise ValueError(f"the columns are {', '.join(schema.names[:10])}; file and embedding are needed, each once")
    kind = kinds["embedding"]
    if not pyarrow.types.is_fixed_size_list(kind) or kind.value_type != pyarrow.float32():
        raise ValueError(f"the column embedding must be a list of float32 of a fixed size, it is {kind}")
    if not 1 <= kind.list_size <= MOST_VALUES:
        raise ValueError(f"an embedding may have 1 to {MOST_VALUES:,} values, the column declares {kind.list_size:,}")
    return int(kind.list_size)


def _values(column: Any, width: int) -> np.ndarray:
    if column.null_count:
        raise ValueError("an embedding is missing")
    # A missing value becomes NaN, which is refused later.
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(-1, width)
