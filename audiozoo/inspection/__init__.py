"""Inspection of labelled sounds before training: durations, rates, levels, copies, and the balance of the classes."""

from audiozoo.inspection.inspect import inspect_clips
from audiozoo.inspection.result import ClassFacts, Inspection
from audiozoo.inspection.sounds import SoundFacts

__all__ = ["ClassFacts", "Inspection", "SoundFacts", "inspect_clips"]
