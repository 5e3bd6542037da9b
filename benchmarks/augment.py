"""Compare the speed of augmentation with audiomentations, and the quality of the engines for stretching and shifting.

    python benchmarks/augment.py

The script prints Markdown tables: the time of each transform and of a chain of five on 5 seconds at 44.1 kHz in one thread,
beside audiomentations if it is installed; the time of stretching and shifting beside the bare engine; the quality of each
installed engine; the time of the import; and the time that training waits for augmented batches.
"""

import timing  # isort: skip  must come first: it limits NumPy to one thread

import math
import shutil
import statistics
import subprocess
import sys
import time
from functools import partial

import numpy as np

from audiozoo import augment
from audiozoo.augment import (
    AddNoise,
    Clipping,
    Codec,
    Compose,
    Filter,
    Gain,
    Normalize,
    PitchShift,
    PolarityInversion,
    Reverse,
    TimeMask,
    TimeShift,
    TimeStretch,
)

RATE, SECONDS = 44_100, 5
SLOW = 9  # calls of slow transforms
ENGINES = [name for name in ("signalsmith", "rubberband", "librosa") if name != "rubberband" or shutil.which(name)]


def peers():
    """Yield a title, a transform of audiozoo, and the transform of audiomentations with the same settings."""
    import audiomentations as peer

    noise = {"min_snr_db": 5.0, "max_snr_db": 40.0, "p": 1.0}
    gain = peer.Gain(min_gain_db=-6.0, max_gain_db=6.0, p=1.0)
    shift = peer.Shift(min_shift=-0.5, max_shift=0.5, rollover=True, p=1.0)
    bare_shift = peer.Shift(min_shift=-0.5, max_shift=0.5, rollover=True, fade_duration=0.0, p=1.0)
    mask = peer.TimeMask(min_band_part=0.0, max_band_part=0.2, fade_duration=0.005, p=1.0)
    polarity, snr = peer.PolarityInversion(p=1.0), peer.AddGaussianSNR(**noise)
    cutoff = {"min_cutoff_freq": 500.0, "max_cutoff_freq": 5_000.0, "min_rolloff": 12, "max_rolloff": 12, "p": 1.0}
    chain = [Gain(), AddNoise(), TimeShift(), TimeMask(), PolarityInversion()]
    yield "gain", Gain(), gain
    yield "shift, rolled", TimeShift(), bare_shift
    yield "shift, rolled (audiomentations with its default fade)", TimeShift(), shift
    yield "time mask", TimeMask(), mask
    yield "polarity", PolarityInversion(), polarity
    yield "reverse", Reverse(), peer.Reverse(p=1.0)
    yield "normalise the peak", Normalize(level_db=(0.0, 0.0)), peer.Normalize(p=1.0)
    yield "low pass, 12 dB an octave", Filter(), peer.LowPassFilter(**cutoff)
    yield "high pass, 12 dB an octave", Filter(kind="highpass"), peer.HighPassFilter(**cutoff)
    yield "peaking filter", Filter(kind="peaking"), peer.PeakingFilter(p=1.0)
    yield "white noise by SNR", AddNoise(), snr
    yield "pink noise by SNR", AddNoise(color="pink"), peer.AddColorNoise(min_f_decay=-3.01, max_f_decay=-3.01, **noise)
    yield "clip", Clipping(), peer.ClippingDistortion(p=1.0)
    yield "MP3", Codec(), peer.Mp3Compression(min_bitrate=64, max_bitrate=64, backend="fast-mp3-augment", p=1.0)
    yield "time stretch", TimeStretch(), peer.TimeStretch(min_rate=0.8, max_rate=1.25, p=1.0)
    yield "pitch shift", PitchShift(), peer.PitchShift(min_semitones=-2.0, max_semitones=2.0, p=1.0)
    yield "gain, noise, shift, mask, polarity", Compose(chain), peer.Compose([gain, snr, bare_shift, mask, polarity])


def speed(wave):
    rng = np.random.default_rng(0)
    print("| 5 s at 44.1 kHz | audiozoo, ms | audiomentations, ms | ratio |\n| --- | ---: | ---: | ---: |")
    for title, ours, theirs in peers():
        slow = title in ("time stretch", "pitch shift", "MP3")
        try:
            times = timing.compare(
                lambda ours=ours: ours(wave, sample_rate=RATE, rng=rng),
                lambda theirs=theirs: theirs(samples=wave, sample_rate=RATE),
                SLOW if slow else timing.CALLS,
            )
        except ImportError as error:
            print(f"| {title} | | not installed: {str(error).splitlines()[0]} | |")
        else:
            print(f"| {title} | {times[0]:.3f} | {times[1]:.3f} | {times[2]:.2f} |", flush=True)


def beside_engine(wave):
    from python_stretch.Signalsmith import Stretch

    def bare(rate, semitones):
        engine = Stretch()
        engine.preset(1, RATE)
        engine.timeFactor = rate
        engine.setTransposeSemitones(semitones)
        return engine.process(wave[None])

    print(
        "\n| signalsmith, 5 s at 44.1 kHz | audiozoo, ms | bare engine, ms | audiozoo / engine |\n| --- | ---: | ---: | ---: |"
    )
    for title, transform, rate, semitones in (
        ("time stretch by 0.9", TimeStretch(rate=(0.9, 0.9)), 0.9, 0.0),
        ("pitch shift by 2 semitones", PitchShift(semitones=(2.0, 2.0)), 1.0, 2.0),
    ):
        here, there, ratio = timing.compare(
            lambda transform=transform: transform(wave, sample_rate=RATE, rng=0),
            lambda rate=rate, semitones=semitones: bare(rate, semitones),
            31,
        )
        print(f"| {title} | {here:.1f} | {there:.1f} | {1 / ratio:.2f} |", flush=True)


def tone(hertz, seconds=3):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(seconds * RATE) / RATE)).astype(np.float32)


def middle_of(wave):
    return wave[len(wave) // 4 : -len(wave) // 4].astype(float)


def loudest_hertz(wave):
    """Return the frequency of the tone that fits best: start at the largest bin and refine it in ever smaller steps."""
    middle = middle_of(wave)
    size, step = 2**18, RATE / 2**18
    found = np.abs(np.fft.rfft(middle * np.blackman(len(middle)), size)).argmax() * step
    while step > 1e-6:
        found = min(found + step * np.linspace(-1, 1, 9), key=lambda hertz: residual_db(wave, hertz))
        step /= 4
    return found


def residual_db(wave, hertz):
    """Return the power of everything but a tone, relative to the tone (dB)."""
    middle = middle_of(wave)
    phases = 2 * np.pi * hertz * np.arange(len(middle)) / RATE
    basis = np.stack([np.sin(phases), np.cos(phases)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    return 10 * math.log10(np.mean((middle - fitted) ** 2) / np.mean(fitted**2))


def onset_errors(engine, rate):
    """Return the time error of each click in a train of clicks (ms)."""
    wave, places = np.zeros(5 * RATE, np.float32), np.arange(1, 10) * RATE // 2
    for place in places:
        wave[place : place + 64] = 0.9 * np.hanning(64)
    changed = np.abs(augment.stretch(wave, RATE, rate=rate, engine=engine))
    envelope = np.convolve(changed, np.ones(64) / 64, "same")
    reach = RATE // 8
    expected = np.round((places + 32) / rate).astype(int)
    found = [centre - reach + envelope[centre - reach : centre + reach].argmax() for centre in expected]
    return 1e3 * (np.array(found) - expected) / RATE


def judged(engine, rate, semitones):
    """Yield the cells of the table for one change by one engine."""
    wave, wanted = tone(1_000), 1_000 * 2 ** (semitones / 12)
    change = partial(augment.stretch, sample_rate=RATE, rate=rate, semitones=semitones, engine=engine)
    changed = change(wave)
    found = loudest_hertz(changed)
    yield engine
    yield f"{rate:g} times as fast" if rate != 1 else f"{semitones:+g} semitones"
    yield f"{len(changed) - round(len(wave) / rate):+d}"
    yield f"{1_200 * math.log2(found / wanted):+.2f}"
    yield f"{np.abs(onset_errors(engine, rate)).max():.1f}" if rate != 1 else ""
    yield f"{residual_db(changed, found):.0f}"
    five = np.resize(wave, SECONDS * RATE)
    yield f"{1e3 * statistics.median(wall_seconds(lambda: change(five)) for _ in range(5)):.0f}"


def wall_seconds(call):
    # rubberband runs in a process of its own, which the clock of this thread does not measure.
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def quality():
    columns = ("engine", "change", "length", "pitch, cents off", "onsets, ms off (worst)", "residual, dB", "ms for 5 s")
    print(f"\n| {' | '.join(columns)} |\n| --- | --- |{' ---: |' * 5}")
    for engine in ENGINES:
        for rate, semitones in ((0.8, 0.0), (1.25, 0.0), (1.0, 4.0), (1.0, -7.0)):
            print(f"| {' | '.join(judged(engine, rate, semitones))} |", flush=True)


def waiting(steps=60):
    """Print how long training waits for its batches, with and without threads that prepare them ahead."""
    import audiozoo
    from audiozoo.features import Scaler, extract
    from audiozoo.training import Examples, frontend_for, recipe_for, target_indices
    from audiozoo.training.batches import Batches

    data = audiozoo.load_dataset("synthetic")
    frontend = frontend_for("house_cnn", data.clips)
    examples = Examples(
        data.clips, extract(data.clips, frontend), target_indices(data.clips, data.labels), np.arange(len(data))
    )
    model = audiozoo.build("house_cnn", len(data.labels), input_shape=frontend.shape)
    model.compile("adam", "categorical_crossentropy")
    chain = Compose([Gain(), TimeShift(), AddNoise(color="pink"), Filter(kind="peaking"), TimeMask()])
    kinds = {"cheap": chain, "cheap and a time stretch": Compose([chain, TimeStretch()])}
    title = f"house_cnn, batches of 16 x {frontend.duration:g} s at {frontend.sample_rate} Hz"
    print(f"\n| {title} | threads | waiting, ms a step | step, ms |\n| --- | ---: | ---: | ---: |")
    for kind, change in kinds.items():
        recipe = recipe_for("house_cnn", augment_wave=change)
        batches = Batches(examples, recipe, Scaler.identity(), frontend, len(data.labels), 1)
        for workers in (0, 1, 2):
            waits, learns = [], []
            with batches.stream(workers) as stream:
                for _ in range(steps):
                    begin = time.perf_counter()
                    batch = next(stream)
                    waits.append(time.perf_counter() - begin)
                    model.train_on_batch(*batch)
                    learns.append(time.perf_counter() - begin - waits[-1])
            half = steps // 2  # the first half reads the sounds and fills the queue
            means = [1e3 * statistics.mean(times[half:]) for times in (waits, learns)]
            print(f"| {kind} | {workers} | {means[0]:.0f} | {means[1]:.0f} |", flush=True)


def import_seconds():
    code = "import time, numpy; begin = time.perf_counter(); import audiozoo.augment; print(time.perf_counter() - begin)"
    times = [float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(9)]
    print(f"\n`import audiozoo.augment` after NumPy: {1e3 * statistics.median(times):.0f} ms (median of 9 processes)")


if __name__ == "__main__":
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, SECONDS * RATE).astype(np.float32)
    try:
        speed(sound)
    except ModuleNotFoundError as error:
        print(f"skipped audiomentations: {error}")
    beside_engine(sound)
    quality()
    waiting()
    import_seconds()
