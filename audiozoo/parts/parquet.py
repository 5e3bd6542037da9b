"""Safe reading of the Parquet tables that a manifest lists, and the form in which they store text."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiozoo.bounded import most_from, refusing
from audiozoo.checks import require_choice
from audiozoo.parts.footer import read_chunks
from audiozoo.parts.manifest import Table

_CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW")  # by their numbers in a footer
_BOUNDED_CODECS = ("UNCOMPRESSED", "SNAPPY")  # a page of the others may grow a thousandfold in memory


def pyarrow_for(path: str | os.PathLike[str]) -> tuple[Any, Any]:
    """Return the modules `pyarrow` and `pyarrow.parquet`, which a file needs.

    Raises:
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError(f"{os.fspath(path)}: a Parquet file needs pyarrow: pip install 'audiozoo[parquet]'") from error
    return pyarrow, pyarrow.parquet


def stored_text(text: str) -> str:
    """Replace the bytes of a file name that are not valid text, which Parquet cannot store."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def opened(table: Table, columns: Sequence[str]) -> Iterator[Any]:
    """Context manager that opens a table for reading after a check that it is the one that the manifest lists.

    Args:
        table: Table to read.
        columns: Columns of text that the block reads with `texts`; those that the table lacks are ignored.

    Yields:
        The `pyarrow.parquet.ParquetFile`.

    Raises:
        FileNotFoundError: The file is missing.
        OSError: The file cannot be opened.
        ImportError: pyarrow is not installed.
        ValueError: The size or the number of rows differs, or the block raised an error; the message has the way out.
    """
    path, _, listed = table
    _, parquet = pyarrow_for(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: the manifest lists this file, and it is missing; --resume answers for its sounds again"
        )
    with path.open("rb") as raw:  # an error here, such as a missing permission, does not mean that the file is damaged
        size = os.fstat(raw.fileno()).st_size
    verdict = (
        f"damaged, or not the file of the manifest (it has {size:,} bytes, listed are {listed:,}); "
        "delete this file, and --resume answers for its sounds again"
    )
    with refusing(path, verdict):
        if size != listed:
            raise ValueError("the sizes differ")
        metadata = parquet.read_metadata(path, memory_map=True)
        if metadata.num_rows != table.rows:
            raise ValueError(f"it has {metadata.num_rows:,} rows, listed are {table.rows:,}")
        known = {metadata.schema.column(number).path for number in range(metadata.num_columns)}
        how = {"metadata": metadata, "memory_map": True, "read_dictionary": [name for name in columns if name in known]}
        with parquet.ParquetFile(path, **how) as file:
            yield file


def check_columns(path: Path, counts: Mapping[str, tuple[int, int]]) -> None:
    """Check the numbers of rows and values that a Parquet file declares, before any of them is read.

    Args:
        path: Path of the file.
        counts: Columns that are read, with the fewest and the most values that a row may have.

    Raises:
        OSError: The file cannot be opened.
        ValueError: A column has another number of rows or values, or a compression that may grow without bound; or all are too
            many for the size of the file.
    """
    size, width = path.stat().st_size, sum(most for _, most in counts.values())
    rows, chunks = read_chunks(path)
    if not 0 <= 4 * width * rows <= most_from(size):
        raise ValueError(f"it declares {rows:,} rows of {width:,} values in a file of {size:,} bytes")
    for name, (fewest, most) in counts.items():
        own = [chunk for chunk in chunks if chunk.column == name]
        if sum(chunk.rows for chunk in own) != rows or any(chunk.rows < 0 for chunk in own):
            raise ValueError(f"the column {name} must have {rows:,} rows, it has {sum(chunk.rows for chunk in own):,}")
        for chunk in own:
            codec = _CODECS[chunk.codec] if 0 <= chunk.codec < len(_CODECS) else chunk.codec
            require_choice(f"the compression of the column {name}", codec, _BOUNDED_CODECS)
            if not fewest * chunk.rows <= chunk.values <= most * chunk.rows:
                raise ValueError(f"the column {name} declares {chunk.values:,} values in {chunk.rows:,} rows")


def texts(name: str, column: Any, longest: int) -> list[str]:
    """Return the values of a column of text; a missing one is "".

    The column has been read as a dictionary, which has each value once, and so have the returned strings. A long value that is
    repeated therefore takes no memory.

    Args:
        name: Name of the column, for an error.
        column: The column, a `pyarrow.ChunkedArray`.
        longest: Longest value allowed (characters).

    Returns:
        The text of each row.

    Raises:
        ValueError: The column does not hold text, or a value is longer.
    """
    from pyarrow import compute, types

    if not types.is_dictionary(column.type) or not types.is_string(column.type.value_type):
        raise ValueError(f"the column {name} must hold text, it holds {column.type}")
    found: list[str] = []
    for chunk in column.chunks:
        if (compute.max(compute.binary_length(chunk.dictionary)).as_py() or 0) > 4 * longest:
            raise ValueError(f"a value of the column {name} has more than {longest:,} characters")
        words = [*(word or "" for word in chunk.dictionary.to_pylist()), ""]
        places = chunk.indices.fill_null(len(words) - 1).to_numpy()
        found.extend([words[place] for place in places])
    return found
