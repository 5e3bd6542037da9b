"""Figures of matplotlib: how all pictures of this package are made and written."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from audiozoo.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_LABEL = 32
"""Number of characters of a label in a picture; longer ones would leave no room for what it shows."""


def shortened(label: str, longest: int = LONGEST_LABEL) -> str:
    """Return a label with an ellipsis instead of the characters beyond a number."""
    return label if len(label) <= longest else label[: longest - 1] + "…"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size (inches), whose parts are arranged without overlapping."""
    # Not pyplot, which would need a display on some systems and keep every figure in global state.
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: str | os.PathLike[str], *, dpi: int = 120) -> Path:
    """Write a figure atomically; the suffix of the path sets the format.

    Args:
        figure: Figure to write.
        path: Path of the picture.
        dpi: Resolution (dots per inch).

    Returns:
        The path of the picture.

    Raises:
        OSError: The picture cannot be written.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # names of classes and folders may contain "$"
    with replacing(path) as temporary, warnings.catch_warnings():
        # A label in a script that the font lacks is shown as boxes, and the user cannot change the font.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        figure.savefig(temporary, dpi=dpi)
    return Path(path)
