"""``audiozoo benchmark``: compare models on the official folds of a dataset."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.cli.console import (
    CACHE_HELP,
    DatasetOptions,
    FrontendName,
    FrontendSettings,
    changed_recipe,
    chosen_frontend,
    err,
    feature_cache,
    open_dataset,
    out,
    progress_bar,
    quiet_backend,
)
from audiozoo.cli.errors import keeping

if TYPE_CHECKING:
    from audiozoo.crossval import FoldJob, LabelLeaderboardEntry, LeaderboardEntry, Row
    from audiozoo.datasets import Dataset
    from audiozoo.features import FeatureCache
    from audiozoo.recipe import Recipe

EXAMPLE = "audiozoo benchmark --dataset esc10 --root ESC-50/ --models 'feature_mlp,*cnn*'"

_ENERGY_HELP = "Estimate the energy of each training and of 1,000 predictions (needs codecarbon; no network)."
_THREE = "feature_mlp,dcase2018_baseline,house_cnn"


def run(
    dataset: Annotated[
        str, typer.Option(help="synthetic (no download), esc10, esc50, dcase2018, freesound2018, urbansound8k or folder.")
    ] = "synthetic",
    root: Annotated[Path | None, typer.Option(help="Folder of the unpacked dataset.")] = None,
    models: Annotated[str, typer.Option(help="Names or globs of models, separated by commas.")] = _THREE,
    folds: Annotated[str, typer.Option(help="Numbers of the folds to test on, such as 1,2; by default all.")] = "",
    epochs: Annotated[
        int | None, typer.Option(help="Number of epochs; by default the model's own, or 30 on synthetic sounds.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    recipe: Annotated[Path | None, typer.Option(help="JSON file with training options for all models.")] = None,
    frontend: FrontendName = None,
    settings: FrontendSettings = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for result rows, table and picture.")] = Path("runs"),
    table: Annotated[
        Path | None, typer.Option(help="With --dataset folder: CSV table with the columns file, label, fold and group.")
    ] = None,
    options: DatasetOptions = None,
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
    energy: Annotated[bool, typer.Option("--energy", help=_ENERGY_HELP)] = False,
) -> None:
    """Train and test models on all official folds, then print a table and draw the confusion matrix of the best model.

    For clips with several labels, the picture shows the average precision and the F1 of each class instead.

    The result of each finished fold is saved, and the same command continues an interrupted run. A sound that cannot be read
    stops the benchmark before training starts, because all models must be compared on the same clips.
    """
    from audiozoo.crossval import fold_jobs, leaderboard
    from audiozoo.crossval.energy import require_codecarbon
    from audiozoo.training import recipe_for

    if energy:
        require_codecarbon()  # before the datasets are read, which takes longer
    data = open_dataset(dataset, root, table, options)
    data = data if data.folds else data.with_folds(5, seed=seed)
    protocol = _quick if dataset == "synthetic" else data.protocol
    chosen = _fold_numbers(folds)
    other = chosen_frontend(frontend, settings or ()) if frontend else None
    jobs: list[FoldJob] = []
    for model in _chosen_models(models):
        how = changed_recipe(protocol(recipe_for(model)), recipe, epochs=epochs, seed=seed)
        jobs += fold_jobs(data, model, folds=chosen, recipe=how, frontend=other)
    names = list(dict.fromkeys(job.model for job in jobs))
    out.print(f"{data.name}: {len(data)} clips, {len(data.labels)} classes; {', '.join(names)} on {len(jobs)} fold(s) in all")
    kept = feature_cache(cache)
    with keeping(f"finished folds are kept in {output}, and the same command continues"):
        quiet_backend()
        rows = _run_all(jobs, output, kept, energy)
    _finish(leaderboard(rows), data, output)


def _quick(recipe: Recipe) -> Recipe:
    # Synthetic sounds are for a first try. 30 epochs let three models finish in about two minutes; augmentation needs more
    # steps than that to help.
    return replace(recipe, epochs=30, min_steps=0, refit=False, augment_features=None, mix=None)


def _fold_numbers(text: str) -> list[int]:
    try:
        return [int(fold) for fold in text.split(",") if fold.strip()]
    except ValueError:
        raise ValueError(f"--folds must be numbers separated by commas, such as 1,2; got {text!r}") from None


def _chosen_models(patterns: str) -> list[str]:
    from audiozoo.registry import list_models, model_info

    names: list[str] = []
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        # model_info resolves aliases, and suggests the closest name for a misspelt one; a glob could do neither.
        found = list_models(pattern) if set(pattern) & set("*?[") else [model_info(pattern).name]
        if not found:
            raise ValueError(f"no model matches {pattern!r}; see `audiozoo list`")
        names += found
    if not names:
        raise ValueError(f"--models must be names or globs separated by commas, got {patterns!r}; see `audiozoo list`")
    return list(dict.fromkeys(names))


def _run_all(jobs: Sequence[FoldJob], output: Path, cache: FeatureCache | None, energy: bool) -> list[Row]:
    from audiozoo.crossval import benchmark
    from audiozoo.report import measured

    rows: list[Row] = []
    command = shlex.join(["audiozoo", *sys.argv[1:]])
    with progress_bar() as show:
        current = [""]

        def labelled(stage: str, done: int, total: int, figures: Any) -> None:
            show(f"{current[0]} {stage}", done, total, figures)

        def started(job: FoldJob) -> None:
            current[0] = f"{job.model} {job.fold}"

        how: dict[str, Any] = {"command": command, "cache": cache, "progress": labelled, "energy": energy}
        for row in benchmark(jobs, output / "rows", started=started, **how):
            rows.append(row)
            err.print(
                f"  {row.model:<24} fold {row.fold}: {measured(row.metric, row.score):>7}  "
                f"({row.best_epoch} epochs, {row.train_seconds:.0f} s)"
            )
    _note_origins(rows)
    return rows


def _note_origins(rows: Sequence[Row]) -> None:
    """Warn if another version of the code, or another backend, computed some of the rows: the table then mixes them."""
    from audiozoo.classifier import versions
    from audiozoo.crossval.rows import code_digest

    here = code_digest(), versions()["backend"]
    others = sum((row.provenance.code, row.provenance.versions.get("backend")) != here for row in rows)
    if others:
        err.print(
            f"note: {others} of {len(rows)} rows were computed by another version of the code or on another backend; "
            "to compute them again, choose another --output",
            soft_wrap=True,
        )


def _finish(entries: Sequence[LeaderboardEntry] | Sequence[LabelLeaderboardEntry], data: Dataset, output: Path) -> None:
    from rich.table import Table

    from audiozoo.files import replacing
    from audiozoo.report import cells, columns, markdown, measured

    best = entries[0]
    table = Table(title=f"{data.name}, folds tested: {best.folds}")
    for index, column in enumerate(columns(best.metric)):
        table.add_column(column, justify="right" if index else "left")
    for entry in entries:
        table.add_row(*cells(entry))
    out.print(table)
    with replacing(output / f"{data.name}.md") as temporary:
        temporary.write_text(markdown(entries), encoding="utf-8")
    title = f"{best.model} on {data.name}: {measured(best.metric, best.score[0])}"
    path = output / f"{data.name}-{best.model}.png"
    what = _draw(best, path, title)
    out.print(f"{what} of {best.model}: {path}\nrows and table: {output}", soft_wrap=True)


def _draw(best: LeaderboardEntry | LabelLeaderboardEntry, path: Path, title: str) -> str:
    from audiozoo.crossval import LeaderboardEntry
    from audiozoo.report import confusion_picture, label_picture

    if isinstance(best, LeaderboardEntry):
        confusion_picture(best.confusion, best.labels, path, title=title)
        return "confusion matrix"
    label_picture(
        {"average precision": best.average_precision.tolist(), "F1": best.f1.tolist()}, best.labels, path, title=title
    )
    return "figures by class"
