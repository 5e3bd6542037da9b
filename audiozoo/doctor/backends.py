"""The backends of Keras and their GPUs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from audiozoo.doctor.finding import Finding
from audiozoo.doctor.probing import probe
from audiozoo.threads import thread_count

BACKENDS = ("tensorflow", "jax", "torch")

_PROBE = """
import json, keras
total = float(keras.ops.sum(keras.ops.ones((2, 3))))
try:
    gpus = len(keras.distribution.list_devices("gpu"))
except (AttributeError, NotImplementedError):
    gpus = None
if keras.backend.backend() == "torch":
    import torch
    gpus = torch.cuda.device_count()
print("\\n" + json.dumps({"keras": keras.__version__, "backend": keras.backend.backend(), "gpus": gpus, "total": total}))
"""

_GPU_FIXES = {
    "tensorflow": "pip install 'tensorflow[and-cuda]', and compare the driver with https://www.tensorflow.org/install/pip",
    "jax": "pip install 'jax[cuda12]'",
    "torch": "pip install torch with the CUDA version that https://pytorch.org/get-started names for your driver",
}


def check_other_backends() -> Iterator[Finding]:
    """Name the backends that are installed, and a setting for one that is not."""
    installed = {name: version for name in BACKENDS if (version := _version(name))}
    if not installed:
        yield Finding("backends", "broken", "none of tensorflow, jax and torch is installed", "pip install tensorflow")
        return
    listed = ", ".join(f"{name} {version}" for name, version in installed.items())
    yield Finding("backends", "ok", f"installed: {listed}")
    setting, origin = _setting()
    if setting not in installed:
        use = next(iter(installed))
        fix = f"export KERAS_BACKEND={use}, or install the other: pip install 'audiozoo[{setting}]'"
        if setting not in BACKENDS:
            fix = f"export KERAS_BACKEND={use}"
        yield Finding("backend setting", "broken", f"{origin} chooses {setting!r}, which is not installed", fix)


def _setting() -> tuple[str, str]:
    """Return the backend that Keras will use, and the origin of this choice."""
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen, "KERAS_BACKEND"
    path = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "keras.json"
    try:
        chosen = json.loads(path.read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        chosen = None
    return (str(chosen), str(path)) if chosen else ("tensorflow", "the default of Keras")


def check_backend() -> Iterator[Finding]:
    """Start the chosen backend in another process, compute a sum, and count its GPUs."""
    backend, _ = _setting()
    if _version(backend) is None:
        return  # the setting is a finding already
    fix = f"pip install --upgrade --force-reinstall keras {backend}"
    try:
        found = probe(_PROBE)
    except (OSError, ValueError) as error:
        yield Finding("backend", "broken", f"{backend} does not start: {error}", fix)
        return
    if found["total"] != 6:
        yield Finding("backend", "broken", f"{backend} computes a sum of {found['total']} instead of 6", fix)
        return
    yield Finding("backend", "ok", f"Keras {found['keras']} on {backend} computes, with {thread_count(-1)} CPU core(s)")
    yield _gpus(backend, found["gpus"])


def _gpus(backend: str, count: int | None) -> Finding:
    if count:
        return Finding("gpu", "ok", f"{backend} uses {count} GPU(s)")
    if shutil.which("nvidia-smi"):
        return Finding("gpu", "missing", f"the machine has an NVIDIA driver, and {backend} sees no GPU", _GPU_FIXES[backend])
    return Finding("gpu", "ok", "none found; everything runs on the CPU")


def _version(name: str) -> str | None:
    for distribution in (name, f"{name}-cpu") if name == "tensorflow" else (name,):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None
