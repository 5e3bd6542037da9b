"""Docstrings for mkdocstrings: examples, which begin with ``>>>`` and need no heading, become code."""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*?(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)


def with_code(text: str) -> str:
    """Return a docstring with each of its examples as a block of code."""
    return _EXAMPLE.sub(lambda example: f"```pycon\n{example[0].rstrip()}\n```", text)


class Examples(griffe.Extension):
    """Extension of griffe that marks the examples of all docstrings."""

    def on_object(self, *, obj: griffe.Object, **rest: Any) -> None:
        """Mark the examples of one object."""
        if obj.docstring:
            obj.docstring.value = with_code(obj.docstring.value)
