"""``audiozoo extract``: the features of a folder of sounds as one NumPy file."""

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
from audiozoo.files import check_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audiozoo.datasets import Clip, Dataset
    from audiozoo.features import Features, Frontend

EXAMPLE = "audiozoo extract sounds/ --frontend logmel --set n_mels=128 -o features.npz"


def run(
    folder: Annotated[Path, typer.Argument(help="A folder of sounds, or with one folder of them for each class.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the .npz file.")],
    frontend: Annotated[str, typer.Option(help="logmel, mfcc, cqt, ..., a preset, a model's, or a JSON file.")] = "logmel",
    settings: FrontendSettings = None,
    per: Annotated[
        Literal["window", "clip"], typer.Option(help="A row for each window, or one as long as the longest clip.")
    ] = "window",
    hop: Annotated[float | None, typer.Option(help="Seconds between windows; the front end's own, or half a window.")] = None,
    table: Annotated[Path | None, typer.Option(help="A CSV table with the columns file and label instead of folders.")] = None,
    dataset: Annotated[str, typer.Option(help="How the folder is laid out: folder, esc10, urbansound8k, ...")] = "folder",
    options: DatasetOptions = None,
    jobs: Annotated[int, typer.Option(help="Clips at a time; -1 is one for each core.")] = -1,
    cache: Annotated[bool, typer.Option(help=CACHE_HELP)] = True,
) -> None:
    """Compute features of many sounds in parallel; a run that was stopped goes on where it was.

    The file holds `features` (rows, ...), `clip` (which clip a row is of), `start_s` and `end_s` (seconds); `files`, `labels`
    and `folds` of the clips; and `frontend` (JSON).
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
        features = extract(data.clips, chosen, hop=hop, jobs=jobs, cache=feature_cache(cache), progress=show)
    used = len(features.readable)
    if not used:
        features.raise_failures()
    written = _write(output, features, chosen, data, chosen.step(hop))
    out.print(f"saved {output} ({written[0]} rows of {' x '.join(map(str, written[1:]))} from {used} clips)", soft_wrap=True)
    report_failures(list(features.failures.values()), used=used)


def _loose(folder: Path) -> Dataset | None:
    """Take the sounds of a folder without class folders: features need no labels."""
    from audiozoo import audio
    from audiozoo.datasets import Clip, Dataset

    sounds = audio.sounds_in(folder)
    if not sounds or any(path.parent != folder for path in sounds):
        return None
    return Dataset(name=folder.name, clips=tuple(Clip(str(path), ("",)) for path in sounds), labels=("",))


def _longest(clips: Sequence[Clip], sample_rate: int) -> float:
    from audiozoo.features.extract import measure_clip

    lengths = [size[0] for clip in clips if (size := measure_clip(clip))]
    if not lengths:
        raise ValueError(
            "none of the sounds can be opened, so there is no longest: see what `audiozoo extract` says without --per clip"
        )
    # Rounded as the resampler does, so that the longest clip is one window too.
    return math.floor(max(lengths) * sample_rate + 0.5 + 1e-6) / sample_rate


def _write(output: Path, features: Features, frontend: Frontend, data: Dataset, step: int) -> tuple[int, ...]:
    import numpy as np

    from audiozoo.audio import describe
    from audiozoo.files import replacing

    clips = [data.clips[i] for i in features.readable]
    begins = [features.begins(int(i), step) / frontend.sample_rate + data.clips[i].start for i in features.readable]
    rows = np.concatenate([np.r_[features.rows(int(i))] for i in features.readable])
    whole = len(rows) == len(features.values) and bool((np.diff(rows) == 1).all())
    starts = np.concatenate(begins)
    arrays: dict[str, Any] = {
        "features": features.values if whole else features.values[rows],
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
