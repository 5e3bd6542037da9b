"""Description of the machine that computes a row, without anything that identifies it."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from audiozoo.layers import keras


@cache
def hardware() -> dict[str, Any]:
    """Return the processor, the number of cores, the memory (GiB) and the GPUs of the backend, as JSON data."""
    return {"processor": _processor(), "cores": os.cpu_count() or 1, "memory_gib": _memory(), "gpus": _gpus()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0][:200]


def _memory() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        return None


def _gpus() -> int | None:
    try:
        return len(keras.distribution.list_devices("gpu"))
    except (AttributeError, NotImplementedError):  # Keras cannot list the devices of every backend
        return None
