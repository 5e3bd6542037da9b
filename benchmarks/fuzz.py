"""Damage sound files in seeded ways and classify each one: what crashes, hangs, fills memory or fails without a name?

    python benchmarks/fuzz.py --files 10000 --seed 0

The seeds are files in every format and subtype that libsndfile writes. Each damaged file goes through the path of
`audiozoo predict`: read, resample, cut into windows, front end, scaler, model, pooling; the model is a few lines of NumPy.
Worker processes classify the files and report each one, so that the parent sees a crash or a hang and goes on behind it.
The same seed gives the same files. Writes a Markdown table to --out.
"""

import argparse
import json
import os
import platform
import resource
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import soundfile
from fuzz_files import damaged, recipes

from audiozoo import features
from audiozoo.classifier import Classifier, Failure, Scorer
from audiozoo.files import replacing

SLOW_SECONDS = 10
"""Processor time that no file may take."""

SILENT_SECONDS = 60
"""Time without a word from a worker after which it hangs; a busy machine needs more of it than processor time."""

MEMORY = 2**30
"""Bytes that no file may add to what the process held before."""

FAULTS = ("crash", "hang", "unnamed error", "NaN or infinity", "over 1 GB")

RESULTS = Path(__file__).parent / "results" / "fuzz.md"

FRONTENDS = (
    features.LogMel(sample_rate=22_050, duration=1.0),
    features.Waveform(sample_rate=16_000, duration=1.0, scaling="rms", pad="repeat"),
    features.LogMel(sample_rate=48_000, duration=10.0, channels=2, layout="mid_side", compression="log"),
    features.MFCC(sample_rate=8_000, duration=0.5, last="pad"),
    features.Statistics(of=features.LogMel(sample_rate=44_100, duration=5.0)),
)


class Tiny(Scorer):
    """A scorer of three classes, which notices what is not finite."""

    kind = "tiny"
    activation = "softmax"
    parameters = 0

    def __init__(self):
        self.finite = True

    def check(self, shape, classes):
        pass

    def scores(self, windows):
        self.finite &= bool(np.isfinite(windows).all())
        logits = np.nan_to_num(windows.reshape(len(windows), -1)[:, :3])
        odds = np.exp(np.clip(logits, -30, 30))
        return odds / odds.sum(axis=1, keepdims=True)


def classify(path, frontend):
    """Return what came of one file, "answered", "refused" or one of FAULTS, and an explanation."""
    scorer = Tiny()
    classifier = Classifier(frontend, features.Scaler.identity(), scorer, ("a", "b", "c"))
    try:
        (answer,) = classifier.predict_many([str(path)])
    except Exception as error:  # an unexpected error ends `audiozoo predict` with a traceback
        return "crash", f"{type(error).__name__}: {error}"
    if isinstance(answer, Failure):
        return ("refused" if str(path) in answer.error else "unnamed error"), answer.error
    finite = scorer.finite and bool(np.isfinite(answer.scores).all())
    return ("answered" if finite else "NaN or infinity"), ""


def peak_bytes():
    """Return the most memory that the process has held since the last `forget_peak`."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024
    return int(status.split("VmHWM:")[1].split()[0]) * 1_024


def forget_peak():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # without it, the peak is that of all files so far: a file may be blamed for another, and none is missed


def examine(number, seed, folder):
    """Classify one damaged file; return a row of the report."""
    path, kind, mutation = damaged(number, seed=seed, folder=folder)
    frontend = FRONTENDS[np.random.default_rng([seed, number, 1]).integers(len(FRONTENDS))]
    forget_peak()
    memory, begin = peak_bytes(), time.process_time()
    outcome, why = classify(path, frontend)
    seconds, megabytes = time.process_time() - begin, (peak_bytes() - memory) / 1e6
    if seconds > SLOW_SECONDS:
        outcome, why = "hang", f"{seconds:.1f} s of processor time; {outcome}: {why}"
    elif megabytes * 1e6 > MEMORY:
        outcome, why = "over 1 GB", f"{megabytes:.0f} MB; {outcome}: {why}"
    return {
        "number": number,
        "format": kind,
        "mutation": mutation,
        "outcome": outcome,
        "why": why,
        "seconds": seconds,
        "megabytes": megabytes,
    }


def work(numbers, seed):
    """Examine files and print a JSON line for each."""
    for frontend in FRONTENDS:  # what is loaded or compiled on first use is no file's fault
        frontend(np.zeros((frontend.samples, 2)[: frontend.channels], np.float32))
    address_space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    # Memory that is asked for and never touched shows in no peak, so a huge request has to fail.
    resource.setrlimit(resource.RLIMIT_AS, (address_space + 4 * MEMORY,) * 2)
    with os.fdopen(os.dup(1), "w", buffering=1) as rows, tempfile.TemporaryDirectory() as folder:
        os.dup2(2, 1)  # what a decoder prints must not stand among the rows
        for number in numbers:
            print(json.dumps(examine(number, seed, Path(folder))), file=rows)


def examined(numbers, seed):
    """Yield the rows of a range of files from worker processes; a crash or a hang costs one file and one worker."""
    while numbers:
        with tempfile.TemporaryFile() as complaints, started(numbers, seed, complaints) as process:
            for row in said(process):
                numbers = numbers[1:]
                yield row
            silent = not ended(process)
            complaints.seek(0)
            last = complaints.read().decode(errors="replace")[-300:]
        if numbers:
            yield lost(numbers[0], seed, silent, f"status {process.returncode}: {last}")
            numbers = numbers[1:]


def started(numbers, seed, complaints):
    command = [sys.executable, __file__, "--seed", str(seed), "--worker", str(numbers.start), str(numbers.stop)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints)


def ended(process):
    """Tell whether a process ended by itself, and end it."""
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        return False
    return True


def said(process):
    """Yield the rows that a worker prints, until it ends or says nothing for too long."""
    # Unbuffered, for a line in a buffer would wake no selector; the worker writes whole lines.
    waiting = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(SILENT_SECONDS) and (chunk := os.read(process.stdout.fileno(), 2**16)):
            *lines, waiting = (waiting + chunk).split(b"\n")
            yield from map(json.loads, lines)


def lost(number, seed, silent, last):
    """Return the row of a file whose worker hung or died."""
    with tempfile.TemporaryDirectory() as folder:
        _, kind, mutation = damaged(number, seed=seed, folder=Path(folder))
    return {
        "number": number,
        "format": kind,
        "mutation": mutation,
        "outcome": "hang" if silent else "crash",
        "why": "no word" if silent else last,
    }


def run(files, *, seed=0, batch=2_500, show=lambda row: None):
    """Examine files 0 to `files` in batches, a fresh process for each; return the rows."""
    rows = []
    for start in range(0, files, batch):
        for row in examined(range(start, min(start + batch, files)), seed):
            rows.append(row)
            show(row)
    return rows


def table(rows, by):
    """Return a Markdown table of outcomes by a key of the rows."""
    lines = [
        f"| {by} | files | answered | refused | {' | '.join(FAULTS)} | longest s | most MB |",
        "| --- |" + " ---: |" * (len(FAULTS) + 5),
    ]
    groups = [(name, [row for row in rows if row[by] == name]) for name in sorted({row[by] for row in rows})]
    for name, group in [*groups, ("all", rows)]:
        counts = Counter(row["outcome"] for row in group)
        cells = [len(group), *(counts[outcome] for outcome in ("answered", "refused", *FAULTS))]
        most = [max(row.get(quantity, 0) for row in group) for quantity in ("seconds", "megabytes")]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {most[0]:.2f} | {most[1]:.0f} |")
    return "\n".join(lines)


def report(rows, seed):
    versions = (
        f"soundfile {soundfile.__version__}, libsndfile {soundfile.__libsndfile_version__}, Python {platform.python_version()}"
    )
    return f"""# Damaged sound files

`python benchmarks/fuzz.py --files {len(rows)} --seed {seed}` ({versions}).

Each of {len(rows):,} files is a small sound in one of the {len(recipes())} pairs of format and subtype that libsndfile writes,
damaged in one or two seeded ways, and goes through the path of `audiozoo predict`. "Answered" and "refused" are as they should
be; the {len(FAULTS)} columns after them count faults: an end of the process or an unexpected kind of error, more than
{SLOW_SECONDS} s of processor time, an error that does not name the file, features or scores that are not finite, more than
1 GB of memory added.

## By damage

{table(rows, "mutation")}

## By format

{table(rows, "format")}
"""


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--worker", type=int, nargs=2, metavar=("START", "STOP"), help=argparse.SUPPRESS)
    return parser.parse_args()


def show(row):
    if row["outcome"] in FAULTS:
        print(row, flush=True)
    elif row["number"] % 500 == 0:
        print(f"{row['number']} ({time.strftime('%X')})", flush=True)


def main():
    args = options()
    if args.worker:
        work(range(*args.worker), args.seed)
        return
    rows = run(args.files, seed=args.seed, show=show)
    print(table(rows, "mutation"))
    with replacing(args.out) as path:
        path.write_text(report(rows, args.seed))
    sys.exit(any(row["outcome"] in FAULTS for row in rows))


if __name__ == "__main__":
    main()
