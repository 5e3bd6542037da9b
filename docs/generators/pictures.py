"""Pictures of the families: multiply-adds against parameters of all models, with one family marked."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.style import context

from audiozoo.registry import ModelSpec

_QUIET, _MARKED = "#9aa5b1", "#c2410c"
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "audiozoo", "font.family": "sans-serif", "font.size": 11}


def scatter(specs: Sequence[ModelSpec], family: str | None = None) -> bytes:
    """Draw parameters and multiply-adds of models.

    Args:
        specs: Models. Those whose multiply-adds are not known are left out.
        family: Family to mark and label; `None` labels no model.

    Returns:
        The picture as SVG.
    """
    with context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(7.5, 4.2), layout="constrained")
        axes = figure.subplots()
        for spec in specs:
            if spec.reference.multiply_adds:
                _draw(axes, spec, spec.family == family)
        axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="multiply-adds for one window")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _draw(axes, spec: ModelSpec, marked: bool) -> None:  # type: ignore[no-untyped-def]
    place = spec.reference.parameters, spec.reference.multiply_adds
    colour, size = (_MARKED, 46) if marked else (_QUIET, 22)
    axes.scatter(*place, s=size, color=colour, zorder=3 if marked else 2)
    if marked:
        axes.annotate(spec.name, place, xytext=(6, 4), textcoords="offset points", fontsize=9, color=_MARKED)
