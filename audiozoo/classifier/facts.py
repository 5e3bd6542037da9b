"""Facts about the training of a classifier."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from audiozoo.files import fingerprint

_DIGITS = 12
"""Digits of each hash in `TrainingFacts.fingerprints`: 48 bits, so that two of 10,000 files hardly ever agree."""


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """Origin of a classifier. All values are JSON data; unknown facts have their defaults.

    Args:
        model: Name of the model in the registry.
        weights: Name of the initial weights, or of their file.
        licence: Licence of published weights, such as "Apache-2.0".
        options: Options of the model's builder.
        parameters: Number of weights of the model, trainable or not.
        recipe: Recipe of the training, as `audiozoo.Recipe.to_config` returns it.
        training_clips: Number of clips that the weights were trained on.
        best_epoch: Epoch whose weights were kept, counted from 1.
        validation: Metrics of that epoch on the held-out recordings, by name.
        budget: Budget of the training (minutes), and if its speed was measured, the number of epochs that the budget allowed.
        stopped: Reason why training ended before its last epoch, "budget" or "request"; `None` if it did not.
        failures: Error messages of clips that could not be read.
        fingerprints: Joined hashes of the files that the model has learnt from or was chosen on, see `fingerprints_of`.
        notes: Further facts of your own.
    """

    model: str | None = None
    weights: str | None = None
    licence: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    recipe: Mapping[str, Any] | None = None
    training_clips: int | None = None
    best_epoch: int | None = None
    validation: Mapping[str, float] | None = None
    budget: Mapping[str, Any] | None = None
    stopped: str | None = None
    failures: tuple[str, ...] = ()
    fingerprints: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)

    def has_learnt_from(self, path: str | bytes) -> bool:
        """Return whether a file, or a copy of it, is among the training files. It is `False` if they are not recorded."""
        known = (self.fingerprints[start : start + _DIGITS] for start in range(0, len(self.fingerprints), _DIGITS))
        return fingerprint(path)[:_DIGITS] in set(known)

    def to_dict(self) -> dict[str, Any]:
        """Return the known facts as JSON data."""
        facts = asdict(self)
        known = {one.name: facts[one.name] for one in fields(self) if facts[one.name] not in (None, (), {}, "")}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """Build the value that `to_dict` described; unknown keys become notes.

        Raises:
            ValueError: A fact is of the wrong type.
        """
        names = {one.name for one in fields(cls)}
        # Before schema 3 the facts were a plain dictionary, to which users could add facts of their own.
        own = {name: value for name, value in facts.items() if name not in names}
        known = {name: value for name, value in facts.items() if name in names and value is not None}
        for name, value in known.items():
            if isinstance(value, bool) or not isinstance(value, _TYPES.get(name, str)):
                raise ValueError(f"the fact {name!r} must not be {str(value)[:100]}")
        known["failures"] = tuple(map(str, known.get("failures", ())))
        return cls(**{**known, "notes": {**known.get("notes", {}), **own}})

    def __getitem__(self, name: str) -> Any:
        warnings.warn(
            f"about[{name!r}] is deprecated, the facts are attributes now: use about.{name}", DeprecationWarning, stacklevel=2
        )
        return getattr(self, name) if hasattr(self, name) else self.notes[name]


_TYPES: dict[str, Any] = {
    **dict.fromkeys(("parameters", "training_clips", "best_epoch"), int),
    **dict.fromkeys(("options", "recipe", "validation", "budget", "notes"), Mapping),
    "failures": (list, tuple),
}


def fingerprints_of(paths: Iterable[str | bytes]) -> str:
    """Return the joined hashes of files, for `TrainingFacts.fingerprints`. A file that cannot be read has none."""
    hashes = {fingerprint(path)[:_DIGITS] for path in paths}
    return "".join(sorted(hashes - {"unreadable"}))
