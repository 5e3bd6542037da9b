"""Classifiers that come with this package, by name."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "pretrained"


def shipped_classifiers() -> dict[str, Path]:
    """Map the name of each classifier that comes with the package, such as "house_cnn/esc10", to its file."""
    return {f"{path.parent.name}/{path.stem}": path for path in sorted(_FOLDER.glob("*/*.audiozoo"))}
