"""Comparison of detected events with a reference table, for ``audiozoo events --reference``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from audiozoo.cli.console import out

if TYPE_CHECKING:
    from audiozoo.events import Event
    from audiozoo.metrics import DetectionScores


def check_reference(table: Path, sounds: Sequence[str]) -> list[Event]:
    """Read the true events of some recordings; those of others are left out.

    The table names a recording by its path, or by an end of its path such as its file name; or its own path ends with the name
    that the user gave.

    Args:
        table: Table of events, see `audiozoo.events.read_events`.
        sounds: Names of the recordings.

    Returns:
        The events, with the names of the recordings in `sounds`.

    Raises:
        ValueError: The table cannot be read, has no event of these recordings, or names several of them at once.
    """
    from audiozoo.events import read_events

    events = read_events(table, file=sounds[0] if len(sounds) == 1 else "")
    names = {name: _named(name, sounds, table) for name in {event.file for event in events}}
    found = [replace(event, file=name) for event in events if (name := names[event.file]) is not None]
    if not found:
        raise ValueError(
            f"{table}: has no event of these recordings; it names {', '.join(sorted(names)[:3]) or 'none'}, and the recordings "
            f"are {', '.join(sounds[:3])}"
        )
    return found


def _named(name: str, sounds: Sequence[str], table: Path) -> str | None:
    fitting = [name] if name in sounds else [sound for sound in sounds if _is_end(Path(sound).parts, Path(name).parts)]
    if len(fitting) > 1:
        raise ValueError(f"{table}: {name!r} may be {' or '.join(fitting[:3])}; write more of the path into the table")
    return fitting[0] if fitting else None


def _is_end(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether the shorter of two paths is the end of the longer one."""
    common = min(len(one), len(other))
    return common > 0 and one[-common:] == other[-common:]


def print_detection(truth: Sequence[Event], found: Sequence[Event], *, segment: float, collar: float) -> None:
    """Print the metrics of detected events, and a table with a line for each class.

    Args:
        truth: Events of the reference.
        found: Detected events.
        segment: Length of a segment (seconds).
        collar: Largest distance of the starts of two events (seconds).
    """
    from rich.table import Table

    from audiozoo.metrics import event_based, segment_based

    scores = (segment_based(truth, found, segment=segment), event_based(truth, found, collar=collar))
    for line, each in zip((f"segments of {segment:g} s", f"events, collar {collar:g} s"), scores, strict=True):
        out.print(f"{line}: {_summary(each)}", soft_wrap=True)
    heads = [f"{kind} {value}" for kind in ("segments", "events") for value in ("true", "found", "F1", "ER")]
    table = Table("class", *heads, box=None, header_style="bold", pad_edge=False)
    for label in sorted({label for each in scores for label in each.by_label}):
        table.add_row(label, *[cell for each in scores for cell in _cells(each, label)])
    out.print(table)


def _summary(scores: DetectionScores) -> str:
    overall = scores.overall
    return (
        f"F1 {_text(overall.f1)} (precision {_text(overall.precision)}, recall {_text(overall.recall)}), "
        f"macro F1 {_text(scores.macro_f1)}, error rate {_text(overall.error_rate)} ({overall.substitutions} substitutions, "
        f"{overall.deletions} deletions, {overall.insertions} insertions, {overall.reference} in the reference)"
    )


def _cells(scores: DetectionScores, label: str) -> list[str]:
    counts = scores.by_label.get(label)
    if counts is None:
        return ["0", "0", "-", "-"]
    return [str(counts.reference), str(counts.estimated), _text(counts.f1), _text(counts.error_rate)]


def _text(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
