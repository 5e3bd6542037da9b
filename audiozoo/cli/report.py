"""``audiozoo report``: write result rows as one HTML file and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.checks import unknown_name
from audiozoo.cli.console import out
from audiozoo.files import check_target

if TYPE_CHECKING:
    from audiozoo.crossval import Row

EXAMPLE = "audiozoo report runs/ -o report.html --sounds ESC-50/"


def run(
    folder: Annotated[Path, typer.Argument(help="Folder of `audiozoo benchmark -o`, of several such folders, or of rows.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
    sounds: Annotated[
        Path | None, typer.Option(help="Folder of the dataset: the hardest clips can then be heard; mind their licence.")
    ] = None,
    average: Annotated[
        list[str] | None,
        typer.Option(help="Models whose scores to average, A+B, as one more entry; A can be 'calibrated A'. May be repeated."),
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Benchmark of audio classifiers",
) -> None:
    """Write the results of benchmarks as one HTML file that loads nothing from elsewhere, and their tables as Markdown.

    Both files have the same name and the suffixes .html and .md.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--output must end with .html, got {output}; the Markdown file gets the same name")
    for target in (output, output.with_suffix(".md")):
        check_target(target)
    from audiozoo.crossval import distinct, read_rows
    from audiozoo.report.page.document import write_page
    from audiozoo.report.page.sounds import sound_files
    from audiozoo.report.summary import summarised
    from audiozoo.report.tables import write_tables

    rows = distinct(row for each in row_folders(folder) for row in read_rows(each))
    if not rows:
        raise ValueError(f"{folder}: no result rows there; run `audiozoo benchmark -o {folder}` first")
    rows += _averages(rows, average or [])
    files = None if sounds is None else sound_files(sounds)
    datasets = summarised(rows)
    write_page(datasets, output, title=title, files=files)
    write_tables(datasets, output.with_suffix(".md"))
    out.print(f"{len(rows)} rows: {output} and {output.with_suffix('.md')}", soft_wrap=True)


def _averages(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    from audiozoo.crossval.averaging import CALIBRATED
    from audiozoo.report.summary import summarised

    listed = [{model.name: model.rows for model in data.models} for data in summarised(rows, certain=False)] if names else []
    found = [row for models in listed for name in names for row in rows_of(name, models)[1]]
    if alone := [name for name in names if "+" not in name and not name.startswith(CALIBRATED)]:
        raise ValueError(f"--average joins models, such as A+B or 'calibrated A', got {alone[0]!r}, which has an entry already")
    return found


def row_folders(folder: Path) -> list[Path]:
    """Return the folders of rows in a folder: its own ``rows``, those of its subfolders, or else the folder itself.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    if (folder / "rows").is_dir():
        return [folder / "rows"]
    return sorted(path for path in folder.glob("*/rows") if path.is_dir()) or [folder]


def rows_of(name: str, listed: Mapping[str, Sequence[Row]]) -> tuple[str, Sequence[Row]]:
    """Return the name and the rows of a model, or of an average "A+B". A model may be "calibrated A".

    Args:
        name: Name that the leaderboard gives, or the name of the model if it is unique; several with "+" for an average.
        listed: Rows by the names on the leaderboard.

    Returns:
        The name on the leaderboard and the rows.

    Raises:
        ValueError: There is no such model, several variants of it, or the rows cannot be averaged.
    """
    from audiozoo.crossval import average_rows

    members = [_member(part.strip(), listed) for part in name.split("+")]
    if len(members) == 1:
        return members[0]
    return "+".join(member for member, _ in members), average_rows([rows for _, rows in members])


def _member(name: str, listed: Mapping[str, Sequence[Row]]) -> tuple[str, Sequence[Row]]:
    from audiozoo.crossval.averaging import CALIBRATED, calibrated_rows

    asked = name.removeprefix(CALIBRATED)
    known = _listed(asked.strip(), listed)
    return (known, listed[known]) if asked == name else (CALIBRATED + known, calibrated_rows(listed[known]))


def _listed(name: str, listed: Mapping[str, Sequence[Row]]) -> str:
    if name in listed:
        return name
    variants = [one for one, rows in listed.items() if rows[0].model == name]
    if len(variants) > 1:
        raise ValueError(f"{name} was trained in several ways: give one of {', '.join(map(repr, variants))}")
    if not variants:
        raise unknown_name("model", name, listed)
    return variants[0]
