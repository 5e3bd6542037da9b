"""Pictures and tables: of results, and of sounds."""

from audiozoo.report.augmented import augmentation_preview
from audiozoo.report.results import cells, columns, confusion_picture, markdown, measured
from audiozoo.report.sounds import reconstruction_picture, sound_picture

__all__ = [
    "augmentation_preview",
    "cells",
    "columns",
    "confusion_picture",
    "markdown",
    "measured",
    "reconstruction_picture",
    "sound_picture",
]
