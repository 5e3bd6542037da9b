"""Measure the speed and the memory of `Classifier.predict_many` on ESC-50, with house_cnn on two cores.

    python benchmarks/throughput.py ESC-50 [--files 2000] [--rounds 3] [--output benchmarks/results/throughput.md]

Speed: decoding alone (reading and resampling, two threads), decoding with features, the bare model (`predict_on_batch` on the
same windows) and `predict_many` are timed in turn, so that a change of the machine's speed affects all. Memory: a new process
classifies all files, and another one ten times as many hard links to them. The weights are random, which changes no speed.
Each round is kept beside the output (.json), and the same command continues after an interruption.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CORES = 2
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if hasattr(os, "sched_setaffinity"):  # before the backend counts the cores
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])

import numpy as np

import audiozoo
from audiozoo import audio
from audiozoo.classifier import Classifier, Failure
from audiozoo.threads import one_blas_thread

BATCH = 32


def house():
    frontend = audiozoo.model_info("house_cnn").frontend.adapt(duration=5.0, channels=1)
    model = audiozoo.build("house_cnn", 50, input_shape=frontend.shape, seed=0)
    return Classifier.from_keras(model, frontend, [str(number) for number in range(50)])


def in_threads(function, paths):
    with one_blas_thread(), ThreadPoolExecutor(CORES) as threads:
        return list(threads.map(function, paths))


def bare(model, windows):
    for start in range(0, len(windows) - BATCH + 1, BATCH):
        model.predict_on_batch(windows[start : start + BATCH])


def cost(call):
    """Return the wall time and the CPU time of a call (seconds)."""
    cpu, begin = time.process_time(), time.perf_counter()
    call()
    return time.perf_counter() - begin, time.process_time() - cpu


def measured(classifier, paths):
    frontend, model = classifier.frontend, classifier.scorer.model

    def decode(path):
        return len(audio.load(path, sample_rate=frontend.sample_rate, channels=frontend.channels))

    def features(path):
        pieces = audio.stream(path, sample_rate=frontend.sample_rate, channels=frontend.channels)
        return [window for _, window in frontend.windows(pieces)]

    windows = np.concatenate(in_threads(features, paths))
    return {
        "windows": len(windows),
        "decode": cost(lambda: in_threads(decode, paths)),
        "features": cost(lambda: in_threads(features, paths)),
        "model": cost(lambda: bare(model, windows)),
        "many": cost(lambda: checked(classifier, paths)),
    }


def checked(classifier, paths):
    count = sum(not isinstance(answer, Failure) for answer in classifier.predict_many(paths))
    assert count == len(paths), f"{count} of {len(paths)} files were classified"


def peak_memory(folder, times, files):
    """Return the peak memory of a new process (MiB), and its wall time (seconds)."""
    words = [sys.executable, __file__, str(folder), "--files", str(files), "--links", str(times)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def classify_links(paths, times):
    classifier = house()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        links = []
        for number in range(times):
            for path in paths:
                links.append(str(Path(folder) / f"{number}-{Path(path).name}"))
                try:
                    os.link(path, links[-1])
                except OSError:  # the sounds are on another file system
                    os.symlink(path, links[-1])
        wall, _ = cost(lambda: checked(classifier, links))
    print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, wall]))


def table(rounds, memory, files):
    def middle(name):
        return [1e3 * statistics.median(values) / files for values in zip(*[one[name] for one in rounds], strict=True)]

    names = {
        "decode": "decoding alone (read, resample)",
        "features": "decoding and features",
        "model": f"bare model, batches of {BATCH}",
        "many": "predict_many",
    }
    lines = [
        f"{files} files of ESC-50, {rounds[0]['windows']} windows; house_cnn with 50 classes; {CORES} cores; medians of "
        f"{len(rounds)} round(s).\n",
        "| step | wall ms/file | CPU ms/file |",
        "| --- | ---: | ---: |",
        *[f"| {text} | {middle(name)[0]:.2f} | {middle(name)[1]:.2f} |" for name, text in names.items()],
        "",
    ]

    def ratio(kind, above, below):
        """Return the median ratio of the summed times of steps to that of the slower of two (0: wall, 1: CPU)."""
        return statistics.median(sum(one[n][kind] for n in above) / max(one[n][kind] for n in below) for one in rounds)

    alone, ahead, work = ("decode", "model"), ("features", "model"), ("features", "model")
    lines += [
        f"predict_many takes {ratio(0, ['many'], alone):.2f} times as long as the slower of decoding alone and the bare model, "
        f"and {ratio(0, ['many'], ahead):.2f} times as long as the slower of decoding with features and the bare model.",
        "",
        f"Features and model share the cores, so their CPU times allow no ratio below {ratio(1, work, alone):.2f} and "
        f"{ratio(1, work, ahead):.2f}. In CPU time, predict_many reaches {ratio(1, ['many'], alone):.2f} and "
        f"{ratio(1, ['many'], ahead):.2f}.",
        "",
        "| files | peak memory MiB | seconds |",
        "| ---: | ---: | ---: |",
        *[f"| {files * int(times)} | {peak:.0f} | {wall:.0f} |" for times, (peak, wall) in memory.items()],
    ]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "throughput.md")
    parser.add_argument("--links", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    paths = [str(path.resolve()) for path in audio.sounds_in(given.root)][: given.files]
    if given.links:
        classify_links(paths, given.links)
        return
    kept = given.output.with_suffix(".json")
    state = json.loads(kept.read_text()) if kept.exists() else {}
    if state.get("files") != len(paths):
        state = {"files": len(paths), "rounds": [], "memory": {}}
    classifier = house()
    checked(classifier, paths[:64])  # the first batches trace the graphs
    while len(state["rounds"]) < given.rounds:
        state["rounds"].append(measured(classifier, paths))
        kept.write_text(json.dumps(state))
    for times in ("1", "10"):
        if times not in state["memory"]:
            state["memory"][times] = peak_memory(given.root, times, len(paths))
            kept.write_text(json.dumps(state))
    given.output.write_text(table(state["rounds"], state["memory"], len(paths)))
    print(given.output.read_text())


if __name__ == "__main__":
    main()
