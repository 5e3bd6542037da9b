"""The tables of a report in Markdown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from audiozoo.crossval import LeaderboardEntry, Row
from audiozoo.files import write_text
from audiozoo.report.columns import columns, deviation_text, interval_text, score_text
from audiozoo.report.domains import domain_table
from audiozoo.report.hardest import hardest_clips
from audiozoo.report.pairs import confused_pairs
from audiozoo.report.results import metric_name
from audiozoo.report.summary import MOST_LISTED, DatasetSummary, summarised

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#])")


def markdown_report(rows: Iterable[Row], path: str | os.PathLike[str]) -> Path:
    """Write the tables of a report as Markdown: leaderboards, scores by domain, confused classes and hardest clips.

    Args:
        rows: Rows of any datasets and models, see `audiozoo.crossval.read_rows`.
        path: Path of the file to write.

    Returns:
        The path of the file.

    Raises:
        ValueError: There are no rows.
        OSError: The file cannot be written.
    """
    return write_tables(summarised(rows), path)


def write_tables(datasets: Sequence[DatasetSummary], path: str | os.PathLike[str]) -> Path:
    """Write the tables of datasets whose rows are summarised already, see `markdown_report`."""
    write_text(path, "\n".join(map(_section, datasets)))
    return Path(path)


def plain(text: str) -> str:
    """Return a text whose characters have no meaning in Markdown.

    >>> plain("a|b_<c>")
    'a\\\\|b\\\\_\\\\<c\\\\>'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table(head: Sequence[str], lines: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """Format a table.

    Args:
        head: Names of the columns.
        lines: Cells of each line.
        words: Number of columns at the left that hold words; the others are aligned to the right.

    Returns:
        The table in Markdown.
    """
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "".join(
        f"| {' | '.join(cells)} |\n" for cells in ([*map(plain, head)], rule, *([*map(plain, each)] for each in lines))
    )


def _section(data: DatasetSummary) -> str:
    parts = [f"## {plain(data.name)}\n", _leaderboard(data), *_domains(data), *_confused(data), *_hardest(data)]
    return "\n".join(parts)


def _leaderboard(data: DatasetSummary) -> str:
    listed, further = data.models[:MOST_LISTED], columns(data)
    head = ["", "model", metric_name(data.metric), "95 % interval", "not told apart from", *(each.name for each in further)]
    lines = [
        [
            str(place + 1),
            ", ".join((model.name, *model.marks(data.folds))),
            score_text(model),
            interval_text(model),
            _group(data, place),
        ]
        + [each.written(model) for each in further]
        for place, model in enumerate(listed)
    ]
    # A column without any text, such as the intervals of rows without scores, is left out.
    filled = [place for place in range(len(head)) if any(line[place] for line in lines)]
    left = f" The best {MOST_LISTED} of {len(data.models)} models." if len(data.models) > MOST_LISTED else ""
    listing = table([head[place] for place in filled], ([line[place] for place in filled] for line in lines), words=2)
    return f"{listing}\n{deviation_text(data)} The time per training is the median over the folds and seeds.{left}\n"


def _domains(data: DatasetSummary) -> list[str]:
    found = domain_table(data.models[:MOST_LISTED], data.metric)
    if found is None:
        return []
    lines = [(str(place + 1), data.models[place].name, *scores) for place, scores in found.lines.items()]
    return [f"### {plain(metric_name(data.metric))} by domain\n", table(("", "model", *found.head), lines, words=2)]


def _group(data: DatasetSummary, place: int) -> str:
    group = data.groups[place] if data.groups else None
    return "" if group is None else ", ".join(str(other + 1) for other in group) or "none"


def _confused(data: DatasetSummary) -> list[str]:
    best = data.models[0]
    if not isinstance(best.entry, LeaderboardEntry):
        return []
    pairs = confused_pairs(best.entry.confusion, data.labels)
    lines = [(pair.true, pair.predicted, f"{pair.clips} of {pair.total}") for pair in pairs]
    return (
        [f"### Most confused by {plain(best.name)}\n", table(("class", "taken for", "clips"), lines, words=2)] if lines else []
    )


def _hardest(data: DatasetSummary) -> list[str]:
    lines = [(clip.name, clip.label, clip.taken_for, clip.share) for clip in hardest_clips(data)]
    return ["### Hardest clips\n", table(("clip", "class", "taken for", "wrong for"), lines, words=3)] if lines else []
