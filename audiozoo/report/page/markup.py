"""Construction of HTML and SVG in which every text is escaped unless this module built it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from html import escape
from typing import Any

_VOID = frozenset({"br", "img", "meta", "source", "wbr"})  # HTML elements without an end tag


class Html(str):
    """Text that is already markup. `tag` inserts it unchanged and escapes all other text."""

    __slots__ = ()


def tag(name: str, /, *content: Any, **attributes: Any) -> Html:
    """Build an element.

    Args:
        name: Name of the element.
        *content: Children in order: `Html`, other values (which are escaped), iterables of both, or `None` for nothing.
        **attributes: Attributes; a trailing underscore is dropped and others become hyphens. `None` and `False` leave an
            attribute out, and `True` gives one without a value.

    Returns:
        The element.

    >>> tag("td", "a < b", class_="name")
    '<td class="name">a &lt; b</td>'
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None and value is not False)
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{joined(*content)}</{name}>")


def _attribute(key: str, value: Any) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(number(value))}"'


def joined(*content: Any) -> Html:
    """Return content as markup, see `tag`."""
    return Html("".join(_piece(each) for each in content))


def _piece(content: Any) -> str:
    if content is None:
        return ""
    if isinstance(content, Html):
        return content
    if isinstance(content, Iterable) and not isinstance(content, str):
        return joined(*content)
    return escape(number(content))


def number(value: Any) -> str:
    """Return a value as text; coordinates are rounded to a tenth, because the page has thousands of them."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def breakable(name: str) -> Html:
    """Return a name that may break after its underscores and plus signs, which keeps columns narrow."""
    return isolated(*([part, tag("wbr")] for part in re.split("(?<=[_+])", name)))


def isolated(*name: Any) -> Html:
    """Return a name whose direction of writing does not reach its neighbours.

    >>> isolated("a < b")
    '<bdi>a &lt; b</bdi>'
    """
    return tag("bdi", *name)


def data_uri(content: bytes, kind: str) -> str:
    """Return a file as a URI that contains it.

    >>> data_uri(b"abc", "image/png")
    'data:image/png;base64,YWJj'
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
