"""Frozen dataclasses that convert to JSON and back, and discovery of modules in a package."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import pkgutil
from dataclasses import fields
from functools import cache
from typing import Any, ClassVar, Self

from audiozoo.checks import refuse_unknown, unknown_name


@cache
def import_all(package: str) -> None:
    """Import every module of a package, so that those which register something do."""
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__, f"{package}."):
        importlib.import_module(module.name)


class Configured:
    """Base of the frozen dataclasses that are saved as JSON: frontends, transforms, recipes.

    Two are equal, and share a `key`, when they are of one class and all their fields are equal.
    """

    PACKAGE: ClassVar[str] = ""
    """Where the subclasses lie that must be there before one is looked up by its name, if they are not loaded anyhow."""

    def to_config(self) -> dict[str, Any]:
        """Return the value as JSON data: its class under "class", then its fields."""
        values = {name: _plain(getattr(self, name)) for name in _arguments(type(self))}
        return {"class": type(self).__name__, **values}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build the value that `to_config` described; fields left out take their defaults.

        Raises:
            ValueError: There is no such class, or a field is unknown; the nearest name is proposed.
        """
        kinds = cls._kinds()
        rest = dict(config)
        kind = rest.pop("class", cls.__name__ if cls.__name__ in kinds else None)
        if kind not in kinds:
            raise unknown_name(f'{_word(cls)} "class"', kind, kinds)
        refuse_unknown(f"option of {kind}", rest, _arguments(kinds[kind]))
        try:
            return kinds[kind](**{name: revive(value) for name, value in rest.items()})
        except (TypeError, AttributeError) as error:
            raise ValueError(f"{kind}: {error}") from error

    @classmethod
    def named(cls, name: str, **options: Any) -> Self:
        """Build the value of a class by its name in any spelling, such as "logmel" or "trim_silence".

        Raises:
            ValueError: There is no such class or option; the nearest name is proposed.
        """
        spellings = cls.names()
        if _spelling(name) not in spellings:
            raise unknown_name(_word(cls), name, spellings)
        return cls.from_config({"class": spellings[_spelling(name)], **options})

    @classmethod
    def names(cls) -> dict[str, str]:
        """Map what `named` takes, in small letters, to the names of the classes."""
        return {_spelling(kind): kind for kind in cls._kinds()}

    @classmethod
    def _kinds(cls) -> dict[str, type[Self]]:
        for package in {kind.PACKAGE for kind in _family(cls) if kind.PACKAGE}:
            import_all(package)
        return {kind.__name__: kind for kind in _family(cls) if not inspect.isabstract(kind) and kind is not Configured}

    @property
    def key(self) -> str:
        """A hash of the value, the same in every process; 16 hexadecimal digits."""
        return digest(_canonical(self.to_config()))


def digest(data: Any) -> str:
    """Hash JSON data to 16 hexadecimal digits, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    # 5 and 5.0 are equal, so they shall hash alike.
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _word(cls: type) -> str:
    return "value of" if cls is Configured else cls.__name__.lower()


def _spelling(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _arguments(kind: type) -> list[str]:
    return [field.name for field in fields(kind) if field.init]


def _family(cls: type) -> list[Any]:
    found: list[Any] = [cls]
    child: type
    for child in cls.__subclasses__():
        found += _family(child)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Configured):
        return value.to_config()
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.item() if hasattr(value, "item") else value  # NumPy's numbers are no JSON


def revive(value: Any) -> Any:
    """Turn JSON data back into values: lists into tuples, and what `to_config` made into the value it described."""
    if isinstance(value, dict):
        # A mapping's own key may be "class" too: under it lies no name then.
        described = isinstance(value.get("class"), str)
        return Configured.from_config(value) if described else {name: revive(item) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(revive(item) for item in value)
    return value
