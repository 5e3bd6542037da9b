"""The plan of ``audiozoo benchmark``: its datasets, models, folds and seeds, and the jobs that follow from them."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiozoo.checks import refuse_unknown
from audiozoo.cli.console import changed_recipe, open_dataset

if TYPE_CHECKING:
    from audiozoo.crossval import FoldJob
    from audiozoo.datasets import Dataset
    from audiozoo.features import Frontend
    from audiozoo.recipe import Recipe

_TABLE = "RECIPES"
_PARTS = ("recipe", "options", "frontend", "transfer")
_EXAMPLE = '{"esc10": {"lstm": {"recipe": {"epochs": 40}, "options": {}, "frontend": {"n_mels": 64}}}}'

DatasetNames = Annotated[
    list[str] | None,
    typer.Option(
        help="synthetic (no download, the default), folder, or a published dataset, see `audiozoo datasets`. May be repeated, "
        "each time with a folder: --dataset esc10=ESC-50/.",
        show_default=False,
    ),
]
DatasetTable = Annotated[
    Path | None, typer.Option(help="With --dataset folder: CSV table with the columns file, label, fold and group.")
]
Models = Annotated[
    str,
    typer.Option(
        help="Names or globs of models, separated by commas; NAME:probe and NAME:finetune transfer a pretrained network."
    ),
]
Folds = Annotated[str, typer.Option(help="Numbers of the folds to test on, such as 1,2; by default all.")]
Epochs = Annotated[int | None, typer.Option(help="Number of epochs; by default the model's own, or 30 on synthetic sounds.")]
Seeds = Annotated[str, typer.Option("--seeds", "--seed", help="Random seeds, separated by commas, such as 0,1,2.")]
RecipesFile = Annotated[
    Path | None,
    typer.Option(help="JSON file with training options for each dataset and model, or a Python file with such a table."),
]
Jobs = Annotated[
    int,
    typer.Option(min=-1, help="Number of trainings at a time; -1 is one for each core. 0 trains in this process, unprotected."),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        help="processes, or a backend of joblib: loky, threading, sequential or a registered one. A crash ends all "
        "running jobs with loky, and one job with processes."
    ),
]
WeightsFile = Annotated[
    Path | None,
    typer.Option(help="File of weights for transfers, instead of the published ones; only a copy of these is the same job."),
]
"""Options of ``audiozoo benchmark``."""


@dataclass(frozen=True)
class Plan:
    """The jobs of a benchmark, and the datasets that they come from.

    Args:
        datasets: Datasets by name.
        jobs: Jobs, those of a dataset and of a model together.
    """

    datasets: Mapping[str, Dataset]
    jobs: list[FoldJob]

    @property
    def models(self) -> list[str]:
        """Names of the models, in the order of the jobs."""
        return list(dict.fromkeys(job.title for job in self.jobs))

    @property
    def seeds(self) -> list[int]:
        """Random seeds, in order."""
        return sorted({job.recipe.seed for job in self.jobs})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of all models and of single ones.

    Args:
        recipe: JSON file with recipe fields of all models; `None` changes nothing.
        epochs: Exact number of epochs; `None` changes nothing.
        frontend: Frontend of all models; `None` keeps their own.
        weights_file: File of weights for transfers; `None` downloads the published ones once.
        tables: Settings of single models by dataset and model, see `read_recipes`.
    """

    recipe: Path | None = None
    epochs: int | None = None
    frontend: Frontend | None = None
    weights_file: Path | None = None
    tables: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]] = field(default_factory=dict)


def planned(
    datasets: Sequence[Dataset], models: Sequence[str], folds: Sequence[int], seeds: Sequence[int], settings: Settings
) -> Plan:
    """Combine datasets, models, folds and seeds.

    Args:
        datasets: Datasets. One without official folds gets five, which depend on the seed.
        models: Names of models, those of transfers with the way after a colon.
        folds: Numbers of the folds to test on; empty for all.
        seeds: Random seeds.
        settings: Settings of the models.

    Returns:
        The plan.

    Raises:
        ValueError: Two datasets have the same name, or a dataset has no such fold.
    """
    by_name = {data.name: data for data in datasets}
    if len(by_name) < len(datasets):
        raise ValueError(
            f"the datasets of one benchmark need different names, got {', '.join(data.name for data in datasets)}; run the "
            "others with another --output"
        )
    jobs: list[FoldJob] = []
    for data in datasets:
        for model in models:
            for seed in seeds:
                jobs += _jobs_of(data if data.folds else data.with_folds(5, seed=seed), model, folds, seed, settings)
    return Plan(by_name, jobs)


def _jobs_of(data: Dataset, model: str, folds: Sequence[int], seed: int, settings: Settings) -> list[FoldJob]:
    from audiozoo.crossval import fold_jobs
    from audiozoo.registry import recipe_for
    from audiozoo.training import split_way

    own = settings.tables.get(data.name, {}).get(model, {})
    name, way = split_way(model)
    protocol = _quick if data.name == "synthetic" else data.protocol
    recipe = protocol(way.RECIPE if way else recipe_for(name))
    recipe = recipe.from_config({**recipe.to_config(), **own.get("recipe", {})})
    recipe = changed_recipe(recipe, settings.recipe, epochs=settings.epochs, seed=seed)
    frontend = settings.frontend or _changed_frontend(name, own.get("frontend", {}))
    how: dict[str, Any] = {"recipe": recipe, "frontend": frontend, **own.get("options", {})}
    if way:
        how |= {"transfer": way.from_config(own.get("transfer", {})), "weights_file": settings.weights_file}
    return fold_jobs(data, name, folds=folds, **how)


def _quick(recipe: Recipe) -> Recipe:
    # Synthetic sounds are for a first try. 30 epochs let three models finish in about two minutes; augmentation needs more
    # steps than that to help.
    return replace(recipe, epochs=30, min_steps=0, refit=False, augment_features=None, mix=None)


def _changed_frontend(model: str, changes: Mapping[str, Any]) -> Frontend | None:
    from audiozoo.features import Frontend
    from audiozoo.registry import model_info

    if not changes:
        return None
    # With another class, the fields of the model's own frontend have no meaning.
    own = {} if "class" in changes else model_info(model).frontend.to_config()
    return Frontend.from_config({**own, **changes})


def opened(names: Sequence[str], root: Path | None, table: Path | None, options: Sequence[str] | None) -> list[Dataset]:
    """Load datasets.

    Args:
        names: Names of datasets, or "NAME=FOLDER".
        root: Folder of the datasets that are given without one.
        table: CSV table of the only dataset; `None` keeps the dataset's own.
        options: Options of the loaders, "name=value".

    Returns:
        The datasets.

    Raises:
        ValueError: A table is given for several datasets, or a name or an option is unknown.
    """
    if table and len(names) > 1:
        raise ValueError(f"--table belongs to one dataset, got --dataset {' --dataset '.join(names)}")
    given = [name.partition("=") for name in names]
    return [open_dataset(name, Path(own) if own else root, table, options) for name, _, own in given]


def numbers(text: str, option: str) -> list[int]:
    """Read whole numbers separated by commas, each once.

    Args:
        text: Numbers, such as "1,2"; "" for none.
        option: Name of the option, for the message.

    Returns:
        The numbers in their order.

    Raises:
        ValueError: A part is not a whole number, or is negative.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f"{option} must be numbers separated by commas, such as 1,2; got {text!r}")
    return list(dict.fromkeys(map(int, parts)))


def chosen_models(patterns: str) -> list[str]:
    """Return the names of models that patterns select.

    Raises:
        ValueError: A pattern matches no model, or there is none; the message suggests the closest name.
    """
    from audiozoo.registry import list_models, model_info
    from audiozoo.training import split_way

    names: list[str] = []
    for pattern in filter(None, (part.strip() for part in patterns.split(","))):
        bare, way = split_way(pattern)
        # model_info resolves aliases, and suggests the closest name for a misspelt one; a glob could do neither.
        found = list_models(bare) if set(bare) & set("*?[") else [model_info(bare).name]
        found = [f"{name}:{way.WORD}" for name in found] if way else found
        if not found:
            raise ValueError(f"no model matches {pattern!r}; see `audiozoo list`")
        names += found
    if not names:
        raise ValueError(f"--models must be names or globs separated by commas, got {patterns!r}; see `audiozoo list`")
    return list(dict.fromkeys(names))


def read_recipes(file: Path) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Read the settings of single models on single datasets.

    Args:
        file: JSON file, or a Python file that assigns plain values to RECIPES. The values are read and no code runs.

    Returns:
        The settings by dataset, model and part. The parts are "recipe" (changed fields), "options" (of the builder),
        "frontend" (changed fields, or all of them with a "class") and "transfer" (fields of the way, for a name such as
        "yamnet:finetune").

    Raises:
        ValueError: The file does not have such settings, or a dataset, a model or a part is unknown.
        OSError: The file cannot be read.
    """
    from audiozoo.datasets import list_datasets
    from audiozoo.registry import list_models
    from audiozoo.training import split_way

    content = _values(file)
    tables = _objects(file, content)
    refuse_unknown(f"dataset in {file}", content, list_datasets())
    for models in tables:
        # Only the current names: an alias would be a second entry of the same model.
        refuse_unknown(f"model in {file}", [split_way(model)[0] for model in models], list_models())
        for name, parts in zip(models, _objects(file, models), strict=True):
            refuse_unknown(f"part of the settings of {name} in {file}", parts, _PARTS)
            _objects(file, parts)
    return content


def _objects(file: Path, content: Any) -> list[dict[str, Any]]:
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise ValueError(f"{file}: settings are objects in objects such as {_EXAMPLE}, got {content!r:.200}")
    return list(content.values())


def _values(file: Path) -> Any:
    text = file.read_text(encoding="utf-8")
    try:
        return _assigned(text) if file.suffix == ".py" else json.loads(text)
    except (ValueError, SyntaxError) as error:
        raise ValueError(f"{file}: no settings of models can be read from it ({error}); write such as {_EXAMPLE}") from error


def _assigned(text: str) -> Any:
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [_TABLE]:
            return ast.literal_eval(node.value)
    raise ValueError(f"it assigns nothing to {_TABLE}")
