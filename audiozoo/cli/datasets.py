"""``audiozoo datasets``: list the published datasets, and download them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from audiozoo.cli.console import err, out, progress_bar
from audiozoo.cli.errors import keeping

EXAMPLE = "audiozoo datasets fetch esc50"

app = typer.Typer(help="List the published datasets, and download them.", invoke_without_command=True)


@app.callback()
def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the published datasets that audiozoo reads, with size and licence."""
    if context.invoked_subcommand:
        return
    from audiozoo.datasets import SOURCES

    if as_json:
        facts = {
            name: {"content": one.content, "gb": one.download_gb, "licence": one.licence, "page": one.page}
            for name, one in SOURCES.items()
        }
        print(json.dumps(facts, indent=1))
        return
    from rich.table import Table

    table = Table("name", "content", "download", "licence", "page", box=None, header_style="bold", pad_edge=False)
    for name, one in SOURCES.items():
        size = [] if one.download_gb is None else [f"{one.download_gb:g} GB"]
        how = ", ".join(size if one.archives else [*size, "by hand"])
        table.add_row(name, one.content, how, one.licence, one.page)
    out.print(table)


@app.command(epilog=f"Example: {EXAMPLE}")
def fetch(
    name: Annotated[str, typer.Argument(help="Name of a dataset, see `audiozoo datasets`.")],
    to: Annotated[Path | None, typer.Option(help="Folder of the dataset; by default a folder of its name here.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Accept the licence without being asked.")] = False,
) -> None:
    """Download a published dataset, verify it and unpack it; the same command continues an interrupted download."""
    from audiozoo.datasets import fetch_dataset, source_of

    source, folder = source_of(name), to or Path(name)
    if source.archives:
        _agree(name, accept=accept)
        err.print(f"{source.download_gb:g} GB from {source.page}", soft_wrap=True)
    with keeping(f"what has arrived is kept in {folder}, and the same command continues"), progress_bar() as bar:
        fetch_dataset(name, folder, progress=bar)
    out.print(f"{folder}: audiozoo benchmark --dataset {name} --root {folder}", soft_wrap=True)
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
