"""Scales, axes and frames of charts in SVG. Colours and fonts come from the style sheet of the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiozoo.report.page.markup import Html, tag

_STEPS = (1, 2, 2.5, 5, 10)
_NARROW = 1.5  # decades that a logarithmic axis needs before whole powers of ten suffice as ticks


@dataclass(frozen=True)
class Scale:
    """Map from values to coordinates.

    Args:
        low: Value at `start`.
        high: Value at `end`.
        start: Coordinate of `low` (pixels).
        end: Coordinate of `high` (pixels).
        log: Whether the scale is logarithmic; `low` is then positive.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(cls, values: Sequence[float], start: float, end: float, *, log: bool = False, room: float = 0.08) -> Scale:
        """Create a scale that covers values with some room at both ends.

        Args:
            values: Values to cover, at least one.
            start: Coordinate of the lowest value (pixels).
            end: Coordinate of the highest value (pixels).
            log: Whether the scale is logarithmic.
            room: Share of the range to add at each end.

        Returns:
            The scale.
        """
        low, high = min(values), max(values)
        if log:
            factor = max((high / low) ** room, 1.3)
            return cls(low / factor, high * factor, start, end, log=True)
        margin = room * (high - low) or 0.5 * abs(high) or 0.5
        return cls(low - margin, high + margin, start, end)

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value."""
        low, high, value = (math.log(each) if self.log else each for each in (self.low, self.high, value))
        return float(self.start + (value - low) / (high - low) * (self.end - self.start))

    def ticks(self, count: int = 5) -> list[float]:
        """Return about `count` round values within the scale."""
        found = self._powers() if self.log else self._multiples(count)
        return [value for value in found if self.low <= value <= self.high]

    def _multiples(self, count: int) -> list[float]:
        rough = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * each for each in _STEPS if power * each >= rough * 0.999)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(step * place, 12) for place in range(first, last + 1)]

    def _powers(self) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        factors = (1, 2, 5) if math.log10(self.high / self.low) < _NARROW else (1,)
        return [factor * 10.0**decade for decade in decades for factor in factors]


@dataclass(frozen=True)
class Plot:
    """Rectangle with two axes.

    Args:
        x: Horizontal scale.
        y: Vertical scale; its `start` is the bottom.
        x_text: Function that formats a value of the horizontal axis.
        y_text: Function that formats a value of the vertical axis.
        x_name: Name of the horizontal axis with its unit.
        y_name: Name of the vertical axis with its unit.
    """

    x: Scale
    y: Scale
    x_text: Callable[[float], str]
    y_text: Callable[[float], str]
    x_name: str = ""
    y_name: str = ""

    def frame(self, *, ticks: int = 4) -> list[Html]:
        """Draw grid lines, ticks and names of the axes."""
        left, right, bottom, top = self.x.start, self.x.end, self.y.start, self.y.end
        drawn = []
        for value in self.y.ticks(ticks):
            height = self.y(value)
            drawn.append(tag("line", x1=left, x2=right, y1=height, y2=height, class_="grid"))
            drawn.append(text(self.y_text(value), left - 6, height + 4, anchor="end"))
        for value in self.x.ticks(ticks):
            drawn.append(tag("line", x1=self.x(value), x2=self.x(value), y1=bottom, y2=bottom + 4, class_="axis"))
            drawn.append(text(self.x_text(value), self.x(value), bottom + 17, anchor="middle"))
        drawn.append(tag("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
        drawn.append(text(self.y_name, 2, top - 9, class_="name"))
        drawn.append(text(self.x_name, right, bottom + 34, anchor="end", class_="name"))
        return drawn


def text(content: str, x: float, y: float, *, anchor: str | None = None, class_: str | None = None) -> Html:
    """Draw a text.

    Args:
        content: Text, which is escaped.
        x: Horizontal coordinate of the anchor (pixels).
        y: Vertical coordinate of the base line (pixels).
        anchor: "start", "middle" or "end"; `None` means "start".
        class_: Class in the style sheet.

    Returns:
        The element.
    """
    return tag("text", content, x=x, y=y, text_anchor=anchor, class_=class_)


def drawing(*content: Any, width: float, height: float, alt: str, least: float = 0, class_: str = "chart") -> Html:
    """Build a picture that scales with its column.

    Args:
        *content: Elements.
        width: Width of the coordinates (pixels).
        height: Height of the coordinates (pixels).
        alt: Description for readers who do not see the picture.
        least: Smallest width on the screen (pixels); a narrower box around the picture then scrolls.
        class_: Class in the style sheet.

    Returns:
        The element.
    """
    # Without a limit, the text of a small picture in a wide column would be larger than that of the page.
    limit = f"max-width:{1.25 * width:.0f}px" + (f";min-width:{least:.0f}px" if least else "")
    return tag("svg", *content, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=alt, class_=class_, style=limit)


def line(xs: Sequence[float], ys: Sequence[float], **attributes: Any) -> Html:
    """Draw a line through points; it has a gap where a coordinate is not finite.

    Args:
        xs: Horizontal coordinates (pixels).
        ys: Vertical coordinates (pixels).
        **attributes: Attributes of the element.

    Returns:
        The element.
    """
    parts, pen = [], "M"
    for x, y in zip(xs, ys, strict=True):
        if not (np.isfinite(x) and np.isfinite(y)):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return tag("path", d="".join(parts), fill="none", **attributes)


def compact(value: float) -> str:
    """Format a number for an axis.

    >>> [compact(value) for value in (0.05, 7, 2_500, 1_200_000, 10_000_000)]
    ['0.05', '7', '2.5k', '1.2M', '10M']
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
