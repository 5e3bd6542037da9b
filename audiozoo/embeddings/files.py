"""Files of embeddings: NumPy archives (.npz) and Parquet (.parquet)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo.bounded import MIB, most_from, read_npz, refusing
from audiozoo.checks import require_choice
from audiozoo.embeddings.store import LONGEST_NAME, MOST_FACTS_BYTES, MOST_VALUES, EmbeddingFacts, Embeddings, Row
from audiozoo.files import check_target, replacing

SUFFIXES = (".npz", ".parquet")
"""Suffixes of the files that `write_embeddings` writes."""

_METADATA = b"audiozoo"  # key of the facts in the metadata of a Parquet file
_BLOCK_BYTES = 8 * MIB  # embeddings in a row group, and in memory while a file is written
_CODECS = ("UNCOMPRESSED", "SNAPPY")  # a page of the others may grow a thousandfold in memory


def suffix_of(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a file of embeddings, ``.npz`` or ``.parquet``, after a check that it can be written or read.

    Raises:
        ValueError: The suffix is another one.
        ImportError: A Parquet file is named, and pyarrow is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{os.fspath(path)}: embeddings are in files that end in {' or '.join(SUFFIXES)}")
    if suffix == ".parquet":
        _pyarrow(path)
    return suffix


def _pyarrow(path: str | os.PathLike[str]) -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(f"{os.fspath(path)}: a Parquet file needs pyarrow: pip install 'audiozoo[parquet]'") from error
    return pyarrow, pyarrow.parquet


def write_embeddings(path: str | os.PathLike[str], rows: Iterable[Row], facts: EmbeddingFacts) -> int:
    """Write embeddings atomically while they are computed.

    A Parquet file is written in row groups of at most 8 MiB, so its memory does not depend on the number of files. For an .npz
    file, all embeddings are collected first.

    Args:
        path: Path of the file, ``.npz`` or ``.parquet``.
        rows: Name and embedding of each sound file, for example from `embed_files`.
        facts: Facts about the classifier.

    Returns:
        The number of embeddings. If there are none, no file is written.

    Raises:
        ValueError: The suffix is another one, or an embedding does not fit the facts.
        ImportError: The suffix is ``.parquet``, and pyarrow is not installed.
        OSError: The file cannot be written.
    """
    suffix = suffix_of(path)
    check_target(path)
    rows = iter(rows)
    first = list(islice(rows, 1))
    if not first:
        return 0
    write = _write_parquet if suffix == ".parquet" else _write_npz
    return write(Path(path), chain(first, rows), facts)


def _write_npz(path: Path, rows: Iterator[Row], facts: EmbeddingFacts) -> int:
    store = Embeddings.of(rows, facts)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, files=np.array(store.files), embeddings=store.vectors, facts=np.array(facts.to_json()))
    return len(store)


def _write_parquet(path: Path, rows: Iterator[Row], facts: EmbeddingFacts) -> int:
    pyarrow, parquet = _pyarrow(path)
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
            names = [_valid(name) for name in store.files]
            values = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(store.vectors.ravel()), type=columns["embedding"])
            file.write_batch(pyarrow.record_batch([pyarrow.array(names), values], schema=schema))
            count += len(store)
    return count


def rows_each(width: int) -> int:
    """Return the number of embeddings of a width in a row group."""
    return max(1, _BLOCK_BYTES // (4 * width))


def _valid(name: str) -> str:
    """Replace the bytes of a file name that are not valid text, which Parquet cannot store."""
    return name.encode("utf-8", "backslashreplace").decode()


def read_embeddings(path: str | os.PathLike[str]) -> Embeddings:
    """Read embeddings that `write_embeddings` or `audiozoo embed` wrote.

    The file may come from anywhere: its sizes are compared with the size of the file before memory is allocated, and no code in
    it runs. An .npz file without facts, with the arrays `files` and `embeddings`, is read too. So is a Parquet file of other
    programs with a string column `file` and a column `embedding`, a list of float32 of a fixed size.

    Args:
        path: Path of the file, ``.npz`` or ``.parquet``.

    Returns:
        The embeddings.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: It is a Parquet file, and pyarrow is not installed.
        ValueError: The file has another suffix, is damaged, or its content is not embeddings of files.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; `audiozoo embed MODEL SOUNDS -o FILE.npz` writes embeddings")
    suffix = suffix_of(path)
    with refusing(path, "not a file of embeddings"):
        return _read_parquet(path) if suffix == ".parquet" else _read_npz(path)


def _read_npz(path: Path) -> Embeddings:
    most = most_from(path.stat().st_size)
    limits = {"files": most, "embeddings": most, "facts": 4 * MOST_FACTS_BYTES}  # four bytes for each character
    arrays = read_npz(path, limits, texts=("files", "facts"))
    if missing := {"files", "embeddings"} - set(arrays):
        raise ValueError(f"it lacks the arrays {', '.join(sorted(missing))}")
    if arrays["files"].ndim != 1:
        raise ValueError(f"the names of files must have one dimension, they have the shape {arrays['files'].shape}")
    facts = EmbeddingFacts.parse(str(arrays["facts"]).encode()) if "facts" in arrays else None
    return Embeddings(tuple(arrays["files"].tolist()), arrays["embeddings"], facts)


def _read_parquet(path: Path) -> Embeddings:
    pyarrow, parquet = _pyarrow(path)
    size = path.stat().st_size
    with parquet.ParquetFile(path, memory_map=True, read_dictionary=["file"]) as file:
        width = _declared_width(pyarrow, file.schema_arrow)
        _check_groups(file.metadata, width, size)
        metadata = file.schema_arrow.metadata or {}
        facts = EmbeddingFacts.parse(metadata[_METADATA]) if _METADATA in metadata else None
        names = _names(pyarrow, file.read(columns=["file"]).column("file"))
        vectors, start = np.empty((file.metadata.num_rows, width), np.float32), 0
        for batch in file.iter_batches(batch_size=rows_each(width), columns=["embedding"]):
            vectors[start : start + len(batch)] = _values(batch.column("embedding"), width)
            start += len(batch)
    if start != len(vectors):
        raise ValueError(f"it declares {len(vectors):,} embeddings and has {start:,}")
    return Embeddings(tuple(names), vectors, facts)


def _declared_width(pyarrow: Any, schema: Any) -> int:
    kinds = {name: schema.field(name).type for name in ("file", "embedding") if schema.names.count(name) == 1}
    if len(kinds) != 2:
        raise ValueError(f"the columns are {', '.join(schema.names[:10])}; file and embedding are needed, each once")
    kind = kinds["embedding"]
    if not pyarrow.types.is_fixed_size_list(kind) or kind.value_type != pyarrow.float32():
        raise ValueError(f"the column embedding must be a list of float32 of a fixed size, it is {kind}")
    if not 1 <= kind.list_size <= MOST_VALUES:
        raise ValueError(f"an embedding may have 1 to {MOST_VALUES:,} values, the column declares {kind.list_size:,}")
    return int(kind.list_size)


def _check_groups(metadata: Any, width: int, size: int) -> None:
    """Check the numbers of rows and values that a Parquet file declares, before any of them is read."""
    if not 0 < 4 * width * metadata.num_rows <= most_from(size):
        raise ValueError(f"it declares {metadata.num_rows:,} embeddings of {width:,} values in a file of {size:,} bytes")
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for place in range(group.num_columns):
            column = group.column(place)
            name = column.path_in_schema.partition(".")[0]
            if name not in ("file", "embedding"):
                continue
            require_choice(f"the compression of the column {name}", column.compression, _CODECS)
            if column.num_values != group.num_rows * (width if name == "embedding" else 1):
                raise ValueError(f"the column {name} declares {column.num_values:,} values in {group.num_rows:,} rows")


def _values(column: Any, width: int) -> np.ndarray:
    if column.null_count:
        raise ValueError("an embedding is missing")
    # A missing value becomes NaN, which is refused later.
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(-1, width)


def _names(pyarrow: Any, column: Any) -> list[str]:
    from pyarrow import compute

    kinds = pyarrow.types
    if not kinds.is_dictionary(column.type) or not kinds.is_string(column.type.value_type):
        raise ValueError(f"the column file must hold text, it holds {column.type}")
    # A dictionary has each value once, so a long value that is repeated takes no memory before this check.
    lengths = [compute.max(compute.binary_length(chunk.dictionary)).as_py() or 0 for chunk in column.chunks]
    if max(lengths) > 4 * LONGEST_NAME:
        raise ValueError(f"a name of a file has more than {LONGEST_NAME:,} characters")
    return [name or "" for name in column.to_pylist()]
