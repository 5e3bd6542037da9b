"""``audiozoo info``: show a model or a classifier."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from audiozoo.cli.console import out, quiet_backend
from audiozoo.registry import TASKS, ModelSpec, PretrainedWeights, build, model_info, shipped_classifiers

EXAMPLE = "audiozoo info subspectralnet"


def run(
    name: Annotated[str, typer.Argument(help="Name of a model or classifier, see `audiozoo list`, or a saved classifier.")],
    layers: Annotated[
        bool, typer.Option("--layers", help="Build the model at its published size and show its layers.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a model: paper, frontend, options, recipe, published weights and scores; or the card of a saved classifier."""
    trained = name in shipped_classifiers() or Path(name).is_file()
    if not trained and (name.endswith(".audiozoo") or set(name) & set("/\\")):
        raise FileNotFoundError(f"{name}: no such file; the package has the classifiers {', '.join(shipped_classifiers())}")
    saved = _saved(name) if trained else {}
    if layers:
        if trained and not saved.get("model"):
            raise ValueError(f"{name} is not one model of the zoo, so it has no layers to show: leave --layers out")
        _print_layers(model_info(saved.get("model") or name))
        return
    card = saved or _card(model_info(name))
    if as_json:
        print(json.dumps(card, indent=1))
        return
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    for key, value in card.items():
        table.add_row(key, _lines(value))
    out.print(table)


def _saved(name: str) -> dict[str, Any]:
    from audiozoo.classifier import saved_card

    card = saved_card(name)
    about = card.get("about", {})
    facts = ("weights", "licence", "training_clips", "best_epoch", "validation")
    known = {
        "name": name,
        "model": about.get("model"),
        **about.get("notes", {}),
        **{fact: about.get(fact) for fact in facts},
        **{part: card.get(part) for part in ("members", "labels", "parameters", "frontend")},
        "recipe": about.get("recipe"),
        "versions": card.get("versions"),
    }
    return {title: value for title, value in known.items() if value is not None}


def _card(spec: ModelSpec) -> dict[str, Any]:
    reference = spec.reference
    return {
        "name": spec.name,
        "description": spec.description,
        "paper": f"{spec.paper} ({spec.year})",
        "aliases": list(spec.aliases),
        "family": spec.family,
        "tasks": [task for task in TASKS if spec.suits(task)],
        "input": spec.input,
        "frontend": spec.frontend.to_config(),
        "options": spec.options,
        "reference": {
            "input_shape": list(reference.input_shape),
            "num_classes": reference.num_classes,
            "parameters": reference.parameters,
            "multiply_adds": reference.multiply_adds,
            "options": dict(reference.options),
        },
        "recipe": {field: value for field, value in spec.recipe.to_config().items() if field != "class"},
        "weights": [_weights(name, weights) for name, weights in spec.weights.items()],
        "published": [asdict(score) for score in spec.scores],
    }


def _print_layers(spec: ModelSpec) -> None:
    from rich.table import Table

    quiet_backend()
    reference = spec.reference
    model = build(spec.name, reference.num_classes, input_shape=reference.input_shape, **reference.options)
    table = Table("layer", "kind", "output", "parameters", box=None, header_style="bold", pad_edge=False)
    table.columns[3].justify = "right"
    for row in _layer_rows(model):
        table.add_row(*row)
    out.print(table)
    out.print(
        f"{model.count_params():,} parameters, {spec.input} input {reference.input_shape}, {reference.num_classes} classes"
    )


def _layer_rows(model: Any, indent: str = "") -> Iterator[tuple[str, str, str, str]]:
    for layer in model.layers:
        outputs = layer.output if isinstance(layer.output, list) else [layer.output]
        shapes = ", ".join(" x ".join(map(str, output.shape[1:])) for output in outputs)
        yield indent + layer.name, type(layer).__name__, shapes, f"{layer.count_params():,}" if layer.weights else ""
        if hasattr(layer, "layers"):  # a model that is used as a layer
            yield from _layer_rows(layer, indent + "  ")


def _weights(name: str, weights: PretrainedWeights) -> dict[str, Any]:
    return {
        "name": name,
        "licence": weights.licence,
        **{"sha256": None, **weights.origin},
        "classes": len(weights.labels),
    }


def _lines(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{key} = {item}" for key, item in value.items())
    if isinstance(value, list):
        return "\n".join(_item(item) if isinstance(item, dict) else str(item) for item in value) or "none"
    return str(value)


def _item(fact: dict[str, Any]) -> str:
    if {"name", "classes", "licence", "url"} <= fact.keys():
        known = [f"{name} {fact[name]}" for name in ("sha256", "md5") if fact.get(name)]
        origin = [fact["url"], *([f"published at {fact['page']}"] if "page" in fact else []), *known]
        return f"{fact['name']}: {fact['classes']} classes, licence {fact['licence']}, {', '.join(origin)}"
    if {"value", "metric", "dataset", "source"} <= fact.keys():
        return f"{fact['value']} {fact['metric']} on {fact['dataset']} ({fact['source']})"
    return json.dumps(fact)  # from the notes of a classifier
