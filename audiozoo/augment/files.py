"""Augmented copies of sound files, and a table of what was drawn for each."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from audiozoo import audio
from audiozoo.augment.compose import Compose
from audiozoo.augment.noise import AddNoise
from audiozoo.augment.recordings import fingerprint
from audiozoo.augment.spectrogram import require_waves
from audiozoo.augment.stretch import PitchShift, TimeStretch
from audiozoo.augment.transform import Drawn, Transform
from audiozoo.augment.waveform import Gain, TimeShift
from audiozoo.config import digest, revive
from audiozoo.files import checksum, replacing

TABLE = "augmentation.csv"
"""Name of the table beside the copies."""

GENTLE = Compose(
    [
        TimeStretch(rate=(0.9, 1.1), p=0.5),
        PitchShift(semitones=(-1.0, 1.0), p=0.5),
        TimeShift(shift=(-0.2, 0.2), p=0.5),
        AddNoise(snr_db=(15.0, 40.0), color=("white", "pink"), p=0.5),
        Gain(gain_db=(-6.0, 0.0)),
    ]
)
"""What is done to files if nobody says what: changes after which most sounds are still what they were."""


@dataclass(frozen=True)
class Source:
    """A sound file to copy.

    Args:
        path: Where it is.
        name: What it is called among the sources, as a relative path; its copies are named by it, and what is drawn for them
            depends on it.
        label: Its class, which `ByClass` looks at.
    """

    path: str
    name: str
    label: str


@dataclass(frozen=True)
class Copy:
    """A row of the table: an augmented copy.

    Args:
        file: Where it is, relative to the table.
        source: What it was made of.
        label: The class of both.
        copy: Its number, from 0.
        drawn: What was done: a list of transforms with the values drawn, JSON.
        key: A hash of the source's content, its class, the transform, the seed and the recordings used: what it depends on.
    """

    file: str
    source: str
    label: str
    copy: int
    drawn: str
    key: str


def find_sources(paths: Iterable[str | os.PathLike[str]], *, output: str | os.PathLike[str] | None = None) -> list[Source]:
    """Find sound files, and those in folders at any depth.

    A sound's class is the first folder below the one named, if it lies in one, and else the folder that it lies in itself. If
    several folders are named, their sounds' names begin with the folder's.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: No sounds, two whose copies would have the same name, or an output inside one of the folders: its copies
            would be sources the next time.
    """
    found: list[Source] = []
    given = list(map(Path, paths))
    several = sum(path.is_dir() for path in given) > 1
    for path in given:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if output is not None and path.is_dir() and Path(output).resolve().is_relative_to(path.resolve()):
            raise ValueError(f"{output}: lies in the folder {path} of the sounds to copy; choose one outside it")
        inside = (
            [(file, file.relative_to(path)) for file in audio.sounds_in(path)] if path.is_dir() else [(path, Path(path.name))]
        )
        for file, name in inside:
            label = name.parts[0] if len(name.parts) > 1 else file.resolve().parent.name
            name = path.resolve().name / name if several and path.is_dir() else name
            found.append(Source(str(file), name.as_posix(), label))
    if not found:
        raise ValueError(f"no sounds in {', '.join(map(str, given))}")
    counts = Counter(_stem(source) for source in found)
    if doubled := sorted(stem for stem, count in counts.items() if count > 1):
        raise ValueError(
            f"several sources are called {', '.join(doubled[:3])}, and so would be their copies: augment them one after the "
            "other, into different folders"
        )
    return found


def _stem(source: Source) -> str:
    return os.path.splitext(source.name)[0]


def read_transform(path: str | os.PathLike[str]) -> Transform:
    """Read a transform from a JSON file: what its `to_config` gave, or the `augment_wave` of a training recipe.

    Raises:
        ValueError: The file holds neither.
        OSError: It cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        value = revive(content.get("augment_wave", content) if isinstance(content, dict) else content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(value, Transform):
        raise ValueError(
            f'{path}: holds no transform; one is an object such as {{"class": "Gain", "gain_db": [-6, 6]}} or '
            '{"class": "Compose", "transforms": [...]}, or a recipe with augment_wave'
        )
    return value


def augment_files(
    sources: Sequence[Source],
    transform: Transform,
    folder: str | os.PathLike[str],
    *,
    copies: int = 1,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[int, int], Any] | None = None,
) -> tuple[list[Copy], list[str]]:
    """Write augmented copies of sound files, as WAV files of 32-bit floating point, which no loudness clips.

    A copy depends on its source, the source's name and class, its number, the seed, the transform and the recordings that it
    uses. Copies that are there already are not made again, so a run that was stopped goes on where it was.

    Args:
        sources: See `find_sources`.
        transform: What is done.
        folder: Where the copies go, in folders as the sources'; their table is `augmentation.csv` there.
        copies: For each source.
        seed: Of all that is drawn.
        jobs: Processes; -1 is one for each core.
        progress: Called with the sources done and all.

    Returns:
        The rows of these sources, and what went wrong with the sources that could not be read or changed.

    Raises:
        ValueError: Fewer than one copy, a transform of features, a copy that would replace a source, or a table in the folder
            that is another's.
        OSError: The folder cannot be written, or there is no folder of recordings that the transform names.
    """
    from joblib import Parallel, delayed

    if copies < 1:
        raise ValueError(f"copies must be at least 1, got {copies}")
    folder = Path(folder)
    require_waves(transform, "augment_files")
    _refuse_replacing(sources, folder, copies)
    changer = partial(_Changer, transform=transform, seed=seed, recordings=_recordings_of(transform))
    there = {row.file: row for row in read_table(folder) if (folder / row.file).is_file()}
    folder.mkdir(parents=True, exist_ok=True)
    tasks = (
        delayed(_copy_source)(changer(source), folder, [(file, there.get(file)) for file in _copies_of(source, copies)])
        for source in sources
    )
    rows, failures = [], []
    _write_table(folder, list(there.values()))
    with closing(Parallel(n_jobs=jobs, return_as="generator")(tasks)) as results:
        for done, (made, failure) in enumerate(results, 1):
            rows += made
            failures += failure
            _append_rows(folder, [row for row in made if there.get(row.file) != row])
            if progress:
                progress(done, len(sources))
    # Read again, as another run may have added its own meanwhile.
    current = {row.file: row for row in [*read_table(folder), *rows]}
    _write_table(folder, [current[file] for file in sorted(current)])
    return rows, failures


def _recordings_of(transform: Transform) -> list[str]:
    folders = [getattr(part, part.RECORDINGS) for part in transform.parts() if part.RECORDINGS]
    return [fingerprint(folder) for folder in folders if folder]


def _copies_of(source: Source, copies: int) -> list[str]:
    return [f"{_stem(source)}-{number}.wav" for number in range(copies)]


def _refuse_replacing(sources: Sequence[Source], folder: Path, copies: int) -> None:
    originals = {os.path.realpath(source.path) for source in sources}
    resolved = cache(os.path.realpath)  # of a folder's copies, the disk is asked for the folder once
    for source in sources:
        for file in _copies_of(source, copies):
            parent, name = os.path.split(folder / file)
            if os.path.join(resolved(parent), name) in originals:
                raise ValueError(
                    f"{folder / file}: a copy of {source.path} would replace this recording; choose another output folder"
                )


@dataclass(frozen=True, eq=False)
class _Changer:
    """What makes the copies of one source."""

    source: Source
    transform: Transform
    seed: int
    recordings: Sequence[str]

    @cached_property
    def key(self) -> str:
        return digest([checksum(self.source.path), self.source.label, self.transform.to_config(), self.seed, *self.recordings])

    @cached_property
    def sound(self) -> tuple[np.ndarray, int]:
        return audio.read(self.source.path)

    def copy(self, file: str, number: int) -> tuple[Copy, np.ndarray]:
        source, (wave, rate), drawn = self.source, self.sound, list[Drawn]()
        name = hashlib.sha256(os.fsencode(source.name)).hexdigest()
        seeds = (self.seed, number, int(name[:8], 16))
        changed = self.transform(wave, sample_rate=rate, label=source.label, rng=seeds, drawn=drawn)
        return Copy(file, source.path, source.label, number, json.dumps(drawn), self.key), changed


def _copy_source(changer: _Changer, folder: Path, files: Sequence[tuple[str, Copy | None]]) -> tuple[list[Copy], list[str]]:
    made: list[Copy] = []
    for number, (file, there) in enumerate(files):
        try:
            if there and there.key == changer.key:
                made.append(replace(there, source=changer.source.path))
                continue
            copy, wave = changer.copy(file, number)
        except (OSError, ValueError) as error:
            return made, [audio.explain(changer.source.path, error)]
        # Not among what is told of a source and left: where one copy cannot be written, none can.
        write_wave(folder / file, wave, changer.sound[1])
        made.append(copy)
    return made, []


def write_wave(path: Path, wave: np.ndarray, sample_rate: int) -> None:
    """Write a WAV file of 32-bit floating point, whole or not at all."""
    from scipy.io import wavfile

    # libsndfile would write the time into such a file, and the same samples would not be the same bytes.
    with replacing(path) as temporary:
        wavfile.write(temporary, sample_rate, np.ascontiguousarray(wave))


_COLUMNS = [field.name for field in fields(Copy)]


def read_table(folder: Path) -> list[Copy]:
    """Read the rows of a folder's table that are whole; the last one of a run that was killed may not be."""
    if not (folder / TABLE).is_file():
        return []
    try:
        with _opened(folder / TABLE, "r") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if list(row) == _COLUMNS and len(row["key"] or "") == 16]
            if reader.fieldnames != _COLUMNS:
                raise ValueError(f"its columns are {', '.join(reader.fieldnames or ['none'])}")
            return [Copy(**{**row, "copy": int(row["copy"])}) for row in rows]  # type: ignore[arg-type]
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"{folder / TABLE}: is no table of copies ({error}); move it away, or choose another output folder"
        ) from error


def _opened(path: Path, mode: str) -> IO[str]:
    # Names of files may be bytes that are no text.
    return open(path, mode, encoding="utf-8", errors="surrogateescape", newline="")


def _write_table(folder: Path, rows: Sequence[Copy]) -> None:
    with replacing(folder / TABLE) as temporary, _opened(temporary, "w") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def _append_rows(folder: Path, rows: Sequence[Copy]) -> None:
    # At once, so that a run that is killed finds them; the whole table is written at the end.
    with _opened(folder / TABLE, "a") as file:
        csv.DictWriter(file, _COLUMNS).writerows(map(asdict, rows))
