"""LogMel beside librosa: the same 5-second array, one thread, at five settings, in one run.

    python benchmarks/features.py

Prints a Markdown table: medians of the calls' times, their ratio call by call, and the largest difference in dB.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import statistics
import time

import librosa
import numpy as np

from audiozoo.features import LogMel

SETTINGS = [
    (44_100, 2_048, 1_024, 128),
    (22_050, 2_048, 512, 64),
    (16_000, 512, 160, 64),
    (32_000, 1_024, 640, 64),
    (48_000, 2_048, 960, 40),
]
SECONDS = 5
CALLS = 60


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def compare(rate, n_fft, hop_length, n_mels):
    wave = np.random.default_rng(0).normal(0, 0.1, SECONDS * rate).astype(np.float32)
    frontend = LogMel(sample_rate=rate, duration=SECONDS, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels)

    def peer():
        mel = librosa.feature.melspectrogram(y=wave, sr=rate, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels)
        return librosa.power_to_db(mel)

    difference = np.abs(frontend(wave)[..., 0] - peer()).max()
    # In turn, so that a machine that slows down slows both.
    pairs = [(seconds(lambda: frontend(wave)), seconds(peer)) for _ in range(CALLS)]
    ours, theirs = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(there / here for here, there in pairs)
    return f"| {rate} {n_fft}/{hop_length}/{n_mels} | {ours:.2f} | {theirs:.2f} | {ratio:.2f} | {difference:.1e} |"


def main():
    print(f"librosa {librosa.__version__}, NumPy {np.__version__}, one thread, {SECONDS} s of noise, median of {CALLS} calls\n")
    print("| Hz n_fft/hop/bands | LogMel ms | librosa ms | librosa / LogMel | largest difference, dB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for setting in SETTINGS:
        print(compare(*setting), flush=True)


if __name__ == "__main__":
    main()
