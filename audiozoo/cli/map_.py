"""``audiozoo map``: draw a folder of sounds as points, similar sounds close together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from audiozoo.cli.console import out, quiet_backend
from audiozoo.cli.options import ReadingJobs
from audiozoo.cli.stores import ModelName, Source, StorePath
from audiozoo.files import check_target

EXAMPLE = "audiozoo map embeddings.npz -o map.png"


def run(
    store: StorePath,
    output: Annotated[Path, typer.Option("--output", "-o", help="Picture to write: .png, .pdf or .svg.")],
    labels: Annotated[
        str,
        typer.Option(help="Classes for the colours: folder (the subfolder of each file), none, or a CSV table (file, label)."),
    ] = "folder",
    model: ModelName = None,
    method: Annotated[
        Literal["auto", "umap", "pca"], typer.Option(help="Projection; auto is UMAP if it is installed, and otherwise PCA.")
    ] = "auto",
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    title: Annotated[str | None, typer.Option(help="Title above the picture.")] = None,
    jobs: ReadingJobs = -1,
) -> None:
    """Draw a map of sounds: a point for each, similar sounds close together, coloured by class.

    UMAP needs `pip install 'audiozoo[umap]'`. Without it, the map shows the two principal components.
    """
    check_target(output)  # before the network is loaded
    source = Source(store, model, jobs=jobs)
    from audiozoo.embeddings import folder_labels, project, table_labels
    from audiozoo.report import map_picture

    files = source.store.files
    classes = folder_labels(files) if labels == "folder" else None if labels == "none" else table_labels(labels, files)
    quiet_backend()  # umap-learn loads TensorFlow
    projection = project(source.store, method=method, seed=seed)
    map_picture(projection, output, labels=classes, title=_title(source, projection.method) if title is None else title)
    out.print(f"saved {output} ({len(files)} sounds, {projection.method})", soft_wrap=True)
    source.report()


def _title(source: Source, method: str) -> str:
    facts = source.store.facts
    model = f" of {facts.model}" if facts and facts.model else ""
    return f"{len(source.store):,} sounds: {method} of the embeddings{model}"
