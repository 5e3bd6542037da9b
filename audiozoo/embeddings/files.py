"""Files of embeddings: NumPy archives (.npz), Parquet (.parquet), and folders of Parquet parts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

from audiozoo.bounded import most_from, read_npz, refusing
from audiozoo.embeddings.parquet import read_parquet, read_parts, write_parquet
from audiozoo.embeddings.store import MOST_FACTS_BYTES, EmbeddingFacts, Embeddings, Row
from audiozoo.files import check_target, replacing
from audiozoo.parts import pyarrow_for

SUFFIXES = (".npz", ".parquet")
"""Suffixes of the files that `write_embeddings` writes."""


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
        pyarrow_for(path)
    return suffix


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
    write = write_parquet if suffix == ".parquet" else _write_npz
    return write(Path(path), chain(first, rows), facts)


def _write_npz(path: Path, rows: Iterator[Row], facts: EmbeddingFacts) -> int:
    store = Embeddings.of(rows, facts)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, files=np.array(store.files), embeddings=store.vectors, facts=np.array(facts.to_json()))
    return len(store)


def read_embeddings(path: str | os.PathLike[str]) -> Embeddings:
    """Read embeddings that `write_embeddings` or `audiozoo embed` wrote.

    The file may come from anywhere: its sizes are compared with the size of the file before memory is allocated, and no code in
    it runs. An .npz file without facts, with the arrays `files` and `embeddings`, is read too. So is a Parquet file of other
    programs with a string column `file` and a column `embedding`, a list of float32 of a fixed size. The parts of a folder with
    a manifest, see `audiozoo.shards`, are joined.

    Args:
        path: Path of the file, ``.npz`` or ``.parquet``, or of the folder.

    Returns:
        The embeddings.

    Raises:
        FileNotFoundError: There is no such file, or the folder lacks its manifest or a part.
        ImportError: It is a Parquet file, and pyarrow is not installed.
        ValueError: The file has another suffix, is damaged, or its content is not embeddings of files; or the facts of two
            parts differ.
    """
    path = Path(path)
    if path.is_dir():
        return read_parts(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; `audiozoo embed MODEL SOUNDS -o FILE.npz` writes embeddings")
    suffix = suffix_of(path)
    with refusing(path, "not a file of embeddings"):
        return read_parquet(path) if suffix == ".parquet" else _read_npz(path)


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
