"""Hash of the source code that a result depends on."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from audiozoo.registry import model_info

PACKAGE = Path(__file__).parents[1]

_COMPUTING = (
    "audio",
    "augment",
    "spectrum",
    "features",
    "layers.py",
    "keras_layers.py",
    "recipe.py",
    "weights.py",
    "training",
    "classifier/calibration.py",
    "classifier/clipscores.py",
    "classifier/prediction.py",
    "classifier/probe.py",
    "classifier/scorers.py",
    "metrics/one_label.py",
    "metrics/several_labels.py",
)
# Clips and options are part of a request, so the code of datasets, files and commands changes no result that a request names.


@cache
def code_digest(model: str) -> str:
    """Return a hash of the source that a result of a model depends on.

    It distinguishes states of the code with the same version number. Changes in other models, in the command line or in the
    reports do not change it.

    Args:
        model: Name of the model.

    Returns:
        16 hexadecimal digits.

    Raises:
        ValueError: The model is not registered.
    """
    hashed = hashlib.sha256()
    for path in [*_computing_files(), *_model_files(model_info(model).builder)]:
        hashed.update(path.name.encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()[:16]


@cache
def _computing_files() -> tuple[Path, ...]:
    parts = [PACKAGE / part for part in _COMPUTING]
    return tuple(path for part in parts for path in ([part] if part.is_file() else sorted(part.rglob("*.py"))))


def _model_files(builder: Callable[..., Any]) -> Iterator[Path]:
    """Yield the file of a builder and the files of the package's other models that it imports; none for an interactive one."""
    file = getattr(sys.modules.get(builder.__module__), "__file__", None)
    waiting, seen = [Path(file)] if file else [], set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            yield path
            imported = re.findall(r"^from audiozoo\.models\.(\w+) import", path.read_text("utf-8"), re.MULTILINE)
            waiting += [PACKAGE / "models" / f"{name}.py" for name in imported]
