"""Files of events: CSV, JSON lines, label tracks of Audacity, and selection tables of Raven."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from audiozoo.bounded import MIB, parse_json, refusing
from audiozoo.checks import require_choice
from audiozoo.events.event import Event
from audiozoo.files import replacing

Format = Literal["csv", "jsonl", "audacity", "raven"]

SUFFIXES: dict[str, Format] = {".selections.txt": "raven", ".csv": "csv", ".jsonl": "jsonl", ".txt": "audacity"}
"""Format of a file by the end of its name; the first that fits counts."""

FORMATS: dict[Format, str] = {format: suffix for suffix, format in SUFFIXES.items()}
"""End of the name of a file by its format."""

COLUMNS = ("file", "start_s", "end_s", "label", "score")
"""Columns of CSV, and fields of the objects in JSON lines."""

_RAVEN = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)")

# Names of the columns in tables of other programs: DCASE challenges, sed_eval, Raven.
_ALIASES = {
    "file": ("file", "filename", "Begin File", "Begin Path"),
    "start_s": ("start_s", "start", "onset", "event_onset", "Begin Time (s)"),
    "end_s": ("end_s", "end", "offset", "event_offset", "End Time (s)"),
    "label": ("label", "event_label", "Annotation", "Common Name"),
    "score": ("score", "Score", "Confidence"),
}

_MOST_BYTES, _LONGEST_LINE = 64 * MIB, 2**16


def format_of(path: str | os.PathLike[str]) -> Format:
    """Return the format of a file of events by its name.

    Raises:
        ValueError: The name has none of the suffixes in `SUFFIXES`.
    """
    name = os.fspath(path).lower()
    for suffix, format in SUFFIXES.items():
        if name.endswith(suffix):
            return format
    raise ValueError(
        f"{os.fspath(path)}: events are written as .csv, .jsonl, .txt (label track of Audacity) or .selections.txt (selection "
        "table of Raven), choose one of these suffixes"
    )


def write_events(
    events: Iterable[Event], path: str | os.PathLike[str], *, format: Format | None = None, highest: float = 22_050.0
) -> Path:
    """Write events atomically.

    Args:
        events: Events. A label track or a selection table takes those of one recording.
        path: Path of the file.
        format: "csv", "jsonl", "audacity" or "raven"; `None` takes that of the path.
        highest: Upper edge of the selections of Raven (Hz).

    Returns:
        The path of the file.

    Raises:
        ValueError: The format is unknown, does not follow from the path, or takes one recording and the events are of several.
        OSError: The file cannot be written.
    """
    chosen, path, events = format or format_of(path), Path(path), list(events)
    require_choice("format", chosen, FORMATS)
    if chosen in ("audacity", "raven") and len(files := {event.file for event in events}) > 1:
        raise ValueError(
            f"{path}: a label track or a selection table belongs to one recording, got events of {len(files)}; write a file "
            "for each recording, or choose .csv or .jsonl"
        )
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="", errors="surrogateescape") as file:
        file.writelines(_raven(events, highest) if chosen == "raven" else _WRITERS[chosen](events))
    return path


def _csv(events: Iterable[Event]) -> Iterator[str]:
    yield _line(COLUMNS)
    for event in events:
        yield _line([event.file, f"{event.start:.6f}", f"{event.end:.6f}", event.label, f"{event.score:.6f}"])


def _jsonl(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        values = (event.file, round(event.start, 6), round(event.end, 6), event.label, round(event.score, 6))
        yield json.dumps(dict(zip(COLUMNS, values, strict=True))) + "\n"


def _audacity(events: Iterable[Event]) -> Iterator[str]:
    for event in events:
        yield f"{event.start:.6f}\t{event.end:.6f}\t{_one_cell(event.label)}\n"


def _raven(events: Iterable[Event], highest: float) -> Iterator[str]:
    yield _line([*_RAVEN, "Annotation", "Score", "Begin File"], "\t")
    for number, event in enumerate(events, 1):
        times = f"{event.start:.6f}", f"{event.end:.6f}", "0.0", f"{highest:.1f}"
        rest = _one_cell(event.label), f"{event.score:.6f}", _one_cell(os.path.basename(event.file))
        yield "\t".join([str(number), "Spectrogram 1", "1", *times, *rest]) + "\n"


_WRITERS: dict[str, Callable[[Iterable[Event]], Iterator[str]]] = {"csv": _csv, "jsonl": _jsonl, "audacity": _audacity}


def _line(cells: Iterable[str], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _one_cell(text: str) -> str:
    """Replace the characters that end a cell, because neither program knows quotes."""
    return text.translate(dict.fromkeys(map(ord, "\t\r\n"), " "))


def read_events(path: str | os.PathLike[str], *, file: str = "") -> list[Event]:
    """Read events that `write_events` wrote, or a table of a DCASE challenge (columns filename, onset, offset, event_label).

    Args:
        path: Path of a file: ``.csv``, ``.tsv``, ``.jsonl``, ``.selections.txt``, or ``.txt`` for a label track.
        file: Name of the recording, for a file that does not state it.

    Returns:
        The events, in the order of the file. A score that the file does not state is 1.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not of this form; the message names the line.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    chosen = "tsv" if path.suffix.lower() == ".tsv" else format_of(path)
    with refusing(path, "not a table of events"):
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes, more than {_MOST_BYTES:,}")
        text = io.StringIO(path.read_bytes().decode("utf-8-sig", errors="surrogateescape"), newline="")
        return list(_parsed(text, chosen, file))


def _parsed(lines: io.StringIO, chosen: str, file: str) -> Iterator[Event]:
    if chosen == "jsonl":
        objects = ((number, parse_json(line.encode(), most=_LONGEST_LINE, depth=4)) for number, line in _full(lines))
    elif chosen == "audacity":
        # Audacity writes a frequency range on a line of its own, after a backslash.
        cells = ((number, line.rstrip("\r\n").split("\t")) for number, line in _full(lines) if not line.startswith("\\"))
        objects = ((number, dict(zip(COLUMNS[1:4], row, strict=False))) for number, row in cells)
    else:
        table = csv.DictReader(lines) if chosen == "csv" else csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        objects = ((table.line_num, row) for row in table)
    for number, values in objects:
        yield _event(number, values, file)


def _full(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _event(number: int, values: Mapping[str, Any], file: str) -> Event:
    found = {
        field: values[name] for field, names in _ALIASES.items() for name in reversed(names) if values.get(name) is not None
    }
    if missing := [field for field in COLUMNS[1:4] if field not in found]:
        raise ValueError(f"line {number}: lacks {', '.join(missing)}; the columns are {', '.join(COLUMNS)}")
    try:
        times = float(found["start_s"]), float(found["end_s"])
        return Event(str(found.get("file", file)), *times, str(found["label"]), float(found.get("score", 1.0)))
    except (TypeError, ValueError) as error:
        raise ValueError(f"line {number}: {error}") from error
