"""Measure the memory of a training while its features grow from 10,000 to 1,000,000 windows.

    python benchmarks/memory.py [--windows 10000,100000,1000000] [--clips 100]

Each number of windows is a process of its own: it writes noise as WAV files, computes log-mel features into a cache, and trains
`house_cnn` for two epochs on windows that it reads from there. The memory is what the process allocated. Pages of mapped
files, which the system takes back when it needs them, are listed apart.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

RATE, WINDOW, HOP = 8_000, 0.5, 0.05
CLASSES = 4


def status():
    """Return the allocated memory and the pages of mapped files of this process (MB)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return [int(lines[name].split()[0]) / 1e3 for name in ("RssAnon", "RssFile")]


@contextmanager
def peak():
    """Context manager that gives a list, which has the largest values of `status` at its end."""
    found, ended = status(), threading.Event()

    def watch():
        while not ended.wait(0.02):
            found[:] = map(max, found, status())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def write_clips(folder, windows, clips):
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    seconds = WINDOW + HOP * (windows // clips - 1)
    for number in range(clips):
        path = folder / f"class-{number % CLASSES}" / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, rng.normal(0, 0.01 * (1 + number % CLASSES), round(seconds * RATE)), RATE, subtype="PCM_16")


def one(windows, clips):
    import audiozoo
    from audiozoo import Recipe, load_dataset
    from audiozoo.features import FeatureCache, LogMel, extract

    frontend = LogMel(sample_rate=RATE, duration=WINDOW, n_fft=256, hop_length=128, n_mels=16, hop=HOP)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sounds").mkdir()
        write_clips(folder / "sounds", windows, clips)
        data, cache = load_dataset("folder", root=folder / "sounds").clips, FeatureCache(folder / "cache")
        extract(data[:1], frontend)
        before, begin = status()[0], time.perf_counter()
        with peak() as extracting:
            features = extract(data, frontend, cache=cache)
        with peak() as training:
            recipe = Recipe(epochs=2, batch_size=16, validation=0.25)
            audiozoo.training.train("house_cnn", data, recipe, frontend=frontend, cache=cache)
        seconds = time.perf_counter() - begin
    figures = [len(features.values), features.values.nbytes / 1e6, before, extracting[0], training[0], training[1], seconds]
    print("| " + " | ".join(f"{figure:,.0f}" for figure in figures) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", default="10000,100000,1000000")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.clips)
        return
    print("| windows | features, MB | at the start, MB | extraction, MB | training, MB | mapped files, MB | s |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for windows in given.windows.split(","):
        command = [sys.executable, __file__, "--one", windows, "--clips", str(given.clips)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
