"""Compare Keras, ONNX and LiteRT for every model: size, time for a window, and largest difference of a probability.

    python benchmarks/inference.py [NAME ...] [--output FOLDER]

Each network has random weights and a few classes, and is exported with its frontend where a graph can hold it, otherwise
without. Each model is measured in a process of its own, so that a crash costs one figure. The figures of a model are a JSON
file in the folder, and the same command continues with those that are missing. At the end, it writes results/inference.md.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import audiozoo
from audiozoo.files import write_json

RESULTS = Path(__file__).parent / "results"
CLASSES = 10
REPEATS = 30
KINDS = {"keras": None, "onnx": ".onnx", "litert": ".tflite", "litert float16": ".tflite", "litert int8": ".tflite"}
HEAD = """# Keras, ONNX and LiteRT

Written by `python benchmarks/inference.py` on {machine}, {cores} cores, load {load:.1f}. Milliseconds for one window (median
of 30), megabytes of the file, and largest difference of a probability to Keras on eleven synthetic sounds. Keras and files
marked * take features, whose computation is not timed; the other files take a waveform. The weights are random, so the
differences are smaller than those of trained networks ([an example](../../docs/export.md)).
"""
LIMIT = 1_200  # seconds for one process


def random_classifier(name):
    """Return a classifier with random weights, whose frontend is the model's own."""
    from audiozoo.classifier import Classifier

    frontend = audiozoo.model_info(name).frontend
    model = audiozoo.build(name, CLASSES, input_shape=frontend.shape, seed=0)
    labels = [f"class {number}" for number in range(CLASSES)]
    return Classifier.from_keras(model, frontend, labels)


def measure(name, path):
    """Write the figures of a model by kind, and the reason where there are none, after each of them."""
    from audiozoo.export import proof

    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    classifier = random_classifier(name)
    clips = proof.synthetic_clips(classifier.frontend)
    found["parameters"] = classifier.scorer.model.count_params()
    for kind, suffix in KINDS.items():
        if kind not in found:
            write_json(path, {**found, kind: {"reason": "the process ended during the conversion"}})
            found[kind] = figures(classifier, kind, suffix, clips)
            write_json(path, found)


def figures(classifier, kind, suffix, clips):
    from audiozoo.export import proof

    if suffix is None:
        return {"ms": proof.milliseconds(classifier, clips[0], repeats=REPEATS)}
    try:
        return exported(classifier, kind, suffix, clips)
    except ValueError as error:
        return {"reason": re.sub(r"\S*/\.?(model[-.\w]+)", r"\1", str(error))[:300]}


def exported(classifier, kind, suffix, clips):
    from audiozoo import export

    export.export.LEAST_AGREEMENT = 0.0  # the probabilities of random weights are nearly equal
    precision = kind.partition(" ")[2] or "float32"
    how = {"precision": precision, "calibrate": clips if precision == "int8" else ()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{suffix}"
        for features in (True,) if precision == "int8" else (False, True):
            try:
                one = export.export_classifier(classifier, path, features=features, clips=clips, **how)
            except ValueError:
                if features:
                    raise
                continue
            time = export.proof.milliseconds(export.load_exported(path), clips[0], repeats=REPEATS)
            return {"ms": time, "bytes": one.proof.size, "difference": one.proof.difference, "features": features}


def write_table(folder, path):
    found = {one.stem: json.loads(one.read_text(encoding="utf-8")) for one in sorted(folder.glob("*.json"))}
    heads = [f"{kind}, ms" + (", MB, difference" if suffix else "") for kind, suffix in KINDS.items()]
    lines = [HEAD.format(machine=platform.machine(), cores=os.cpu_count(), load=os.getloadavg()[2])]
    lines += [f"| model | parameters | {' | '.join(heads)} |", "| --- | ---: |" + " ---: |" * len(KINDS)]
    for name, each in found.items():
        lines.append(f"| `{name}` | {each['parameters']:,} | {' | '.join(cell(each.get(kind, {})) for kind in KINDS)} |")
    reasons = [
        (name, kind, each[kind]["reason"]) for name, each in found.items() for kind in KINDS if "reason" in each.get(kind, {})
    ]
    lines += ["", *(f"- `{name}`, {kind}: {reason}" for name, kind, reason in reasons)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def cell(one):
    if "ms" not in one:
        return "no" if one else ""
    size = f", {one['bytes'] / 1e6:.2f}, {one['difference']:.0e}" if "bytes" in one else ""
    return f"{one['ms']:.1f}{'*' if one.get('features') else ''}{size}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names of models; by default all")
    parser.add_argument("--output", type=Path, default=RESULTS / "inference", help="folder of the results")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        [name] = given.names
        measure(name, given.output / f"{name}.json")
        return
    for name in given.names or audiozoo.list_models():
        run(name, given.output)
    write_table(given.output, RESULTS / "inference.md")


def run(name, output):
    """Measure a model in other processes: one that crashes or takes too long is followed by another one, for what remains."""
    command = [sys.executable, __file__, name, "--one", "--output", str(output)]
    for _ in KINDS:
        path = output / f"{name}.json"
        if path.exists() and set(KINDS) <= set(json.loads(path.read_text(encoding="utf-8"))):
            return
        print(name, flush=True)
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(command, timeout=LIMIT, check=False, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
