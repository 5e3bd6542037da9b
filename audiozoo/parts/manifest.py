"""The manifest of a folder of parts. It comes from outside, so its size, types and names are checked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from audiozoo._version import __version__
from audiozoo.bounded import MIB, parse_json, refusing
from audiozoo.checks import require_count

MANIFEST = "manifest.json"
"""Name of the manifest in its folder."""

SCHEMA = 1
"""Version of the manifest."""

_MOST_BYTES, _MOST_REQUEST_BYTES = 32 * MIB, 4 * MIB
_DEEPEST, _DEEPEST_REQUEST = 16, 15
_MOST_PARTS = 100_000  # names with five digits, whose alphabetical order is that of the numbers
_MOST_COUNT = 2**53  # JSON numbers are exact up to here in every program
_NAME = re.compile(r"part-([0-9]{5})\.parquet")


class Table(NamedTuple):
    """A Parquet file that a manifest lists, with its rows and its size (bytes)."""

    path: Path
    rows: int
    bytes: int


@dataclass(frozen=True)
class Part:
    """Entry of a manifest: a table of answers and a table of the files that could not be used.

    Args:
        name: Name of the table of answers, such as "part-00000.parquet".
        answers: Number of answers; with 0, there is no such table.
        bytes: Size of the table of answers (bytes).
        failures: Number of files that could not be used; with 0, there is no table of them.
        failure_bytes: Size of the table of failures (bytes).

    Raises:
        ValueError: The name is of another form, or a number is not a count.
    """

    name: str
    answers: int = 0
    bytes: int = 0
    failures: int = 0
    failure_bytes: int = 0

    def __post_init__(self) -> None:
        # An exact form keeps the path of a part in its folder.
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"a part must have a name such as part-00000.parquet, got {str(self.name)[:80]!r}")
        for name in ("answers", "bytes", "failures", "failure_bytes"):
            require_count(f"{name} of {self.name}", getattr(self, name), 0, _MOST_COUNT)

    @classmethod
    def numbered(cls, number: int) -> Self:
        """Return a part without tables.

        Raises:
            ValueError: The number has more than five digits.
        """
        if number >= _MOST_PARTS:
            raise ValueError(f"a folder takes {_MOST_PARTS:,} parts; continue in another folder, with more files in a part")
        return cls(f"part-{number:05d}.parquet")

    @property
    def number(self) -> int:
        """Number in the name."""
        return int(self.name[5:10])

    @property
    def failures_name(self) -> str:
        """Name of the table of failures."""
        return f"failures-{self.number:05d}.parquet"

    def answer_table(self, folder: Path) -> Table:
        """Return the table of answers in a folder."""
        return Table(folder / self.name, self.answers, self.bytes)

    def failure_table(self, folder: Path) -> Table:
        """Return the table of failures in a folder."""
        return Table(folder / self.failures_name, self.failures, self.failure_bytes)

    def remaining(self, folder: Path) -> Part:
        """Return the part without the tables that a folder lacks."""
        part = self
        if not self.answer_table(folder).path.is_file():
            part = replace(part, answers=0, bytes=0)
        if not self.failure_table(folder).path.is_file():
            part = replace(part, failures=0, failure_bytes=0)
        return part


@dataclass(frozen=True)
class Manifest:
    """Manifest of a folder: the request and the parts that are complete.

    Args:
        request: JSON object that says what was asked, and of which model.
        parts: The parts by number.
        version: Version of audiozoo that wrote the manifest.
    """

    request: Mapping[str, Any]
    parts: Mapping[int, Part] = field(default_factory=dict)
    version: str = __version__

    @property
    def next_number(self) -> int:
        """Number of the next part. It is above all others, because a number is never used again."""
        return 1 + max(self.parts, default=-1)

    def with_part(self, part: Part) -> Manifest:
        """Return the manifest with one more part, written by this version; a part of the same number is replaced."""
        return Manifest(self.request, {**self.parts, part.number: part})

    def remaining(self, folder: Path) -> Manifest:
        """Return the manifest without the tables that a folder lacks, and without the parts that have none left."""
        parts = (part.remaining(folder) for part in self.parts.values())
        return replace(self, parts={part.number: part for part in parts if part.answers or part.failures})

    def answer_tables(self, folder: Path) -> list[Table]:
        """Return the tables of answers, in the order of their numbers."""
        return [part.answer_table(folder) for part in self.parts.values() if part.answers]

    def failure_tables(self, folder: Path) -> list[Table]:
        """Return the tables of failures, in the order of their numbers."""
        return [part.failure_table(folder) for part in self.parts.values() if part.failures]

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON data, which `parse` reads as text."""
        parts = [asdict(part) for part in self.parts.values()]
        return {"schema": SCHEMA, "version": self.version, "request": dict(self.request), "parts": parts}

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a manifest from JSON text, which is not trusted.

        Raises:
            ValueError: The text is not JSON, has a newer schema, or a value is missing, of the wrong type or out of bounds.
        """
        given = parse_json(content, most=_MOST_BYTES, depth=_DEEPEST)
        if not isinstance(given, dict):
            raise ValueError("a manifest must be a JSON object")
        schema: Any = given.get("schema")
        require_count("schema", schema, 1)
        if schema > SCHEMA:
            raise ValueError(f"it has schema {schema}, and this version reads up to {SCHEMA}: upgrade audiozoo")
        for name, kind in (("version", str), ("request", dict), ("parts", list)):
            if not isinstance(given.get(name), kind):
                raise ValueError(f"{name} must be a JSON {_JSON_NAMES[kind]}, got {str(given.get(name))[:80]!r}")
        return cls(given["request"], _by_number(map(_part, given["parts"])), given["version"])


_JSON_NAMES = {str: "string", dict: "object", list: "array"}


def _part(given: Any) -> Part:
    names = [one.name for one in fields(Part)]
    if not isinstance(given, dict) or set(given) != set(names):
        raise ValueError(f"a part must be an object of {', '.join(names)}, got {str(given)[:80]}")
    return Part(**given)


def _by_number(parts: Iterable[Part]) -> dict[int, Part]:
    found: dict[int, Part] = {}
    for part in parts:
        if found and part.number <= next(reversed(found)):
            raise ValueError(f"{part.name} comes after {found[next(reversed(found))].name}; each number must exceed the last")
        found[part.number] = part
    return found


def checked_request(request: object) -> dict[str, Any]:
    """Return a request as the manifest will give it back: tuples become lists.

    Raises:
        ValueError: The request is not a JSON object, has NaN or infinity, or is too large or too deep for a manifest.
    """
    try:
        content = json.dumps(request, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"the request must be JSON data: {error}") from error
    if not isinstance(request, dict):
        raise ValueError(f"the request must be a JSON object, got {content[:80].decode()}")
    checked: dict[str, Any] = parse_json(content, most=_MOST_REQUEST_BYTES, depth=_DEEPEST_REQUEST)
    return checked


def has_manifest(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a path is a folder with a manifest, and not one of sound files, for example."""
    return (Path(folder) / MANIFEST).is_file()


def read_manifest(folder: str | os.PathLike[str]) -> Manifest:
    """Read the manifest of a folder.

    Raises:
        FileNotFoundError: The folder has none.
        ValueError: The manifest is too large, is damaged or has a newer schema.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, so {folder} is not a folder of answers")
    with refusing(path, "not a manifest of answers"):
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise ValueError(f"it has {size:,} bytes, at most {_MOST_BYTES:,} are allowed")
        return Manifest.parse(path.read_bytes())
