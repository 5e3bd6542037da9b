"""Functions and options that several verbs share: consoles, the progress bar, quiet loading of the backend."""

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
    from rich.progress import ProgressColumn

    from audiozoo.classifier import Answering
    from audiozoo.datasets import Dataset
    from audiozoo.features import FeatureCache, Frontend
    from audiozoo.progress import Progress
    from audiozoo.recipe import Recipe

EXAMPLE_STYLE = "bold"


CACHE_HELP = "Cache computed features for the next run; see `audiozoo cache`."

# In a file or a pipe, Rich would wrap lines at 80 columns and break paths.
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200
# No markup: file names and labels may contain brackets.
out = Console(highlight=False, markup=False, width=_WIDTH)
err = Console(stderr=True, highlight=False, markup=False)
_WIDE, _ROOM = 110, 75  # columns of a terminal that has room for the whole progress bar, and for a short one


@contextmanager
def progress_bar(
    title: str = "", *, further: Sequence[ProgressColumn] | None = None, among_answers: bool = False
) -> Iterator[Progress]:
    """Context manager that shows a progress bar on standard error and yields the callback that updates it.

    Args:
        title: Text before the stage.
        further: Columns before the figures; `None` shows the time that remains of the stage.
        among_answers: Whether the block prints answers with `print_answer`. On a terminal, the bar stays below them.

    Yields:
        The callback, see `audiozoo.progress`.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    from audiozoo.cli.schedule import Figures

    # A bar in a log file would be noise, and two consoles on one terminal would overwrite each other.
    console = out if among_answers and out.is_terminal else err
    wide, whole = console.width >= _WIDE, Column(no_wrap=True)
    name = Column(no_wrap=True, overflow="ellipsis", max_width=32)
    columns = (
        TextColumn("{task.description:<32}" if wide else "{task.description}", markup=False, table_column=name),
        *([BarColumn(30 if wide else 10)] if console.width >= _ROOM else []),
        MofNCompleteColumn(table_column=whole),
        *([TimeElapsedColumn(table_column=whole)] if wide else []),
        *((TextColumn("left"), TimeRemainingColumn(table_column=whole)) if further is None else further),
        Figures(),
    )
    # Otherwise Rich would redirect standard output to the console of the bar, which is standard error.
    with Bar(*columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, figures="")

        def show(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
            text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
            bar.update(task, description=f"{title} {stage}".strip(), completed=done, total=total, figures=text)

        yield show


def print_answer(text: str) -> None:
    """Print complete lines at once: above the bar on a terminal, unchanged into a file or a pipe."""
    if out.is_terminal:
        out.print(text, end="", soft_wrap=True, emoji=False)
    else:
        sys.stdout.write(text)
        sys.stdout.flush()


def quiet_backend() -> None:
    """Load the backend of Keras without its messages about build options, missing GPU libraries and devices.

    Only messages of native code during loading are suppressed. Errors still raise exceptions.
    """
    # TensorFlow reads this variable when it is loaded. 1 also hides informational messages after that.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # TensorFlow warns that new graphs are slow, but each fold of a benchmark needs a model of its own.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with silent_below_python():
        from audiozoo.layers import keras

        keras.ops.zeros(1).shape  # noqa: B018 the first array initialises the devices, which print messages too


@contextmanager
def silent_below_python() -> Iterator[None]:
    """Discard the output of native libraries to standard error; output of Python is still shown."""
    try:
        shown = os.dup(2)
    except OSError:  # standard error is closed
        yield
        return
    python = sys.stderr
    own = python is not None and python is sys.__stderr__  # otherwise it is already captured, for example by pytest
    with os.fdopen(shown, "w", buffering=1, errors="backslashreplace") as stream, open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        if own:
            sys.stderr = stream
            faulthandler.enable(stream)  # a crash of a native library must stay visible
        try:
            yield
        finally:
            os.dup2(shown, 2)
            if own:
                sys.stderr = python
                faulthandler.enable(python)


def open_classifier(path: Path) -> Answering:
    """Load a classifier or an exported model. For an exported one, Keras and its backend are not loaded.

    Args:
        path: Path of a saved classifier, of a .onnx or .tflite file, or the name of a classifier.

    Returns:
        The classifier or ensemble.

    Raises:
        ValueError: The file cannot be used.
        ImportError: The runtime of an exported model is not installed.
        OSError: The file cannot be opened.
    """
    from audiozoo.export import is_exported, load_exported

    if is_exported(path):
        with silent_below_python():  # runtimes print the processors that they use
            return load_exported(path)
    quiet_backend()
    from audiozoo.classifier import load_classifier

    return load_classifier(path)


def changed_recipe(
    recipe: Recipe, file: Path | None, *, epochs: int | None, seed: int | None, refit: bool | None = None
) -> Recipe:
    """Apply the user's changes to a recipe: first the fields in a JSON file, then the options of the command line.

    Args:
        recipe: Recipe of the model, or of the dataset's protocol for it.
        file: JSON file with fields of a recipe; `None` changes nothing.
        epochs: Exact number of epochs; `None` changes nothing.
        seed: Random seed; `None` changes nothing.
        refit: Whether to train again on all clips; `None` changes nothing.

    Returns:
        The changed recipe.

    Raises:
        ValueError: The file does not contain a JSON object, or has an unknown field or a value out of range.
        OSError: The file cannot be read.
    """
    changes = read_object(file, "recipe", '{"epochs": 40}') if file else {}
    if epochs is not None:
        changes |= {"epochs": epochs, "min_steps": 0}  # --epochs is exact: min_steps must not add any
    changes |= {name: value for name, value in (("seed", seed), ("refit", refit)) if value is not None}
    return recipe.from_config({**recipe.to_config(), **changes})


def recipe_sets(file: Path | None, field: str) -> bool:
    """Return whether a recipe's JSON file has a field."""
    return file is not None and field in read_object(file, "recipe", '{"epochs": 40}')


def other_frontend(name: str | None, settings: Sequence[str] | None) -> Frontend | None:
    """Return the frontend that replaces those of models, see `chosen_frontend`; `None` if the user chose none.

    Raises:
        ValueError: There are settings and no frontend.
    """
    if settings and not name:
        raise ValueError(
            f"--set changes the frontend that --frontend names, got --set {settings[0]} alone: add --frontend NAME; "
            "the name of a model stands for its own frontend"
        )
    return chosen_frontend(name, settings or ()) if name else None


def chosen_frontend(name: str, settings: Sequence[str] = ()) -> Frontend:
    """Return the frontend that the user chose, with some settings changed.

    Args:
        name: Name of a class such as "logmel", of a preset or of a model (for its own frontend), or path of a JSON file.
        settings: Settings to change, "name=value". A value that is not JSON is taken as a string.

    Raises:
        ValueError: The frontend or a setting is unknown; the message suggests the closest name.
        OSError: The file cannot be read.
    """
    from audiozoo.features import Frontend

    changes = dict(_given(text, "--set", "n_mels=128") for text in settings)
    config = _frontend_config(name)
    # A combined frontend has no duration or channels of its own; `adapt` sets those of its inner frontends.
    adapted = {name: changes.pop(name) for name in _ADAPTED if "of" in config and name in changes}
    return Frontend.from_config({**config, **changes}).adapt(**adapted)


_ADAPTED = ("duration", "channels")


def _frontend_config(name: str) -> dict[str, Any]:
    from audiozoo.features import Frontend, list_presets, preset

    if name.endswith(".json"):
        return read_object(Path(name), "frontend", '{"class": "LogMel", "n_mels": 40}')
    if name in list_presets():
        return preset(name).to_config()
    if kind := Frontend.names().get(name.lower()):
        return {"class": kind}
    from audiozoo.registry import list_models, model_info

    if name not in list_models():
        raise unknown_name("frontend", name, [*list_presets(), *Frontend.names(), *list_models()])
    return model_info(name).frontend.to_config()


def _given(text: str, option: str, example: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{option} must be NAME=VALUE, such as {example}; got {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value  # not JSON: a string without quotes


def feature_cache(used: bool) -> FeatureCache | None:
    """Return the feature cache, or `None` if the user turned it off."""
    from audiozoo.features import FeatureCache

    return FeatureCache() if used else None


def read_object(file: Path, what: str, example: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Args:
        file: Path of the file.
        what: Kind of the content, for an error.
        example: Correct content, for an error.

    Returns:
        The object.

    Raises:
        ValueError: The file is not JSON, or not an object.
        OSError: The file cannot be read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: not valid JSON ({error}); a {what} is an object such as {example}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: a {what} is a JSON object such as {example}, got {type(content).__name__}")
    return content


FrontendName = Annotated[
    str | None,
    typer.Option(
        "--frontend", help="Frontend instead of the model's own: logmel, ..., a preset, a model's name, or a JSON file."
    ),
]
FrontendSettings = Annotated[
    list[str] | None, typer.Option("--set", help="Setting of the frontend, NAME=VALUE; may be repeated.")
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
        options: Options of the loader, "name=value". A value that is not JSON is taken as a string.

    Returns:
        The dataset.

    Raises:
        ValueError: An option is not of this form, or the dataset does not have it.
    """
    from audiozoo.datasets import load_dataset

    given: dict[str, Any] = {"root": root} | ({"table": table} if table else {})
    chosen = dict(_given(text, "--option", "verified_only=true") for text in options or ())
    data = load_dataset(name, **given, **{option: revive(value) for option, value in chosen.items()})
    for note in data.notes:
        err.print(f"note: {note}", soft_wrap=True)
    return data


def sounds_of(paths: Sequence[str | Path] | None, lists: Sequence[Path] | None = None) -> list[str]:
    """Return the names of sound files, see `audiozoo.sources.expanded`."""
    from audiozoo.sources import expanded

    return expanded([str(path) for path in paths or ()], lists or ())


def report_failures(failures: Sequence[str], *, used: int) -> None:
    """List the files that could not be used on standard error, and exit with status 1 if there are any."""
    list_failures(f"{len(failures)} file(s) could not be used, {used} were used:", failures)


def list_failures(heading: str, failures: Sequence[str]) -> None:
    """List failures below a heading on standard error, and exit with status 1 if there are any."""
    if not failures:
        return
    err.print(heading, style="bold yellow")
    for failure in failures:
        err.print(f"  {failure}", soft_wrap=True)
    raise typer.Exit(1)
