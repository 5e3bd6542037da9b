"""Processes that this one starts: Ctrl-C, the end of their parent, and their cores."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from audiozoo.processes import ignore_interrupts, limited_to, without_interrupts

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and parents as on POSIX")


def sleep(started):
    ignore_interrupts()
    started.set()
    time.sleep(60)


@POSIX
def test_a_new_process_does_not_heed_interrupts_from_its_first_moment():
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    process = context.Process(target=sleep, args=(started,), daemon=True)
    with without_interrupts():
        process.start()
    try:
        # While it loads, and afterwards.
        os.kill(process.pid, signal.SIGINT)
        assert started.wait(30)
        os.kill(process.pid, signal.SIGINT)
        process.join(0.2)
        assert process.is_alive()
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        process.kill()
        process.join()


@POSIX
def test_an_interrupt_arrives_when_the_process_is_started():
    alive = []
    with pytest.raises(KeyboardInterrupt), without_interrupts():  # noqa: PT012 the interrupt must not arrive between the two
        signal.raise_signal(signal.SIGINT)  # to this thread: others, as those of pytest-xdist, do not block it
        alive.append(True)
    assert alive


@POSIX
def test_a_process_ends_with_its_parent():
    code = "import os, time; from audiozoo.processes import end_with; end_with(os.getppid()); print(1, flush=True)"
    child = f"{code}; time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]).wait()"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert int(process.stdout.readline()) > 0
        process.kill()
        begin = time.monotonic()
        # The pipe ends when the child, which has a copy of it, has ended.
        assert process.stdout.read() == ""
        assert time.monotonic() - begin < 30


def test_the_limits_are_of_all_pools():
    limits = limited_to(3)
    assert {limits[f"{pool}_NUM_THREADS"] for pool in ("OMP", "OPENBLAS", "MKL", "NUMBA")} == {"3"}
    assert limits["TF_NUM_INTRAOP_THREADS"] == limits["VECLIB_MAXIMUM_THREADS"] == limits["LOKY_MAX_CPU_COUNT"] == "3"
