"""Pictures of the families: multiply-adds against parameters of all models, with one family marked."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from matplotlib.figure import Figure
from matplotlib.style import context

from audiozoo.registry import ModelSpec

_QUIET, _MARKED = "#9aa5b1", "#c2410c"
_NEAR = 0.3
"""Distance in decades below which models share a label."""
_LABEL: dict[str, Any] = {
    "textcoords": "offset points",
    "fontsize": 9,
    "color": _MARKED,
    "ha": "right",
}
_ABOVE: dict[str, Any] = {"xytext": (-6, 6), "va": "bottom"}
_BELOW: dict[str, Any] = {"xytext": (-6, -6), "va": "top"}
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "audiozoo", "font.family": "sans-serif", "font.size": 11}


def scatter(specs: Sequence[ModelSpec], family: str | None = None) -> bytes:
    """Draw parameters and multiply-adds of models.

    Args:
        specs: Models. Those whose multiply-adds are not known are left out.
        family: Family to mark and label; `None` labels no model.

    Returns:
        The picture as SVG.
    """
    with context(_STYLE):
        figure = Figure(figsize=(7.5, 4.2), layout="constrained")
        axes = figure.subplots()
        known = [spec for spec in specs if spec.reference.multiply_adds]
        marked = [spec for spec in known if spec.family == family]
        axes.scatter(*zip(*map(_place, known), strict=True), s=22, color=_QUIET, zorder=2)
        for members, side in zip(_neighbours(marked), cycle((_ABOVE, _BELOW))):
            axes.scatter(*zip(*map(_place, members), strict=True), s=46, color=_MARKED, zorder=3)
            axes.annotate(_label(members), _place(members[-1]), **_LABEL, **side)
        axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="multiply-adds for one window")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _place(spec: ModelSpec) -> tuple[int, int]:
    return spec.reference.parameters, spec.reference.multiply_adds or 0


def _neighbours(specs: Sequence[ModelSpec]) -> list[list[ModelSpec]]:
    """Group models whose labels would lie upon each other."""
    groups: list[list[ModelSpec]] = []
    for spec in sorted(specs, key=_place):
        near = next((group for group in groups if _distance(group[-1], spec) < _NEAR), None)
        if near is None:
            groups.append([spec])
        else:
            near.append(spec)
    return groups


def _distance(one: ModelSpec, other: ModelSpec) -> float:
    return max(abs(math.log10(a / b)) for a, b in zip(_place(one), _place(other), strict=True))


def _label(members: Sequence[ModelSpec]) -> str:
    return "\n".join(spec.name for spec in members)
