"""Previews of augmentation: a picture and WAV files of a sound before and after each transform."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from inspect import isabstract
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiozoo import audio, augment
from audiozoo.augment import SpectralTransform, Transform, WaveTransform
from audiozoo.augment.files import write_wave
from audiozoo.augment.transform import Drawn
from audiozoo.features import LogMel, Waveform
from audiozoo.report.figures import new_figure, save_figure
from audiozoo.report.sounds import Panel, draw_panel, panels_of

_BANDS = 64
_SECONDS = 0.046  # duration of a frame: 2048 samples at 44.1 kHz
_DIGITS = 3


class _Row(NamedTuple):
    """One row of the picture: the changed sound (`None` if only its features were changed) and its features."""

    title: str
    sound: np.ndarray | None
    feature: Panel


class Preview(NamedTuple):
    """The files that `augmentation_preview` wrote.

    Args:
        picture: Path of the picture.
        sounds: Number of WAV files beside the picture, including the original sound.
        left_out: Name of each transform that is not in the picture, with the reason.
    """

    picture: Path
    sounds: int
    left_out: dict[str, str]


def augmentation_preview(
    source: str | os.PathLike[str], folder: str | os.PathLike[str], transform: Transform | None = None, *, seed: int = 0
) -> Preview:
    """Draw a sound before and after each transform, and write each result as a WAV file.

    Transforms of spectral features change the log-mel spectrogram that is drawn, and no WAV file is written for them.

    Args:
        source: Sound file.
        folder: Folder for the picture `preview.png` and for the WAV files, which are named after the transforms.
        transform: Transform to preview: first each of its parts alone with ``p=1``, then the transform itself. `None` previews
            every transform of waveforms and spectral features that can change this sound.
        seed: Random seed.

    Returns:
        The picture, the number of sounds written, and the transforms left out.

    Raises:
        FileNotFoundError: The sound does not exist.
        ValueError: The sound cannot be read, or `transform` cannot be applied to it.
    """
    wave, rate = audio.read(source)
    folder, label = Path(folder), Path(source).resolve().parent.name
    rows = {"0-before": _Row("before", wave, _log_mel(wave, rate))}
    left_out = {} if transform else {augment.AddBackground.__name__: "it needs a folder of recordings"}
    parts = _each_alone() if transform is None else _alone_and_together(transform)
    for number, part in enumerate(parts, 1):
        try:
            rows[f"{number}-{type(part).__name__}"] = _changed(rows["0-before"], part, rate, label, (seed, number))
        except ValueError as error:
            if transform is not None:
                raise
            # The user did not name this transform, and some cannot change every sound: filters and codecs need certain sample
            # rates, ChannelSwap several channels.
            left_out[type(part).__name__] = str(error)
    sounds = {name: row.sound for name, row in rows.items() if row.sound is not None}
    for name, sound in sounds.items():
        write_wave(folder / f"{name}.wav", sound, rate)
    picture = save_figure(_figure(list(rows.values()), rate), folder / "preview.png", dpi=80)
    return Preview(picture, len(sounds), left_out)


def _changed(before: _Row, part: Transform, rate: int, label: str, seed: tuple[int, int]) -> _Row:
    drawn: list[Drawn] = []
    change = partial(part, sample_rate=rate, label=label, rng=seed, drawn=drawn)
    if all(isinstance(leaf, SpectralTransform) for leaf in _leaves(part)):
        values = change(before.feature.values)
        return _Row(_title(part, drawn), None, before.feature._replace(values=values))
    assert before.sound is not None
    sound = change(before.sound)
    return _Row(_title(part, drawn), sound, _log_mel(sound, rate))


def _each_alone() -> Iterator[Transform]:
    """Yield every transform of a single sound, except `AddBackground`, which needs other files."""
    kinds = [kind for name in augment.__all__ if isinstance(kind := getattr(augment, name), type) and not isabstract(kind)]
    for changed in (WaveTransform, SpectralTransform):
        yield from (kind() for kind in kinds if issubclass(kind, changed) and kind is not augment.AddBackground)


def _leaves(transform: Transform) -> list[Transform]:
    return [part for part in transform.parts() if not part.inner]


def _alone_and_together(transform: Transform) -> list[Transform]:
    """List the parts of a transform, each with ``p=1``, and then the transform itself."""
    certain = [replace(leaf, p=1.0) for leaf in _leaves(transform)]
    return [*certain, transform] if transform.inner else certain


def _title(part: Transform, drawn: Sequence[Drawn]) -> str:
    said = [_said(one) for one in drawn] or ["nothing drawn"]
    whole = f"{type(part).__name__}: " if part.inner else ""
    return whole + ", ".join(said)


def _said(drawn: Drawn) -> str:
    values = {name: value for name, value in drawn.items() if name not in ("class", "seed")}
    words = [f"{name} {round(value, _DIGITS) if isinstance(value, float) else value}" for name, value in values.items()]
    return " ".join([drawn["class"], *words])


def _log_mel(sound: np.ndarray, rate: int) -> Panel:
    # The power of two nearest to _SECONDS, so that pictures of different sample rates have the same resolution in time.
    n_fft = 2 ** round(np.log2(_SECONDS * rate))
    frontend = LogMel(sample_rate=rate, n_fft=n_fft, hop_length=n_fft // 2, n_mels=min(_BANDS, n_fft // 16))
    [panel] = panels_of(frontend, audio.set_channels(sound, 1), rate)
    return panel


def _figure(rows: Sequence[_Row], rate: int) -> Any:
    figure = new_figure(14, 0.6 + 1.9 * len(rows))
    for (left, right), row in zip(figure.subplots(len(rows), 2, squeeze=False), rows, strict=True):
        if row.sound is None:
            left.axis("off")
        else:
            [panel] = panels_of(Waveform(sample_rate=rate), audio.set_channels(row.sound, 1), rate)
            draw_panel(left, panel._replace(title=row.title), 0.0)
        draw_panel(right, row.feature._replace(title=row.title), 0.0)
    return figure
