"""Pages of the families of models, from the registry. No network is built."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import audiozoo
from audiozoo.classifier import saved_card
from audiozoo.registry import TASKS, ModelSpec, shipped_classifiers

FOLDER = "families"


def families() -> dict[str, list[ModelSpec]]:
    """Map the name of each family to its models, in alphabetical order."""
    specs = sorted((audiozoo.model_info(name) for name in audiozoo.list_models()), key=lambda spec: spec.family)
    return {family: list(members) for family, members in groupby(specs, key=lambda spec: spec.family)}


def overview() -> str:
    """Return the page that lists all models by family."""
    lines = [
        "# All models",
        "",
        "Each family has a page, generated from the registry. `audiozoo list` prints the same list.",
        "",
    ]
    lines += ["![Multiply-adds and parameters of all models](all.svg)", ""]
    lines += _table(["family", "model", "description", "parameters", "multiply-adds", "tasks", "weights"])
    for family, specs in families().items():
        for spec in specs:
            cells = [f"[{family}]({family}.md)", f"[`{spec.name}`]({family}.md#{spec.name})", spec.description]
            lines.append(_row([*cells, *_counts(spec), ", ".join(spec.tasks), ", ".join(spec.weights)]))
    return "\n".join(lines) + "\n"


def page(family: str, specs: Sequence[ModelSpec]) -> str:
    """Return the page of a family: a picture, a table of its models, and a section for each of them.

    Args:
        family: Name of the family.
        specs: Its models.

    Returns:
        The page as Markdown.
    """
    lines = [f"# {family}", "", f"![Parameters and multiply-adds of {family} among all models]({family}.svg)", ""]
    lines += _table(["model", "input", "classes", "parameters", "multiply-adds", "source"])
    for spec in specs:
        shape = " x ".join(map(str, spec.reference.input_shape))
        cells = [f"[`{spec.name}`](#{spec.name})", shape, str(spec.reference.num_classes), *_counts(spec), _source(spec)]
        lines.append(_row(cells))
    for spec in specs:
        lines += ["", *_section(spec)]
    return "\n".join(lines) + "\n"


def _section(spec: ModelSpec) -> list[str]:
    lines = [f"## {spec.name} {{ #{spec.name} }}", "", spec.description, "", "```python"]
    lines += [
        f'model = audiozoo.build("{spec.name}", num_classes={spec.reference.num_classes}{_reference_options(spec)})',
        "```",
        "",
    ]
    facts = {
        "Source": _source(spec),
        "Other names": ", ".join(f"`{name}`" for name in spec.aliases),
        "Tasks": "; ".join(TASKS[task] for task in TASKS if spec.suits(task)),
        "Input": f"{spec.input}, {_shape(spec.frontend.shape)}" + (", any number of frames" if spec.any_length else ""),
        "Published scores": "; ".join(
            f"{score.value} {score.metric} on {score.dataset} ({score.source})" for score in spec.scores
        ),
        "Trained classifiers in the package": _shipped(spec),
    }
    lines += [f"- **{name}**: {_safe(value)}" for name, value in facts.items() if value]
    lines += _weights(spec)
    if spec.options:
        lines += ["", "Options of the network, with their defaults:", "", *_settings(spec.options)]
    lines += ["", "Frontend:", "", *_settings(spec.frontend.to_config())]
    return lines


def _reference_options(spec: ModelSpec) -> str:
    return "".join(f", {name}={value!r}" for name, value in spec.reference.options.items())


def _weights(spec: ModelSpec) -> list[str]:
    return [
        f"- **Published weights** `{name}`: {len(weights.labels)} classes, licence {weights.licence}, `{weights.url}`"
        for name, weights in spec.weights.items()
    ]


def _shipped(spec: ModelSpec) -> str:
    cards = {name: saved_card(name)["about"] for name in shipped_classifiers()}
    return "; ".join(
        f"`{name}`, licence {about.get('licence', '')}" for name, about in cards.items() if about["model"] == spec.name
    )


def _settings(settings: dict[str, Any]) -> list[str]:
    rows = [_row([f"`{name}`", f"`{_safe(repr(value))}`"]) for name, value in settings.items()]
    return [*_table(["setting", "value"]), *rows]


def _counts(spec: ModelSpec) -> list[str]:
    counted = spec.reference.multiply_adds
    return [f"{spec.reference.parameters:,}", "" if counted is None else f"{counted / 1e6:,.1f} M"]


def _source(spec: ModelSpec) -> str:
    return f"{spec.paper} ({spec.year})"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _table(names: Sequence[str]) -> list[str]:
    right = ("parameters", "multiply-adds", "classes")
    return [_row(names), _row(["---:" if name in right else "---" for name in names])]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_safe, cells))} |"


def _safe(text: str) -> str:
    return text.replace("\\|", "|").replace("|", "\\|")
