"""Checks of arguments. Each raises a ValueError that states the rule and the value received."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable, Sequence
from numbers import Integral, Real


def unknown_name(what: str, name: object, known: Iterable[str]) -> ValueError:
    """Return the error for an unknown name; it suggests the closest known names.

    Args:
        what: Kind of thing that the name is for, such as "model".
        name: Unknown name.
        known: Known names.

    Returns:
        The error, to be raised by the caller.

    >>> print(unknown_name("model", "house_cn", ["house_cnn", "feature_mlp"]))
    unknown model 'house_cn'; did you mean 'house_cnn'?
    """
    known = sorted(known)
    hint = suggestion(name, known) or f"choose from {', '.join(known) or 'none'}"
    return ValueError(f"unknown {what} {name!r}; {hint}")


def suggestion(name: object, known: Iterable[str]) -> str:
    """Return a question with the closest known names, or "" if none is close.

    >>> suggestion("house_cn", ["house_cnn", "feature_mlp"])
    "did you mean 'house_cnn'?"
    """
    near = difflib.get_close_matches(str(name), sorted(known), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def refuse_unknown(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise a ValueError unless all names are known.

    Args:
        what: Kind of thing that the names are for.
        names: Names to check.
        known: Known names.

    Raises:
        ValueError: A name is unknown, see `unknown_name`.
    """
    known = list(known)
    for name in names:
        if name not in known:
            raise unknown_name(what, name, known)


def require_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise a ValueError unless `value` is one of `choices`.

    Args:
        name: Name of the argument, for the message.
        value: Value to check.
        choices: Values allowed.

    Raises:
        ValueError: `value` is not one of `choices`.
    """
    choices = list(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def require_whole(**values: object) -> None:
    """Raise a ValueError unless every value is an integer; `True` and `False` are not."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"{name} must be a whole number, got {value!r}")


def require_number(name: str, value: object, least: float, most: float = math.inf) -> None:
    """Raise a ValueError unless `value` is a finite number from `least` to `most`, both included.

    Args:
        name: Name of the argument, for the message.
        value: Value to check.
        least: Smallest number allowed.
        most: Largest number allowed.

    Raises:
        ValueError: `value` is not such a number.
    """
    if isinstance(value, bool) or not (isinstance(value, Real) and least <= float(value) <= most and math.isfinite(value)):
        limits = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be a number {limits}, got {value!r}")


def require_range(name: str, span: object, least: float = -math.inf, most: float = math.inf) -> None:
    """Raise a ValueError unless `span` is ``(low, high)`` with ``least <= low <= high <= most``.

    Args:
        name: Name of the argument, for the message.
        span: Value to check.
        least: Smallest `low` allowed.
        most: Largest `high` allowed.

    Raises:
        ValueError: `span` is not such a range.
    """
    pair = isinstance(span, Sequence) and len(span) == 2 and all(isinstance(end, Real) and math.isfinite(end) for end in span)
    if not (pair and least <= span[0] <= span[1] <= most):  # type: ignore[index]
        limits = "" if (least, most) == (-math.inf, math.inf) else f" within {least:g} to {most:g}"
        raise ValueError(f"{name} must be a range (low, high) with low <= high{limits}, got {span!r}")


def require_count(name: str, value: object, least: int = 0, most: float = math.inf) -> None:
    """Raise a ValueError unless `value` is an integer from `least` to `most`, both included.

    Args:
        name: Name of the argument, for the message.
        value: Value to check.
        least: Smallest integer allowed.
        most: Largest integer allowed.

    Raises:
        ValueError: `value` is not such an integer.
    """
    require_whole(**{name: value})
    require_number(name, value, least, most)


def require_counts(name: str, span: object, least: float = -math.inf, most: float = math.inf) -> None:
    """Raise a ValueError unless `span` is a range ``(low, high)`` of integers with ``least <= low <= high <= most``.

    Args:
        name: Name of the argument, for the message.
        span: Value to check.
        least: Smallest `low` allowed.
        most: Largest `high` allowed.

    Raises:
        ValueError: `span` is not such a range.
    """
    require_range(name, span, least, most)
    for end in span:  # type: ignore[attr-defined]
        require_whole(**{f"both ends of {name}": end})


def require_path(name: str, value: object) -> None:
    """Raise a ValueError unless `value` is a string or another path."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"{name} must be a path, got {value!r}")


def require_all(name: str, values: object, kind: type, example: str) -> None:
    """Raise a ValueError unless `values` is a list or tuple whose items are all instances of `kind`.

    Args:
        name: Name of the argument or of the object that takes the values, for the message.
        values: Value to check.
        kind: Class of the items.
        example: Correct value, for the message.

    Raises:
        ValueError: `values` is not such a sequence.
    """
    if not isinstance(values, Sequence) or not all(isinstance(value, kind) for value in values):
        raise ValueError(f"{name} takes a list of {kind.__name__.lower()}s such as {example}, got {values!r}")


def require_weights(name: str, weights: object, count: int) -> None:
    """Raise a ValueError unless `weights` holds `count` finite numbers of at least 0, not all of them 0.

    Args:
        name: Name of the argument, for the message.
        weights: Value to check.
        count: Number of weights needed.

    Raises:
        ValueError: `weights` is not such a sequence.
    """
    numbers = list(weights) if isinstance(weights, Sequence) else []
    real = all(isinstance(number, Real) and float(number) >= 0 for number in numbers)
    if not real or len(numbers) != count or not 0 < sum(map(float, numbers)) < math.inf:
        raise ValueError(f"{name} must be {count} numbers of at least 0, not all 0, got {weights!r}")
