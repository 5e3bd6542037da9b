"""Sound files: whole, in part, or piece by piece."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from audiozoo.audio.waves import RESAMPLING, conform, is_sound

Source = str | os.PathLike[str] | bytes | IO[bytes]
_BLOCK = 2**20
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64")
"""Files that count as sounds, in capitals too."""

_CUT_SHORT = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


def describe(source: Source) -> str:
    """Name a source in an error message: its path, or how many bytes it is."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, bytes):
        return f"<{len(source)} bytes in memory>"
    return str(getattr(source, "name", source))


def explain(source: Source, error: Exception) -> str:
    """Say what an error says, and of which source."""
    name, text = describe(source), str(error)
    return text if name in text else f"{name}: {text}"


def is_sound_file(path: Path) -> bool:
    """Say whether a path looks like a sound, by its ending; hidden files are none."""
    return path.suffix.lower() in SOUND_SUFFIXES and not path.name.startswith(".")


def sounds_in(folder: str | os.PathLike[str]) -> list[Path]:
    """List the files in a folder, at any depth, that look like sounds, sorted."""
    return [path for path in sorted(Path(folder).rglob("*")) if is_sound_file(path)]


def read(source: Source, *, start: float = 0.0, end: float | None = None) -> tuple[np.ndarray, int]:
    """Read a sound file that soundfile opens (WAV, FLAC, Ogg, MP3, AIFF, ...), whole or in part.

    Args:
        source: A path, the bytes of a file, or a binary file object.
        start: Where to begin, in seconds.
        end: Where to stop, in seconds; `None` or beyond the file's end means its end.

    Returns:
        The waveform, float32 ``(samples,)`` or ``(samples, channels)``, and its sample rate in Hz.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is empty, is no sound that soundfile reads, was cut short, holds no samples in the span asked
            for, or holds NaN or infinity. A WAV, AIFF or FLAC file cut short is always found; of other formats cut short,
            such as Ogg and MP3, what is left is read if any sound is left.
    """
    name = describe(source)
    _check_span(name, start, end)
    with _opened(source) as file:
        _refuse_cut(file, name)
        return _read_span(file, name, start, end), file.samplerate


def _check_span(name: str, start: float, end: float | None) -> None:
    if not 0 <= start < (np.inf if end is None else end):
        raise ValueError(f"{name}: a span needs 0 <= start < end in seconds, got start={start} and end={end}")


def measure(source: Source) -> tuple[float, int, int]:
    """Read from a file's header how long it is.

    Returns:
        Seconds, sample rate in Hz, and channels.

    Raises:
        FileNotFoundError, ValueError: As for `read`, as far as the header shows it.
    """
    with _opened(source) as file:
        return file.frames / file.samplerate, file.samplerate, file.channels


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    import soundfile

    name = describe(source)
    try:
        with soundfile.SoundFile(_openable(source, name)) as file:
            yield file
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"{name}: not a sound file that libsndfile reads, or damaged ({str(error).rstrip('.')}). "
            "Convert it to WAV, FLAC, Ogg or MP3 first."
        ) from error


def _openable(source: Source, name: str) -> str | bytes | IO[bytes]:
    if isinstance(source, bytes):
        if not source:
            raise ValueError(f"{name}: the file is empty (0 bytes)")
        return io.BytesIO(source)
    if not isinstance(source, (str, os.PathLike)):
        return source
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{name}: no such file")
    if path.is_dir():
        raise ValueError(f"{name}: expected a sound file, got a folder")
    if path.stat().st_size == 0:
        raise ValueError(f"{name}: the file is empty (0 bytes)")
    return str(path) if os.name == "nt" else os.fsencode(path)  # a name need not be text


def _refuse_cut(file: Any, name: str) -> None:
    # libsndfile silently shortens a WAV or AIFF whose header promises more than the file holds; only its log says so.
    # Streamed files carry a header of "unknown length" (all ones), which is no cut.
    for promised, held in _CUT_SHORT.findall(file.extra_info):
        if int(held) < int(promised) < 2**31 - 4096:
            raise ValueError(f"{name}: cut short, the header promises {promised} bytes and {held} are there")


def _read_span(file: Any, name: str, start: float, end: float | None) -> np.ndarray:
    blocks = list(_blocks(file, name, start, end))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _blocks(file: Any, name: str, start: float, end: float | None) -> Iterator[np.ndarray]:
    """Yield a span piece by piece, never nothing: a header may claim any length, and what is allocated is what is there."""
    first = round(start * file.samplerate)
    stop = file.frames if end is None else min(round(end * file.samplerate), file.frames)
    if stop <= first:
        raise ValueError(
            f"{name}: no samples between {start} s and {'the end' if end is None else f'{end} s'}; "
            f"the file lasts {file.frames / file.samplerate:.3f} s"
        )
    _skip(file, first)
    for begin in range(first, stop, _BLOCK):
        block = file.read(min(stop - begin, _BLOCK), dtype="float32")
        if not len(block):
            if begin == first:
                raise ValueError(f"{name}: cut short, no sound could be decoded from it")
            return
        if not is_sound(block):
            raise ValueError(f"{name}: holds NaN, infinity or absurdly large samples; write the file again from clean ones")
        yield block


def _skip(file: Any, samples: int) -> None:
    if file.format != "MP3":
        file.seek(samples)
        return
    # An MP3 frame borrows bits from those before it: after a seek the first ones decode to nothing, so a second before them is
    # decoded too. And soundfile seeks after each read, if it can, to where it is already.
    before = min(samples, file.samplerate)
    file.seek(samples - before)
    file.seekable = lambda: False
    file.read(before, dtype="float32")


def stream(
    source: Source, *, sample_rate: int, channels: int = 1, start: float = 0.0, end: float | None = None
) -> Iterator[np.ndarray]:
    """Read a file piece by piece at a rate and a number of channels, in memory that does not grow with its length.

    Args:
        source: As for `read`.
        sample_rate: Wanted, Hz.
        channels: Wanted; see `set_channels`.
        start, end: In seconds, as for `read`.

    Yields:
        Pieces, float32 ``(samples,)`` or ``(samples, channels)``; put together they are what `load` returns, bit for bit.

    Raises:
        FileNotFoundError, ValueError: As for `read` and `conform`.
    """
    name = describe(source)
    _check_span(name, start, end)
    with _opened(source) as file:
        _refuse_cut(file, name)
        blocks = _blocks(file, name, start, end)
        first, second = next(blocks), next(blocks, None)
        if second is None:
            yield conform(first, file.samplerate, sample_rate=sample_rate, channels=channels, name=name)
            return
        same_rate = {"sample_rate": file.samplerate, "channels": channels, "name": name}
        mixed = (conform(block, file.samplerate, **same_rate) for block in chain([first, second], blocks))
        yield from mixed if file.samplerate == sample_rate else _resampled(mixed, file.samplerate, sample_rate, channels)


def _resampled(blocks: Iterator[np.ndarray], orig_rate: float, target_rate: float, channels: int) -> Iterator[np.ndarray]:
    import soxr

    resampler = soxr.ResampleStream(orig_rate, target_rate, channels, dtype="float32", quality=RESAMPLING)
    for block, following in pairwise(chain(blocks, [None])):
        yield resampler.resample_chunk(block, last=following is None)


def load(source: Source, *, sample_rate: int, channels: int = 1, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """Read a file and bring it to a rate and a number of channels; see `read`, `set_channels`, `resample`.

    Returns:
        float32 ``(samples,)``, or ``(samples, channels)`` for more than one channel.
    """
    blocks = list(stream(source, sample_rate=sample_rate, channels=channels, start=start, end=end))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
