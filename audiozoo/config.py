"""Frozen dataclasses that convert to JSON and back, and discovery of modules in a package."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
import pkgutil
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from functools import cache
from numbers import Real
from typing import Any, ClassVar, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from audiozoo.checks import refuse_unknown, unknown_name

_Value = TypeVar("_Value")

_OWN = __name__.partition(".")[0]

_CLASSES: dict[str, type[Configured]] = {}
"""All subclasses of `Configured`, by saved name."""

_FORMER: dict[str, str] = {}
"""Current name of each renamed class, by former name."""


_ADDED = "added"


def added(default: _Value) -> _Value:
    """Return the default of a field that a class of this package got after values of the class had been saved.

    At its default, the field does not count for the `key`, so that caches and results of earlier versions are still found.
    """
    return field(default=default, metadata={_ADDED: True})


@cache
def import_all(package: str) -> None:
    """Import every module of a package, so that each module registers its classes or models."""
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__, f"{package}."):
        importlib.import_module(module.name)


class Configured:
    """Base of the frozen dataclasses that are saved as JSON: frontends, transforms, recipes.

    Two values are equal, and share a `key`, when they are of the same class and all their fields are equal.

    A saved value includes the name of its class. Classes of this package are saved under their plain name ("LogMel"), all
    others with their top-level package as a prefix ("mypackage.MyFrontend", "__main__.MyFrontend"), so that no other class
    can replace a built-in one. Loading never imports a module named in a file: the class must be defined before.

    Defining a second class with the same saved name raises a ValueError. A class that is defined again in the
    same place (same module, same qualified name: a notebook cell that runs twice, a module that is reloaded) replaces the
    first one.

    To rename a class and still load old files, pass the former name: ``class Clipping(WaveTransform, formerly="Clip")``.
    """

    PACKAGE: ClassVar[str] = ""
    """Package whose modules are imported before a subclass is looked up by its name."""

    def __init_subclass__(cls, *, formerly: str | tuple[str, ...] = (), **rest: Any) -> None:
        super().__init_subclass__(**rest)
        _enter(cls, (formerly,) if isinstance(formerly, str) else formerly)

    def to_config(self) -> dict[str, Any]:
        """Return the value as JSON data: the saved name of its class under "class", then its fields."""
        return _plain(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Build the value that `to_config` described; missing fields take their defaults.

        Raises:
            ValueError: The class or a field is unknown (the message suggests the closest name), a field without a default
                is missing, or the class refuses a value.
        """
        rest = dict(config)
        kind = cls._find(rest.pop("class", _saved_name(cls)), config.get("class"))
        names = {field.name: field for field in _arguments(kind)}
        refuse_unknown(f"option of {kind.__name__}", rest, names)
        if missing := [name for name, field in names.items() if name not in rest and _is_required(field)]:
            raise ValueError(f"{kind.__name__} needs {', '.join(missing)}")
        values = {name: revive(value) for name, value in rest.items()}
        try:
            return kind(**values)
        except (TypeError, AttributeError) as error:
            # Values of a wrong type fail in many ways. Where all types are right, the class has a bug, which must show as one.
            if wrong := _misfits(kind, values):
                raise ValueError(f"{kind.__name__}: {'; '.join(wrong)}") from error
            raise

    @classmethod
    def named(cls, name: str, **options: Any) -> Self:
        """Build a value from the name of its class in any spelling, such as "logmel" or "trim_silence".

        Args:
            name: Name of the class; case, "_" and "-" are ignored. The package of a class from another package
                ("mypackage.MyFrontend") may be left out if the name is unique.
            **options: Fields of the class.

        Raises:
            ValueError: There is no such class or option; the message suggests the closest name.
        """
        spellings = cls.names()
        former = {_spelling(old): new for old, new in _FORMER.items() if new in spellings.values()}
        if not (found := spellings.get(_spelling(name)) or former.get(_spelling(name))):
            raise unknown_name(_word(cls), name, spellings)
        return cls.from_config({"class": found, **options})

    @classmethod
    def names(cls) -> dict[str, str]:
        """Map each name that `named` accepts, in lower case, to the saved name of its class."""
        kinds = cls._kinds()
        bare = [kind.__name__ for kind in kinds.values()]
        short = {_spelling(kind.__name__): name for name, kind in kinds.items() if bare.count(kind.__name__) == 1}
        return short | {_spelling(name): name for name in kinds}

    @classmethod
    def _kinds(cls) -> dict[str, type[Self]]:
        """Return the concrete classes of this family by their saved names."""
        for package in {kind.PACKAGE for kind in (cls, *_CLASSES.values()) if issubclass(kind, cls) and kind.PACKAGE}:
            import_all(package)
        return {name: kind for name, kind in _CLASSES.items() if issubclass(kind, cls) and not inspect.isabstract(kind)}

    @classmethod
    def _find(cls, name: object, given: object) -> type[Self]:
        # Listing all classes takes as long as the rest of reading a value, so a known one is looked up first.
        known = _CLASSES.get(_FORMER.get(name, name)) if isinstance(name, str) else None
        if known and issubclass(known, cls) and not inspect.isabstract(known):
            return known
        kinds = cls._kinds()
        if isinstance(name, str) and (kind := kinds.get(_FORMER.get(name, name))):
            return kind
        # Old files have the names of classes from other packages without the package.
        outside = {full: kind for full, kind in kinds.items() if kind.__name__ == name}
        if len(outside) > 1:
            raise ValueError(f"{name!r} is the name of several classes, {', '.join(outside)}: write one of these")
        if not outside:
            raise unknown_name(f'{_word(cls)} "class"', given, kinds)
        return next(iter(outside.values()))

    @property
    def key(self) -> str:
        """A hash of the value, the same in every process; 16 hexadecimal digits."""
        return digest(_canonical(_plain(self, without_added=True)))


def digest(data: Any) -> str:
    """Hash JSON data to 16 hexadecimal digits, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def revive(value: Any) -> Any:
    """Turn JSON data back into values: lists into tuples, and results of `to_config` into the values they describe."""
    if isinstance(value, dict):
        # A mapping may have a key "class" for another purpose, with a value that is not the name of a class.
        described = isinstance(value.get("class"), str)
        return Configured.from_config(value) if described else {name: revive(item) for name, item in value.items()}
    if isinstance(value, list):
        return tuple(revive(item) for item in value)
    return value


def named_classes(value: Any) -> Any:
    """Rename "kind" to "class" in JSON data of the first schemas, where it is the name of a class.

    Some classes also have a field named "kind", which keeps its name beside a "class".
    """
    if isinstance(value, list):
        return [named_classes(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {"class" if name == "kind" and "class" not in value else name: item for name, item in value.items()}
    return {name: named_classes(item) for name, item in renamed.items()}


def _enter(cls: type[Configured], formerly: tuple[str, ...]) -> None:
    name = _saved_name(cls)
    other = _CLASSES.get(name, cls)
    if (other.__module__, other.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ValueError(
            f"{cls.__module__}.{cls.__qualname__}: the class name {name!r}, under which values are saved, is already taken by "
            f"{other.__module__}.{other.__qualname__}; choose another name"
        )
    former = [_in_package(cls, old) for old in formerly]
    if taken := [one for one in (name, *former) if _FORMER.get(one, name) != name] + [old for old in former if old in _CLASSES]:
        raise ValueError(f"{cls.__module__}.{cls.__qualname__}: {taken[0]!r} is or was the name of another class")
    _CLASSES[name] = cls
    _FORMER.update(dict.fromkeys(former, name))


def _saved_name(cls: type) -> str:
    return _in_package(cls, cls.__name__)


def _in_package(cls: type, name: str) -> str:
    package = cls.__module__.partition(".")[0]
    if package == _OWN:
        return name
    # In a process that multiprocessing spawned, the classes of the script are in a module named __mp_main__.
    return f"{'__main__' if package == '__mp_main__' else package}.{name}"


def _word(cls: type) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cls.__name__)  # CleaningStep is a "cleaning step"
    return "value of" if cls is Configured else words.lower()


def _spelling(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _arguments(kind: Any) -> list[Field[Any]]:
    return [field for field in fields(kind) if field.init]


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _misfits(kind: type, values: Mapping[str, Any]) -> list[str]:
    """Return a message for each value whose type is not the one that the class declares."""
    hints = get_type_hints(kind)
    return [f"{name} must not be {value!r}" for name, value in values.items() if not _fits(value, hints[name])]


def _fits(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return any(isinstance(value, type(part)) for part in parts)
    if hint in (int, float):
        return isinstance(value, Real) and not isinstance(value, bool)
    if origin is tuple:
        each = [parts[0]] * len(value) if isinstance(value, tuple) and parts[-1] is ... else parts
        return isinstance(value, tuple) and len(each) == len(value) and all(map(_fits, value, each))
    expected = type(None) if hint is None else origin or hint
    return not isinstance(expected, type) or isinstance(value, expected)


def _canonical(value: Any) -> Any:
    # 5 and 5.0 are equal, so they must have the same hash.
    if isinstance(value, dict):
        return {name: _canonical(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _plain(value: Any, *, without_added: bool = False) -> Any:
    def plain(item: Any) -> Any:
        return _plain(item, without_added=without_added)

    if isinstance(value, Configured):
        names = [field.name for field in _arguments(type(value)) if not (without_added and _is_added(field, value))]
        return {"class": _saved_name(type(value)), **{name: plain(getattr(value, name)) for name in names}}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value.item() if hasattr(value, "item") else value  # JSON cannot represent NumPy numbers


def _is_added(field: Field[Any], value: Configured) -> bool:
    return field.metadata.get(_ADDED, False) and getattr(value, field.name) == field.default
