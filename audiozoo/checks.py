"""Checks of arguments. Each raises a ValueError that states the rule and the value received."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from numbers import Integral, Real


def unknown_name(what: str, name: object, known: Iterable[str]) -> ValueError:
    """Return the error for a name that is not known; it proposes the nearest known names.

    >>> print(unknown_name("model", "house_cn", ["house_cnn", "feature_mlp"]))
    unknown model 'house_cn'; did you mean 'house_cnn'?
    """
    known = sorted(known)
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"choose from {', '.join(known) or 'none'}"
    return ValueError(f"unknown {what} {name!r}; {hint}")


def refuse_unknown(what: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise `unknown_name` for the first of `names` that is not in `known`."""
    known = list(known)
    for name in names:
        if name not in known:
            raise unknown_name(what, name, known)


def require_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise a ValueError unless `value` is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def require_whole(**values: object) -> None:
    """Raise a ValueError unless every value is an integer; `True` and `False` are not."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"{name} must be a whole number, got {value!r}")


def require_number(name: str, value: object, least: float, most: float = math.inf) -> None:
    """Raise a ValueError unless `value` is a finite number from `least` to `most`, both included."""
    if isinstance(value, bool) or not (isinstance(value, Real) and least <= float(value) <= most and math.isfinite(value)):
        limits = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name} must be a number {limits}, got {value!r}")


def require_range(name: str, span: object, least: float = -math.inf, most: float = math.inf) -> None:
    """Raise a ValueError unless `span` is ``(low, high)`` with ``least <= low <= high <= most``."""
    pair = isinstance(span, Sequence) and len(span) == 2 and all(isinstance(end, Real) and math.isfinite(end) for end in span)
    if not (pair and least <= span[0] <= span[1] <= most):  # type: ignore[index]
        limits = "" if (least, most) == (-math.inf, math.inf) else f" within {least:g} to {most:g}"
        raise ValueError(f"{name} must be a range (low, high) with low <= high{limits}, got {span!r}")
