"""Variants of a model: rows with the same options, frontend, recipe and initial weights, whatever their folds and seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from audiozoo.crossval.identity import differences
from audiozoo.crossval.rows import Row


def variant(row: Row) -> str:
    """Return a text that rows share if they differ in fold and seed only."""
    # The key of a request would do as well, but takes ten times as long, and a report may have 10,000 rows.
    request = row.request
    start = request.transfer, request.weights
    return repr((row.model, sorted(request.options.items()), request.frontend, replace(request.recipe, seed=0), *start))


def settings_apart(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return for each row the settings in which it differs from the other rows of the same model."""
    by_model: dict[str, list[dict[str, Any]]] = {}
    settings = [_settings(row) for row in rows]
    for row, each in zip(rows, settings, strict=True):
        by_model.setdefault(row.model, []).append(each)
    return [_apart(each, by_model[row.model]) for row, each in zip(rows, settings, strict=True)]


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as text, such as "epochs=5, frontend.n_mels=40"."""
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def _settings(row: Row) -> dict[str, Any]:
    request = row.request
    recipe = differences(replace(request.recipe, seed=0))
    # The way itself is in the title of the model.
    transfer = {name: value for name, value in differences(request.transfer or {}).items() if name != "class"}
    if request.weights:
        transfer["weights_file"] = request.weights
    return {**request.options, **transfer, **_flat("", recipe), **_flat("frontend", differences(request.frontend))}


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """Return nested settings as one dictionary, ``{"frontend.n_mels": 40}``."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    below = {f"{prefix}.{name}".lstrip(".") if name != "class" else prefix: one for name, one in value.items()}
    return {name: one for key, each in below.items() for name, one in _flat(key, each).items()}


def _apart(settings: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for each in others for name in each)
    differing = [name for name in names if len({repr(each.get(name)) for each in others}) > 1]
    return {name: settings[name] for name in differing if name in settings}
