"""Functions on waveforms: check, resample, pad or crop, cut into windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from audiozoo.audio.bounds import check_rate, check_upsampling
from audiozoo.checks import require_choice

PadMode = Literal["zero", "repeat"]
CropMode = Literal["start", "center", "random"]
Last = Literal["align", "pad", "drop"]
Layout = Literal["left_right", "mid_side"]

LOUDEST = 1e6
"""Bound on the magnitude of samples (full scale is 1). Powers of larger samples would overflow float32."""

RESAMPLING = "HQ"
"""Quality setting of soxr, the same for whole waves and for pieces, so that both give the same samples."""


def is_sound(wave: np.ndarray) -> bool:
    """Return whether all samples are finite and below `LOUDEST` in magnitude."""
    return float(max(wave.max(), -wave.min())) < LOUDEST  # a comparison with NaN is false


def check_wave(
    wave: np.ndarray, sample_rate: float | None, *, channels: int | None = None, name: str = "wave"
) -> tuple[np.ndarray, float]:
    """Check that an array is a waveform.

    Args:
        wave: Floating point array ``(samples,)`` or ``(samples, channels)``. Values beyond [-1, 1] stay as they are.
        sample_rate: Sample rate of the array (Hz).
        channels: Expected number of channels. An array with fewer samples than channels is refused as transposed unless it
            has this number of channels.
        name: Name of the array in an error.

    Returns:
        The samples as float32, without a copy if they are float32 already, and the sample rate.

    Raises:
        ValueError: The rate is missing or out of bounds (see `check_rate`), or the array is empty, contains integers, NaN or
            infinity, or is ``(channels, samples)``.
    """
    if sample_rate is None:
        raise ValueError(f"{name}: an array needs its sample rate (Hz); pass sample_rate=44100, or the rate that it has")
    check_rate(sample_rate, name=name)
    wave = check_layout(wave, channels=channels, name=name)
    check_samples(wave, name=name)
    return wave.astype(np.float32, copy=False), sample_rate


def check_layout(wave: np.ndarray, *, channels: int | None = None, name: str = "wave") -> np.ndarray:
    """Check the type and the shape of a waveform, but not its samples; see `check_wave`.

    Args:
        wave: Floating point array ``(samples,)`` or ``(samples, channels)``.
        channels: Expected number of channels; see `check_wave`.
        name: Name of the array in an error.

    Returns:
        The array, unchanged.

    Raises:
        ValueError: The array is empty, contains integers, or is ``(channels, samples)``.
    """
    wave = np.asarray(wave)
    if wave.dtype.kind != "f":
        raise ValueError(
            f"{name}: samples must be floating point in [-1, 1], got {wave.dtype}; "
            "divide 16-bit integers by 32768, or use audiozoo.audio.read"
        )
    if wave.ndim not in (1, 2) or wave.size == 0:
        raise ValueError(f"{name}: expected (samples,) or (samples, channels) with samples in it, got shape {wave.shape}")
    if wave.ndim == 2 and wave.shape[0] < wave.shape[1] != channels:
        raise ValueError(f"{name}: expected (samples, channels), got {wave.shape}: transpose it with wave.T")
    return wave


def check_samples(wave: np.ndarray, *, name: str = "wave") -> None:
    """Check the samples of a waveform.

    Raises:
        ValueError: The samples contain NaN, infinity, or a magnitude of `LOUDEST` or more.
    """
    if not is_sound(wave):
        raise ValueError(
            f"{name}: samples must be finite and nominally in [-1, 1], got NaN, infinity or magnitudes of {LOUDEST:g} and "
            "more; clean it with numpy.nan_to_num(wave), or scale it"
        )


def set_channels(wave: np.ndarray, channels: int) -> np.ndarray:
    """Mix a wave down to mono (the mean of its channels), or repeat a mono wave to several channels.

    Args:
        wave: ``(samples,)`` or ``(samples, n)``.
        channels: Number of channels of the result.

    Returns:
        ``(samples,)`` for one channel, otherwise ``(samples, channels)``.

    Raises:
        ValueError: The wave has several channels, and `channels` is neither 1 nor their number.
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
    """Resample a wave with soxr at high quality.

    Args:
        wave: ``(samples,)`` or ``(samples, channels)``.
        orig_rate: Sample rate of the wave (Hz).
        target_rate: Sample rate of the result (Hz).

    Returns:
        float32, about ``samples * target_rate / orig_rate`` long. If the rates are equal, the wave itself.

    Raises:
        ValueError: A rate is not positive, or the ratio of the rates is out of bounds; see `check_upsampling`.
    """
    check_upsampling(orig_rate, target_rate)
    if orig_rate == target_rate:
        return wave
    import soxr

    return soxr.resample(wave, orig_rate, target_rate, quality=RESAMPLING)


def conform(wave: np.ndarray, orig_rate: float, *, sample_rate: int, channels: int = 1, name: str = "wave") -> np.ndarray:
    """Resample a waveform and mix it down, or repeat it, to a number of channels.

    Args:
        wave: ``(samples,)`` or ``(samples, n)``.
        orig_rate: Sample rate of the wave (Hz).
        sample_rate: Sample rate of the result (Hz).
        channels: Number of channels of the result; see `set_channels`.
        name: Name of the wave in an error.

    Returns:
        float32 ``(samples,)`` for one channel, otherwise ``(samples, channels)``.

    Raises:
        ValueError: See `set_channels` and `resample`; or the wave is shorter than one sample at the new rate.
    """
    try:
        # Mixing comes first because fewer channels take less time to resample.
        wave = resample(set_channels(wave, channels), orig_rate, sample_rate)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not len(wave):
        raise ValueError(f"{name}: too short, less than one sample at {sample_rate} Hz")
    return wave


def fit(
    wave: np.ndarray,
    length: int,
    *,
    pad: PadMode = "zero",
    crop: CropMode = "center",
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Pad or crop a waveform to a length.

    Args:
        wave: ``(samples,)`` or ``(samples, channels)``.
        length: Length of the result (samples).
        pad: Padding at the end of a shorter wave: "zero", or "repeat" for repetitions of the wave.
        crop: Part of a longer wave to keep: its "start", its "center", or a "random" part.
        rng: Random generator for the random crop.

    Returns:
        The wave with `length` samples; a view of the given one if it was longer.

    Raises:
        ValueError: `pad` or `crop` is unknown, `length` is not positive, or a random crop has no generator.

    >>> fit(np.float32([1, 2, 3]), 5, pad="repeat").tolist()
    [1.0, 2.0, 3.0, 1.0, 2.0]
    >>> fit(np.float32([1, 2, 3, 4, 5]), 3).tolist()
    [2.0, 3.0, 4.0]
    """
    if length <= 0:
        raise ValueError(f"length must be positive, got {length}")
    require_choice("pad", pad, ("zero", "repeat"))
    require_choice("crop", crop, ("start", "center", "random"))
    missing = length - len(wave)
    if missing > 0:
        widths = ((0, missing),) + ((0, 0),) * (wave.ndim - 1)
        return np.pad(wave, widths, mode="constant" if pad == "zero" else "wrap")
    start = _crop_start(-missing, crop, rng)
    return wave[start : start + length]


def _crop_start(spare: int, crop: CropMode, rng: np.random.Generator | None) -> int:
    if crop == "start":
        return 0
    if crop == "center":
        return spare // 2
    if rng is None:
        raise ValueError("a random crop needs a generator: pass rng=numpy.random.default_rng(seed)")
    return int(rng.integers(spare + 1))


def cut(
    blocks: Iterable[np.ndarray], length: int, hop_length: int, *, last: Last = "align", slack: int = 0
) -> Iterator[tuple[int, np.ndarray]]:
    """Cut a sound that arrives in blocks into windows, with one window and one block in memory at a time.

    Args:
        blocks: Consecutive blocks of the sound, each ``(samples,)`` or ``(samples, channels)``.
        length: Length of a window (samples).
        hop_length: Distance between the starts of two windows (samples). All starts are multiples of it, so they do not
            drift in a long sound.
        last: Treatment of an end that no window covers: "align" adds a window that ends with the sound, "pad" adds a shorter
            window at the next start, "drop" leaves the end out.
        slack: Longest end (samples) that is left out as with "drop", whatever `last` says.

    Yields:
        The start of the window (samples) and the window. A sound shorter than a window is one short window.

    Raises:
        ValueError: `hop_length` is not positive or exceeds `length`, which would skip sound; or `last` is unknown.

    >>> [start for start, _ in cut([np.zeros(11)], 4, 4)]
    [0, 4, 7]
    >>> [start for start, _ in cut([np.zeros(11)], 4, 4, last="drop")]
    [0, 4]
    """
    windows = Cutter(length, hop_length, last=last, slack=slack)
    for block in blocks:
        yield from windows.add(block)
    yield from windows.rest()


class Cutter:
    """Cuts a sound into windows while it arrives; `cut` does the same for an iterator of blocks.

    Args:
        length: Length of a window (samples), as for `cut`.
        hop_length: Distance between the starts of two windows (samples).
        last: Treatment of an end that no window covers.
        slack: Longest end (samples) that is left out.

    Raises:
        ValueError: See `cut`.
    """

    def __init__(self, length: int, hop_length: int, *, last: Last = "align", slack: int = 0) -> None:
        if not 0 < hop_length <= length:
            raise ValueError(
                f"windows need 0 < hop_length <= length (samples), got hop_length={hop_length} and length={length}"
            )
        require_choice("last", last, ("align", "pad", "drop"))
        self._length, self._hop, self._last, self._slack = length, hop_length, last, slack
        # Positions in the sound (samples): start of the next window, first sample in memory, end of the samples so far.
        self._start = self._first = self._end = 0
        self._pieces: list[np.ndarray] = []

    @property
    def samples(self) -> int:
        """Number of samples so far."""
        return self._end

    def add(self, block: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the start (samples) and the samples of each window that a further block completes."""
        self._pieces.append(block)
        self._end += len(block)
        if self._end < self._start + self._length:
            return  # joining each block to the others would take squared time where blocks are far shorter than a window
        held = _joined(self._pieces)
        while self._start + self._length <= self._end:
            yield self._start, held[self._start - self._first :][: self._length]
            self._start += self._hop
        # The samples since the previous start stay: the last window may have to be aligned with the end.
        let_go = max(0, min(self._start - self._hop - self._first, len(held) - self._length))
        self._pieces, self._first = [held[let_go:]], self._first + let_go

    def rest(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the window at the end of the sound, if the end needs one."""
        if self._start == 0 and self._end > 0:
            yield 0, _joined(self._pieces)
        elif self._end > self._start - self._hop + self._length + self._slack and self._last != "drop":
            begin = self._end - self._length if self._last == "align" else self._start
            yield begin, _joined(self._pieces)[begin - self._first :][: self._length]


def _joined(pieces: list[np.ndarray]) -> np.ndarray:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
