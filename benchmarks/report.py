"""Measure how long `audiozoo report` takes for many rows, and how much memory.

    python benchmarks/report.py [FOLDER ...] [--rows 10000]

The script copies the rows of each folder with further seeds until there are enough. It prints a Markdown table of the size of
the rows (MB), of the time on the clock and of the processor (seconds), and of the most memory that the process used (MB).
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from audiozoo.crossval import read_rows, write_row

RESULTS = Path(__file__).parent / "results"


def with_seed(row, seed):
    return replace(row, request=replace(row.request, recipe=replace(row.request.recipe, seed=seed)))


def write_rows(folder, target, rows):
    """Write rows with the results of those in a folder and other seeds; return their size (MB)."""
    templates = [row for row in read_rows(folder) if row.test]
    for number, row in enumerate(itertools.islice(itertools.cycle(templates), rows)):
        write_row(target / f"{number:06}.json", with_seed(row, 1_000 + number // len(templates)))
    return sum(path.stat().st_size for path in target.iterdir()) / 1e6


def measure(folder, output):
    """Return the time on the clock and of the processor (seconds), and the most memory (MB) of one report."""
    begin = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "audiozoo", "report", folder, "-o", output], stdout=subprocess.DEVNULL)
    _, status, spent = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the report failed")
    return time.perf_counter() - begin, spent.ru_utime + spent.ru_stime, spent.ru_maxrss * 1_024 / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, default=[RESULTS / "esc10" / "rows", RESULTS / "esc50" / "rows"])
    parser.add_argument("--rows", type=int, default=10_000)
    given = parser.parse_args()
    print(f"load of the machine {os.getloadavg()[0]:.1f}\n")
    print("| rows of | rows | MB | wall, s | processor, s | MB of memory |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for folder in given.folders:
        with tempfile.TemporaryDirectory() as name:
            rows = Path(name) / "rows"
            rows.mkdir()
            size = write_rows(folder, rows, given.rows)
            wall, processor, memory = measure(rows, Path(name) / "report.html")
            print(
                f"| {folder.parent.name} | {given.rows:,} | {size:.0f} | {wall:.1f} | {processor:.1f} | {memory:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
