"""``audiozoo compare``: tell whether models differ on the same test clips."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.checks import unknown_name
from audiozoo.cli.console import out
from audiozoo.cli.report import row_folders, rows_of

if TYPE_CHECKING:
    from audiozoo.crossval import Comparison, Row
    from audiozoo.report.summary import DatasetSummary

EXAMPLE = "audiozoo compare house_cnn mel_cnn --rows runs/"

_MOST_CLIPS = 10


def run(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="Two models, or more; by default all of them. A+B is the average of A and B."),
    ] = None,
    rows: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of `audiozoo benchmark -o`, or of rows; may be given several times.", show_default="runs"),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of the dataset, if the folder has rows of several.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="accuracy, macro_accuracy, map@3 or map; by default the dataset's.")
    ] = None,
    clips: Annotated[bool, typer.Option("--clips", help="List clips that only one of the two gets right.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare models on the same test clips, with confidence intervals and significance tests.

    The intervals come from a bootstrap over recordings. For each pair, the command prints the difference, its 95 % interval and
    its p value, with Holm's correction for several pairs, and for two models the p value of McNemar's test.
    """
    from audiozoo.crossval import compare_all, distinct, read_rows
    from audiozoo.report.summary import summarised

    given = rows or [Path("runs")]
    known = distinct(row for one in given for folder in row_folders(one) for row in read_rows(folder))
    if not known:
        raise ValueError(f"{', '.join(map(str, given))}: no result rows there; run `audiozoo benchmark -o {given[0]}` first")
    chosen = _chosen(_dataset(summarised(known, certain=False), dataset), models or [])
    found = compare_all(chosen, metric=metric)
    if as_json:
        print(json.dumps([each.to_dict() for each in found], indent=1))
    elif len(found) == 1:
        _print_pair(found[0], clips=clips)
    else:
        _print_table(found)


def _dataset(summaries: Sequence[DatasetSummary], name: str | None) -> DatasetSummary:
    named = [each for each in summaries if name in (None, each.name)]
    names = dict.fromkeys(each.name for each in summaries)
    if not named:
        raise unknown_name("dataset", name, names)
    if len(named) > 1:
        raise ValueError(f"the rows are of several datasets or labels: choose one of {', '.join(names)} with --dataset")
    return named[0]


def _chosen(summary: DatasetSummary, names: Sequence[str]) -> Mapping[str, Sequence[Row]]:
    """Return the rows of models by the names that the leaderboard gives them, or by the name of the model if it is unique."""
    listed = {each.name: each.rows for each in summary.models}
    chosen = {one: rows for name in names for one, rows in [rows_of(name, listed)]} if names else listed
    if len(chosen) < 2:
        raise ValueError(f"a comparison needs two models, got {', '.join(chosen) or 'none'}; there are {', '.join(listed)}")
    return chosen


def _print_pair(found: Comparison, *, clips: bool) -> None:
    from audiozoo.report.results import between, measured, metric_name

    name_of = metric_name(found.metric)
    out.print(f"{found.clips} clips of {found.recordings} recordings, folds {', '.join(map(str, found.folds))}; {name_of}")
    for name, value, ends in zip(found.models, found.values, found.intervals, strict=True):
        figures = f"{measured(found.metric, value):>7}   95 % interval {between(found.metric, ends)}"
        out.print(f"  {name:<24} {figures}", highlight=False)
    out.print(_verdict(found), highlight=False, soft_wrap=True)
    if found.mcnemar_p is not None:
        first, second = map(len, found.only)
        clips_of = f"{first} clip{'' if first == 1 else 's'}"
        counts = f"only {found.models[0]} is right on {clips_of}, only {found.models[1]} on {second}"
        # McNemar's test knows no recordings, so its p value is too small where several clips come from one.
        caution = " if clips of one recording were independent" if found.recordings < found.clips else ""
        out.print(f"McNemar's test: {counts}; {_p_text(found.mcnemar_p)}{caution}", highlight=False, soft_wrap=True)
    for name, names in zip(found.models, found.only, strict=True) if clips else ():
        more = f" and {len(names) - _MOST_CLIPS} more" if len(names) > _MOST_CLIPS else ""
        out.print(f"only {name}: {', '.join(names[:_MOST_CLIPS])}{more}", highlight=False, soft_wrap=True, markup=False)


def _verdict(found: Comparison) -> str:
    from audiozoo.report.results import in_percent

    difference, interval = _difference(found)
    unit = " points" if in_percent(found.metric) else ""
    figures = f"{difference}{unit}, 95 % interval {interval}, {_p_text(found.p)}"
    if found.better is None:
        return f"{found.models[0]} and {found.models[1]} are not told apart: {figures}"
    return f"{found.better} is better: {figures} ({found.models[0]} minus {found.models[1]})"


def _difference(found: Comparison) -> tuple[str, str]:
    from audiozoo.report.results import signed

    low, high = (signed(found.metric, end) for end in found.difference_interval)
    return signed(found.metric, found.difference), f"{low} to {high}"


def _print_table(found: Sequence[Comparison]) -> None:
    from rich.table import Table

    from audiozoo.report.results import in_percent, metric_name

    table = Table("first", "second", "difference", "95 % interval", "p", "p, Holm", "better", box=None, header_style="bold")
    for each in found:
        chances = f"{each.p:.2g}", f"{each.corrected_p:.2g}"
        table.add_row(*each.models, *_difference(each), *chances, each.better or "not told apart")
    unit = ", in points" if in_percent(found[0].metric) else ""
    out.print(f"{found[0].clips} clips of {found[0].recordings} recordings; {metric_name(found[0].metric)}{unit}")
    out.print(table)


def _p_text(p: float) -> str:
    return f"p = {p:.2g}" if p > 1e-99 else "p < 1e-99"
