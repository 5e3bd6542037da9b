"""Ten synthesised classes of sound for tests, examples and benchmarks without a download.

The classes overlap on purpose in pitch (bell, siren, tone), tempo (bird_chirp, clicks, drum, footsteps) and band (engine, rain,
wind), and every clip has background noise. The mean spectrum hardly separates them; their shape in time does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from audiozoo.checks import unknown_name
from audiozoo.datasets.clip import Clip
from audiozoo.datasets.table import Dataset, register_dataset
from audiozoo.datasets.wavfiles import encoded, written
from audiozoo.pieces import PieceExecutor

_LOWEST_RATE = 8_000  # Hz; the highest fundamental is 3,500 Hz
_Gain = Callable[[np.ndarray], np.ndarray]

# Partials of a tuned church bell relative to its prime: hum, prime, tierce (a minor third), quint, nominal, upper partials.
_BELL_RATIOS = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.67, 3.01, 4.17])


@dataclass(frozen=True)
class _Take:
    """The generator, length (samples) and rate (Hz) of one clip, with the synthesis functions that all classes share."""

    rng: np.random.Generator
    samples: int
    rate: int

    @property
    def seconds(self) -> float:
        return self.samples / self.rate

    @property
    def ceiling(self) -> float:
        # 0.9 of the Nyquist frequency; the rest is a margin for the side bands that envelopes and modulation add.
        return 0.45 * self.rate

    def pick(self, low: float, high: float) -> float:
        # Log-uniform, because listeners perceive pitch, tempo, decay and loudness as ratios.
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def time(self, seconds: float | None = None) -> np.ndarray:
        samples = self.samples if seconds is None else max(round(seconds * self.rate), 1)
        return np.arange(samples) / self.rate

    def coloured(self, gain: _Gain, seconds: float | None = None) -> np.ndarray:
        samples = len(self.time(seconds))
        frequencies = _frequencies(samples, self.rate)
        # Complex Gaussian bins give Gaussian noise; shaping the spectrum needs no filter with a transient at the start.
        spectrum = self.rng.standard_normal((2, len(frequencies))) * gain(frequencies)
        return _unit(np.fft.irfft(spectrum[0] + 1j * spectrum[1], samples))

    def noise(self, low: float, high: float, seconds: float | None = None) -> np.ndarray:
        return self.coloured(_band(low, high), seconds)

    def curve(self, low: float, high: float, knots_per_second: float) -> np.ndarray:
        count = max(round(self.seconds * knots_per_second), 1) + 2
        knots = np.linspace(0, self.seconds, count)
        return np.interp(self.time(), knots, self.rng.uniform(low, high, count))

    def periodic(self, pitch: np.ndarray, partials: np.ndarray) -> np.ndarray:
        # A table of one period costs the same for one partial as for a hundred. The table has no partials that would alias.
        spectrum = partials * np.exp(2j * np.pi * self.rng.random(len(partials)))
        kept = spectrum[: int(self.ceiling / pitch.max())]
        table = np.fft.irfft(np.concatenate([[0], kept]), 4096)
        cycles = np.cumsum(pitch) / self.rate
        return _unit(np.interp(cycles % 1, np.arange(4097) / 4096, np.append(table, table[0])))

    def beat(self, per_second: float, jitter: float) -> np.ndarray:
        gap = 1 / per_second
        # The first event must be inside the clip, however short the clip is; otherwise the label would be wrong.
        starts = np.arange(self.rng.uniform(0, min(gap, 0.3 * self.seconds)), self.seconds, gap)
        starts[1:] += jitter * gap * self.rng.uniform(-1, 1, len(starts) - 1)
        return starts

    def scatter(self, starts: np.ndarray, hit: Callable[[], np.ndarray]) -> np.ndarray:
        wave = np.zeros(self.samples)
        for start in (starts * self.rate).astype(int):
            part = wave[start:]
            sound = hit()[: len(part)]
            part[: len(sound)] += self.rng.uniform(0.6, 1) * sound
        return wave


def _unit(wave: np.ndarray) -> np.ndarray:
    return wave / max(float(np.sqrt(np.mean(wave**2))), 1e-9)


def _frequencies(samples: int, rate: int) -> np.ndarray:
    # At least 20 Hz, so that a gain can divide by the frequency.
    return np.maximum(np.fft.rfftfreq(samples, 1 / rate), 20)


def _filter(wave: np.ndarray, rate: int, gain: _Gain) -> np.ndarray:
    return np.fft.irfft(np.fft.rfft(wave) * gain(_frequencies(len(wave), rate)), len(wave))


def _band(low: float, high: float) -> _Gain:
    # Second-order Butterworth magnitudes: 12 dB per octave on each side.
    return lambda f: 1 / np.sqrt((1 + (low / f) ** 4) * (1 + (f / high) ** 4))


def _bell(take: _Take) -> np.ndarray:
    decay = take.pick(0.25, 1.0)
    time = take.time(min(4 * decay, take.seconds))
    pitches = take.pick(500, 900) * _BELL_RATIOS * take.rng.uniform(0.98, 1.02, len(_BELL_RATIOS))
    wave = np.zeros(len(time))
    # Higher partials of a bell decay faster.
    for ratio, pitch in zip(_BELL_RATIOS, pitches, strict=True):
        if pitch < take.ceiling:
            wave += take.pick(0.2, 1) * np.exp(-time * ratio**0.7 / decay) * np.sin(2 * np.pi * pitch * time)
    return take.scatter(take.beat(take.pick(0.5, 3), 0.1), lambda: wave)


def _bird_chirp(take: _Take) -> np.ndarray:
    top, length = take.pick(2500, 3500), take.pick(0.1, 0.2)
    x = take.time(length) / length
    bend = take.rng.uniform(-0.7, 0.7) * x + take.rng.uniform(-0.4, 0.4) * np.sin(np.pi * x)
    whistle = take.periodic(top * np.exp2(bend - bend.max()), np.array([1, take.pick(0.05, 0.4)]))
    return take.scatter(take.beat(take.pick(4.5, 8), 0.25), lambda: whistle * np.sin(np.pi * x) ** 2)


def _clicks(take: _Take) -> np.ndarray:
    pitch, decay, buzz = take.pick(500, 3500), take.pick(0.001, 0.004), take.pick(0.2, 2)
    time = take.time(10 * decay)
    ring = np.exp(-time / decay) * np.sin(2 * np.pi * pitch * time)
    hiss = take.noise(300, take.ceiling, 10 * decay) * np.exp(-time / decay)
    return take.scatter(take.beat(take.pick(3, 10), take.rng.uniform(0, 0.15)), lambda: ring + buzz * hiss)


def _drum(take: _Take) -> np.ndarray:
    pitch, decay, drop = take.pick(55, 260), take.pick(0.06, 0.2), take.pick(0.3, 1.5)
    time = take.time(5 * decay)
    # The pitch of a struck membrane drops within 30 ms as its tension relaxes.
    cycles = np.cumsum(pitch * (1 + drop * np.exp(-time / 0.03))) / take.rate
    head = np.sin(2 * np.pi * cycles) * np.exp(-time / decay)
    snare = take.pick(0.03, 0.5) * np.exp(-2 * time / decay)
    return take.scatter(take.beat(take.pick(1.5, 6), 0.05), lambda: head + snare * take.noise(300, 5000, 5 * decay))


def _engine(take: _Take) -> np.ndarray:
    pitch = take.pick(35, 110) * take.curve(0.85, 1.2, 2) * take.curve(0.98, 1.02, 30)
    orders = np.arange(1, 60)
    partials = orders ** -take.rng.uniform(0.6, 1.3) * take.rng.uniform(0.2, 1, len(orders))
    body = take.periodic(pitch, partials)
    # The noise swells with each stroke of the engine.
    hiss = take.noise(100, take.pick(600, 2500)) * (0.3 + np.maximum(body, 0))
    return body + take.pick(0.2, 1) * hiss


def _footsteps(take: _Take) -> np.ndarray:
    heel, scuff, gap = take.pick(80, 350), take.pick(700, 2500), take.rng.uniform(0.06, 0.14)
    amount = take.pick(0.3, 1.5)
    time = take.time(0.35)

    def step() -> np.ndarray:
        after = np.maximum(time - gap, 0)
        thump = take.noise(heel / 2, heel * 1.5, 0.35) * np.exp(-time / 0.025)
        slide = take.noise(scuff / 2, scuff * 1.5, 0.35) * (after / 0.02) * np.exp(-after / 0.03)
        return thump + amount * slide

    return take.scatter(take.beat(take.pick(1.5, 3.5), 0.06), step)


def _rain(take: _Take) -> np.ndarray:
    drops = take.rng.random(take.samples) < take.pick(20, 200) / take.rate
    sizes = drops * take.rng.lognormal(0, 0.8, take.samples) * take.rng.choice([-1, 1], take.samples)
    patter = _unit(_filter(sizes, take.rate, _band(take.pick(600, 1500), take.pick(3000, 6000))))
    return patter + take.pick(0.4, 1.5) * take.noise(take.pick(300, 1000), take.pick(3000, 8000))


def _siren(take: _Take) -> np.ndarray:
    centre, depth = take.pick(700, 1300), take.rng.uniform(0.3, 0.7)
    swing = np.sin(2 * np.pi * (take.pick(0.5, 5) * take.time() + take.rng.random()))
    # A two-tone, a triangular or a sinusoidal siren.
    shape = (np.sign(swing), np.arcsin(swing) * 2 / np.pi, swing)[take.rng.integers(3)]
    partials = np.arange(1, 9) ** -take.rng.uniform(1, 3)
    return take.periodic(centre * np.exp2(depth * shape), partials)


def _tone(take: _Take) -> np.ndarray:
    wobble = 1 + take.rng.uniform(0, 0.006) * np.sin(2 * np.pi * take.pick(3, 7) * take.time())
    wave = take.periodic(take.pick(300, 800) * wobble, np.arange(1, 13) ** -take.rng.uniform(0.5, 1.5))
    start, stop = np.array([take.rng.uniform(0, 0.3), take.rng.uniform(0.6, 1)]) * take.seconds
    time, ramp = take.time(), take.pick(0.005, 0.1)
    return wave * np.clip((time - start) / ramp, 0, 1) * np.clip((stop - time) / ramp, 0, 1)


def _wind(take: _Take) -> np.ndarray:
    low = take.pick(60, 250)
    edges = low * np.cumprod([1, 2, take.pick(1.5, 3), take.pick(1.5, 3)])
    gusts = [take.curve(0, 1, 3) ** 2 * take.noise(a, b) for a, b in pairwise(edges)]
    return np.sum(gusts, axis=0)


_CLASSES: dict[str, Callable[[_Take], np.ndarray]] = {
    "bell": _bell,
    "bird_chirp": _bird_chirp,
    "clicks": _clicks,
    "drum": _drum,
    "engine": _engine,
    "footsteps": _footsteps,
    "rain": _rain,
    "siren": _siren,
    "tone": _tone,
    "wind": _wind,
}
LABELS: tuple[str, ...] = tuple(_CLASSES)


def _reverberate(take: _Take, wave: np.ndarray) -> np.ndarray:
    length = take.pick(0.1, 0.4)
    room = take.rng.standard_normal(len(take.time(length))) * np.exp(-5 * take.time(length) / length)
    # A power of two for the FFT, long enough for the linear convolution.
    size = 1 << (len(wave) + len(room) - 2).bit_length()
    echo = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(room, size), size)[: len(wave)]
    return wave + take.pick(0.1, 0.5) * _unit(echo)


def _record(take: _Take, wave: np.ndarray) -> np.ndarray:
    # The order of a real recording: the room, the background, the microphone, the level.
    wave = _unit(wave)
    if take.rng.random() < 0.4:
        wave = _reverberate(take, wave)
    colour, slope, snr, level = take.rng.uniform([0.3, -0.1, 15, -20], [0.6, 0.1, 30, -3])
    hush = take.coloured(lambda f: f**-colour)
    wave = _filter(wave + 10 ** (-snr / 20) * hush, take.rate, lambda f: (f / 1000) ** slope)
    return 10 ** (level / 20) * wave / max(np.abs(wave).max(), 1e-9)


def synthesize(
    label: str,
    *,
    rng: np.random.Generator | int,
    sample_rate: int = 22_050,
    duration: float = 2.0,
) -> np.ndarray:
    """Synthesise one sound of a class. The same generator state gives the same sound.

    Args:
        label: Name from `LABELS`.
        rng: Random generator, or a seed, for pitch, tempo, timbre, level, room and background.
        sample_rate: Sample rate (Hz), at least 8000. No partial exceeds 0.45 of it.
        duration: Duration (seconds).

    Returns:
        A float32 waveform ``(round(duration * sample_rate),)`` with a peak between -20 and -3 dB of full scale.

    Raises:
        ValueError: The label is unknown (the message suggests the closest one), or the rate or the duration is out of range.
    """
    if label not in _CLASSES:
        raise unknown_name("label", label, LABELS)
    _check_span(sample_rate, duration)
    take = _Take(np.random.default_rng(rng), round(duration * sample_rate), sample_rate)
    return _record(take, _CLASSES[label](take)).astype(np.float32)


def _check_span(sample_rate: int, duration: float) -> None:
    if not sample_rate >= _LOWEST_RATE:
        raise ValueError(
            f"sample_rate must be at least {_LOWEST_RATE} Hz, because pitches reach 3500 Hz, got {sample_rate}; "
            "synthesise at 8000 Hz and call audiozoo.audio.resample"
        )
    if not 1 <= duration * sample_rate < np.inf:
        raise ValueError(f"duration must be at least one sample (1/{sample_rate} s), got {duration}; try 2.0 seconds")


@register_dataset
def synthetic(
    root: str | Path | None = None,
    *,
    clips_per_class: int = 10,
    duration: float = 2.0,
    sample_rate: int = 22_050,
    folds: int = 5,
    seed: int = 0,
    executor: PieceExecutor | None = None,
) -> Dataset:
    """Synthesise a balanced dataset of the ten classes, without a download.

    A clip depends only on the seed, its class and its number, so a larger dataset contains the clips of a smaller one.

    Args:
        root: Folder for the files ``LABEL/LABEL-NN.wav``; `None` keeps the files in memory, as bytes. Files that already have
            the right content are not written again.
        clips_per_class: Number of clips of each class, at least `folds`.
        duration: Duration of each clip (seconds).
        sample_rate: Sample rate (Hz), at least 8000.
        folds: Number of folds, at least 2. The clips of each class go to the folds in turn.
        seed: Random seed, at least 0.
        executor: Executor that synthesises the clips, such as `audiozoo.scale.RayPieces`; `None` uses this thread.

    Returns:
        The dataset "synthetic" of 16-bit mono WAV files, ordered by class. Each clip is a recording of its own.

    Raises:
        ValueError: A value is out of range.
        OSError: The files cannot be written.
    """
    _check_span(sample_rate, duration)
    _check_counts(clips_per_class, folds, seed)

    make = partial(_clip, root=root, duration=duration, sample_rate=sample_rate, folds=folds, seed=seed)
    places = [(label, number) for label in LABELS for number in range(clips_per_class)]
    clips = tuple(executor.mapped(make, places) if executor else map(make, places))
    return Dataset(name="synthetic", clips=clips, labels=LABELS)


def _clip(place: tuple[str, int], *, root: str | Path | None, duration: float, sample_rate: int, folds: int, seed: int) -> Clip:
    label, number = place
    # A generator for each clip: a clip does not depend on how many others there are.
    rng = np.random.default_rng([seed, LABELS.index(label), number])
    wav = encoded(synthesize(label, rng=rng, sample_rate=sample_rate, duration=duration), sample_rate)
    name = f"{label}-{number:02d}"
    path = wav if root is None else written(Path(root) / label / f"{name}.wav", wav)
    return Clip(path=path, labels=(label,), fold=number % folds + 1, group=name)


def _check_counts(clips_per_class: int, folds: int, seed: int) -> None:
    if not 2 <= folds <= clips_per_class:
        raise ValueError(
            f"folds must be at least 2 and at most clips_per_class, "
            f"got folds={folds}, clips_per_class={clips_per_class}; "
            f"try folds=2, clips_per_class={max(clips_per_class, 2)}"
        )
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}; use 0 or more")
