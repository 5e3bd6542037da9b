"""What several verbs share: the consoles, the progress bar, the backend without its messages, and common options."""

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
    from audiozoo.progress import Progress
    from audiozoo.recipe import Recipe

EXAMPLE_STYLE = "bold"

CACHE_HELP = "Keep the computed features for the next run; see `audiozoo cache`."

# Rich would wrap the output to a file or a pipe at 80 columns, and so break the paths in it.
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200
# No markup: file names and labels may contain brackets.
out = Console(highlight=False, markup=False, width=_WIDTH)
err = Console(stderr=True, highlight=False, markup=False)


@contextmanager
def progress_bar(title: str = "") -> Iterator[Progress]:
    """Show a progress bar on standard error while the block runs; yield the callback that moves it."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description:<32}", markup=False),
        BarColumn(30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
    )
    # Rich would send what is printed on standard output meanwhile to the console of the bar, which is standard error.
    # A bar in a log file would be noise.
    with Bar(*columns, console=err, transient=True, redirect_stdout=False, disable=not err.is_terminal) as bar:
        task = bar.add_task(title, figures="")

        def show(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
            text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
            bar.update(task, description=f"{title} {stage}".strip(), completed=done, total=total, figures=text)

        yield show


def quiet_backend() -> None:
    """Load the backend of Keras without its messages about build options, missing GPU libraries and devices.

    Only messages from below Python during the loading are lost. Errors raise an exception all the same.
    """
    # TensorFlow takes this level from the environment as it loads. 1 hides what it reports later for information.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # It warns of each new graph as a performance problem, but each fold of a benchmark needs its own model.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _silent_below_python():
        from audiozoo.layers import keras

        keras.ops.zeros(1).shape  # noqa: B018 the first array starts the devices, which report too


@contextmanager
def _silent_below_python() -> Iterator[None]:
    """Discard what native libraries write to standard error; what Python writes there is still shown."""
    try:
        shown = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    python = sys.stderr
    own = python is not None and python is sys.__stderr__  # otherwise somebody captures it already
    with os.fdopen(shown, "w", buffering=1, errors="backslashreplace") as stream, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        if own:
            sys.stderr = stream
            faulthandler.enable(stream)  # a crash of a native library must be seen
        try:
            yield
        finally:
            os.dup2(shown, 2)
            if own:
                sys.stderr = python
                faulthandler.enable(python)


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
    """Return the front end that the user named, with some settings changed.

    Args:
        name: A class such as "logmel", a preset, a model (for the front end that it was designed for), or a JSON file.
        settings: "name=value" strings. A value that is not JSON is a string.

    Raises:
        ValueError: The front end or a setting is unknown; the message proposes the nearest name.
        OSError: The file cannot be read.
    """
    from audiozoo.features import Frontend

    changes = dict(_given(text, "--set", "n_mels=128") for text in settings)
    config = _frontend_config(name)
    # A combined front end has no duration or channels of its own; `adapt` sets those of its parts.
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
        return name, value  # a plain string, which needs no quotes here


def feature_cache(used: bool) -> FeatureCache | None:
    """Return the cache of features, or `None` if the user does not want it."""
    from audiozoo.features import FeatureCache

    return FeatureCache() if used else None


def _read_object(file: Path, what: str, example: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: not valid JSON ({error}); a {what} is an object such as {example}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: a {what} is a JSON object such as {example}, got {type(content).__name__}")
    return content


FrontendName = Annotated[
    str | None,
    typer.Option("--frontend", help="Front end instead of the model's own: logmel, a preset, a model's name, or a JSON file."),
]
FrontendSettings = Annotated[
    list[str] | None, typer.Option("--set", help="Setting of the front end, NAME=VALUE; may be repeated.")
]
"""Options that `chosen_frontend` takes."""

DatasetOptions = Annotated[
    list[str] | None,
    typer.Option("--option", help="Option of the dataset, such as verified_only=true; may be repeated."),
]
"""Options that `open_dataset` takes."""


def open_dataset(name: str, root: Path | None, table: Path | None, options: Sequence[str] | None = None) -> Dataset:
    """Load a dataset and print the notes of its loader.

    Args:
        name: Name of the dataset.
        root: Folder of the dataset.
        table: CSV table that replaces the dataset's own; `None` keeps it.
        options: "name=value" strings, options of the loader. A value that is not JSON is a string.

    Raises:
        ValueError: An option has no value, or the dataset does not have it.
    """
    from audiozoo.datasets import load_dataset

    given: dict[str, Any] = {"root": root} | ({"table": table} if table else {})
    chosen = dict(_given(text, "--option", "verified_only=true") for text in options or ())
    data = load_dataset(name, **given, **{option: revive(value) for option, value in chosen.items()})
    for note in data.notes:
        err.print(f"note: {note}", soft_wrap=True)
    return data


def report_failures(failures: Sequence[str], *, used: int) -> None:
    """List the files that could not be used on standard error, and exit with status 1 if there are any."""
    if not failures:
        return
    err.print(f"{len(failures)} file(s) could not be used ({used} could):", style="bold yellow")
    for failure in failures:
        err.print(f"  {failure}", soft_wrap=True)
    raise typer.Exit(1)
