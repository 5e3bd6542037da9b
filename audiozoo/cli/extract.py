"""``audiozoo extract``: write the features of a folder of sounds to one NumPy file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from audiozoo.cli.console import (
    CACHE_HELP,
    DatasetOptions,
    FrontendSettings,
    chosen_frontend,
    feature_cache,
    open_dataset,
    out,
    progress_bar,
    report_failures,
)
from audiozoo.cli.errors import keeping
from audiozoo.cli.place import LOCAL, On, piece_executor
from audiozoo.files import check_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audiozoo.datasets import Clip, Dataset
    from audiozoo.features import Features, Frontend

EXAMPLE = "audiozoo extract sounds/ --frontend logmel --set n_mels=128 -o features.npz"


def run(
    folder: Annotated[Path, typer.Argument(help="Folder of sounds, or folder with one folder of sounds for each class.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="NumPy file (.npz) to write.")],
    frontend: Annotated[
        str, typer.Option(help="Frontend: logmel, mfcc, cqt, ..., a preset, a model's name, or a JSON file.")
    ] = "logmel",
    settings: FrontendSettings = None,
    per: Annotated[
        Literal["window", "clip"], typer.Option(help="Cut clips into windows, or pad each clip to the longest.")
    ] = "window",
    hop: Annotated[
        float | None,
        typer.Option(help="Time between window starts (seconds); by default the frontend's own, or half a window."),
    ] = None,
    table: Annotated[Path | None, typer.Option(help="CSV table with the columns file and label, instead of folders.")] = None,
    dataset: Annotated[str, typer.Option(help="Layout of the folder: folder, esc10, urbansound8k, ...")] = "folder",
    options: DatasetOptions = None,
    jobs: Annotated[int, typer.Option(help="Number of threads; -1 is one for each core.")] = -1,
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
    on: On = LOCAL,
) -> None:
    """Compute the features of many sounds in parallel. A run that was interrupted continues where it stopped.

    The .npz file has the arrays `features`, `clip`, `start_s` and `end_s` (seconds), with an entry for each window; `files`,
    `labels` and `folds`, with an entry for each clip; and `frontend` (JSON). `clip` is the index of a window's clip.
    """
    from audiozoo.features import extract

    check_target(output)
    chosen = chosen_frontend(frontend, settings or ())
    data = _loose(folder) if dataset == "folder" and not table else None
    data = data or open_dataset(dataset, folder, table, options)
    if per == "clip":
        chosen = chosen.adapt(duration=_longest(data.clips, chosen.sample_rate))
    kept = "the features computed so far are in the cache, and the same command continues" if cache else "nothing was saved"
    with keeping(kept), progress_bar(frontend) as show:
        how: dict[str, Any] = {"hop": hop, "jobs": jobs, "cache": feature_cache(cache), "executor": piece_executor(on)}
        features = extract(data.clips, chosen, progress=show, **how)
    used = len(features.readable)
    if not used:
        features.raise_failures()
    written = _write(output, features, chosen, data, chosen.hop_samples(hop))
    out.print(f"saved {output} ({written[0]} windows of {' x '.join(map(str, written[1:]))} from {used} clips)", soft_wrap=True)
    report_failures(list(features.failures.values()), used=used)


def _loose(folder: Path) -> Dataset | None:
    """Return the sounds of a folder without class folders, as features need no labels; `None` if there are such folders."""
    from audiozoo import audio
    from audiozoo.datasets import Clip, Dataset

    sounds = audio.sounds_in(folder)
    if not sounds or any(path.parent != folder for path in sounds):
        return None
    return Dataset(name=folder.name, clips=tuple(Clip(str(path), ("",)) for path in sounds), labels=("",))


def _longest(clips: Sequence[Clip], sample_rate: int) -> float:
    from audiozoo.features.reading import measure_clip

    lengths = [size[0] for clip in clips if (size := measure_clip(clip))]
    if not lengths:
        raise ValueError(
            "--per clip needs the duration of the longest sound, but none of the sounds can be opened; "
            "run the command without --per clip to see why"
        )
    # Round as the resampler does; otherwise the longest clip could be a sample longer than the window and be cut into two.
    return math.floor(max(lengths) * sample_rate + 0.5 + 1e-6) / sample_rate


def _write(output: Path, features: Features, frontend: Frontend, data: Dataset, hop_samples: int) -> tuple[int, ...]:
    import numpy as np

    from audiozoo.audio import describe
    from audiozoo.files import replacing

    clips = [data.clips[i] for i in features.readable]
    begins = [features.begins(int(i), hop_samples) / frontend.sample_rate + data.clips[i].start for i in features.readable]
    index = np.concatenate([np.r_[features.windows(int(i))] for i in features.readable])
    # Avoid a copy where possible: it would double the memory, or load features that are memory-mapped from a pack.
    whole = len(index) == len(features.values) and bool((np.diff(index) == 1).all())
    starts = np.concatenate(begins)
    arrays: dict[str, Any] = {
        "features": features.values if whole else features.values[index],
        "clip": np.repeat(np.arange(len(clips)), [len(one) for one in begins]),
        "start_s": starts,
        "end_s": starts + frontend.duration,
        "files": np.array([describe(clip.path) for clip in clips]),
        "labels": np.array([clip.label for clip in clips]),
        "folds": np.array([-1 if clip.fold is None else clip.fold for clip in clips]),
        "frontend": np.array(json.dumps(frontend.to_config())),
    }
    with replacing(output) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return tuple(arrays["features"].shape)
