"""Two ways to do the same, timed in turn on one thread."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import statistics
import time

CALLS = 60


def seconds(call):
    # The thread's own time: another program that takes the core for a while counts for neither.
    begin = time.thread_time()
    call()
    return time.thread_time() - begin


def compare(ours, theirs, calls=CALLS):
    """Return the median milliseconds of both and the median ratio; in turn, so that a machine that slows down slows both."""
    ours(), theirs()  # what is loaded or compiled on first use is not measured
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(calls)]
    here, there = (1e3 * statistics.median(times) for times in zip(*pairs, strict=True))
    return here, there, statistics.median(there / here for here, there in pairs)
