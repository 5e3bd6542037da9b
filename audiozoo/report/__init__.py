"""Pictures and tables: of results, and of sounds."""

from audiozoo.report.results import COLUMNS, cells, confusion_picture, markdown
from audiozoo.report.sounds import sound_picture

__all__ = ["COLUMNS", "cells", "confusion_picture", "markdown", "sound_picture"]
