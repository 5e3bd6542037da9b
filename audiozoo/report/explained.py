"""Picture of an explanation: the features of the window, the attribution over them, and its sum over time."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audiozoo.explain import Explanation, Stretch
from audiozoo.report.figures import new_figure, save_figure
from audiozoo.report.sounds import Panel, draw_panel, extent_of, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 500  # at most, in the curve of a waveform's attribution, which is drawn as sums over parts of the window
_SMOOTH = (0.8, 1.2)  # bands, frames; the gradient of neighbouring cells alternates, which the eye cannot follow
_STRONG = 99.5  # percentile of the magnitudes that gets the full colour
_MARK = "limegreen"

_Row = tuple[float, "Callable[[Axes], None]"]


def explanation_picture(
    explanation: Explanation,
    path: str | os.PathLike[str],
    *,
    stretch: Stretch | None = None,
    title: str | None = None,
) -> Path:
    """Draw an explanation: the features of the window, and the attribution over them in red (for the class) and blue (against).

    Features with a time axis have seconds of the sound on it, a curve of the attribution below, and the answers of the
    classifiers of sub-bands if there are any. The map is smoothed a little for the eye.

    Args:
        explanation: Explanation to draw.
        path: Path of the picture to write; the suffix sets the format.
        stretch: Stretch of time to mark.
        title: Title above the picture; `None` uses the file, the class, its probability and the window.

    Returns:
        The path of the picture.

    Raises:
        OSError: The picture cannot be written.
    """
    rows = _rows(explanation, stretch)
    heights = [height for height, _ in rows]
    figure = new_figure(11, 0.7 + 1.05 * sum(heights))
    drawn = figure.subplots(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (_, draw) in zip(drawn, rows, strict=True):
        draw(axes)
    figure.suptitle(_title(explanation) if title is None else title)
    return save_figure(figure, path)


def _title(explanation: Explanation) -> str:
    name = f"{Path(explanation.source).name}: " if explanation.source else ""
    where = f", window {explanation.window} of {explanation.windows}" if explanation.windows > 1 else ""
    return f"{name}{explanation.label} {100 * explanation.score:.1f} %{where}"


def _rows(explanation: Explanation, stretch: Stretch | None) -> list[_Row]:
    """Return the height (units of a tenth of a page) and the drawing function of each row."""
    values, timed = explanation.values, explanation.frontend.times is not None
    rows: list[_Row] = []
    if values.ndim == 2:
        rows.append((2.6, lambda axes: _draw_features(axes, explanation, stretch)))
        rows.append((2.6, lambda axes: _draw_map(axes, explanation)))
    elif timed:
        rows.append((2.6, lambda axes: _draw_features(axes, explanation, stretch)))
    else:
        rows.append((3.0, lambda axes: _draw_bars(axes, explanation)))
    if timed:
        rows.append((1.5, lambda axes: _draw_profile(axes, explanation, stretch)))
    if explanation.sub_bands:
        rows.append((0.9 + 0.25 * len(explanation.sub_bands), lambda axes: _draw_sub_bands(axes, explanation)))
    return rows


def _panel(explanation: Explanation) -> Panel:
    frontend, features = explanation.frontend, explanation.features
    shown = features[..., 0] if features.ndim == 3 else features
    channels = ", channel 1" if features.ndim == 3 and features.shape[2] > 1 else ""
    return Panel(f"{type(frontend).__name__}{channels}", shown, frontend.times, frontend.axis, unit_of(frontend))


def _draw_features(axes: Axes, explanation: Explanation, stretch: Stretch | None) -> None:
    draw_panel(axes, _panel(explanation), explanation.start)
    if stretch is not None:
        for edge in stretch[:2]:
            axes.axvline(edge, color=_MARK, linewidth=2)
        axes.set_title(f"{axes.get_title()}; the green lines enclose the deciding {stretch.end - stretch.start:.2f} s")


def _draw_map(axes: Axes, explanation: Explanation) -> None:
    from scipy.ndimage import gaussian_filter

    panel = _panel(explanation)
    draw_panel(axes, panel, explanation.start)
    axes.images[0].set_cmap("gray")
    if (grey := axes.images[0].colorbar) is not None:
        grey.remove()
    values = gaussian_filter(explanation.values, _SMOOTH)
    limit = float(np.percentile(np.abs(values), _STRONG)) or 1.0
    signed = bool((values < 0).any())
    strength = np.clip(np.abs(values) / limit, 0, 1)
    extent = extent_of(panel, explanation.start)
    image = axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="RdBu_r" if signed else "Reds",
        vmin=-limit if signed else 0,
        vmax=limit,
        alpha=strength**0.5,
    )
    axes.figure.colorbar(image, ax=axes, pad=0.01, label="attribution")
    how = f"Grad-CAM, {', '.join(explanation.layers)}" if explanation.layers else "gradient times input"
    colours = "red speaks for it, blue against it" if signed else "red speaks for it"
    axes.set_title(f"attribution of {explanation.label} ({how}): {colours}")


def _draw_profile(axes: Axes, explanation: Explanation, stretch: Stretch | None) -> None:
    times, profile = explanation.frontend.times, explanation.profile
    assert times is not None
    each = max(1, len(profile) // _POINTS)
    sums = np.add.reduceat(profile, np.arange(0, len(profile), each))
    edges = explanation.start + times[::each]
    axes.plot(edges, sums, color="black", linewidth=1)
    axes.axhline(0, color="gray", linewidth=0.8)
    axes.fill_between(edges, sums, where=sums > 0, color="tab:red", alpha=0.3, interpolate=True)
    axes.fill_between(edges, sums, where=sums < 0, color="tab:blue", alpha=0.3, interpolate=True)
    if stretch is not None:
        axes.axvspan(*stretch[:2], color=_MARK, alpha=0.2)
    axes.set(xlabel="seconds", ylabel="attribution", xlim=(edges[0], explanation.start + times[-1]))
    axes.set_title("attribution over time")


def _draw_bars(axes: Axes, explanation: Explanation) -> None:
    values = explanation.values
    axes.bar(np.arange(len(values)), values, width=1.0, color=np.where(values > 0, "tab:red", "tab:blue"))
    axes.set(xlabel="number of the feature", ylabel="attribution")
    axes.set_title(f"attribution of {explanation.label} (gradient times input)")


def _draw_sub_bands(axes: Axes, explanation: Explanation) -> None:
    bands = explanation.sub_bands
    places = np.arange(len(bands))
    axes.barh(places, [one.score for one in bands], color="tab:red", alpha=0.7)
    for place, one in enumerate(bands):
        axes.text(min(one.score, 0.8) + 0.01, place, f"{one.score:.2f}, best: {one.best} {one.best_score:.2f}", va="center")
    axes.set_yticks(places, [one.name for one in bands])
    axes.set(xlim=(0, 1), xlabel=f"probability of {explanation.label}")
    axes.set_title("classifiers of the sub-bands")
