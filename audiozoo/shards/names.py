"""Names of the files that have an answer or a failure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from audiozoo.embeddings.store import LONGEST_NAME
from audiozoo.parts import Manifest, Table, check_columns, opened, stored_text, texts


class Names(Set[str]):
    """Set of names in the form in which Parquet stores them. A name is found in its own form too."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._stored = set(map(stored_text, names))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and stored_text(name) in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def add(self, stored: str) -> None:
        """Add a name in the form in which Parquet stores it."""
        self._stored.add(stored)

    def read(self, manifest: Manifest, folder: Path) -> None:
        """Add the names in all tables of a folder. Only the column of the names is read.

        Raises:
            OSError: A table cannot be opened.
            ImportError: pyarrow is not installed.
            ValueError: A table is damaged, or has a file that another one has too.
        """
        for table in (*manifest.answer_tables(folder), *manifest.failure_tables(folder)):
            self._read(table)

    def _read(self, table: Table) -> None:
        with opened(table, ["file"]) as file:
            check_columns(table.path, {"file": (1, 1)})
            names = texts("file", file.read(columns=["file"]).column("file"), LONGEST_NAME)
            together = len(self._stored) + len(names)
            self._stored.update(names)
            if len(self._stored) != together:
                raise ValueError("it has a name twice, or one that another table has too")
