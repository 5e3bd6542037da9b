"""Compare `predict_many` on Ray clusters of one and two nodes on this machine with `predict_many` in one process.

    python benchmarks/scale.py ESC-50/ [CLASSIFIER] [--repeat 10 | --hours 1000] [--nodes 1,2] [--kill SECONDS]

The sounds are the clips of ESC-50, several times over under names of their own. The nodes share the cores. Each time contains
the start of the actors but not that of the cluster, which a user starts once. With --kill, the last node ends in the middle.
With --hours, the sounds are files of a minute at 8 kHz, made of the clips, and repeated until they last so long. The memory of
the driver is given after the second and the last tenth.
"""

import argparse
import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path


def files(root, repeat, folder):
    """Return links to the clips, so that each file has a name of its own."""
    paths = []
    for number in range(repeat):
        for clip in sorted((root / "audio").iterdir()):
            link = folder / f"{number:03}-{clip.name}"
            link.symlink_to(clip.resolve())
            paths.append(str(link))
    return paths


def minutes(root, hours, folder):
    """Write twelve clips each as a file of a minute, and return links to these files, for a number of hours."""
    import librosa
    import numpy as np
    import soundfile

    clips = sorted((root / "audio").iterdir())[:720]
    for number in range(len(clips) // 12):
        waves = [librosa.load(clip, sr=8_000, duration=5)[0] for clip in clips[12 * number : 12 * number + 12]]
        soundfile.write(folder / f"minute-{number:02}.wav", np.concatenate(waves), 8_000)
    paths = []
    for number in range(60 * hours):
        link = folder / f"{number:06}.wav"
        link.symlink_to(folder / f"minute-{number % (len(clips) // 12):02}.wav")
        paths.append(str(link))
    return paths


def memory():
    """Return the memory of this process in use (MB)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cores():
    return len(os.sched_getaffinity(0))


def timed(answers, count):
    """Run an iterator to its end; return the seconds, the labels by file, and speed and memory of the tenths (files/s, MB)."""
    begin, labels, marks, memories = time.perf_counter(), {}, [], []
    for done, answer in enumerate(answers, 1):
        assert Path(answer.source).name not in labels, f"{answer.source} has two answers"
        labels[Path(answer.source).name] = answer.label
        if done % max(1, count // 10) == 0:
            marks.append(time.perf_counter())
            memories.append(memory())
    speeds = [count // 10 / (later - earlier) for earlier, later in itertools.pairwise(marks)]
    return time.perf_counter() - begin, labels, speeds, memories[1:]


@contextmanager
def cluster(nodes, kill):
    """Start a cluster on this machine, whose last node ends after some seconds if they are given; yield its executor."""
    import ray
    from ray.cluster_utils import Cluster

    share = max(1, cores() // nodes)
    # A node of `ray start` gets 30 % of the memory for objects, one of this class 150 MB.
    node = {"num_cpus": share, "object_store_memory": 2 * 10**9}
    started = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    others = [started.add_node(**node) for _ in range(nodes - 1)]
    os.environ["RAY_ADDRESS"] = started.address
    from audiozoo.scale import RayFiles

    executor = RayFiles()
    if kill and others:
        threading.Timer(kill, started.remove_node, [others[-1]], {"allow_graceful": False}).start()
    yield executor
    ray.shutdown()
    started.shutdown()


def one(given):
    """Measure one setting in this process, and print its line."""
    import audiozoo

    classifier = audiozoo.load_classifier(given.classifier)
    place = cluster(given.one, given.kill) if given.one else nullcontext()
    with tempfile.TemporaryDirectory() as folder, place as executor:
        make, many = (minutes, given.hours) if given.hours else (files, given.repeat)
        paths = make(given.root, many, Path(folder))
        if not executor:
            list(classifier.predict_many(paths[:64]))  # the first batches compile
        seconds, labels, speeds, memories = timed(classifier.predict_many(paths, executor=executor), len(paths))
    name = f"{given.one} node(s)" if given.one else "one process"
    name += f", one killed after {given.kill:g} s" if given.kill else ""
    first, last, before, after = (f"{one[place]:.0f}" for one in (speeds, memories) for place in (0, -1))
    checked = hashlib.sha256(repr(sorted(labels.items())).encode()).hexdigest()[:8]
    figures = [f"{len(labels):,}", f"{seconds:.0f}", f"{len(labels) / seconds:.0f}", first, last, before, after, checked]
    print(f"| {name} | {' | '.join(figures)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("classifier", nargs="?", default="house_cnn/esc10")
    parser.add_argument("--repeat", type=int, default=10)
    parser.add_argument("--hours", type=int, default=0)
    parser.add_argument("--nodes", default="1,2", help="numbers of nodes; one process comes first")
    parser.add_argument("--kill", type=float, default=0, help="seconds after which the last node ends, in one more run")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        one(given)
        return
    print("| where | files | s | files/s | second tenth | last tenth | driver then, MB | at the end, MB | answers |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    plans = [(0, 0.0), *((int(nodes), 0.0) for nodes in given.nodes.split(","))]
    if given.kill:
        plans.append((2, given.kill))
    for nodes, kill in plans:
        command = [sys.executable, __file__, str(given.root), given.classifier]
        command += ["--repeat", str(given.repeat), "--hours", str(given.hours)]
        subprocess.run(
            [*command, "--one", str(nodes), "--kill", str(kill)],
            check=True,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
        )


if __name__ == "__main__":
    main()
