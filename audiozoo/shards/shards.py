"""Folders of answers that grow by one part at a time, and from which an interrupted run continues."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from audiozoo.checks import require_count, require_number, require_path
from audiozoo.claims import Claims
from audiozoo.embeddings.store import LONGEST_NAME
from audiozoo.files import write_json
from audiozoo.parts import MANIFEST, Manifest, Part, checked_request, pyarrow_for, read_manifest, stored_text
from audiozoo.shards.names import Names
from audiozoo.shards.opening import CLAIMS, found_manifest, remove_unfinished
from audiozoo.shards.tables import LONGEST_REASON, Rows, Table, write_failures


@dataclass
class _Growing:
    """The part that is not yet written."""

    part: Part
    answers: list[tuple[str, Any]] = field(default_factory=list)
    failures: list[tuple[str, Any]] = field(default_factory=list)
    began: float = 0.0

    def __len__(self) -> int:
        return len(self.answers) + len(self.failures)

    def append(self, rows: list[tuple[str, Any]], name: str, value: Any) -> None:
        if not len(self):
            self.began = time.monotonic()
        rows.append((name, value))

    def is_full(self, each: int, seconds: float) -> bool:
        return len(self) >= each or (len(self) > 0 and time.monotonic() - self.began >= seconds)


class Shards:
    """Context manager of a folder of answers for sound files: Parquet parts, and a manifest that lists them.

    The folder has ``manifest.json``, ``part-00000.parquet`` and so on, and ``failures-00000.parquet`` beside each part during
    which files could not be used. A file counts once the manifest lists its part, and the manifest is written after the part.
    A run that is killed therefore loses at most the part that it has not written, and a run with `resume` computes that again.

    The end of the block writes what was added, also after an exception.

    Args:
        folder: Folder to write. It is created when needed.
        request: JSON object that says what was asked: the verb, the model and a signature of it, the options, the labels.
        table: Layout of the answers, such as `PredictionTable` or `EmbeddingTable`.
        each: Number of files after which a part is written. The answers of one part are in memory.
        seconds: Time after the first answer of a part after which the next one completes it (seconds).
        resume: Whether to go on with the answers that the folder has. The files of parts that are missing are computed again.

    Raises:
        ValueError: An argument is out of range; the folder has answers although `resume` is not set, has those of another
            request, or has other content; the manifest or a part is damaged; or another run writes into the folder.
        ImportError: pyarrow is not installed.
        OSError: The folder cannot be read or written.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        request: Mapping[str, Any],
        table: Table,
        *,
        each: int = 5_000,
        seconds: float = 60.0,
        resume: bool = False,
    ) -> None:
        require_path("folder", folder)
        require_count("each", each, 1)
        require_number("seconds", seconds, 0)
        self.folder = Path(folder)
        pyarrow_for(self.folder)
        self._request, self._table = checked_request(request), table
        self._each, self._seconds, self._resume = each, seconds, resume
        # A run learns of a wrong folder before it loads a model, and again when nobody else can change the folder.
        found_manifest(self.folder, self._request, resume=resume)
        self._names = Names()
        self._growing: _Growing | None = None
        self.answers = 0
        """Number of answers, with those of earlier runs."""
        self.failures = 0
        """Number of files that could not be used, with those of earlier runs."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            claims = stack.enter_context(Claims(self.folder / CLAIMS))
            if not claims.take("writer"):
                raise ValueError(
                    f"{self.folder}: another run writes into this folder; wait for its end (two minutes, if it was killed as "
                    "it began, or on another machine), or name another folder"
                )
            self._begin()
            self._claimed = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        with self._claimed:
            try:
                self._write()
            finally:
                self._growing = None

    def _begin(self) -> None:
        found = found_manifest(self.folder, self._request, resume=self._resume)
        self._manifest = (found or Manifest(self._request)).remaining(self.folder)
        following = Part.numbered((found or self._manifest).next_number)
        remove_unfinished(self.folder, following)
        self._names = Names()
        self._names.read(self._manifest, self.folder)
        self.answers = sum(part.answers for part in self._manifest.parts.values())
        self.failures = sum(part.failures for part in self._manifest.parts.values())
        if found is None:
            write_json(self.folder / MANIFEST, self._manifest.to_dict())
        self._own: tuple[Manifest, ...] = (found or self._manifest,)
        self._growing = _Growing(following)

    @property
    def done(self) -> Set[str]:
        """Names of the files that have an answer or a failure.

        Bytes of a name that are not valid text are replaced, as Parquet stores them; ``name in done`` takes both forms.
        """
        return self._names

    def remaining(self, names: Iterable[str]) -> list[str]:
        """Return the names of the files that have neither an answer nor a failure, in order and each once."""
        once: dict[str, str] = {}
        for name in names:
            once.setdefault(stored_text(name), name)
        return [name for stored, name in once.items() if stored not in self._names]

    def add(self, name: str, answer: Any) -> None:
        """Add the answer for a file.

        Args:
            name: Name of the file.
            answer: Answer of the kind that the table takes.

        Raises:
            ValueError: The file has an answer or a failure already, its name is empty or too long, the answer does not fit the
                table, or another run has written into the folder.
            OSError: The part is complete and cannot be written. It is tried again with the next file, and at the end.
        """
        growing, stored = self._admitted(name)
        row = self._table.row(answer)
        self.answers += 1
        self._append(growing, growing.answers, stored, row)

    def fail(self, name: str, reason: str) -> None:
        """Add a file that could not be used, and the reason.

        Raises:
            ValueError: As for `add`.
            OSError: As for `add`.
        """
        growing, stored = self._admitted(name)
        self.failures += 1
        self._append(growing, growing.failures, stored, stored_text(reason[:LONGEST_REASON]))

    def _admitted(self, name: str) -> tuple[_Growing, str]:
        if self._growing is None:
            raise ValueError(f"{name}: answers are added inside the block of `with Shards(...)`")
        stored = stored_text(name)
        if stored in self._names:
            raise ValueError(f"{name}: has an answer or a failure already; `remaining` returns the files without one")
        if not 0 < len(stored) <= LONGEST_NAME:
            raise ValueError(f"the name of a file must have 1 to {LONGEST_NAME:,} characters, got {len(stored):,}")
        return self._growing, stored

    def _append(self, growing: _Growing, rows: list[tuple[str, Any]], stored: str, value: Any) -> None:
        self._names.add(stored)  # first, so that an interruption between the two cannot let a file be added twice
        growing.append(rows, stored, value)
        if growing.is_full(self._each, self._seconds):
            self._write()

    def _write(self) -> None:
        """Write the tables of the part, then the manifest.

        An interruption at any place lets the same part be written again, and an equal entry replaces the one in the manifest.
        """
        growing = self._growing
        if not growing:
            return
        self._require_own()
        grown = self._manifest.with_part(self._written(growing))
        self._own = (*self._own, grown)
        write_json(self.folder / MANIFEST, grown.to_dict())
        self._manifest, self._own = grown, (grown,)
        self._growing = _Growing(Part.numbered(grown.next_number))

    def _require_own(self) -> None:
        # A run that was suspended for minutes loses its claim, and another one may have gone on with the folder.
        if read_manifest(self.folder) not in self._own:
            raise ValueError(
                f"{self.folder}: another run has written into this folder, so the answers since the last part are not saved; "
                "continue with --resume"
            )

    def _written(self, growing: _Growing) -> Part:
        part = growing.part
        answers = self._table_size(self.folder / part.name, growing.answers, self._table.write)
        failures = self._table_size(self.folder / part.failures_name, growing.failures, write_failures)
        return Part(part.name, len(growing.answers), answers, len(growing.failures), failures)

    @staticmethod
    def _table_size(path: Path, rows: Rows, write: Callable[[Path, Rows], None]) -> int:
        if not rows:
            return 0
        write(path, rows)
        return path.stat().st_size
