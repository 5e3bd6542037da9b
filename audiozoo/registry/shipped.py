"""Classifiers that come with this package, by name. Reading a card loads neither Keras nor the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from audiozoo.bounded import MIB, BoundedZip, parse_json
from audiozoo.checks import unknown_name

_FOLDER = Path(__file__).parents[1] / "pretrained"
_CARD = "card.json"
_MOST_BYTES, _DEEPEST = 4 * MIB, 64


def shipped_classifiers() -> dict[str, Path]:
    """Map the name of each classifier that comes with the package, such as "house_cnn/esc10", to its file."""
    return {f"{path.parent.name}/{path.stem}": path for path in sorted(_FOLDER.glob("*/*.audiozoo"))}


def shipped_card(name: str) -> dict[str, Any]:
    """Return the card of a classifier that comes with the package, as JSON data.

    Args:
        name: A name from `shipped_classifiers`.

    Raises:
        ValueError: There is no such classifier; the message suggests the closest name.
    """
    known = shipped_classifiers()
    if name not in known:
        raise unknown_name("classifier", name, known)
    limits = {_CARD: _MOST_BYTES, **dict.fromkeys(("scaler.npz", "model.keras"), 64 * MIB)}
    with known[name].open("rb") as file, BoundedZip(file, limits) as archive:
        return dict(parse_json(archive.read(_CARD), most=_MOST_BYTES, depth=_DEEPEST))
