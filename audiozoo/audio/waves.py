"""Waveforms as arrays: checked, resampled, fitted to a length, cut into windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

Pad = Literal["zero", "repeat"]
Crop = Literal["start", "center", "random"]
Last = Literal["align", "pad", "drop"]
Layout = Literal["left_right", "mid_side"]

LOUDEST = 1e6
"""Magnitude that no sound reaches in units of full scale; beyond it, powers overflow."""

RESAMPLING = "HQ"
"""Quality of soxr, for whole waves and for pieces of them."""


def is_sound(wave: np.ndarray) -> bool:
    """Tell whether all samples are finite and none is absurdly large."""
    return float(max(wave.max(), -wave.min())) < LOUDEST  # not so for NaN


def check_wave(
    wave: np.ndarray, sample_rate: float | None, *, channels: int | None = None, name: str = "wave"
) -> tuple[np.ndarray, float]:
    """Check an array that a caller calls a waveform, once, where it enters.

    Args:
        wave: Floating point, ``(samples,)`` or ``(samples, channels)``. Values beyond [-1, 1] are kept as they are.
        sample_rate: Its rate in Hz.
        channels: How many it is known to have; fewer samples than these are then no sign of an array on its side.
        name: What to call it in an error.

    Returns:
        The same samples as float32, not copied where they already are, and the rate.

    Raises:
        ValueError: The rate is missing or not positive; the array is empty, holds integers, NaN or infinity, or lies on its
            side.
    """
    if sample_rate is None:
        raise ValueError(f"{name}: an array needs its sample rate in Hz; pass sample_rate=44100, or whatever it is")
    if not sample_rate > 0:
        raise ValueError(f"{name}: sample_rate must be positive, got {sample_rate}")
    wave = check_layout(wave, channels=channels, name=name)
    check_samples(wave, name=name)
    return wave.astype(np.float32, copy=False), sample_rate


def check_layout(wave: np.ndarray, *, channels: int | None = None, name: str = "wave") -> np.ndarray:
    """Check what `check_wave` does but for the samples themselves, which takes no time, and return the array.

    Raises:
        ValueError: The array is empty, holds integers, or lies on its side.
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
    """Refuse a wave that `is_sound` does not take for one.

    Raises:
        ValueError: There is NaN, infinity, or an absurdly large magnitude in it.
    """
    if not is_sound(wave):
        raise ValueError(
            f"{name}: samples must be finite and nominally in [-1, 1], got NaN, infinity or magnitudes of {LOUDEST:g} and "
            "more; clean it with numpy.nan_to_num(wave), or scale it"
        )


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

    return soxr.resample(wave, orig_rate, target_rate, quality=RESAMPLING)


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


def window_starts(samples: int, length: int, hop: int, *, last: Last = "align") -> list[int]:
    """Say where windows begin; see `cut`.

    >>> window_starts(10, 4, 2), window_starts(11, 4, 4), window_starts(4, 4, 2), window_starts(3, 4, 2)
    ([0, 2, 4, 6], [0, 4, 7], [0], [0])
    >>> window_starts(11, 4, 4, last="pad"), window_starts(11, 4, 4, last="drop")
    ([0, 4, 8], [0, 4])
    """
    return [start for start, _ in cut([np.broadcast_to(np.float32(0), samples)], length, hop, last=last)]


def cut(blocks: Iterable[np.ndarray], length: int, hop: int, *, last: Last = "align") -> Iterator[tuple[int, np.ndarray]]:
    """Cut a sound that arrives piece by piece into windows; no more of it is held than a window and a piece.

    Args:
        blocks: The sound, each piece ``(samples,)`` or ``(samples, channels)``.
        length: Of a window, in samples.
        hop: Samples from one window to the next. Starts are whole multiples of it, so they do not drift, however long the
            sound.
        last: What becomes of an end that no window covers: "align" adds a window that ends with the sound, "pad" one that
            begins a hop after the one before and is short, "drop" leaves the end out.

    Yields:
        The window's start in samples, and the window. A sound shorter than a window is one window, short.

    Raises:
        ValueError: Not ``0 < hop <= length``, which would skip sound, or an unknown `last`.
    """
    if not 0 < hop <= length:
        raise ValueError(f"windows need 0 < hop <= length in samples, got hop={hop} and length={length}")
    if last not in ("align", "pad", "drop"):
        raise ValueError(f"last must be 'align', 'pad' or 'drop', got {last!r}")
    start = first = 0  # of the next window; of what is held
    held: np.ndarray | None = None
    for block in blocks:
        held = block if held is None else np.concatenate([held, block])
        while start + length <= first + len(held):
            yield start, held[start - first : start - first + length]
            start += hop
        # The window before the next must stay: the last one may have to be aligned to the sound's end.
        let_go = max(0, min(start - hop - first, len(held) - length))
        held, first = held[let_go:], first + let_go
    if held is None:
        return
    end = first + len(held)
    if start == 0:
        yield 0, held
    elif end > start - hop + length and last != "drop":
        begin = end - length if last == "align" else start
        yield begin, held[begin - first : begin - first + length]
