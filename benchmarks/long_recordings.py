"""Measure how long a classifier takes for an hour of audio, and how much memory.

    python benchmarks/long_recordings.py ESC-50/ [CLASSIFIER] [--minutes 60] [--hops 2.5,0.5]

The script joins clips of ESC-10 to a recording, and prints a Markdown table of the time on the clock and of the processor
(seconds), and of the memory of the process (MB) after the first minute and at the end.
"""

import argparse
import csv
import os
import tempfile
import time
from pathlib import Path

import soundfile

from audiozoo import load_classifier


def clips_of(root):
    with open(root / "meta" / "esc50.csv", newline="") as file:
        return [root / "audio" / row["filename"] for row in csv.DictReader(file) if row["esc10"] == "True"]


def write_recording(root, path, seconds):
    """Join clips, again and again, to a recording of a duration (seconds)."""
    clips, rate = clips_of(root), 44_100
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        while file.frames < seconds * rate:
            for clip in clips:
                wave, _ = soundfile.read(clip, dtype="float32")
                file.write(wave[: max(0, round(seconds * rate) - file.frames)])


def memory():
    """Return the memory of the process (MB)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(classifier, path, hop):
    wall, processor, windows, first = time.perf_counter(), time.process_time(), 0, None
    for part in classifier.timeline_parts(path, hop=hop):
        windows += len(part.starts)
        if first is None and part.ends[-1] >= 60:
            first = memory()
    return windows, time.perf_counter() - wall, time.process_time() - processor, first or memory(), memory()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("classifier", nargs="?", default="house_cnn/esc10")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--hops", default="2.5,0.5")
    given = parser.parse_args()
    classifier = load_classifier(given.classifier)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.w64"  # WAV ends at 4 GB
        write_recording(given.root, path, 10)
        classifier.timeline(path)  # the first batches compile the network
        write_recording(given.root, path, 60 * given.minutes)
        print(f"{given.classifier}, {given.minutes:g} minutes, load of the machine {os.getloadavg()[0]:.1f}\n")
        print("| hop, s | windows | wall, s | processor, s | MB after a minute | MB at the end |")
        print("| ---: | ---: | ---: | ---: | ---: | ---: |")
        for hop in map(float, given.hops.split(",")):
            windows, wall, processor, before, after = measure(classifier, path, hop)
            print(f"| {hop:g} | {windows:,} | {wall:.1f} | {processor:.1f} | {before:.0f} | {after:.0f} |", flush=True)


if __name__ == "__main__":
    main()
