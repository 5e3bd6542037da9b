"""Read, resample, mix down, fit to a length, and cut sound into windows.

A waveform is float32, nominally in [-1, 1], shaped ``(samples,)`` or ``(samples, channels)`` as soundfile gives it, and
never travels without its sample rate in hertz.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np

Source = str | os.PathLike[str] | bytes | IO[bytes]
Pad = Literal["zero", "repeat"]
Crop = Literal["start", "center", "random"]

LOUDEST = 1e6
"""Magnitude that no sound reaches in units of full scale; beyond it, powers overflow."""

_BLOCK = 2**22
_CUT_SHORT = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)


def describe(source: Source) -> str:
    """Name a source in an error message: its path, or how many bytes it is."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, bytes):
        return f"<{len(source)} bytes in memory>"
    return str(getattr(source, "name", source))


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
    if not 0 <= start < (np.inf if end is None else end):
        raise ValueError(f"{name}: a span needs 0 <= start < end in seconds, got start={start} and end={end}")
    with _opened(source) as file:
        _refuse_cut(file, name)
        return _read_span(file, name, start, end), file.samplerate


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
    first = round(start * file.samplerate)
    stop = file.frames if end is None else min(round(end * file.samplerate), file.frames)
    if stop <= first:
        raise ValueError(
            f"{name}: no samples between {start} s and {'the end' if end is None else f'{end} s'}; "
            f"the file lasts {file.frames / file.samplerate:.3f} s"
        )
    if file.format == "MP3":
        # An MP3 frame borrows bits from those before it: after a seek the first ones decode to nothing.
        wave = _read_frames(file, stop)[first:]
    else:
        if first:
            file.seek(first)
        wave = _read_frames(file, stop - first)
    if not len(wave):
        raise ValueError(f"{name}: cut short, no sound could be decoded from it")
    if not _peak(wave) < LOUDEST:
        raise ValueError(f"{name}: holds NaN, infinity or absurdly large samples; write the file again from clean ones")
    return wave


def _read_frames(file: Any, count: int) -> np.ndarray:
    # In blocks, because a header may claim any length: what is allocated is what is there.
    blocks = [file.read(min(count, _BLOCK), dtype="float32")]
    while len(blocks[-1]) == _BLOCK and (left := count - _BLOCK * len(blocks)) > 0:
        blocks.append(file.read(min(left, _BLOCK), dtype="float32"))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _peak(wave: np.ndarray) -> float:
    return float(max(wave.max(), -wave.min()))  # NaN if there is one


def check_wave(wave: np.ndarray, sample_rate: float | None, *, name: str = "wave") -> tuple[np.ndarray, float]:
    """Check an array that a caller calls a waveform, once, where it enters.

    Args:
        wave: Floating point, ``(samples,)`` or ``(samples, channels)``. Values beyond [-1, 1] are kept as they are.
        sample_rate: Its rate in Hz.
        name: What to call it in an error.

    Returns:
        The same samples as float32, not copied where they already are, and the rate.

    Raises:
        ValueError: The rate is missing or not positive; the array is empty, holds integers, NaN or infinity, or lies on its
            side.
    """
    wave = np.asarray(wave)
    if sample_rate is None:
        raise ValueError(f"{name}: an array needs its sample rate in Hz; pass sample_rate=44100, or whatever it is")
    if not sample_rate > 0:
        raise ValueError(f"{name}: sample_rate must be positive, got {sample_rate}")
    if wave.dtype.kind != "f":
        raise ValueError(
            f"{name}: samples must be floating point in [-1, 1], got {wave.dtype}; "
            "divide 16-bit integers by 32768, or use audiozoo.audio.read"
        )
    if wave.ndim not in (1, 2) or wave.size == 0:
        raise ValueError(f"{name}: expected (samples,) or (samples, channels) with samples in it, got shape {wave.shape}")
    if wave.ndim == 2 and wave.shape[0] < wave.shape[1]:
        raise ValueError(f"{name}: expected (samples, channels), got {wave.shape}: transpose it with wave.T")
    if not _peak(wave) < LOUDEST:
        raise ValueError(
            f"{name}: samples must be finite and nominally in [-1, 1], got NaN, infinity or magnitudes of {LOUDEST:g} and "
            "more; clean it with numpy.nan_to_num(wave), or scale it"
        )
    return wave.astype(np.float32, copy=False), sample_rate


def set_channels(wave: np.ndarray, channels: int) -> np.ndarray:
    """Mix down, or repeat a mono wave, to a number of channels.

    Args:
        wave: ``(samples,)`` or ``(samples, n)``.
        channels: Channels wanted; any number mixes down to one (their mean), and one repeats to any number.

    Returns:
        ``(samples,)`` for one channel, else ``(samples, channels)``.

    Raises:
        ValueError: From several channels to another number of several, which no rule decides.
    """
    have = 1 if wave.ndim == 1 else wave.shape[1]
    if channels == 1:
        return wave if wave.ndim == 1 else wave.mean(axis=1, dtype=np.float32)
    if have == channels:
        return wave
    if have == 1:
        return np.repeat(wave.reshape(-1, 1), channels, axis=1)
    raise ValueError(
        f"cannot turn {have} channels into {channels}: choose the channels yourself, wave[:, :{channels}], "
        "or mix down to one with set_channels(wave, 1)"
    )


def resample(wave: np.ndarray, orig_rate: float, target_rate: float) -> np.ndarray:
    """Resample with soxr at its high quality; equal rates return the wave itself.

    Args:
        wave: ``(samples,)`` or ``(samples, channels)``.
        orig_rate: Its rate in Hz.
        target_rate: The rate wanted in Hz.

    Returns:
        float32, about ``samples * target_rate / orig_rate`` long.
    """
    if orig_rate == target_rate:
        return wave
    import soxr

    return soxr.resample(wave, orig_rate, target_rate, quality="HQ")


def load(source: Source, *, sample_rate: int, channels: int = 1, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """Read a file and bring it to a rate and a number of channels; see `read`, `set_channels`, `resample`.

    Returns:
        float32 ``(samples,)``, or ``(samples, channels)`` for more than one channel.
    """
    wave, rate = read(source, start=start, end=end)
    return conform(wave, rate, sample_rate=sample_rate, channels=channels, name=describe(source))


def conform(wave: np.ndarray, orig_rate: float, *, sample_rate: int, channels: int = 1, name: str = "wave") -> np.ndarray:
    """Bring a waveform to a rate and a number of channels; the channels first, since fewer are cheaper to resample.

    Raises:
        ValueError: The channels cannot be turned into those wanted, or the sound is shorter than one sample at the new rate.
    """
    try:
        wave = resample(set_channels(wave, channels), orig_rate, sample_rate)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not len(wave):
        raise ValueError(f"{name}: too short, nothing is left of it at {sample_rate} Hz")
    return wave


def fit(
    wave: np.ndarray,
    length: int,
    *,
    pad: Pad = "zero",
    crop: Crop = "center",
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Make a waveform exactly `length` samples long.

    Args:
        wave: ``(samples,)`` or ``(samples, channels)``.
        length: Samples wanted.
        pad: What follows a wave that is too short: zeros, or itself again and again.
        crop: Which part of a wave that is too long is kept.
        rng: Where the random crop draws from.

    Raises:
        ValueError: An unknown `pad` or `crop`, a length that is not positive, or a random crop without a generator.

    >>> fit(np.float32([1, 2, 3]), 5, pad="repeat").tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0]
    >>> fit(np.float32([1, 2, 3, 4, 5]), 3).tolist()
    [2.0, 3.0, 4.0]
    """
    if length <= 0:
        raise ValueError(f"length must be positive, got {length}")
    if pad not in ("zero", "repeat"):
        raise ValueError(f"pad must be 'zero' or 'repeat', got {pad!r}")
    missing = length - len(wave)
    if missing > 0:
        widths = ((0, missing),) + ((0, 0),) * (wave.ndim - 1)
        return np.pad(wave, widths, mode="constant" if pad == "zero" else "wrap")
    start = _crop_start(-missing, crop, rng)
    return wave[start : start + length]


def _crop_start(spare: int, crop: Crop, rng: np.random.Generator | None) -> int:
    if crop == "start":
        return 0
    if crop == "center":
        return spare // 2
    if crop != "random":
        raise ValueError(f"crop must be 'start', 'center' or 'random', got {crop!r}")
    if rng is None:
        raise ValueError("a random crop draws from a generator: pass rng=numpy.random.default_rng(seed)")
    return int(rng.integers(spare + 1))


def window_starts(samples: int, length: int, hop: int) -> list[int]:
    """Say where windows begin so that together they cover every sample.

    Args:
        samples: Length of the clip.
        length: Length of a window, in samples.
        hop: Samples from one window to the next.

    Returns:
        Starts in samples. The last window is aligned to the clip's end; a clip no longer than a window has one, at 0.

    Raises:
        ValueError: `length` or `hop` is not positive, or `hop` exceeds `length` and would skip sound.

    >>> window_starts(10, 4, 2), window_starts(11, 4, 4), window_starts(4, 4, 2), window_starts(3, 4, 2)
    ([0, 2, 4, 6], [0, 4, 7], [0], [0])
    """
    if not 0 < hop <= length:
        raise ValueError(f"windows need 0 < hop <= length in samples, got hop={hop} and length={length}")
    last = max(samples - length, 0)
    starts = list(range(0, last + 1, hop))
    return starts if starts[-1] == last else [*starts, last]
