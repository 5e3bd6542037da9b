"""Augmented copies of sound files, with a table of the values drawn for each copy."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import IO

import numpy as np

from audiozoo import audio
from audiozoo.augment.compose import Compose
from audiozoo.augment.noise import AddNoise
from audiozoo.augment.recordings import fingerprint
from audiozoo.augment.spectrogram import require_waves
from audiozoo.augment.stretch import PitchShift, TimeStretch
from audiozoo.augment.transform import Drawn, Transform
from audiozoo.augment.waveform import Gain, TimeShift
from audiozoo.checks import require_count
from audiozoo.config import digest, revive
from audiozoo.files import checksum, replacing
from audiozoo.pieces import LocalPieces, PieceExecutor
from audiozoo.progress import Progress

TABLE = "augmentation.csv"
"""File name of the table, which is written into the folder of the copies."""

GENTLE = Compose(
    [
        TimeStretch(rate=(0.9, 1.1), p=0.5),
        PitchShift(semitones=(-1.0, 1.0), p=0.5),
        TimeShift(shift=(-0.2, 0.2), p=0.5),
        AddNoise(snr_db=(15.0, 40.0), color=("white", "pink"), p=0.5),
        Gain(gain_db=(-6.0, 0.0)),
    ]
)
"""The default transform for files: changes that keep the class of most sounds."""


@dataclass(frozen=True)
class Source:
    """A sound file to augment.

    Args:
        path: Path of the file.
        name: Relative path that identifies the source. It determines the names of the copies and seeds their draws.
        label: Class of the sound, for `ByClass`.
    """

    path: str
    name: str
    label: str


@dataclass(frozen=True)
class Copy:
    """An augmented copy, which is one line of the table.

    Args:
        file: Path of the copy, relative to the table.
        source: Path of the source.
        label: Class of the source and the copy.
        copy: Number of the copy, from 0.
        drawn: JSON list of the changes made, each with the values drawn.
        key: Hash of everything that the copy depends on: the source's content and class, the transform, the seed and the
            recordings used.
    """

    file: str
    source: str
    label: str
    copy: int
    drawn: str
    key: str


def find_sources(paths: Iterable[str | os.PathLike[str]], *, output: str | os.PathLike[str] | None = None) -> list[Source]:
    """Find the sound files among `paths` and in the folders among them, at any depth.

    The class of a sound is the name of the first folder below the given folder, or of the folder that contains the sound if
    there is none between them. If several folders are given, the names of the sources start with the name of their folder.

    Args:
        paths: Sound files and folders.
        output: Folder for the copies, which must not be inside one of `paths`: the next run would take the copies for sources.

    Returns:
        The sources, in the order of `paths`.

    Raises:
        FileNotFoundError: A file or folder does not exist.
        ValueError: There are no sounds, the copies of two sources would have the same name, or `output` is inside one of the
            folders.
    """
    found: list[Source] = []
    given = list(map(Path, paths))
    several = sum(path.is_dir() for path in given) > 1
    for path in given:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        if output is not None and path.is_dir() and Path(output).resolve().is_relative_to(path.resolve()):
            raise ValueError(f"{output}: is inside {path}, the folder of the sounds to augment; choose a folder outside of it")
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
            f"several sources have the name {', '.join(doubled[:3])}, so their copies would have the same names: augment them "
            "in separate runs, into different folders"
        )
    return found


def _stem(source: Source) -> str:
    return os.path.splitext(source.name)[0]


def read_transform(path: str | os.PathLike[str]) -> Transform:
    """Read a transform from a JSON file, which holds the output of `to_config` or a training recipe with `augment_wave`.

    Raises:
        ValueError: The file contains neither.
        OSError: The file cannot be read.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        value = revive(content.get("augment_wave", content) if isinstance(content, dict) else content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(value, Transform):
        raise ValueError(
            f'{path}: contains no transform; write an object such as {{"class": "Gain", "gain_db": [-6, 6]}} or '
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
    progress: Progress | None = None,
    executor: PieceExecutor | None = None,
) -> tuple[list[Copy], list[str]]:
    """Write augmented copies of sound files, as 32-bit floating-point WAV files, which do not clip loud samples.

    A copy depends only on the content, name and class of its source, its number, the seed, the transform and the recordings
    that the transform uses. Existing copies are not written again, so an interrupted run continues where it stopped.

    Args:
        sources: Sounds to augment, from `find_sources`.
        transform: Transform of waveforms.
        folder: Folder for the copies and their table `augmentation.csv`. The copies keep the subfolders of their sources.
        copies: Number of copies of each source.
        seed: Random seed.
        jobs: Number of processes; -1 starts one per core.
        progress: Callback, see `audiozoo.progress`; the stage is "copies" and a step is a source.
        executor: Executor that writes the copies, such as `audiozoo.scale.RayPieces`; `None` uses processes.

    Returns:
        The copies of these sources, and one message for each source that could not be read or transformed.

    Raises:
        ValueError: `copies` is less than 1, the transform changes features, a copy would replace a source, or the folder
            contains an `augmentation.csv` that this function did not write.
        OSError: The folder cannot be written, or the transform uses a folder of recordings that does not exist.
    """
    require_count("copies", copies, 1)
    folder = Path(folder)
    require_waves(transform, "augment_files")
    _refuse_replacing(sources, folder, copies)
    changer = partial(_Changer, transform=transform, seed=seed, recordings=_recordings_of(transform))
    there = {row.file: row for row in read_table(folder) if (folder / row.file).is_file()}
    folder.mkdir(parents=True, exist_ok=True)
    tasks = ((changer(source), [(file, there.get(file)) for file in _copies_of(source, copies)]) for source in sources)
    work = (executor or LocalPieces(jobs)).mapped(partial(_copy_source, folder=folder), tasks)
    rows, failures = [], []
    _write_table(folder, list(there.values()))
    with closing(work) as results:
        for done, (made, failure) in enumerate(results, 1):
            rows += made
            failures += failure
            _append_rows(folder, [row for row in made if there.get(row.file) != row])
            if progress:
                progress("copies", done, len(sources), {})
    # Another run may have added its copies to the table in the meantime, so read it again.
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
    resolved = cache(os.path.realpath)  # one system call per folder instead of one per copy
    for source in sources:
        for file in _copies_of(source, copies):
            parent, name = os.path.split(folder / file)
            if os.path.join(resolved(parent), name) in originals:
                raise ValueError(
                    f"{folder / file}: a copy of {source.path} would overwrite this source; choose another output folder"
                )


@dataclass(frozen=True, eq=False)
class _Changer:
    """Makes the copies of one source."""

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


_Task = tuple[_Changer, Sequence[tuple[str, Copy | None]]]
"""A source, and the files of its copies with what the table says of those that are there."""


def _copy_source(task: _Task, folder: Path) -> tuple[list[Copy], list[str]]:
    changer, files = task
    made: list[Copy] = []
    for number, (file, there) in enumerate(files):
        try:
            if there and there.key == changer.key:
                made.append(replace(there, source=changer.source.path))
                continue
            copy, wave = changer.copy(file, number)
        except (OSError, ValueError) as error:
            return made, [audio.explain(changer.source.path, error)]
        # Outside of the try block: if one copy cannot be written, the others cannot either, so the run stops.
        write_wave(folder / file, wave, changer.sound[1])
        made.append(copy)
    return made, []


def write_wave(path: Path, wave: np.ndarray, sample_rate: int) -> None:
    """Write a 32-bit floating-point WAV file atomically.

    Args:
        path: Path of the file.
        wave: Waveform ``(samples,)`` or ``(samples, channels)``.
        sample_rate: Sample rate (Hz).
    """
    from scipy.io import wavfile

    # libsndfile writes the current time into such files, so the same samples would not give the same bytes.
    with replacing(path) as temporary:
        wavfile.write(temporary, sample_rate, np.ascontiguousarray(wave))


_COLUMNS = [field.name for field in fields(Copy)]


def read_table(folder: Path) -> list[Copy]:
    """Read the table of a folder. An incomplete line, which a killed run leaves behind, is skipped."""
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
            f"{folder / TABLE}: is not a table of augmented copies ({error}); move it away or choose another output folder"
        ) from error


def _opened(path: Path, mode: str) -> IO[str]:
    # File names may contain bytes that are not valid UTF-8.
    return open(path, mode, encoding="utf-8", errors="surrogateescape", newline="")


def _write_table(folder: Path, rows: Sequence[Copy]) -> None:
    with replacing(folder / TABLE) as temporary, _opened(temporary, "w") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def _append_rows(folder: Path, rows: Sequence[Copy]) -> None:
    # Append at once, so that the next run finds these copies even if this one is killed before it writes the whole table.
    with _opened(folder / TABLE, "a") as file:
        csv.DictWriter(file, _COLUMNS).writerows(map(asdict, rows))
