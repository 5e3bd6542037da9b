"""What augmentation does to a sound, to be seen and heard."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audiozoo import audio, augment
from audiozoo.augment import ByClass, Transform, WaveTransform
from audiozoo.augment.files import write_wave
from audiozoo.augment.transform import Drawn
from audiozoo.features import LogMel, Waveform
from audiozoo.files import replacing
from audiozoo.report.sounds import draw_panel, panels_of

_BANDS = 64
_SECONDS = 0.046  # of a frame
_DIGITS = 3


def augmentation_preview(
    source: str | os.PathLike[str], folder: str | os.PathLike[str], transform: Transform | None = None, *, seed: int = 0
) -> tuple[Path, int]:
    """Draw a sound before and after each of some transforms, and write each result as a WAV file.

    Args:
        source: A sound file.
        folder: For the picture, `preview.png`, and the sounds, named by the transforms.
        transform: One whose parts are drawn, each alone and always applied, and then it itself; `None` draws every waveform
            transform that needs no other file and can change this sound.
        seed: Of all that is drawn.

    Returns:
        The picture's path, and how many sounds were written.

    Raises:
        FileNotFoundError, ValueError: The sound cannot be read, or a transform cannot change it.
    """
    wave, rate = audio.read(source)
    folder, label = Path(folder), Path(source).resolve().parent.name
    sounds, titles = {"0-before": wave}, ["before"]
    parts = _each_alone(wave.ndim) if transform is None else [*_parts(transform), transform]
    for number, part in enumerate(parts, 1):
        drawn: list[Drawn] = []
        try:
            changed = part(wave, sample_rate=rate, label=label, rng=(seed, number), drawn=drawn)
        except ValueError:
            if transform is not None:
                raise
            continue  # nobody asked for this one: an encoder that does not know the rate, a filter above it
        sounds[f"{number}-{type(part).__name__}"] = changed
        titles.append(_title(part, drawn))
    for name, sound in sounds.items():
        write_wave(folder / f"{name}.wav", sound, rate)
    with replacing(folder / "preview.png") as temporary:
        _figure(list(zip(titles, sounds.values(), strict=True)), rate).savefig(temporary, dpi=80)
    return folder / "preview.png", len(sounds)


def _each_alone(dimensions: int) -> Iterator[Transform]:
    """Yield every waveform transform that needs neither a file nor more channels than there are."""
    for kind in (getattr(augment, name) for name in augment.__all__):
        if isinstance(kind, type) and issubclass(kind, WaveTransform) and kind is not WaveTransform:
            if kind is augment.AddBackground or (kind is augment.ChannelSwap and dimensions == 1):
                continue
            yield kind()


def _parts(transform: Transform) -> Iterator[Transform]:
    """Yield what a transform is made of, each made certain."""
    inner = getattr(transform, "transforms", ())
    if isinstance(transform, ByClass):
        inner = [*transform.transforms.values(), *([transform.default] if transform.default else [])]
    for part in inner:
        yield from _parts(part)
        if not hasattr(part, "transforms"):
            yield replace(part, p=1.0)


def _title(part: Transform, drawn: Sequence[Drawn]) -> str:
    said = [_said(one) for one in drawn] or ["nothing drawn"]
    whole = f"{type(part).__name__}: " if hasattr(part, "transforms") else ""
    return whole + ", ".join(said)


def _said(drawn: Drawn) -> str:
    values = {name: value for name, value in drawn.items() if name not in ("class", "seed")}
    words = [f"{name} {round(value, _DIGITS) if isinstance(value, float) else value}" for name, value in values.items()]
    return " ".join([drawn["class"], *words])


def _figure(rows: Sequence[tuple[str, np.ndarray]], rate: int) -> Any:
    from matplotlib.figure import Figure

    n_fft = 2 ** round(np.log2(_SECONDS * rate))
    bands = min(_BANDS, n_fft // 16)
    frontends = (
        Waveform(sample_rate=rate),
        LogMel(sample_rate=rate, n_fft=n_fft, hop_length=n_fft // 2, n_mels=bands),
    )
    figure = Figure(figsize=(14, 0.6 + 1.9 * len(rows)), layout="constrained")
    for axes, (title, sound) in zip(figure.subplots(len(rows), 2, squeeze=False), rows, strict=True):
        for place, frontend in zip(axes, frontends, strict=True):
            draw_panel(place, panels_of(frontend, audio.set_channels(sound, 1), rate)[0]._replace(title=title), 0.0)
    return figure
