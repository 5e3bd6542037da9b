"""Checkpoints: files with the state of a training, from which the same training continues after an interruption."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from audiozoo.bounded import parse_json, read_npz, refusing
from audiozoo.checks import require_number
from audiozoo.files import replacing
from audiozoo.layers import keras
from audiozoo.training.budget import MOST_MINUTES
from audiozoo.training.examples import Examples

_MOST_JSON = 2**24  # bytes; the metrics of an epoch take about 100
_WINDOWS = 64  # windows of the examples that the fingerprint covers
_PLAIN = ("history", "best", "best_epoch", "finished", "steps", "loss")
_VERDICT = "no checkpoint of this training: remove its folder to train from the start"


@dataclass
class Progressed:
    """Progress of a stage of a training, besides the state of the network.

    Args:
        history: Metrics of the epochs.
        best: Validation metrics of the best epoch.
        best_epoch: Number of the best epoch, from 1.
        finished: Whether no epoch is left.
        steps: Number of steps of the epoch that has begun.
        loss: Mean loss of these steps.
        best_weights: Weights of the best epoch.
    """

    history: dict[str, list[float]] = field(default_factory=dict)
    best: dict[str, float] | None = None
    best_epoch: int | None = None
    finished: bool = False
    steps: int = 0
    loss: float = 0.0
    best_weights: list[np.ndarray] | None = None

    @property
    def epochs(self) -> int:
        """Number of epochs that have ended."""
        return len(self.history.get("loss", ()))


class Checkpoints:
    """Folder for the checkpoints of one training. A training with the same settings and clips continues from them.

    A checkpoint is written after a step if the time since the last one has passed, and at the end of a stage of the training.
    It replaces the one before it at once, so that the folder always has a whole one. It has the weights, the state of the
    optimiser and of the layers, the metrics so far, and the weights of the best epoch.

    Args:
        folder: Folder, which is created when needed.
        minutes: Least time between two checkpoints (minutes); 0 writes one after each epoch, and none within it.

    Raises:
        ValueError: `minutes` is not a number from 0 to a year.
    """

    def __init__(self, folder: str | os.PathLike[str], *, minutes: float = 10.0) -> None:
        require_number("minutes", minutes, 0, MOST_MINUTES)
        self.folder, self.minutes = Path(folder), minutes

    def stage(self, name: str, facts: Mapping[str, Any], *, writes: bool = True) -> Checkpoint:
        """Return the checkpoint of a stage.

        Args:
            name: Name of the stage, "training" or "refitting".
            facts: All that decides the result of the stage, as plain values.
            writes: Whether this process writes the file; of several hosts that train together, one does.

        Returns:
            The checkpoint.
        """
        seconds = 60 * self.minutes if writes else math.inf
        return Checkpoint(self.folder / f"{name}.npz", json.loads(json.dumps(facts)), seconds)

    def remove(self) -> None:
        """Remove the checkpoints, and the folder if nothing else is in it."""
        for name in ("training", "refitting"):
            # A process that is killed while it writes leaves a temporary file.
            for path in (self.folder / f"{name}.npz", *self.folder.glob(f".{name}-*.npz")):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # it is not there, or has other files
            self.folder.rmdir()


class Checkpoint:
    """File with the state of one stage of a training.

    Args:
        path: Path of the file.
        facts: All that decides the result of the stage, as plain values.
        seconds: Least time between two writings (seconds); if it is infinite, nothing is written.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any], seconds: float) -> None:
        self.path, self.facts, self.seconds = path, facts, seconds
        self._written = monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for the next one, also within an epoch."""
        return 0 < self.seconds <= monotonic() - self._written

    def keep(self, model: Any, reached: Progressed) -> None:
        """Write the state, if it is time for it or the stage has finished.

        Raises:
            OSError: The file cannot be written, for example because the disk is full.
        """
        if math.isinf(self.seconds) or (not reached.finished and monotonic() - self._written < self.seconds):
            return
        if keras.backend.backend() == "jax":
            model.jax_state_sync()  # within an epoch, Keras keeps the state outside of the model
        arrays: dict[str, Any] = {f"best{number}": array for number, array in enumerate(reached.best_weights or ())}
        arrays |= {f"state{number}": keras.ops.convert_to_numpy(one) for number, one in enumerate(_variables(model))}
        text = json.dumps({"facts": self.facts, "reached": {name: getattr(reached, name) for name in _PLAIN}})
        arrays["about"] = np.frombuffer(text.encode(), np.uint8)
        with replacing(self.path) as path, open(path, "wb") as file:
            np.savez(file, **arrays)
        self._written = monotonic()

    def restore(self, model: Any) -> Progressed | None:
        """Load the state into a compiled model.

        Args:
            model: Keras model, as built and compiled at the start of the stage.

        Returns:
            What the stage had reached; `None` if there is no checkpoint.

        Raises:
            OSError: The file cannot be read.
            ValueError: The file is damaged, or belongs to another training.
        """
        if not self.path.exists():
            return None
        with refusing(self.path, _VERDICT):
            arrays = read_npz(self.path)
            about = parse_json(arrays["about"].astype(np.uint8).tobytes(), most=_MOST_JSON, depth=32)
            self._check(about["facts"])
            variables = _variables(model)
            state = _numbered(arrays, "state", [tuple(one.shape) for one in variables])
            reached = Progressed(**{name: about["reached"][name] for name in _PLAIN})
            if reached.best is not None:
                reached.best_weights = _numbered(arrays, "best", [tuple(one.shape) for one in model.weights])
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        return reached

    def _check(self, facts: Mapping[str, Any]) -> None:
        if other := [name for name in self.facts if facts.get(name) != self.facts[name]]:
            raise ValueError(f"it has another {', another '.join(other)}")


def facts_of(examples: Examples, **facts: Any) -> dict[str, Any]:
    """Return all that decides the result of a stage of a training.

    Args:
        examples: Clips to train on, of which a fingerprint is taken.
        **facts: Other facts, as plain values.
    """
    windows = examples.window_index
    some = examples.features.values[np.unique(np.linspace(0, len(windows) - 1, _WINDOWS, dtype=int))]
    digest = hashlib.sha256(clips_digest(examples).encode() + np.ascontiguousarray(some).tobytes()).hexdigest()
    return {**facts, "set of clips": digest, "backend": keras.backend.backend(), "version of Keras": keras.__version__}


def clips_digest(examples: Examples) -> str:
    """Return a hash of the clips that a stage trains on, without their features."""
    parts = (examples.targets, examples.index, examples.numbers, examples.window_index)
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()


def _variables(model: Any) -> list[Any]:
    """Return the state of a compiled model: weights, random seeds of layers, and the optimiser's variables."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _numbered(arrays: Mapping[str, np.ndarray], name: str, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    found = [arrays[f"{name}{number}"] for number in range(len(shapes))]
    if [one.shape for one in found] != shapes:
        raise ValueError("its arrays have other shapes than the network")
    return found
