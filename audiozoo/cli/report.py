"""``audiozoo report``: write result rows as one HTML file and as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audiozoo.cli.console import out
from audiozoo.files import check_target

EXAMPLE = "audiozoo report runs/ -o report.html --sounds ESC-50/"


def run(
    folder: Annotated[Path, typer.Argument(help="Folder of `audiozoo benchmark -o`, of several such folders, or of rows.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
    sounds: Annotated[
        Path | None, typer.Option(help="Folder of the dataset: the hardest clips can then be heard; mind their licence.")
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
    from audiozoo.crossval import read_rows
    from audiozoo.report.page.document import write_page
    from audiozoo.report.page.sounds import sound_files
    from audiozoo.report.summary import summarised
    from audiozoo.report.tables import write_tables

    rows = [row for each in row_folders(folder) for row in read_rows(each)]
    if not rows:
        raise ValueError(f"{folder}: no result rows there; run `audiozoo benchmark -o {folder}` first")
    files = None if sounds is None else sound_files(sounds)
    datasets = summarised(rows)
    write_page(datasets, output, title=title, files=files)
    write_tables(datasets, output.with_suffix(".md"))
    out.print(f"{len(rows)} rows: {output} and {output.with_suffix('.md')}", soft_wrap=True)


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
