"""Estimate the time and the cost of AudioSet on clusters of several sizes, from rates measured on this machine.

    python benchmarks/scale_plan.py ESC-50/ [CLASSIFIER] [--nodes 1,8,64] [--cores 16] [--gbit 25] [--price 0.04]

It measures three costs of a clip of five seconds: reading with features on one core, the model on one core, and what the one
process does that collects the answers. Then it simulates the tasks of all nodes: actors take a task when they are free, reading
shares the bandwidth of the storage, tasks differ in time, and the collecting process takes the answers of a task one by one.
"""

import argparse
import heapq
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", TF_CPP_MIN_LOG_LEVEL="3")

import numpy as np
from long_recordings import clips_of

CLIPS, SECONDS = 2_084_320, 10.0  # AudioSet, all segments
BYTES = 10 * 16_000  # a compressed clip at 128 kbit/s
TASK = 256  # files in a task
START = 60.0  # seconds until the actors of a cluster run
SPREAD = 0.15  # standard deviation of the time of a task, relative


def measured(root, name):
    """Return the core-seconds that a clip of five seconds takes: for reading, for the model, and for collecting."""
    import audiozoo
    from audiozoo.classifier.many import windows_of

    classifier = audiozoo.load_classifier(name)
    paths = list(map(str, clips_of(root)[:200]))
    windows = []
    begin = time.process_time()
    for path in paths:
        windows += windows_of(path, classifier.frontend, classifier.scaler, None)
    reading = (time.process_time() - begin) / len(paths)
    batches = [np.stack(windows[start : start + 32]) for start in range(0, 192, 32)]
    classifier.scorer.outputs(batches[0])
    begin = time.process_time()
    outputs = np.concatenate([classifier.scorer.outputs(batch) for batch in batches])
    model = (time.process_time() - begin) / len(outputs)
    return reading, model, collecting(classifier, outputs)


def collecting(classifier, outputs):
    """Return the seconds with which one process turns the outputs of a file into a row of a Parquet file."""
    from audiozoo.scale.files import _answered
    from audiozoo.scale.stages import _table
    from audiozoo.shards import PredictionTable, Shards

    parts = [{"number": number, "member": 0, "windows": b"", "kind": "", "error": ""} for number in range(20_000)]
    shape = [1, len(classifier.labels)]
    table = _table(
        [{"outputs": outputs[number % len(outputs)].tobytes(), "shape": shape, **row} for number, row in enumerate(parts)]
    )
    with tempfile.TemporaryDirectory() as folder:
        with Shards(Path(folder) / "answers", {}, PredictionTable(classifier.labels, several=False)) as shards:
            begin = time.perf_counter()
            for row in table.to_pylist():
                answer = _answered([row], lambda found: classifier.combine(found[0]))
                shards.add(f"{row['number']}.ogg", classifier.prediction(answer.scores, familiarity=answer.familiarity))
        return (time.perf_counter() - begin) / len(parts)


def simulated(nodes, cores, costs, gbit):
    """Return the seconds until the last answer, and the share of them in which the cores compute."""
    reading, model, collect = costs
    rng = np.random.default_rng(0)
    scale = SECONDS / 5
    work = TASK * scale * (reading + model)
    # All actors that read at a time share the storage.
    transfer = TASK * BYTES * 8 * nodes * cores / (gbit * 1e9)
    free = [START + rng.uniform(0, work) for _ in range(nodes * cores)]
    heapq.heapify(free)
    collected = busy = 0.0
    for _ in range(-(-CLIPS // TASK)):
        took = work * max(0.3, rng.normal(1, SPREAD))
        end = heapq.heappop(free) + max(took, transfer)
        busy += took
        heapq.heappush(free, end)
        collected = max(collected, end) + TASK * collect
    return collected, busy / (collected * nodes * cores)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("classifier", nargs="?", default="house_cnn/esc10")
    parser.add_argument("--nodes", default="1,8,16,32,64")
    parser.add_argument("--cores", type=int, default=16, help="cores of a node")
    parser.add_argument("--gbit", type=float, default=25, help="bandwidth of the storage (Gbit/s)")
    parser.add_argument("--price", type=float, default=0.04, help="price of a core (dollars an hour)")
    given = parser.parse_args()
    runs = [measured(given.root, given.classifier) for _ in range(3)]
    costs = [statistics.median(column) for column in zip(*runs, strict=True)]
    print(
        "core-milliseconds for a clip of 5 s: reading {:.2f}, model {:.2f}, collecting {:.3f}\n".format(
            *[1e3 * one for one in costs]
        )
    )
    print("| nodes | cores | hours | clips/s | busy | cost, dollars |\n| ---: | ---: | ---: | ---: | ---: | ---: |")
    for nodes in map(int, given.nodes.split(",")):
        seconds, busy = simulated(nodes, given.cores, costs, given.gbit)
        cost = nodes * given.cores * seconds / 3600 * given.price
        print(f"| {nodes} | {nodes * given.cores} | {seconds / 3600:.2f} | {CLIPS / seconds:,.0f} | {busy:.0%} | {cost:.2f} |")


if __name__ == "__main__":
    main()
