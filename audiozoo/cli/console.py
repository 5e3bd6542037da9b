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
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from audiozoo.checks import unknown_name
from audiozoo.config import revive

if TYPE_CHECKING:
    from audiozoo.datasets import Dataset
    from audiozoo.features import FeatureCache, Frontend
    from audiozoo.recipe import Recipe
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


def changed_recipe(recipe: Recipe, file: Path | None, *, epochs: int | None, seed: int | None) -> Recipe:
    """Change a recipe as the user asks: first the fields in a JSON file, then the options of the command line.

    Args:
        recipe: Recipe of the model, or of the dataset's protocol for it.
        file: JSON file with fields of a recipe; `None` changes nothing.
        epochs: Exact number of epochs; `None` changes nothing.
        seed: Random seed; `None` changes nothing.

    Returns:
        The changed recipe.

    Raises:
        ValueError: The file has no JSON object, an unknown field (the message proposes the nearest), or a value out of range.
        OSError: The file cannot be read.
    """
    changes = _read_object(file, "recipe", '{"epochs": 40}') if file else {}
    if epochs is not None:
        changes |= {"epochs": epochs, "min_steps": 0}  # --epochs is exact: min_steps must not add any
    if seed is not None:
        changes["seed"] = seed
    return recipe.from_config({**recipe.to_config(), **changes})


def chosen_frontend(name: str, settings: Sequence[str] = ()) -> Frontend:
    """Find a front end by what a user calls it, with some settings changed.

    Args:
        name: A class such as "logmel", a preset, a model's name for the one it was designed for, or a JSON file.
        settings: "name=value" each; the value is JSON, or else text.

    Raises:
        ValueError: There is none of that name, or no such setting; the nearest is proposed.
        OSError: The file cannot be read.
    """
    from audiozoo.features import Frontend

    changes = dict(_given(text, "--set", "n_mels=128") for text in settings)
    config = _frontend_config(name)
    # A frontend made of others has these of them.
    adapted = {name: changes.pop(name) for name in _ADAPTED if "of" in config and name in changes}
    return Frontend.from_config({**config, **changes}).adapt(**adapted)


_ADAPTED = ("duration", "channels")


def _frontend_config(name: str) -> dict[str, Any]:
    from audiozoo.features import Frontend, list_presets, preset

    if name.endswith(".json"):
        return _read_object(Path(name), "front end", '{"class": "LogMel", "n_mels": 40}')
    if name in list_presets():
        return preset(name).to_config()
    if kind := Frontend.names().get(name.lower()):
        return {"class": kind}
    from audiozoo.registry import list_models, model_info

    if name not in list_models():
        raise unknown_name("front end", name, [*list_presets(), *Frontend.names(), *list_models()])
    return model_info(name).frontend.to_config()


def _given(text: str, option: str, example: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{option} takes NAME=VALUE, such as {example}; got {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value  # a word


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


FrontendName = Annotated[
    str | None,
    typer.Option("--frontend", help="A front end other than the model's own: logmel, a preset, a model's, or a JSON file."),
]
FrontendSettings = Annotated[
    list[str] | None, typer.Option("--set", help="With --frontend: one of its settings, name=value; may be repeated.")
]
"""What `chosen_frontend` reads."""

DatasetOptions = Annotated[
    list[str] | None,
    typer.Option("--option", help="An option of the dataset, such as verified_only=true; may be repeated."),
]
"""What `open_dataset` reads as the loader's options."""


def open_dataset(name: str, root: Path | None, table: Path | None, options: Sequence[str] | None = None) -> Dataset:
    """Load a dataset, with its table and options if some are given, and say what its loader has to say.

    Raises:
        ValueError: An option without a value, or one that the dataset does not have.
    """
    from audiozoo.datasets import load_dataset

    given: dict[str, Any] = {"root": root} | ({"table": table} if table else {})
    chosen = dict(_given(text, "--option", "verified_only=true") for text in options or ())
    data = load_dataset(name, **given, **{option: revive(value) for option, value in chosen.items()})
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
