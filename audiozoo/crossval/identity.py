"""What a benchmark job asks for, and the key that identifies it whatever version of the code answers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from typing import Any

from audiozoo.config import Configured, digest
from audiozoo.datasets import Clip
from audiozoo.features import Frontend
from audiozoo.registry import current_name, model_info
from audiozoo.training import Recipe, trained_options

_DIGITS = 12
_FINGERPRINT = 2**15  # bytes of each end: two recordings may begin and end in silence, but not both and be as long
_NOT_CONTENT = ("path", "fold", "licence")
_REQUIRED = object()


@dataclass(frozen=True, kw_only=True)
class Request(Configured):
    """What a job asks for. Two jobs with the same `key` ask for the same training and test.

    All values are kept in full, and the key counts only those that differ from the defaults of their classes. So a new
    field with a default changes no key, and a changed default is noticed, because the old value is on record. The defaults
    are those of the classes (`Recipe()`, `LogMel()`) and not a model's own recipe: when a model's recipe is tuned, its
    jobs ask for something new, and the rows of the old recipe keep their keys.

    The version of the code, the backend and the machine are no part of the question; a row has them in its `Provenance`.

    Args:
        dataset: Name of the dataset.
        content: Digest of the labels and of the training and test clips, see `content_of`; "" if unknown.
        fold: Number of the test fold.
        model: Name of the model; an alias or a former name becomes the present one.
        options: Options of the model's builder that differed from their defaults.
        defaults: Values of the other options. They count where the default is another one today; an option that the builder
            no longer has does not.
        frontend: Frontend of the model.
        recipe: Recipe of the training, with the seed.

    Raises:
        ValueError: The frontend or the recipe is not one.
    """

    dataset: str
    content: str
    fold: int
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    frontend: Frontend
    recipe: Recipe

    def __post_init__(self) -> None:
        if not (isinstance(self.frontend, Frontend) and isinstance(self.recipe, Recipe)):
            raise ValueError(f"a job needs a frontend and a recipe, got {self.frontend!r} and {self.recipe!r}")
        # Rows outlive the renaming of a model, and an alias asks for the same job.
        object.__setattr__(self, "model", current_name(self.model))

    @property
    def key(self) -> str:
        """Hash of the question: 16 hexadecimal digits, the same in every process."""
        return digest(self._identity())

    def _identity(self) -> dict[str, Any]:
        spec = model_info(self.model)
        today = trained_options(spec)
        lasting = {name: value for name, value in self.defaults.items() if name in today}
        return {
            "dataset": self.dataset,
            "content": self.content,
            "fold": self.fold,
            "model": spec.name,
            "options": differing({**lasting, **self.options}, today),
            "frontend": differences(self.frontend),
            "recipe": differences(self.recipe),
        }

    @property
    def file_name(self) -> str:
        """Name of the file of the job's row: readable, and unique by the key."""
        return f"{self.dataset}-{self.model}-fold{self.fold}-{self.key}.json"


def differences(value: Any) -> Any:
    """Describe a value as JSON data without the fields that equal the defaults of their classes.

    Numbers that agree in twelve digits are the same: 5 and 5.0, 0.475 and 0.95 / 2.

    >>> from audiozoo.features import LogMel
    >>> differences(LogMel(n_mels=40))
    {'class': 'LogMel', 'n_mels': 40}
    """
    if isinstance(value, Configured):
        return {"class": value.to_config()["class"], **_kept(value)}
    if isinstance(value, Mapping):
        return {name: differences(item) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [differences(item) for item in value]
    return _number(value)


def differing(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that do not have their default, as JSON data; an option without a default counts as one of them."""
    described, usual = differences(options), differences(defaults)
    return {name: value for name, value in described.items() if name not in usual or value != usual[name]}


def _kept(value: Any) -> dict[str, Any]:
    kind: Any = type(value)
    defaults = _defaults(kind)
    described = {name: differences(getattr(value, name)) for name in defaults}
    return {name: item for name, item in described.items() if item != defaults[name]}


@cache
def _defaults(kind: Any) -> dict[str, Any]:
    """Return what a dataclass sets its fields to; an object of its own, equal to no value, where a value is required."""
    return {each.name: _default(each) for each in fields(kind) if each.init}


def _default(of: Field[Any]) -> Any:
    if of.default_factory is not MISSING:
        return differences(of.default_factory())
    return _REQUIRED if of.default is MISSING else differences(of.default)


def _number(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value  # JSON does not take NumPy's numbers
    if not isinstance(value, float):
        return value
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def content_of(labels: Sequence[str], train: Sequence[Clip], test: Sequence[Clip]) -> str:
    """Return a digest of the sounds of a job and of what is said about them; file names and folders do not count.

    Args:
        labels: Classes in the order of the model's outputs.
        train: Training clips in their order, which decides the batches.
        test: Test clips.

    Returns:
        16 hexadecimal digits.
    """
    return digest([list(labels), [_described(clip) for clip in train], [_described(clip) for clip in test]])


def _described(clip: Clip) -> list[Any]:
    return [fingerprint(clip.path), {name: item for name, item in _kept(clip).items() if name not in _NOT_CONTENT}]


@cache
def fingerprint(path: str | bytes) -> str:
    """Return a digest of a sound's size and of the bytes at its two ends, so that a large dataset takes seconds."""
    if isinstance(path, bytes):
        return hashlib.sha256(path).hexdigest()
    try:
        with open(path, "rb") as file:
            head = file.read(_FINGERPRINT)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _FINGERPRINT))
            return hashlib.sha256(b"%d" % size + head + file.read()).hexdigest()
    except OSError:
        return "unreadable"  # reading the clip will say why
