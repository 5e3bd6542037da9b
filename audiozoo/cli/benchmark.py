"""``audiozoo benchmark``: compare models on the official folds of datasets."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.cli.console import (
    CACHE_HELP,
    DatasetOptions,
    FrontendName,
    FrontendSettings,
    err,
    feature_cache,
    list_failures,
    other_frontend,
    out,
    progress_bar,
    quiet_backend,
)
from audiozoo.cli.errors import keeping
from audiozoo.cli.place import LOCAL, On, job_executor
from audiozoo.cli.planning import (
    DatasetNames,
    DatasetTable,
    Epochs,
    ExecutorName,
    Folds,
    Jobs,
    Models,
    Plan,
    RecipesFile,
    Seeds,
    Settings,
    WeightsFile,
    chosen_models,
    numbers,
    opened,
    planned,
    read_recipes,
)
from audiozoo.cli.schedule import Schedule
from audiozoo.threads import thread_count

if TYPE_CHECKING:
    from audiozoo.crossval import Failure, FoldJob, LabelLeaderboardEntry, LeaderboardEntry, Row
    from audiozoo.datasets import Dataset
    from audiozoo.features import FeatureCache
    from audiozoo.report.summary import DatasetSummary

EXAMPLE = "audiozoo benchmark --dataset esc10 --root ESC-50/ --models 'feature_mlp,*cnn*'"

_RERUN_HELP = "Finished folds to compute again: missing (none of them), stale (those of other code) or all."
_ENERGY_HELP = "Estimate the energy of each training and of 1,000 predictions (needs codecarbon; no network)."
_THREE = "feature_mlp,dcase2018_baseline,house_cnn"


def run(
    dataset: DatasetNames = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the unpacked dataset.")] = None,
    models: Models = _THREE,
    folds: Folds = "",
    epochs: Epochs = None,
    seeds: Seeds = "0",
    recipe: Annotated[Path | None, typer.Option(help="JSON file with training options for all models.")] = None,
    recipes: RecipesFile = None,
    frontend: FrontendName = None,
    settings: FrontendSettings = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for result rows, table and picture.")] = Path("runs"),
    table: DatasetTable = None,
    options: DatasetOptions = None,
    rerun: Annotated[str, typer.Option(help=_RERUN_HELP)] = "missing",
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
    jobs: Jobs = 1,
    executor: ExecutorName = "processes",
    on: On = LOCAL,
    weights_file: WeightsFile = None,
    energy: Annotated[bool, typer.Option("--energy", help=_ENERGY_HELP)] = False,
) -> None:
    """Train and test models on all official folds, then print a table and draw the confusion matrix of the best model.

    For clips with several labels, the picture shows the average precision and the F1 of each class instead.

    Each training runs in another process than this one. If it crashes or the memory runs out, the training runs once more, and
    the others go on; the exit status is 1 if any failed twice. A sound that cannot be read fails all trainings of its
    dataset, because all models must be compared on the same clips.

    The result of each finished fold is saved, and the same command continues an interrupted run. Several runs with the same
    --output share the work. A row that is computed again does not overwrite the earlier one, which moves to the folder
    rows/superseded; a different result is reported.
    """
    names, tested, drawn = chosen_models(models), numbers(folds, "--folds"), numbers(seeds, "--seeds") or [0]
    _check(energy, output, weights_file, names)  # before the datasets are read, which takes longer
    _check_place(jobs, executor, on)
    changed = Settings(
        recipe=recipe,
        epochs=epochs,
        frontend=other_frontend(frontend, settings),
        weights_file=weights_file,
        tables=read_recipes(recipes) if recipes else {},
    )
    plan = planned(opened(dataset or ["synthetic"], root, table, options), names, tested, drawn, changed)
    _announce(plan)
    kept = feature_cache(cache)
    chosen = job_executor(on, executor, jobs)
    with keeping(f"finished folds are kept in {output}, and the same command continues"):
        workers = thread_count(jobs) if jobs else 1
        how = {"executor": chosen, "workers": workers, "rerun": rerun, "energy": energy}
        rows, failures = _run_all(plan.jobs, output, kept, how)
    for data in plan.datasets.values():
        if found := [row for row in rows if row.request.dataset == data.name]:
            _finish(found, data, output)
    heading = f"{len(failures)} of {len(plan.jobs)} trainings failed; the same command tries them again:"
    list_failures(heading, [str(failure) for failure in failures])


def _check(energy: bool, output: Path, weights_file: Path | None, models: Sequence[str]) -> None:
    from audiozoo.crossval.energy import require_codecarbon

    if energy:
        require_codecarbon()
    if output.exists() and not output.is_dir():
        raise ValueError(f"--output must be a folder, and {output} is a file: choose another name")
    if weights_file and not any(":" in model for model in models):
        raise ValueError(
            f"--weights-file is for transfers such as yamnet:probe, and --models has none: leave {weights_file} out"
        )


def _check_place(jobs: int, executor: str, on: str) -> None:
    if executor == "processes":
        return
    if on != LOCAL:
        raise ValueError(f"--on {on} gives the trainings to a cluster, without --executor {executor}: leave one of them out")
    if not jobs:
        raise ValueError(f"--jobs 0 trains in this process, without --executor {executor}: leave one of them out")


def _announce(plan: Plan) -> None:
    for data in plan.datasets.values():
        count = sum(job.dataset == data.name for job in plan.jobs)
        seeds = f" with {len(plan.seeds)} seeds" if len(plan.seeds) > 1 else ""
        out.print(
            f"{data.name}: {len(data)} clips, {len(data.labels)} classes; {', '.join(plan.models)} on {count} fold(s) in all"
            + seeds
        )


def _run_all(
    jobs: Sequence[FoldJob], output: Path, cache: FeatureCache | None, how: dict[str, Any]
) -> tuple[list[Row], list[Failure]]:
    from audiozoo.crossval import benchmark

    rows: list[Row] = []
    failures: list[Failure] = []
    command = shlex.join(["audiozoo", *sys.argv[1:]])
    alike = len({job.dataset for job in jobs}) == 1, len({job.recipe.seed for job in jobs}) == 1
    schedule = Schedule(jobs, how["workers"])
    with progress_bar(further=(schedule,)) as show:

        def told(stage: str, done: int, total: int, figures: Any) -> None:
            show(f"{stage} {done}/{total}", schedule.done, schedule.total, figures)

        def failed(failure: Failure) -> None:
            schedule.stopped(failure.job, final=failure.final)
            if failure.final:
                failures.append(failure)
            err.print(f"  failed: {failure}" + ("" if failure.final else "; it runs once more"), soft_wrap=True)

        for row in benchmark(
            jobs,
            output / "rows",
            command=command,
            cache=cache,
            progress=told,
            started=schedule.started,
            retries=1,
            prepare=quiet_backend,
            failed=failed,
            conflict=lambda found: err.print(f"note: {found}", soft_wrap=True),
            **how,
        ):
            rows.append(row)
            schedule.finished(row)
            err.print(_line(row, *alike))
    _note_origins(rows)
    _note_energy(rows, asked=how["energy"])
    return rows, failures


def _line(row: Row, one_dataset: bool, one_seed: bool) -> str:
    """Describe a finished job; the dataset and the seed are left out if all jobs have the same."""
    from audiozoo.report import measured

    dataset = "" if one_dataset else f"{row.request.dataset} "
    seed = "" if one_seed else f" seed {row.seed}"
    epochs = f"{row.best_epoch} epochs, " if row.best_epoch else ""
    return (
        f"  {dataset}{row.model:<24} fold {row.fold}{seed}: {measured(row.metric, row.score):>7}  "
        f"({epochs}{row.train_seconds:.0f} s)"
    )


def _note_origins(rows: Sequence[Row]) -> None:
    """Warn if different versions of the code, or different backends, computed the rows: the table then mixes them."""
    # The backend is not loaded for this in the process that only starts the others.
    backends = {row.provenance.versions.get("backend") for row in rows}
    others = sum(row.stale for row in rows)
    if others:
        err.print(
            f"note: {others} of {len(rows)} rows were computed by another version of the code; "
            "`--rerun stale` computes them again",
            soft_wrap=True,
        )
    if len(backends) > 1:
        err.print(
            f"note: the rows were computed on different backends: {', '.join(sorted(map(str, backends)))}", soft_wrap=True
        )


def _note_energy(rows: Sequence[Row], *, asked: bool) -> None:
    if asked and (without := sum(row.energy is None for row in rows)):
        err.print(
            f"note: {without} of {len(rows)} rows have no energy; if they were there before, `--rerun all` computes them again",
            soft_wrap=True,
        )


def _print_domains(data: DatasetSummary) -> None:
    from rich.table import Table

    from audiozoo.report.domains import domain_table
    from audiozoo.report.results import metric_name

    if found := domain_table(data.models, data.metric):
        table = Table("model", *found.head, title=f"{metric_name(data.metric)} by domain")
        for place, scores in found.lines.items():
            table.add_row(data.models[place].name, *scores)
        out.print(table)


def _finish(rows: Sequence[Row], data: Dataset, output: Path) -> None:
    from rich.table import Table

    from audiozoo.crossval import leaderboard
    from audiozoo.crossval.identity import file_title
    from audiozoo.files import write_text
    from audiozoo.report import cells, columns, markdown, measured
    from audiozoo.report.page.document import TITLE, write_page
    from audiozoo.report.results import over_seeds
    from audiozoo.report.summary import summarised

    entries = leaderboard(rows)
    best, seeds = entries[0], len({row.seed for row in rows})
    tested = f"folds tested: {len({row.fold for row in rows})}" + (f", seeds: {seeds}" if seeds > 1 else "")
    table = Table(title=f"{data.name}, {tested}")
    several = over_seeds(entries)
    for index, column in enumerate(columns(best.metric, seeds=several)):
        table.add_column(column, justify="right" if index else "left")
    for entry in entries:
        table.add_row(*cells(entry, seeds=several))
    out.print(table)
    summaries = summarised(rows)
    _print_domains(summaries[0])
    write_text(output / f"{data.name}.md", markdown(entries))
    title = f"{best.model} on {data.name}: {measured(best.metric, best.score[0])}"
    path = output / f"{data.name}-{file_title(best.model)}.png"
    what = _draw(best, path, title)
    page = write_page(summaries, output / f"{data.name}.html", title=TITLE, files=None)
    out.print(f"{what} of {best.model}: {path}\nrows and table: {output}\nreport: {page}", soft_wrap=True)


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
