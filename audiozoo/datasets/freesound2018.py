"""FSDKaggle2018, the dataset of DCASE 2018 task 2: Freesound clips with 41 labels of the AudioSet ontology.

Source: E. Fonseca et al., "General-purpose Tagging of Freesound Audio with AudioSet Labels: Task Description, Dataset,
and Baseline", DCASE Workshop 2018, arXiv:1807.09902. Archives: `audio_train`, `audio_test` and `meta` at
https://zenodo.org/record/2552860; or, without the labels of the test clips, the Kaggle competition freesound-audio-tagging.
Licences: one for each sound (CC0, CC BY or CC BY-NC), in the tables of the `meta` archive.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from audiozoo.checks import require_choice
from audiozoo.datasets.clip import Clip
from audiozoo.datasets.sources import source_of
from audiozoo.datasets.table import Dataset, register_dataset
from audiozoo.datasets.unpacked import as_published, find_table, read_table, require_sounds

# Zenodo's archive, its content alone, and Kaggle's layout. The tables from after the competition come first: they also have the
# licences and the Freesound identifiers.
_FOLDERS = ("FSDKaggle2018.meta/", "meta/", "")
_TRAIN = (*(f"{folder}train_post_competition.csv" for folder in _FOLDERS), "train.csv")
_TEST = tuple(f"{folder}test_post_competition{which}.csv" for which in ("_scoring_clips", "") for folder in _FOLDERS)
_HEADER = 44  # Size of a WAV file without samples (bytes).
_USAGES: dict[str, tuple[str, ...]] = {"all": ("Public", "Private"), "public": ("Public",), "private": ("Private",)}


@register_dataset
def freesound2018(
    root: str | os.PathLike[str] | None,
    *,
    verified_only: bool = False,
    unverified_weight: float = 1.0,
    usage: Literal["all", "public", "private"] = "all",
) -> Dataset:
    """Read FSDKaggle2018: 9,473 training clips and 1,600 test clips (16-bit mono, 44.1 kHz, 0.3 to 30 s), 41 classes.

    There is one fold, the published test set. The data from Kaggle lack the labels of the test clips and have no fold;
    `Dataset.with_folds` makes some. The metric is MAP@3. The group of a clip is its Freesound recording, if the table names it.

    Args:
        root: Folder of the unpacked archives, either Zenodo's (`FSDKaggle2018.meta/`, `FSDKaggle2018.audio_train/`,
            `FSDKaggle2018.audio_test/`) or Kaggle's (`train.csv`, `audio_train/`, and optionally `audio_test/` with the table
            `test_post_competition.csv`).
        verified_only: Whether to train only on the 3,710 clips with a manually verified label. The publishers expect 65 to
            70 % correct labels or more in each class of the other clips.
        unverified_weight: Training weight of clips without a verified label.
        usage: Test clips to keep: "public" (scored during the competition), "private" (scored at its end) or "all".

    Returns:
        The dataset "freesound2018". `notes` names files without samples, which it leaves out.

    Raises:
        FileNotFoundError: A table or a sound is missing.
        ValueError: A table lacks a column, or an option has a wrong type or value.
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
        metric=source_of("freesound2018").metric,
        licence="; ".join(sorted({clip.licence for clip in clips} - {""})),
        notes=missing + passed + shared,
    )


def _check(verified_only: object, unverified_weight: object, usage: str) -> None:
    # Options from the command line arrive as JSON values, so their types need a check.
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
        return [], ("the test clips have no labels and there is no official split; the labels are in Zenodo's meta archive",)
    rows = read_table(table, ("fname", "label", "usage"), name="FSDKaggle2018's test sounds")
    folder = _audio(base, "audio_test")
    # Most of Kaggle's test clips are padding that was never scored; the longer table lists them with another usage.
    return [_clip(folder, row, 1, 1.0) for row in rows if row["usage"] in _USAGES[usage]], ()


def _with_sound(clips: Sequence[Clip]) -> tuple[list[Clip], tuple[str, ...]]:
    empty = [clip for clip in clips if os.path.getsize(clip.path) <= _HEADER]
    note = f"skipped {len(empty)} file(s) without samples: {', '.join(Path(str(c.path)).name for c in empty[:5])}"
    return [clip for clip in clips if clip not in empty], (note,) if empty else ()
