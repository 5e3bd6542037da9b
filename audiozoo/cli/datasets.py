"""``audiozoo datasets``: list the published datasets, download them, and write synthetic sounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.cli.console import err, out, progress_bar
from audiozoo.cli.errors import keeping
from audiozoo.cli.place import LOCAL, On, piece_executor

if TYPE_CHECKING:
    from audiozoo.datasets import Found, Source

EXAMPLE = "audiozoo datasets fetch esc50"

app = typer.Typer(help="List the published datasets, download them, or write synthetic sounds.", invoke_without_command=True)


@app.callback()
def show(
    context: typer.Context,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, also with the content and the page of each dataset.")
    ] = False,
    root: Annotated[Path, typer.Option(help="Folder in which to look for the datasets.")] = Path(),
) -> None:
    """List the published datasets that audiozoo reads, and whether they are here."""
    if context.invoked_subcommand:
        return
    from audiozoo.datasets import SOURCES, find_dataset

    if not root.is_dir():
        raise ValueError(f"--root must be a folder, got {root}")
    here = {name: find_dataset(name, root) for name in SOURCES}
    if as_json:
        print(json.dumps({name: _facts(one, here[name]) for name, one in SOURCES.items()}, indent=1))
        return
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("name", "classes", "clips", "metric", "download", "licence", "here"):
        table.add_column(name, no_wrap=name == "name", overflow="fold")
    for name, one in SOURCES.items():
        size = f"{one.download_gb:g} GB"
        table.add_row(name, str(one.classes), f"{one.clips:,}", one.metric, size, one.licence, _place(here[name]))
    out.print(table)


def _facts(source: Source, found: Found | None) -> dict[str, Any]:
    return {
        "content": source.content,
        "classes": source.classes,
        "clips": source.clips,
        "metric": source.metric,
        "gb": source.download_gb,
        "licence": source.licence,
        "page": source.page,
        "folder": str(found.folder) if found else None,
        "complete": found.complete if found else False,
    }


def _place(found: Found | None) -> str:
    return "no" if found is None else f"{'' if found.complete else 'a part, '}{found.folder}"


@app.command(epilog=f"Example: {EXAMPLE}")
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a dataset, see `audiozoo datasets`.")],
    to: Annotated[Path | None, typer.Option(help="Folder of the dataset; by default a folder of its name here.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Accept the licence without being asked.")] = False,
) -> None:
    """Download a published dataset, verify it and unpack it; the same command continues an interrupted download."""
    from audiozoo.datasets import fetch_dataset, load_dataset, source_of

    source, folder = source_of(name), to or Path(name)
    _agree(name, accept=accept)
    err.print(f"{source.download_gb:g} GB from {source.page}", soft_wrap=True)
    with keeping(f"what has arrived is kept in {folder}, and the same command continues"), progress_bar() as bar:
        fetch_dataset(name, folder, progress=bar)
    try:
        clips = len(load_dataset(name, root=folder).clips)
    except (FileNotFoundError, ValueError) as error:
        # Files that were deleted after the archives were unpacked are missing.
        raise ValueError(f"{error}; delete {folder / '.archives'} to download all of {name} again") from error
    out.print(f"{folder}: {clips:,} clips: audiozoo benchmark --dataset {name} --root {folder}", soft_wrap=True)
    if not all(archive.checksum for archive in source.archives):
        out.print("The publisher states no lasting checksum; that of this download is kept in .archives.", soft_wrap=True)


def _agree(name: str, *, accept: bool) -> None:
    from audiozoo.datasets import accept_licence, accepted_licences, source_of

    licence = source_of(name).licence
    if accepted_licences().get(name) == licence:
        return
    err.print(f"licence of {name}: {licence}", soft_wrap=True)
    if not (accept or (err.is_terminal and typer.confirm("Do you accept it?", err=True))):
        raise ValueError(f"the licence of {name} was not accepted, so nothing was downloaded; pass --accept to accept it")
    accept_licence(name)


@app.command(epilog="Example: audiozoo datasets synthesize sounds/")
def synthesize(
    to: Annotated[Path, typer.Argument(help="Folder to write to; each class gets a subfolder.")],
    clips: Annotated[int, typer.Option(min=2, max=10_000, help="Number of clips of each class.")] = 24,
    seconds: Annotated[float, typer.Option(min=0.1, max=60, help="Duration of each clip (seconds).")] = 2.0,
    rate: Annotated[int, typer.Option(min=8_000, max=192_000, help="Sample rate (Hz).")] = 22_050,
    seed: Annotated[int, typer.Option(min=0, help="Random seed; another seed gives other clips.")] = 0,
    on: On = LOCAL,
) -> None:
    """Write synthetic sounds of ten classes as WAV files, to try audiozoo without a download.

    Files with the right content are not written again, and other files stay as they are.
    """
    from audiozoo.datasets import load_dataset

    how: dict[str, Any] = {"clips_per_class": clips, "duration": seconds, "sample_rate": rate, "seed": seed}
    written = load_dataset("synthetic", root=to, folds=2, executor=piece_executor(on), **how)
    out.print(f"{to}: {len(written.clips):,} clips of {len(written.labels)} classes", soft_wrap=True)
