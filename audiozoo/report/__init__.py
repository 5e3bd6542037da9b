"""Plots of sounds and features, of a folder's shape, and tables and plots of results."""

from audiozoo.report.augmented import augmentation_preview
from audiozoo.report.bands import BandStatistics, band_picture, band_statistics
from audiozoo.report.embedded import map_picture
from audiozoo.report.explained import explanation_picture
from audiozoo.report.inspected import inspection_picture
from audiozoo.report.labels import label_picture
from audiozoo.report.page import html_report
from audiozoo.report.reliability import reliability_picture
from audiozoo.report.results import cells, columns, confusion_picture, markdown, measured
from audiozoo.report.sounds import reconstruction_picture, sound_picture
from audiozoo.report.subbands import SubBandAccuracy, sub_band_accuracy, sub_band_picture
from audiozoo.report.tables import markdown_report
from audiozoo.report.timeline import timeline_picture

__all__ = [
    "BandStatistics",
    "SubBandAccuracy",
    "augmentation_preview",
    "band_picture",
    "band_statistics",
    "cells",
    "columns",
    "confusion_picture",
    "explanation_picture",
    "html_report",
    "inspection_picture",
    "label_picture",
    "map_picture",
    "markdown",
    "markdown_report",
    "measured",
    "reconstruction_picture",
    "reliability_picture",
    "sound_picture",
    "sub_band_accuracy",
    "sub_band_picture",
    "timeline_picture",
]
