"""FSDKaggle2018, the data of the DCASE 2018 challenge, task 2: sounds of Freesound with 41 labels of AudioSet's ontology.

Source: E. Fonseca and others, "General-purpose Tagging of Freesound Audio with AudioSet Labels: Task Description, Dataset,
and Baseline", DCASE Workshop 2018, arXiv:1807.09902. Archives: https://zenodo.org/record/2552860, the parts `audio_train`,
`audio_test` and `meta`; or, without the labels of its test sounds, Kaggle's competition freesound-audio-tagging.
Licences: each sound its own, CC0, CC BY or CC BY-NC, in the tables of the `meta` archive.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from audiozoo.checks import require_choice
from audiozoo.datasets.table import Clip, Dataset, register_dataset
from audiozoo.datasets.unpacked import as_published, find_table, read_table, require_sounds

_FOLDERS = ("FSDKaggle2018.meta/", "meta/", "")
_TRAIN = (*(f"{folder}train_post_competition.csv" for folder in _FOLDERS), "train.csv")
_TEST = tuple(f"{folder}test_post_competition{which}.csv" for which in ("_scoring_clips", "") for folder in _FOLDERS)
_HEADER = 44  # bytes: a WAV file with nothing in it
_USAGES: dict[str, tuple[str, ...]] = {"all": ("Public", "Private"), "public": ("Public",), "private": ("Private",)}


@register_dataset
def freesound2018(
    root: str | os.PathLike[str] | None,
    *,
    verified_only: bool = False,
    unverified_weight: float = 1.0,
    usage: Literal["all", "public", "private"] = "all",
) -> Dataset:
    """Read FSDKaggle2018: 9,473 clips to learn from and 1,600 to test on (16-bit mono, 44.1 kHz, 0.3 to 30 s), 41 classes.

    There is one fold, the published test set. Without the table of its labels, as Kaggle gives the data, there is none: see
    `Dataset.with_folds`. The measure is the mean average precision at three answers. A clip's group is its sound on
    Freesound, where the table names it.

    Args:
        root: The unpacked archives, Zenodo's (`FSDKaggle2018.meta/`, `FSDKaggle2018.audio_train/`,
            `FSDKaggle2018.audio_test/`) or Kaggle's (`train.csv`, `audio_train/`, and with the table
            `test_post_competition.csv` beside it `audio_test/`).
        verified_only: Learn only from the 3,710 clips whose label was verified by hand; of the others, the publishers expect
            at least 65 to 70 % of each class to be right.
        unverified_weight: Weight in training of clips whose label was not verified.
        usage: Which test clips to keep: "public" were scored during the competition, "private" at its end.

    Raises:
        FileNotFoundError: A table or some of the sounds are missing.
        ValueError: A table lacks a column, or an option is not as said here.
    """
    _check(verified_only, unverified_weight, usage)
    base, table = find_table(root, _TRAIN, name="FSDKaggle2018", inside=("FSDKaggle2018",))
    rows = read_table(table, ("fname", "label", "manually_verified"), name="FSDKaggle2018")
    folder = _audio(base, "audio_train")
    train = [
        _clip(folder, row, None, 1.0 if row["manually_verified"] == "1" else unverified_weight)
        for row in rows
        if not verified_only or row["manually_verified"] == "1"
    ]
    test, missing = _test_clips(base, usage)
    require_sounds([*train, *test], f"unpack the archives of https://zenodo.org/record/2552860 into {base}")
    kept, passed = _with_sound([*train, *test])
    clips, shared = as_published(kept)
    return Dataset(
        name="freesound2018",
        clips=clips,
        labels=tuple(sorted({row["label"] for row in rows})),
        metric="map@3",
        licence="; ".join(sorted({clip.licence for clip in clips} - {""})),
        notes=missing + passed + shared,
    )


def _check(verified_only: object, unverified_weight: object, usage: str) -> None:
    if not isinstance(verified_only, bool):
        raise ValueError(f"verified_only must be true or false, got {verified_only!r}")
    if not isinstance(unverified_weight, (int, float)) or unverified_weight < 0:
        raise ValueError(f"unverified_weight must be a number of at least 0, got {unverified_weight!r}")
    require_choice("usage", usage, _USAGES)


def _audio(base: Path, name: str) -> Path:
    published = base / f"FSDKaggle2018.{name}"
    return published if published.is_dir() else base / name


def _clip(folder: Path, row: dict[str, str], fold: int | None, weight: float) -> Clip:
    return Clip(
        path=str(folder / row["fname"]),
        labels=(row["label"],),
        fold=fold,
        group=row.get("freesound_id") or None,
        weight=weight,
        licence=row.get("license") or "",
    )


def _test_clips(base: Path, usage: str) -> tuple[list[Clip], tuple[str, ...]]:
    try:
        _, table = find_table(base, _TEST, name="FSDKaggle2018's meta archive")
    except FileNotFoundError:
        if usage != "all":
            raise
        return [], ("the test sounds have no labels here, so there is no official split; they are in Zenodo's meta archive",)
    rows = read_table(table, ("fname", "label", "usage"), name="FSDKaggle2018's test sounds")
    folder = _audio(base, "audio_test")
    # Kaggle's test folder is mostly padding that was never scored; the longer table lists it with another usage.
    return [_clip(folder, row, 1, 1.0) for row in rows if row["usage"] in _USAGES[usage]], ()


def _with_sound(clips: Sequence[Clip]) -> tuple[list[Clip], tuple[str, ...]]:
    empty = [clip for clip in clips if os.path.getsize(clip.path) <= _HEADER]
    note = f"{len(empty)} file(s) with nothing in them passed over: {', '.join(Path(str(c.path)).name for c in empty[:5])}"
    return [clip for clip in clips if clip not in empty], (note,) if empty else ()
