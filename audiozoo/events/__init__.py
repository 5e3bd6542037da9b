"""Sound events: from the scores of windows to spans with a beginning and an end, and files of them."""

from audiozoo.events.event import Event, EventRule
from audiozoo.events.finding import class_rules, detect, edges, find_events, smoothed
from audiozoo.events.formats import FORMATS, SUFFIXES, format_of, read_events, write_events

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "Event",
    "EventRule",
    "class_rules",
    "detect",
    "edges",
    "find_events",
    "format_of",
    "read_events",
    "smoothed",
    "write_events",
]
