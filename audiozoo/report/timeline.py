"""Picture of a recording: its spectrogram above, and the scores of the classes over time below."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from audiozoo import audio, spectrum
from audiozoo.classifier import Timeline
from audiozoo.events import Event, edges
from audiozoo.report.figures import new_figure, save_figure
from audiozoo.threads import one_blas_thread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 1_500  # more than a picture has pixels, whatever the length of the recording
_CLASSES = 20  # rows of the lower part; further classes would be illegible
_BANDS, _FRAMES, _RANGE_DB, _TICKS = 64, 16, 80, 6
_FRAME = 0.046  # seconds
_FFTS = 512, 2**18  # shortest and longest FFT; between them, every mel band has an FFT bin at all sample rates that are read
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 86_400)  # seconds


def timeline_picture(
    source: audio.Source,
    timeline: Timeline,
    labels: Sequence[str],
    path: str | os.PathLike[str],
    *,
    events: Sequence[Event] = (),
    title: str | None = None,
) -> Path:
    """Plot the spectrogram of a recording, and below it the scores of its classes over time.

    The recording is read piece by piece, so it may last for hours. Where a column of the picture has several windows, it shows
    the highest score of each class.

    Args:
        source: Path or bytes of a sound file.
        timeline: Times and scores of its windows.
        labels: Names of the classes, in the order of the scores. The picture shows the 20 with the highest scores.
        path: Path of the picture to write; the suffix sets the format.
        events: Events to mark below the scores of their classes.
        title: Title above the picture; `None` uses the file name.

    Returns:
        The path of the picture.

    Raises:
        FileNotFoundError: The sound does not exist.
        ValueError: The sound cannot be read.
        OSError: The picture cannot be written.
    """
    drawn = overview(source)
    peaks = timeline.scores.max(axis=0)
    shown = sorted(np.argsort(-peaks, kind="stable")[:_CLASSES].tolist())
    figure = new_figure(13, 3.6 + 0.28 * len(shown))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3.0, 0.4 + 0.28 * len(shown)])
    _draw_spectrogram(above, drawn)
    _draw_scores(below, timeline, [labels[place] for place in shown], shown, events)
    _draw_time(below, max(drawn.seconds, float(timeline.ends[-1])))
    above.set_title(title or Path(audio.describe(source)).name)
    return save_figure(figure, path)


class Overview(NamedTuple):
    """Spectrogram of a recording with a limited number of columns.

    Args:
        decibels: Mean power of each mel band in each column (dB), ``(bands, columns)``.
        hertz: Centre frequency of each band.
        span: Times of the outer edges of the first and the last column (seconds).
        seconds: Length of the recording.
    """

    decibels: np.ndarray
    hertz: np.ndarray
    span: tuple[float, float]
    seconds: float


def overview(source: audio.Source, *, columns: int = _COLUMNS) -> Overview:
    """Compute a spectrogram of a recording of any length in limited memory.

    Args:
        source: Path or bytes of a sound file.
        columns: Largest number of columns.

    Raises:
        FileNotFoundError: The sound does not exist.
        ValueError: The sound cannot be read.
    """
    seconds, rate, _ = audio.measure(source)
    n_fft = min(max(2 ** round(math.log2(_FRAME * rate)), _FFTS[0]), _FFTS[1])
    step = max(n_fft // 4, math.ceil(seconds * rate / columns))
    # A column shows the mean of a few frames: all frames of an hour would take longer than the rest of the picture.
    hop_length = max(n_fft, step // _FRAMES)
    stft = spectrum.Stft(n_fft=n_fft, hop_length=hop_length, win_length=n_fft, framing="window")
    bank = spectrum.mel_bank(rate, n_fft, _BANDS, 0.0, None, "htk", None, "hertz")
    length = step + n_fft
    windows = audio.cut(audio.stream(source, sample_rate=rate), length, step, last="drop")
    with one_blas_thread():
        powers = [spectrum.filtered_spectrogram(audio.fit(wave, length), stft, bank).mean(axis=0) for _, wave in windows]
    decibels = spectrum.to_decibels(np.stack(powers, axis=1), reference="max", top_db=_RANGE_DB)
    begin = n_fft / 2 / rate
    hertz = spectrum.mel_centres(rate, _BANDS, mel_scale="htk")
    return Overview(decibels, hertz, (begin, begin + len(powers) * step / rate), seconds)


def _draw_spectrogram(axes: Axes, drawn: Overview) -> None:
    extent = (*drawn.span, -0.5, len(drawn.hertz) - 0.5)
    image = axes.imshow(drawn.decibels, origin="lower", aspect="auto", extent=extent, cmap="magma")
    places = np.unique(np.linspace(0, len(drawn.hertz) - 1, _TICKS).round().astype(int))
    axes.set_yticks(places, [f"{drawn.hertz[place]:.0f}" for place in places])
    axes.set_ylabel("frequency, Hz")
    axes.figure.colorbar(image, ax=axes, label="dB", pad=0.01)


def _draw_scores(axes: Axes, timeline: Timeline, names: Sequence[str], shown: Sequence[int], events: Sequence[Event]) -> None:
    borders, scores = _reduced(edges(timeline), timeline.scores[:, list(shown)])
    image = axes.pcolormesh(borders, np.arange(len(names) + 1) - 0.5, scores.T, vmin=0, vmax=1, cmap="Greys")
    for row, name in enumerate(names):
        spans = [(event.start, event.duration) for event in events if event.label == name]
        axes.broken_barh(spans, (row + 0.28, 0.2), facecolor="tab:red")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()  # the first class at the top
    axes.figure.colorbar(image, ax=axes, label="score", pad=0.01)


def _reduced(borders: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join neighbouring windows to at most `_COLUMNS`, each with the highest scores of its windows."""
    each = math.ceil(len(scores) / _COLUMNS)
    firsts = np.arange(0, len(scores), each)
    return np.append(borders[firsts], borders[-1]), np.maximum.reduceat(scores, firsts, axis=0)


def _draw_time(axes: Axes, seconds: float) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    step = next((step for step in _STEPS if seconds / step <= 12), _STEPS[-1])
    axes.set(xlim=(0, seconds), xlabel="seconds" if seconds <= 120 else "minutes:seconds" if seconds < 3_600 else "h:mm:ss")
    axes.xaxis.set_major_locator(MultipleLocator(step))
    if seconds > 120:
        axes.xaxis.set_major_formatter(FuncFormatter(_clock(seconds >= 3_600)))


def _clock(hours: bool) -> Any:
    def text(seconds: float, _: int) -> str:
        whole = round(seconds)
        minutes = f"{whole // 60}:{whole % 60:02}"
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if hours else minutes

    return text
