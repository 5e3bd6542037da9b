"""``audiozoo ensemble``: combine saved classifiers into one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audiozoo.cli.console import (
    CACHE_HELP,
    DatasetOptions,
    feature_cache,
    open_dataset,
    out,
    progress_bar,
    quiet_backend,
)
from audiozoo.files import check_target

EXAMPLE = "audiozoo ensemble a.audiozoo b.audiozoo -o c.audiozoo --weights learn --on more-sounds/"

LEARN = "learn"


def run(
    classifiers: Annotated[list[Path], typer.Argument(help="Classifiers saved by `audiozoo train`, two or more.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to save the ensemble to.")],
    weights: Annotated[
        str | None, typer.Option(help="Weights of the classifiers, such as 0.6,0.4, or `learn`; by default they are equal.")
    ] = None,
    on: Annotated[
        Path | None,
        typer.Option(
            help="Folder with one folder of sounds for each class that no classifier was trained on. It sets the "
            "temperature, and the weights with --weights learn."
        ),
    ] = None,
    table: Annotated[Path | None, typer.Option(help="CSV table with the columns file and label, for --on.")] = None,
    dataset: Annotated[str, typer.Option(help="Layout of the folder --on: folder, esc10, urbansound8k, ...")] = "folder",
    options: DatasetOptions = None,
    unknown: Annotated[
        float | None,
        typer.Option(help='Answer "unknown" for unfamiliar sounds, and keep this share of those in --on, such as 0.95.'),
    ] = None,
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
) -> None:
    """Combine classifiers of the same classes into one, which averages their probabilities.

    The result is used like any other classifier. The classifiers may have different frontends and windows.
    """
    given = _parsed(weights)
    if on is None and (weights == LEARN or unknown is not None):
        option = "--unknown" if weights != LEARN else "--weights learn"
        raise ValueError(f"{option} needs --on DIR, a folder of labelled sounds that no classifier was trained on")
    check_target(output)
    quiet_backend()
    from audiozoo.classifier import Ensemble, load_classifier
    from audiozoo.training import fit_ensemble

    members = tuple(load_classifier(path) for path in classifiers)
    ensemble = Ensemble(members, given)  # type: ignore[arg-type]  # it refuses ensembles as members
    if on is not None:
        data = open_dataset(dataset, on, table, options)
        with progress_bar("ensemble") as show:
            ensemble = fit_ensemble(
                ensemble, data.clips, weights=weights == LEARN, unknown=unknown, cache=feature_cache(cache), progress=show
            )
    ensemble.save(output)
    shares = ", ".join(f"{path.name} {weight:.3f}" for path, weight in zip(classifiers, ensemble.weights or (), strict=True))
    out.print(f"saved {output} ({len(members)} members: {shares}; temperature {ensemble.temperature:.2f})", soft_wrap=True)


def _parsed(weights: str | None) -> tuple[float, ...] | None:
    if weights in (None, LEARN):
        return None
    try:
        return tuple(float(word) for word in str(weights).split(","))
    except ValueError as error:
        raise ValueError(f"--weights must be numbers such as 0.6,0.4, or `learn`, got {weights!r}") from error
