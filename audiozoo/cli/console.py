"""What the verbs share: where they print, how they show progress, how an error looks, what a recipe is changed by."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from audiozoo.config import revive

if TYPE_CHECKING:
    from audiozoo.datasets import Dataset
    from audiozoo.features import FeatureCache, Frontend
    from audiozoo.training import Progress

EXAMPLE_STYLE = "bold"

CACHE_HELP = "Keep computed features for the next run, see `audiozoo cache`."

# No markup: file names and labels may hold brackets.
# Where the output goes to a file or a pipe, 80 columns would fold the paths that somebody means to read from it.
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200
out = Console(highlight=False, markup=False, width=_WIDTH)
err = Console(stderr=True, highlight=False, markup=False)


@contextmanager
def reported() -> Iterator[None]:
    """Turn an expected error into a message and exit status 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        err.print("error:", style="bold red", end=" ")
        err.print(str(error), soft_wrap=True)
        sys.exit(2)


@contextmanager
def progress_bar(title: str = "") -> Iterator[Progress]:
    """Show a bar on standard error for as long as the block runs; yields what is called with the progress."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description:<32}", markup=False),
        BarColumn(30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    with Bar(*columns, console=err, transient=True) as bar:
        task = bar.add_task(title, figures="")

        def show(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
            text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
            bar.update(task, description=f"{title} {stage}".strip(), completed=done, total=total, figures=text)

        yield show


def quiet_backend() -> None:
    """Keep what the backend says about itself off the terminal: Python's messages go there as before, all others nowhere."""
    # TensorFlow reports build options, missing GPU libraries and memory settings below Python, where no logging level
    # reaches; and it calls a new graph for each fold's model a performance problem, which here is as it should be.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if sys.stderr is not sys.__stderr__ or sys.stderr is None:
        return  # captured by somebody else, who shall have it
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    faulthandler.enable(sys.stderr)  # a crash below Python must still be seen
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)


def recipe_changes(file: Path | None, **given: Any) -> dict[str, Any]:
    """Collect what the user wants different from a model's own recipe: a JSON file's fields, then the options given.

    Raises:
        ValueError: The file is no JSON object.
        OSError: It cannot be read.
    """
    changes = _read_object(file, "recipe", '{"epochs": 40}') if file else {}
    changes = {name: revive(value) for name, value in changes.items() if name != "kind"}
    if given.get("epochs") is not None:
        changes["min_steps"] = 0  # so many epochs, said on the command line, are exactly so many
    return changes | {name: value for name, value in given.items() if value is not None}


def read_frontend(file: Path | None) -> Frontend | None:
    """Read a front end that `to_config` described, if a file is given.

    Raises:
        ValueError: The file is no JSON object, or no front end.
        OSError: It cannot be read.
    """
    from audiozoo.features import Frontend

    return Frontend.from_config(_read_object(file, "front end", '{"kind": "LogMel", "n_mels": 40}')) if file else None


def feature_cache(used: bool) -> FeatureCache | None:
    """Return the user's own cache of features, if it shall be used."""
    from audiozoo.features import FeatureCache

    return FeatureCache() if used else None


def _read_object(file: Path, what: str, example: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: no JSON ({error}); a {what} is an object such as {example}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: a {what} is a JSON object such as {example}, got {type(content).__name__}")
    return content


def open_dataset(name: str, root: Path | None, table: Path | None) -> Dataset:
    """Load a dataset, with its table if one is given, and say what its loader passed over."""
    from audiozoo.datasets import load_dataset

    data = load_dataset(name, root=root, **({"table": table} if table else {}))
    for note in data.notes:
        err.print(f"note: {note}", soft_wrap=True)
    return data


def report_failures(failures: Sequence[str], *, used: int) -> None:
    """Name the files that could not be used, and leave with status 1 if there are any."""
    if not failures:
        return
    err.print(f"{len(failures)} file(s) could not be used ({used} could):", style="bold yellow")
    for failure in failures:
        err.print(f"  {failure}", soft_wrap=True)
    raise typer.Exit(1)
