"""Measure what `Classifier.predict` adds to the `predict_on_batch` of its model, on an array at the rate of the frontend.

    python benchmarks/latency.py [MODEL ...]

The script prints a Markdown table with the median times and the median ratio. The models have random weights.
"""

import statistics
import sys
import time

import numpy as np

import audiozoo
from audiozoo.classifier import Classifier

CALLS = 200


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def compare(name):
    frontend = audiozoo.model_info(name).frontend.adapt(duration=5.0, channels=1)
    model = audiozoo.build(name, 10, input_shape=frontend.shape)
    classifier = Classifier.from_keras(model, frontend, [str(number) for number in range(10)])
    wave = np.random.default_rng(0).normal(0, 0.1, frontend.samples).astype(np.float32)
    batch = frontend(wave)[None]
    calls = (lambda: classifier.predict(wave, sample_rate=frontend.sample_rate), lambda: model.predict_on_batch(batch))
    for call in calls * 3:
        call()
    pairs = [tuple(map(seconds, calls)) for _ in range(CALLS)]
    ours, bare = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
    return f"| {name} | {ours:.2f} | {bare:.2f} | {statistics.median(here / there for here, there in pairs):.2f} |"


def main():
    print("| model, 5 s mono | predict ms | predict_on_batch ms | ratio |")
    print("| --- | ---: | ---: | ---: |")
    for name in sys.argv[1:] or audiozoo.list_models():
        print(compare(name), flush=True)


if __name__ == "__main__":
    main()
