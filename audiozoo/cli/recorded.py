"""Files of answers that grow by one answer at a time, and from which an interrupted run continues."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Self

from audiozoo.cli.answers import failure_object
from audiozoo.files import check_target, naming, replacing

if TYPE_CHECKING:
    from audiozoo.classifier import Failure

SUFFIXES = (".csv", ".jsonl")
"""Suffixes of the files that `AnswerFile` writes."""

_TOLERANCE = 1e-3
"""Largest difference between an answer and its repetition: batches and backends round differently."""


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


class AnswerFile:
    """Context manager of a CSV or JSONL file of answers. Each answer is appended at once, so an interruption loses none.

    Args:
        path: File to write, ``.csv`` or ``.jsonl``.
        columns: Columns of CSV; the first is the name of the sound file.
        rows_each: Number of CSV rows for each sound file; `None` if it differs, as with several labels.
        resume: Whether to keep the complete answers that the file has already. A part of an answer at the end is cut off, and
            failures are dropped, so that their files are tried again.

    Raises:
        ValueError: The suffix is another, the file exists although `resume` is not set, or it is not such a file of answers.
        OSError: The file cannot be read or written.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, rows_each: int | None = 1, resume: bool = False) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{path}: answers are written one by one as {' or '.join(SUFFIXES)}, choose one of these suffixes")
        check_target(path)
        if path.exists() and not resume:
            raise ValueError(f"{path}: the file exists; continue it with --resume, or name another file")
        self.path, self.is_csv = path, path.suffix.lower() == ".csv"
        self._columns, self._rows_each = list(columns), rows_each
        self.known: dict[str, Any] = dict(self._read()) if path.exists() else {}
        """Complete answers that the file had, by the name of the sound file: rows of CSV, or an object of JSON."""

    def __enter__(self) -> Self:
        with replacing(self.path) as temporary, _open(temporary, "w") as file:
            if self.is_csv:
                file.write(csv_text([self._columns]))
            file.writelines(map(self._text, self.known.values()))
        self._file = _open(self.path, "a")
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def add(self, rows: list[list[str]], item: dict[str, Any]) -> None:
        """Append an answer, given as rows of CSV and as an object of JSON; of the two, the file keeps its own."""
        with naming(self.path):
            self._file.write(self._text(rows if self.is_csv else item))
            self._file.flush()

    def require_same(self, rows: list[list[str]], item: dict[str, Any]) -> None:
        """Raise an error unless a repeated answer equals the one that the file has, up to rounding.

        Raises:
            ValueError: They differ, so the file is of another classifier or of other options.
        """
        name, again = item["file"], rows if self.is_csv else item
        if not _alike(self.known[name], again):
            raise ValueError(
                f"{self.path}: the answer for {name} differs from that of this classifier with these options; "
                "--resume needs the same command, or name another file"
            )

    def _text(self, answer: Any) -> str:
        return csv_text(answer) if self.is_csv else json.dumps(answer) + "\n"

    def _read(self) -> Iterator[tuple[str, Any]]:
        with _open(self.path, "r") as file:
            text = file.read()
        complete = text[: text.rfind("\n") + 1]
        yield from self._read_csv(complete) if self.is_csv else self._read_objects(complete)

    def _read_csv(self, text: str) -> Iterator[tuple[str, list[list[str]]]]:
        header, *rows = list(csv.reader(io.StringIO(text, newline=""))) or [self._columns]
        if header != self._columns or any(len(row) != len(header) for row in rows[:-1]):
            raise ValueError(
                f"{self.path}: the columns are {', '.join(header[:6])}, those of this command {', '.join(self._columns[:6])}; "
                "--resume needs the same command, or name another file"
            )
        groups = [(name, list(group)) for name, group in groupby(rows, key=lambda row: row[0])]
        if self._rows_each is None:
            # Nothing tells whether the last answer is complete, so its file is tried again.
            yield from groups[:-1]
            return
        for name, group in groups[:-1]:
            if len(group) != self._rows_each:
                raise ValueError(
                    f"{self.path}: {name} has {len(group)} rows, this command writes {self._rows_each} for each file; "
                    "--resume needs the same --top, or name another file"
                )
        # An interruption may have cut the last answer between two of its rows.
        yield from (group for group in groups if len(group[1]) == self._rows_each)

    def _read_objects(self, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for number, line in enumerate(text.splitlines(), 1):
            try:
                item = json.loads(line)
                name = item["file"]
            except (json.JSONDecodeError, TypeError, KeyError) as error:
                raise ValueError(f"{self.path}: line {number} is not an answer of this command; name another file") from error
            if "error" not in item:
                yield name, item


def _open(path: Path, mode: Literal["r", "w", "a"]) -> IO[str]:
    # A file name need not be valid text, and one of a CSV row may contain a line end.
    return open(path, mode, newline="", encoding="utf-8", errors="surrogateescape")


def record(
    file: AnswerFile,
    sounds: Sequence[str],
    answers: Callable[[Sequence[str]], Iterator[Any]],
    forms: Callable[[str, Any], tuple[list[list[str]], dict[str, Any]]],
) -> list[Failure]:
    """Add the answers for the sounds that a file does not have yet.

    Args:
        file: File of answers, not yet opened.
        sounds: Names of all sound files.
        answers: Function that yields the answer or failure for each of some sound files.
        forms: Function that returns the rows of CSV and the object of JSON of an answer.

    Returns:
        The failures. A CSV file does not have them.

    Raises:
        ValueError: The file has the answers of another classifier or of other options.
        OSError: The file cannot be written.
    """
    _check_first(file, answers, forms)
    missing, failures = [name for name in sounds if name not in file.known], []
    with file:
        for name, answer in zip(missing, answers(missing), strict=True):
            if failed := _failed(answer):
                failures.append(failed)
                file.add([], failure_object(failed))
            else:
                file.add(*forms(name, answer))
    return failures


def _check_first(file: AnswerFile, answers: Callable[..., Iterator[Any]], forms: Callable[..., Any]) -> None:
    # Only the answers themselves tell which classifier and options gave them, so one of them is repeated.
    for name in islice(file.known, 3):  # some files may be gone
        (answer,) = answers([name])
        if not _failed(answer):
            file.require_same(*forms(name, answer))
            return


def _failed(answer: Any) -> Failure | None:
    from audiozoo.classifier import Failure

    return answer if isinstance(answer, Failure) else None


def _alike(old: Any, new: Any) -> bool:
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_alike(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_alike, old, new))
    try:
        return math.isclose(float(old), float(new), rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    except (TypeError, ValueError):
        return bool(old == new)
