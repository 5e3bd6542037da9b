"""Compare the speed of frontends with librosa and other packages.

    python benchmarks/features.py [ESC-50/]

The script prints Markdown tables: times on 5 seconds of noise in one thread; with the folder of ESC-50, also times from files
and from the cache; and the memory for an hour of sound. It skips packages that are not installed.
"""

from timing import CALLS, compare  # isort: skip  must come first: it limits NumPy to one thread

import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import librosa
import numpy as np
import soundfile
from joblib import Parallel, delayed

import audiozoo
from audiozoo import audio
from audiozoo.features import MFCC, FeatureCache, LogMel, Spectrogram, extract

SETTINGS = [
    (44_100, 2_048, 1_024, 128),
    (22_050, 2_048, 512, 64),
    (16_000, 512, 160, 64),
    (32_000, 1_024, 640, 64),
    (48_000, 2_048, 960, 40),
]
SECONDS = 5
WORKERS = 2


def settings_of(rate, n_fft, hop, bands):
    """Yield each frontend, its input, and a function that computes the same features with librosa."""
    wave = np.random.default_rng(0).normal(0, 0.1, SECONDS * rate).astype(np.float32)
    ours = {"sample_rate": rate, "duration": SECONDS, "n_fft": n_fft, "hop_length": hop}
    theirs = {"y": wave, "sr": rate, "n_fft": n_fft, "hop_length": hop, "n_mels": bands}
    yield LogMel(**ours, n_mels=bands), wave, lambda: librosa.power_to_db(librosa.feature.melspectrogram(**theirs))
    yield Spectrogram(**ours), wave, lambda: np.abs(librosa.stft(wave, n_fft=n_fft, hop_length=hop)) ** 2
    yield MFCC(**ours, n_mels=bands), wave, lambda: librosa.feature.mfcc(**theirs, n_mfcc=20)


def one_thread():
    """Print the times of each frontend and of librosa."""
    print("| frontend | Hz n_fft/hop/bands | ours, ms | librosa, ms | librosa / ours | largest difference |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for setting in SETTINGS:
        for frontend, wave, peer in settings_of(*setting):
            difference = np.abs(frontend(wave)[..., 0] - peer()).max()
            here, there, ratio = compare(lambda f=frontend, w=wave: f(w), peer)
            title = f"{type(frontend).__name__} | {setting[0]} {'/'.join(map(str, setting[1:]))}"
            print(f"| {title} | {here:.2f} | {there:.2f} | {ratio:.2f} | {difference:.1e} |", flush=True)


def keras_peer(rate, n_fft, hop, bands):
    import keras

    layer = keras.layers.MelSpectrogram(
        fft_length=n_fft, sequence_stride=hop, sampling_rate=rate, num_mel_bins=bands, min_freq=0.0, max_freq=rate / 2
    )
    return lambda wave: np.asarray(layer(wave[None]))


def torchlibrosa_peer(rate, n_fft, hop, bands):
    import torch
    from torchlibrosa.stft import LogmelFilterBank, Spectrogram

    torch.set_num_threads(1)
    parts = (
        Spectrogram(n_fft=n_fft, hop_length=hop),
        LogmelFilterBank(sr=rate, n_fft=n_fft, n_mels=bands, fmin=0, fmax=rate // 2),
    )

    def run(wave):
        with torch.no_grad():
            return parts[1](parts[0](torch.from_numpy(wave[None])))

    return run


def nnaudio_peer(rate, n_fft, hop, bands):
    import torch
    from nnAudio.features import MelSpectrogram

    torch.set_num_threads(1)
    layer = MelSpectrogram(sr=rate, n_fft=n_fft, hop_length=hop, n_mels=bands, verbose=False)
    return lambda wave: layer(torch.from_numpy(wave[None]))


def other_peers():
    """Print the times of LogMel and of the layers of other packages, with as many threads as these use."""
    print("\n| Hz n_fft/hop/bands | peer | LogMel, ms | peer, ms | peer / LogMel |\n| --- | --- | ---: | ---: | ---: |")
    for package, make in (("keras", keras_peer), ("torchlibrosa", torchlibrosa_peer), ("nnAudio", nnaudio_peer)):
        if importlib.util.find_spec(package) is None:
            print(f"| | {package}: not installed | | | |")
            continue
        for rate, n_fft, hop, bands in SETTINGS[:3]:
            wave = np.random.default_rng(0).normal(0, 0.1, SECONDS * rate).astype(np.float32)
            frontend = LogMel(sample_rate=rate, duration=SECONDS, n_fft=n_fft, hop_length=hop, n_mels=bands)
            peer = make(rate, n_fft, hop, bands)
            peer(wave)  # the first call builds filterbanks and compiles
            calls = [lambda f=frontend, w=wave: f(w), lambda p=peer, w=wave: p(w)]
            pairs = [tuple(map(elapsed, calls)) for _ in range(CALLS)]
            here, there = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
            print(f"| {rate} {n_fft}/{hop}/{bands} | {package} | {here:.2f} | {there:.2f} | {there / here:.2f} |", flush=True)


def elapsed(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def from_files(root):
    """Print the times for all of ESC-50: decoding, log-mel features, and features from the cache."""
    clips = audiozoo.load_dataset("esc50", root=root).clips
    frontend = LogMel(sample_rate=44_100, duration=SECONDS, n_fft=2_048, hop_length=1_024, n_mels=128)

    def decode(part):
        Parallel(n_jobs=WORKERS, prefer="threads")(delayed(audio.load)(clip.path, sample_rate=44_100) for clip in part)

    # Decoding and features alternate every 200 clips, so that a change in the speed of the machine affects both.
    parts = [clips[start : start + 200] for start in range(0, len(clips), 200)]
    decode(parts[0])
    decoding, computing = zip(
        *((elapsed(lambda p=part: decode(p)), elapsed(lambda p=part: extract(p, frontend, jobs=WORKERS))) for part in parts),
        strict=True,
    )
    print(f"\n| all of ESC-50, {WORKERS} threads | seconds | ratio |\n| --- | ---: | ---: |")
    print(f"| decoding alone | {sum(decoding):.2f} | 1 |")
    print(f"| decoding and LogMel 44100 2048/1024/128 | {sum(computing):.2f} | {sum(computing) / sum(decoding):.2f} |")
    with tempfile.TemporaryDirectory() as folder:
        cache = FeatureCache(folder)
        first = elapsed(lambda: extract(clips, frontend, jobs=WORKERS, cache=cache))
        again = elapsed(lambda: extract(clips, frontend, jobs=WORKERS, cache=cache))
    print(f"| the same into an empty cache | {first:.2f} | |")
    print(f"| the same again, from the cache | {again:.3f} | {first / again:.0f} times as fast |")


HOUR = """
import resource, sys
from audiozoo import audio
from audiozoo.features import LogMel
frontend = LogMel(sample_rate=32_000, n_fft=1_024, hop_length=640)
def windows(path):
    return sum(1 for _ in frontend.windows(audio.stream(path, sample_rate=32_000)))
windows(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = windows(sys.argv[2])
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def one_hour():
    """Print the memory for the windows of an hour of stereo at 44.1 kHz beyond the memory for 10 seconds."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{name}.wav") for name in ("short", "hour")]
        for path, minutes in zip(paths, (1 / 6, 60), strict=True):
            with soundfile.SoundFile(path, "w", 44_100, 2) as file:
                for _ in range(round(6 * minutes)):
                    file.write(0.1 * rng.standard_normal((441_000, 2)).astype(np.float32))
        done = subprocess.run([sys.executable, "-c", HOUR, *paths], capture_output=True, text=True, check=True)
    count, megabytes = done.stdout.split()
    print(
        f"\nAn hour of stereo at 44.1 kHz: {count} windows of LogMel at 32 kHz, {float(megabytes):.0f} MB above the baseline."
    )


def main():
    print(f"librosa {librosa.__version__}, NumPy {np.__version__}, {SECONDS} s of noise, median of {CALLS} calls, one thread\n")
    one_thread()
    other_peers()
    for root in sys.argv[1:]:
        from_files(root)
    one_hour()


if __name__ == "__main__":
    main()
