"""Requests of benchmark jobs, and their keys, which do not depend on the version of the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from typing import Any

from audiozoo.config import Configured, digest
from audiozoo.datasets import Clip
from audiozoo.features import Frontend
from audiozoo.files import fingerprint
from audiozoo.registry import current_name, current_options, model_info
from audiozoo.training import Recipe, Transfer, titled, trained_options

_DIGITS = 12
# These facts about a clip change neither the training nor the scores. `domain` only groups the scores in reports, so a copy of
# a dataset that does not know its devices has the same jobs. `validation` is content: it chooses the held-out clips.
_NOT_CONTENT = ("path", "fold", "licence", "domain")
_REQUIRED = object()


@dataclass(frozen=True, kw_only=True)
class Request(Configured):
    """Everything that defines the result of a job. Jobs with the same `key` have the same training and test.

    All values are saved, but the key depends only on those that differ from the defaults of their classes. So a new field
    with a default does not change keys, and a changed default does, because the old value is saved. The defaults are those
    of the classes (`Recipe()`, `LogMel()`) and not those of a model's own recipe: when a model's recipe is tuned, its jobs
    get new keys, and the rows of the old recipe keep theirs.

    The version of the code, the backend and the machine are not part of the request; a row has them in its `Provenance`.

    Args:
        dataset: Name of the dataset.
        content: Hash of the labels and of the training and test clips, see `content_of`; "" if unknown.
        fold: Number of the test fold.
        model: Name of the model; an alias or a former name is replaced with the current name.
        options: Options of the model's builder that differ from their defaults.
        defaults: Values of the other options. They become part of the key if their default changes later; options that the
            builder no longer has are ignored.
        frontend: Frontend of the model.
        recipe: Recipe of the training, with the seed.
        transfer: Way to transfer the pretrained network of the model; `None` for a training from random weights.
        weights: Hash of the file of weights that the transfer started from; "" for the published weights.

    Raises:
        ValueError: `frontend` is not a Frontend, `recipe` is not a Recipe, or `transfer` is not a Transfer.
    """

    dataset: str
    content: str
    fold: int
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    frontend: Frontend
    recipe: Recipe
    transfer: Transfer | None = None
    weights: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.frontend, Frontend) and isinstance(self.recipe, Recipe)):
            raise ValueError(f"a job needs a frontend and a recipe, got {self.frontend!r} and {self.recipe!r}")
        if not isinstance(self.transfer, Transfer | None):
            raise ValueError(f"a transfer is a Probe or a Finetune, got {self.transfer!r}")
        # Rows outlive the renaming of a model or an option, and an alias asks for the same job.
        object.__setattr__(self, "model", current_name(self.model))
        for name in ("options", "defaults"):
            object.__setattr__(self, name, current_options(self.model, getattr(self, name)))

    @property
    def key(self) -> str:
        """Hash of the request: 16 hexadecimal digits, the same in every process."""
        return digest(self._identity())

    @property
    def title(self) -> str:
        """Name of the model, with the way after a colon for a transfer, as in "yamnet:probe"."""
        return titled(self.model, self.transfer)

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
            # Absent and not null: rows from before transfers keep their keys.
            **({"transfer": differences(self.transfer)} if self.transfer else {}),
            **({"weights": self.weights} if self.weights else {}),
        }

    @property
    def file_name(self) -> str:
        """File name of the job's row, which ends with the key."""
        return f"{self.dataset}-{file_title(self.title)}-fold{self.fold}-{self.key}.json"


def file_title(title: str) -> str:
    """Return the title of a request as a part of a file name, in which Windows allows no colon."""
    return title.replace(":", "-")


def differences(value: Any) -> Any:
    """Return a value as JSON data without the fields that equal the defaults of their classes.

    Numbers that agree in twelve digits are equal: 5 and 5.0, 0.475 and 0.95 / 2.

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
    """Return the options that differ from their defaults or have none, as JSON data."""
    described, usual = differences(options), differences(defaults)
    return {name: value for name, value in described.items() if name not in usual or value != usual[name]}


def _kept(value: Any) -> dict[str, Any]:
    kind: Any = type(value)
    defaults = _defaults(kind)
    described = {name: differences(getattr(value, name)) for name in defaults}
    return {name: item for name, item in described.items() if item != defaults[name]}


@cache
def _defaults(kind: Any) -> dict[str, Any]:
    """Return the defaults of a dataclass; for a field without one, an object that is not equal to any value."""
    return {each.name: _default(each) for each in fields(kind) if each.init}


def _default(of: Field[Any]) -> Any:
    if of.default_factory is not MISSING:
        return differences(of.default_factory())
    return _REQUIRED if of.default is MISSING else differences(of.default)


def _number(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value  # JSON cannot represent NumPy numbers
    if not isinstance(value, float):
        return value
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def content_of(labels: Sequence[str], train: Sequence[Clip], test: Sequence[Clip]) -> str:
    """Return a hash of the sounds of a job and their labels; names of files and folders are ignored.

    Args:
        labels: Classes in the order of the model's outputs.
        train: Training clips, in the order that determines the batches.
        test: Test clips.

    Returns:
        16 hexadecimal digits.
    """
    return digest([list(labels), [_described(clip) for clip in train], [_described(clip) for clip in test]])


def _described(clip: Clip) -> list[Any]:
    return [fingerprint(clip.path), {name: item for name, item in _kept(clip).items() if name not in _NOT_CONTENT}]
