"""Functions that read sound files: whole, in part, or piece by piece."""

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

from audiozoo.audio.bounds import check_channels, check_rate, check_upsampling
from audiozoo.audio.waves import LOUDEST, RESAMPLING, check_wave, conform, is_sound

Source = str | os.PathLike[str] | bytes | IO[bytes]

# Samples held at a time, in all channels together, before and after resampling (4 MB as float32).
_BLOCK = 2**20

SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64")
"""Suffixes of the files that `sounds_in` lists, in lower or upper case."""

_CUT_SHORT = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


def describe(source: Source) -> str:
    """Return the name of a source for an error message: its path, or its number of bytes."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, bytes):
        return f"<{len(source)} bytes in memory>"
    return str(getattr(source, "name", source))


def explain(source: Source, error: Exception) -> str:
    """Return the text of an error, with the name of the source in it."""
    name, text = describe(source), str(error)
    return text if name in text else f"{name}: {text}"


def is_sound_file(path: Path) -> bool:
    """Return whether a path has the suffix of a sound file and is not hidden."""
    return path.suffix.lower() in SOUND_SUFFIXES and not path.name.startswith(".")


def sounds_in(folder: str | os.PathLike[str]) -> list[Path]:
    """List the sound files in a folder and its subfolders, sorted by path; see `is_sound_file`."""
    return [path for path in sorted(Path(folder).rglob("*")) if is_sound_file(path)]


def read(source: Source, *, start: float = 0.0, end: float | None = None) -> tuple[np.ndarray, int]:
    """Read a sound file that libsndfile opens (WAV, FLAC, Ogg, MP3, AIFF, ...), whole or in part.

    Args:
        source: Path, content (bytes) or binary file object.
        start: Start of the span to read (seconds).
        end: End of the span (seconds); `None`, or a time beyond the end of the file, means the end of the file.

    Returns:
        The waveform, float32 ``(samples,)`` or ``(samples, channels)``, and its sample rate in Hz.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is empty, is not a sound file that libsndfile reads, is cut short, states a sample rate or a
            number of channels out of bounds (see `check_rate`, `check_channels`), has no samples in the span, or contains
            NaN or infinity. A truncated WAV, AIFF or FLAC file always raises; of a truncated file in another format, such
            as Ogg or MP3, the remaining sound is read.
    """
    name = describe(source)
    _check_span(name, start, end)
    with _opened(source) as file:
        _refuse_cut(file, name)
        blocks = list(_blocks(file, name, start=start, end=end, size=_block_size(file)))
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), file.samplerate


def _check_span(name: str, start: float, end: float | None) -> None:
    if not 0 <= start < (np.inf if end is None else end):
        raise ValueError(f"{name}: a span needs 0 <= start < end (seconds), got start={start} and end={end}")


def measure(source: Source) -> tuple[float, int, int]:
    """Read the duration of a sound file from its header.

    A damaged header may state a longer duration than the file has; only `read` detects that.

    Returns:
        The duration in seconds, the sample rate in Hz, and the number of channels.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The header cannot be read, or states values out of bounds; see `read`.
    """
    with _opened(source) as file:
        return file.frames / file.samplerate, file.samplerate, file.channels


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    import soundfile

    name = describe(source)
    try:
        with soundfile.SoundFile(_openable(source, name)) as file:
            check_rate(file.samplerate, name=name)
            check_channels(file.channels, name=name)
            yield file
    except soundfile.LibsndfileError as error:
        raise ValueError(
            f"{name}: not a sound file that libsndfile reads, or damaged ({error.error_string.rstrip('.')}). "
            "Convert it to WAV, FLAC, Ogg or MP3 first."
        ) from error


def _openable(source: Source, name: str) -> str | bytes | IO[bytes]:
    if isinstance(source, (str, os.PathLike)):
        return _openable_path(Path(source), name)
    if isinstance(source, bytes) and not source:
        raise ValueError(f"{name}: the file is empty (0 bytes)")
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    _refuse_unreadable(file, name)
    return file


def _openable_path(path: Path, name: str) -> str | bytes:
    if not path.exists():
        raise FileNotFoundError(f"{name}: no such file")
    if path.is_dir():
        raise ValueError(f"{name}: expected a sound file, got a folder")
    if path.stat().st_size == 0:
        raise ValueError(f"{name}: the file is empty (0 bytes)")
    with open(path, "rb") as file:
        _refuse_unreadable(file, name)
    return str(path) if os.name == "nt" else os.fsencode(path)  # a file name need not be valid text


def _refuse_unreadable(file: IO[bytes], name: str) -> None:
    # soundfile treats any file with this suffix as headerless samples, and raises a TypeError that asks for their format.
    if name.lower().endswith(".raw"):
        raise ValueError(f"{name}: a RAW file states neither its sample rate nor its format; convert it to WAV first")
    # libsndfile prints problems in a MIDI sample dump to standard output, into the output of the program.
    place = file.tell()
    begin = file.read(2)
    file.seek(place)
    if begin == b"\xf0\x7e":
        raise ValueError(f"{name}: a MIDI sample dump (SDS) is not read; convert it to WAV first")


def _refuse_cut(file: Any, name: str) -> None:
    # libsndfile silently shortens a WAV or AIFF whose header promises more than the file holds; only its log says so.
    # A program that writes to a pipe cannot know the length and states the maximum instead; such a file is complete.
    for promised, held in _CUT_SHORT.findall(file.extra_info):
        if int(held) < int(promised) < 2**31 - 4096:
            raise ValueError(f"{name}: cut short, the header states {promised} bytes and the file has {held}")


def _block_size(file: Any, *, sample_rate: float | None = None, channels: int = 1) -> int:
    """Return the number of samples per channel to read at a time, so that `_BLOCK` holds before and after resampling."""
    growth = 1.0 if sample_rate is None else max(1.0, sample_rate / file.samplerate)
    return max(1, int(_BLOCK / max(file.channels, channels * growth)))


def _blocks(file: Any, name: str, *, start: float, end: float | None, size: int) -> Iterator[np.ndarray]:
    """Yield a span in blocks of `size` samples, at least one block.

    A header may state any length, so memory is not allocated according to it.
    """
    first = round(start * file.samplerate)
    stop = file.frames if end is None else min(round(end * file.samplerate), file.frames)
    if stop <= first:
        raise ValueError(
            f"{name}: no samples between {start} s and {'the end' if end is None else f'{end} s'}; "
            f"the file lasts {file.frames / file.samplerate:.3f} s"
        )
    _skip(file, first)
    for begin in range(first, stop, size):
        block = file.read(min(stop - begin, size), dtype="float32")
        if not len(block):
            if begin == first:
                raise ValueError(f"{name}: cut short, no sound can be decoded from it")
            return
        yield _checked(block, name)


def _checked(block: np.ndarray, name: str) -> np.ndarray:
    if not is_sound(block):
        raise ValueError(
            f"{name}: contains NaN, infinity or samples of magnitude {LOUDEST:g} and more; "
            "write the file again from clean samples"
        )
    return block


def _skip(file: Any, samples: int) -> None:
    if file.format != "MP3":
        file.seek(samples)
        return
    # An MP3 frame uses bits of the frames before it. After a seek the first frames decode to silence, so decoding starts one
    # second early. soundfile also seeks to the current position after each read, unless the file seems not seekable.
    before = min(samples, file.samplerate)
    file.seek(samples - before)
    file.seekable = lambda: False
    file.read(before, dtype="float32")


def stream(
    source: Source, *, sample_rate: int, channels: int = 1, start: float = 0.0, end: float | None = None
) -> Iterator[np.ndarray]:
    """Read a sound file piece by piece, resampled and mixed down.

    The memory in use depends neither on the length of the file nor on what its header states.

    Args:
        source: Path, content (bytes) or binary file object.
        sample_rate: Sample rate of the pieces (Hz).
        channels: Number of channels of the pieces; see `set_channels`.
        start: Start of the span to read (seconds).
        end: End of the span (seconds); `None`, or a time beyond the end of the file, means the end of the file.

    Yields:
        Pieces, float32 ``(samples,)`` or ``(samples, channels)``. Joined, they equal what `load` returns bit for bit.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: See `read`, `check_upsampling` and `set_channels`; or the sound is shorter than one sample at the new
            rate.
    """
    name = describe(source)
    _check_span(name, start, end)
    with _opened(source) as file:
        check_rate(sample_rate, name=f"{name}, after resampling")
        check_upsampling(file.samplerate, sample_rate, name=name)
        _refuse_cut(file, name)
        size = _block_size(file, sample_rate=sample_rate, channels=channels)
        blocks = _blocks(file, name, start=start, end=end, size=size)
        yield from _conformed(blocks, file.samplerate, sample_rate=sample_rate, channels=channels, name=name)


def _conformed(
    blocks: Iterator[np.ndarray], orig_rate: int, *, sample_rate: int, channels: int, name: str
) -> Iterator[np.ndarray]:
    first, second = next(blocks), next(blocks, None)
    if second is None:
        yield _checked(conform(first, orig_rate, sample_rate=sample_rate, channels=channels, name=name), name)
        return
    same_rate: dict[str, Any] = {"sample_rate": orig_rate, "channels": channels, "name": name}
    mixed = (conform(block, orig_rate, **same_rate) for block in chain([first, second], blocks))
    yield from mixed if orig_rate == sample_rate else _resampled(mixed, orig_rate, sample_rate, channels=channels, name=name)


def _resampled(
    blocks: Iterator[np.ndarray], orig_rate: int, target_rate: int, *, channels: int, name: str
) -> Iterator[np.ndarray]:
    import soxr

    resampler = soxr.ResampleStream(orig_rate, target_rate, channels, dtype="float32", quality=RESAMPLING)
    empty = True
    for block, following in pairwise(chain(blocks, [None])):
        piece = resampler.resample_chunk(block, last=following is None)
        if len(piece):  # the first blocks may only fill the filter's delay
            empty = False
            yield _checked(piece, name)  # resampling can exceed the bound between two samples that do not
    if empty:
        raise ValueError(f"{name}: too short, less than one sample at {target_rate} Hz")


def load(source: Source, *, sample_rate: int, channels: int = 1, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """Read a sound file, resampled and mixed down; `stream` does the same piece by piece.

    Args:
        source: Path, content (bytes) or binary file object.
        sample_rate: Sample rate of the result (Hz).
        channels: Number of channels of the result; see `set_channels`.
        start: Start of the span to read (seconds).
        end: End of the span (seconds); `None`, or a time beyond the end of the file, means the end of the file.

    Returns:
        float32 ``(samples,)``, or ``(samples, channels)`` for more than one channel.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: See `stream`.
    """
    blocks = list(stream(source, sample_rate=sample_rate, channels=channels, start=start, end=end))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def encode(wave: np.ndarray, sample_rate: float) -> bytes:
    """Encode a waveform as the content of a WAV file of 32-bit floats, from which `read` returns the same samples.

    Equal waveforms give equal bytes.

    Args:
        wave: Waveform ``(samples,)`` or ``(samples, channels)``, converted to float32.
        sample_rate: Sample rate (whole Hz).

    Returns:
        The content of the file.

    Raises:
        ValueError: The waveform cannot be used, or the rate is not a whole number.
    """
    # Not soundfile, which stores the time of writing in files of floats, so that equal sounds would have different hashes.
    from scipy.io import wavfile

    checked, rate = check_wave(wave, sample_rate)
    if rate != int(rate):
        raise ValueError(f"a sound file needs a whole number of hertz as its sample rate, got {rate}; resample first")
    file = io.BytesIO()
    wavfile.write(file, int(rate), checked)
    return file.getvalue()
