"""``audiozoo list``: list the models."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Annotated

import typer

from audiozoo.cli.console import err, out
from audiozoo.registry import ModelSpec, list_models, model_info, shipped_classifiers

EXAMPLE = "audiozoo list --task keywords --max-parameters 100k"

TaskName = Annotated[str | None, typer.Option(help="Only models for this task: tagging, keywords, scenes or embedding.")]
Families = Annotated[list[str] | None, typer.Option(help="Glob of families; may be repeated.")]
Licences = Annotated[
    list[str] | None,
    typer.Option(help="Glob of licences of the published weights, such as 'apache*'; may be repeated."),
]
MaxParameters = Annotated[str, typer.Option(help="Only models with at most this number of parameters, such as 100k or 1.5M.")]
MaxMultiplyAdds = Annotated[
    str, typer.Option(help="Only models with at most this number of multiply-adds for one window, such as 10M.")
]
"""Options of ``audiozoo list``."""

_COLUMNS = ("name", "parameters", "multiply-adds", "weights", "for")
_DESCRIBED = 120  # columns of a terminal that has room for the descriptions too
_FACTORS = {"k": 1e3, "m": 1e6, "g": 1e9}


def number(text: str) -> float:
    """Return the number that a text such as "100k", "1.5M", "2G" or "1e6" states.

    Raises:
        ValueError: The text is not such a number, or the number is negative.
    """
    factor = _FACTORS.get(text[-1:].lower(), 1.0)
    try:
        value = float(text if factor == 1 else text[:-1]) * factor
    except ValueError:
        value = math.nan
    if not value >= 0:
        raise ValueError(f"a limit must be a number such as 100k, 1.5M or 1e6, got {text!r}")
    return value


def run(
    patterns: Annotated[list[str] | None, typer.Argument(help="Globs of model names; default: all models.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Glob of names to leave out; may be repeated.")] = None,
    input: Annotated[str | None, typer.Option(help="Only models with this input: waveform, spectral or vector.")] = None,
    task: TaskName = None,
    family: Families = None,
    licence: Licences = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only models with published weights, and the classifiers of this package.")
    ] = False,
    min_parameters: Annotated[str, typer.Option(help="Only models with at least this number of parameters.")] = "0",
    max_parameters: MaxParameters = "inf",
    max_multiply_adds: MaxMultiplyAdds = "inf",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models of the zoo, by family."""
    least, most = number(min_parameters), number(max_parameters)
    names = list_models(
        patterns or "*",
        exclude=exclude or (),
        input=input,  # type: ignore[arg-type]
        task=task,  # type: ignore[arg-type]
        family=family or "*",
        licence=licence or None,
        pretrained=pretrained,
        min_parameters=least,
        max_parameters=most,
        max_multiply_adds=number(max_multiply_adds),
    )
    shipped = _shipped(patterns or ["*"], licence or ["*"], least, most) if pretrained or licence else []
    if not (names or shipped or as_json):
        err.print("no model matches; `audiozoo list` shows all models")
        raise typer.Exit(1)
    if as_json:
        print(json.dumps([*names, *shipped]))
        return
    if markdown:
        print(models_table(names))
        return
    if names:
        _print_models(names)
    if shipped:
        _print_shipped(shipped)


def _print_models(names: Sequence[str]) -> None:
    from rich.table import Table

    lines = [
        line for _, members in groupby(sorted(map(model_info, names), key=_family), key=_family) for line in _lines(members)
    ]
    described = out.width >= _DESCRIBED
    table = Table(box=None, header_style="bold", pad_edge=False, expand=described)
    for place, column in enumerate(_COLUMNS):
        # A name that is cut is of no use, so a narrow terminal cuts the descriptions alone.
        width = max(map(len, [column, *(line[place] for line in lines)]))
        table.add_column(column, justify="right" if place in (1, 2) else "left", no_wrap=True, min_width=width)
    if described:
        table.add_column("description", no_wrap=True, overflow="ellipsis", ratio=1)
    for line in lines:
        table.add_row(*line if described else line[:-1], style=None if line[1] else "bold")
    out.print(table)


def _lines(members: Iterable[ModelSpec]) -> list[list[str]]:
    """Return the cells of a family: a line with its name, if there are several models, and a line for each model."""
    specs = list(members)
    if len(specs) == 1:
        return [[specs[0].name, *_cells(specs[0])]]
    return [[specs[0].family, *[""] * len(_COLUMNS)], *(["  " + spec.name, *_cells(spec)] for spec in specs)]


def _family(spec: ModelSpec) -> str:
    return spec.family


def _cells(spec: ModelSpec) -> list[str]:
    reference = spec.reference
    counted = "" if reference.multiply_adds is None else f"{reference.multiply_adds / 1e6:,.1f} M"
    tasks = " ".join(spec.tasks)
    return [f"{reference.parameters:,}", counted, " ".join(spec.weights), tasks, spec.description]


def _shipped(patterns: Sequence[str], licences: Sequence[str], least: float, most: float) -> list[str]:
    """Return the names of the classifiers in the package that match a glob, as a whole or in their model, and the limits."""
    from audiozoo.classifier import saved_card

    names = shipped_classifiers()
    found = [name for name in names if any(fnmatchcase(part, glob) for glob in patterns for part in (name, name.split("/")[0]))]
    cards = {name: saved_card(name) for name in found}
    return [
        name
        for name, card in cards.items()
        if least <= card["parameters"] <= most
        and any(fnmatchcase(card["about"].get("licence", "").lower(), licence.lower()) for licence in licences)
    ]


def _print_shipped(names: Sequence[str]) -> None:
    from rich.table import Table

    from audiozoo.classifier import saved_card

    table = Table("classifier", "classes", "parameters", "licence", "trained on", box=None, header_style="bold", pad_edge=False)
    for name in names:
        card = saved_card(name)
        about = card["about"]
        counts = str(len(card["labels"])), f"{card['parameters']:,}"
        table.add_row(name, *counts, about.get("licence", ""), about.get("notes", {}).get("data", ""))
    out.print("\nReady without training or download: audiozoo predict NAME FILE")
    out.print(table)


def models_table(names: Sequence[str]) -> str:
    """Return a table of models as Markdown, as in docs/models.md."""
    lines = ["| name | input | parameters | classes | year | source |", "| --- | --- | ---: | ---: | ---: | --- |"]
    for name in names:
        spec = model_info(name)
        shape = " x ".join(map(str, spec.reference.input_shape))
        counts = f"{spec.reference.parameters:,} | {spec.reference.num_classes}"
        lines.append(f"| `{name}` | {shape} | {counts} | {spec.year} | {spec.paper} |")
    return "\n".join(lines)
