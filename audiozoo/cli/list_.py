"""``audiozoo list``: list the models."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated

import typer

from audiozoo.cli.console import err, out
from audiozoo.registry import list_models, model_info, shipped_card, shipped_classifiers

EXAMPLE = "audiozoo list '*cnn*'"


def run(
    patterns: Annotated[list[str] | None, typer.Argument(help="Globs of model names; default: all models.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Glob of names to leave out; may be repeated.")] = None,
    input: Annotated[str | None, typer.Option(help="Only models with this input: waveform, spectral or vector.")] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only models with published weights, and the classifiers of this package.")
    ] = False,
    min_parameters: Annotated[int, typer.Option(help="Only models with at least this number of parameters.")] = 0,
    max_parameters: Annotated[
        float, typer.Option(help="Only models with at most this number of parameters, such as 1e6.")
    ] = math.inf,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models of the zoo."""
    names = list_models(
        patterns or "*",
        exclude=exclude or (),
        input=input,  # type: ignore[arg-type]
        pretrained=pretrained,
        min_parameters=min_parameters,
        max_parameters=max_parameters,
    )
    shipped = _shipped(patterns or ["*"]) if pretrained else []
    if not (names or shipped or as_json):
        err.print("no model matches; `audiozoo list` shows all models")
        raise typer.Exit(1)
    if as_json:
        print(json.dumps([*names, *shipped]))
        return
    if markdown:
        print(models_table(names))
        return
    from rich.table import Table

    columns = ("name", "input", "shape", "parameters", "weights", "year", "description")
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for name in names:
        spec = model_info(name)
        shape, parameters = " x ".join(map(str, spec.reference.input_shape)), f"{spec.reference.parameters:,}"
        table.add_row(name, spec.input, shape, parameters, " ".join(spec.weights), str(spec.year), spec.description)
    if names:
        out.print(table)
    if shipped:
        _print_shipped(shipped)


def _shipped(patterns: Sequence[str]) -> list[str]:
    """Return the names of the classifiers in the package that match a glob, as a whole or in their model."""
    names = shipped_classifiers()
    return [name for name in names if any(fnmatchcase(part, glob) for glob in patterns for part in (name, name.split("/")[0]))]


def _print_shipped(names: Sequence[str]) -> None:
    from rich.table import Table

    table = Table("classifier", "classes", "parameters", "licence", "trained on", box=None, header_style="bold", pad_edge=False)
    for name in names:
        card = shipped_card(name)
        about = card["about"]
        counts = str(len(card["labels"])), f"{card['parameters']:,}"
        table.add_row(name, *counts, about.get("licence", ""), about.get("notes", {}).get("data", ""))
    out.print("\nReady without training or download: audiozoo predict NAME FILE")
    out.print(table)


def models_table(names: Sequence[str]) -> str:
    """Return a table of models as Markdown, as in the README."""
    lines = ["| name | input | parameters | classes | year | source |", "| --- | --- | ---: | ---: | ---: | --- |"]
    for name in names:
        spec = model_info(name)
        shape = " x ".join(map(str, spec.reference.input_shape))
        counts = f"{spec.reference.parameters:,} | {spec.reference.num_classes}"
        lines.append(f"| `{name}` | {shape} | {counts} | {spec.year} | {spec.paper} |")
    return "\n".join(lines)
