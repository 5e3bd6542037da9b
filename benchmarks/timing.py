"""Time two functions in turn on one thread."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import statistics
import time

CALLS = 60


def seconds(call):
    # The CPU time of this thread does not include the time of other programs on the same core.
    begin = time.thread_time()
    call()
    return time.thread_time() - begin


def compare(ours, theirs, calls=CALLS):
    """Return the median times of both (ms) and the median ratio; in turn, so that a change of speed affects both."""
    ours(), theirs()  # the first call loads and compiles, so it does not count
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(calls)]
    here, there = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
    return here, there, statistics.median(there / here for here, there in pairs)
