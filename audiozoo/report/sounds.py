"""Plots of waveforms and features."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiozoo import audio
from audiozoo.classifier import Classifier, KerasScorer
from audiozoo.features import Axis, CleaningStep, Frontend, Stack, Waveform
from audiozoo.report.figures import new_figure, save_figure

_TICKS = 6
_UNITS = {"db": "dB", "log": "logarithm", "pcen": "PCEN"}


def sound_picture(
    source: audio.Source,
    frontends: Sequence[Frontend],
    path: str | os.PathLike[str],
    *,
    clean: Sequence[CleaningStep] = (),
    title: str | None = None,
    start: float = 0.0,
    end: float | None = None,
) -> Path:
    """Plot the waveform of a sound and its features, with seconds and hertz on the axes.

    Args:
        source: Path, bytes of a file, or open file.
        frontends: Frontends whose features are drawn below the waveform. Each is adapted to the duration of the sound, so that
            one window covers it.
        path: Path of the picture to write; the suffix sets the format.
        clean: Cleaning steps. If there are any, a second column shows the sound and its features after them.
        title: Title above the waveform; `None` uses the file name.
        start: Start of the section to draw (seconds).
        end: End of the section to draw (seconds); `None` draws up to the end of the sound.

    Returns:
        The path of the picture.

    Raises:
        FileNotFoundError: The sound does not exist.
        ValueError: The sound cannot be read, is too short for a frontend, or has too low a sample rate for one.
        OSError: The picture cannot be written.
    """
    wave, rate = audio.read(source, start=start, end=end)
    whole = Waveform(sample_rate=rate, channels=1 if wave.ndim == 1 else wave.shape[1])
    columns = [
        (above, [panel for frontend in (whole, *frontends) for panel in panels_of(frontend, sound, rate)])
        for above, sound in _versions(title or Path(audio.describe(source)).name, wave, rate, clean)
    ]
    return save_figure(_figure(columns, start), path, dpi=100)


def reconstruction_picture(classifier: Classifier, source: audio.Source, path: str | os.PathLike[str]) -> Path:
    """Plot the features of a sound's first window and their reconstruction by an autoencoder.

    Args:
        classifier: Classifier whose Keras model has a layer named `reconstruction`, such as `joint_autoencoder`.
        source: Path, bytes of a file, or open file.
        path: Path of the picture to write; the suffix sets the format.

    Returns:
        The path of the picture.

    Raises:
        FileNotFoundError: The sound does not exist.
        ValueError: The sound cannot be read, or the model has no such layer.
        OSError: The picture cannot be written.
    """
    frontend = classifier.frontend
    pieces = audio.stream(source, sample_rate=frontend.sample_rate, channels=frontend.channels)
    _, fed = next(frontend.windows(pieces))
    fed = classifier.scaler(fed)
    if not isinstance(classifier.scorer, KerasScorer):
        raise ValueError(
            f"a reconstruction needs a classifier with a Keras model, this one has a {type(classifier.scorer).__name__}"
        )
    again = classifier.scorer.output_of("reconstruction", fed[None])[0]
    titles = {f"features of {Path(audio.describe(source)).name}": fed, "reconstruction": again}
    panels = [Panel(title, values[..., 0], frontend.times, frontend.axis, "") for title, values in titles.items()]
    return save_figure(_figure([(panels[0].title, panels)], 0.0), path, dpi=100)


def _versions(name: str, wave: np.ndarray, rate: int, clean: Sequence[CleaningStep]) -> list[tuple[str, np.ndarray]]:
    if not clean:
        return [(name, wave)]
    cleaned = wave
    for step in clean:
        cleaned = step(cleaned, rate)
    return [(name, wave), (f"after {', '.join(type(step).__name__ for step in clean)}", cleaned)]


class Panel(NamedTuple):
    """Content of one pair of axes: a waveform, one channel of a feature, or a vector."""

    title: str
    values: np.ndarray
    times: np.ndarray | None
    axis: Axis | None
    unit: str


def panels_of(frontend: Frontend, wave: np.ndarray, rate: int) -> list[Panel]:
    """Compute a frontend's features of a whole sound.

    Args:
        frontend: Frontend, which is adapted to the duration of the sound.
        wave: Waveform ``(samples,)`` or ``(samples, channels)``.
        rate: Sample rate (Hz).

    Returns:
        A panel for each channel of the features.
    """
    if isinstance(frontend, Stack):
        return [panel for inner in frontend.of for panel in panels_of(inner, wave, rate)]
    channels = 1 if wave.ndim == 1 else wave.shape[1]
    frontend = frontend.adapt(duration=len(wave) / rate, channels=min(frontend.channels, channels))
    sound = audio.conform(wave, rate, sample_rate=frontend.sample_rate, channels=frontend.channels)
    values = frontend(audio.fit(sound, frontend.samples))
    if values.ndim < 3:
        return [Panel(type(frontend).__name__, values, frontend.times, None, "")]
    kinds = _channels(frontend, values.shape[2])
    return [
        Panel(title, values[..., channel], frontend.times, frontend.axis, unit) for channel, (title, unit) in enumerate(kinds)
    ]


def unit_of(frontend: Frontend) -> str:
    """Return the unit of a frontend's features, such as "dB"; "" if they have none."""
    return _UNITS.get(getattr(frontend, "compression", None) or "", "")


def _channels(frontend: Frontend, count: int) -> list[tuple[str, str]]:
    """Return the title and the unit of each channel of a feature."""
    unit = unit_of(frontend)
    halves = {
        "magnitude_phase": [("magnitude", unit), ("phase", "radians")],
        "real_imaginary": [("real part", ""), ("imaginary part", "")],
    }.get(getattr(frontend, "representation", ""), [("", unit)])
    orders = range(1 + getattr(frontend, "deltas", 0))
    each = count // (len(halves) * len(orders))
    # The order that frontends use: deltas after all channels of the sound, the two halves of a complex number side by side.
    return [
        (_title(frontend, half, order, channel if each > 1 else None), "per frame" if order else unit)
        for order in orders
        for channel in range(each)
        for half, unit in halves
    ]


def _title(frontend: Frontend, half: str, order: int, channel: int | None) -> str:
    derivative = f"derivative {order}" if order else ""
    place = "" if channel is None else f"channel {1 + channel}"
    return ", ".join(filter(None, (type(frontend).__name__, half, derivative, place)))


def _figure(columns: Sequence[tuple[str, Sequence[Panel]]], start: float) -> Any:
    rows = len(columns[0][1])
    figure = new_figure(1.5 + 6.5 * len(columns), 0.6 + 2.1 * rows)
    for drawn, (title, panels) in zip(figure.subplots(rows, len(columns), squeeze=False).T, columns, strict=True):
        for axes, panel in zip(drawn, panels, strict=True):
            draw_panel(axes, panel, start)
        drawn[0].set_title(title)
    return figure


def draw_panel(axes: Any, panel: Panel, start: float) -> None:
    """Draw a panel on a pair of axes.

    Args:
        axes: Matplotlib axes.
        panel: Panel to draw.
        start: Time at the left end of the time axis (seconds).
    """
    axes.set_title(panel.title)
    if panel.values.ndim == 1:
        axes.bar(np.arange(len(panel.values)), panel.values, width=1.0)
        axes.set(xlabel="number", ylabel="value")
    elif panel.times is not None and panel.axis is None:
        axes.plot(start + panel.times, panel.values, linewidth=0.5)
        axes.set(xlabel="seconds", ylabel="amplitude", xlim=(start, start + panel.times[-1]))
    else:
        _draw_image(axes, panel, start)


def _draw_image(axes: Any, panel: Panel, start: float) -> None:
    values, unit = panel.values, panel.unit
    if panel.axis and panel.axis.label in ("coefficient", "descriptor"):
        # Coefficients differ in size by orders of magnitude: on one scale, all but the largest would have the same colour.
        deviation = values.std(axis=1, keepdims=True)
        values, unit = (values - values.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1), "deviations"
    low, high = np.percentile(values, (0.5, 99.5))  # without the percentiles, one loud bin would darken all others
    image = axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=extent_of(panel, start),
        cmap="magma",
        vmin=low,
        vmax=max(high, low + 1e-9),
    )
    axes.figure.colorbar(image, ax=axes, label=unit, pad=0.01)
    axes.set(xlabel="column" if panel.times is None else "seconds", ylabel=panel.axis.label if panel.axis else "row")
    if panel.axis:
        places = np.unique(np.linspace(0, len(panel.values) - 1, _TICKS).round().astype(int))
        axes.set_yticks(places, [f"{value:.0f}" for value in panel.axis.values[places]])


def extent_of(panel: Panel, start: float) -> tuple[float, float, float, float]:
    """Return the outer edges (left, right, bottom, top) of the picture of a panel, in seconds or columns, and in bands."""
    rows, columns = panel.values.shape
    if panel.times is None:
        return (-0.5, columns - 0.5, -0.5, rows - 0.5)
    # The times are the centres of frames, and `imshow` needs the outer edges.
    half = (panel.times[1] - panel.times[0]) / 2 if columns > 1 else 0.5
    return (start + panel.times[0] - half, start + panel.times[-1] + half, -0.5, rows - 0.5)
