"""Programs in a process of their own, for libraries that take seconds to load, and may crash, hang or print messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

PATIENCE = 180
"""Time that a program gets (seconds); on a cold disk, TensorFlow takes half a minute to load."""


def probe(program: str) -> dict[str, Any]:
    """Run a Python program, and return the JSON object in the last line that it prints.

    Raises:
        ValueError: The program failed, took too long or printed no such line; the message has the last line of its errors.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"it did not end within {PATIENCE} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"the process ended with status {done.returncode}"]
        raise ValueError(lines[-1])
    return dict(json.loads((done.stdout.strip().splitlines() or [""])[-1]))
