"""The card of a saved classifier: JSON with everything except the scaler and the model, validated when it is read."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from audiozoo import audio
from audiozoo._version import __version__
from audiozoo.bounded import MIB, parse_json
from audiozoo.checks import require_choice, require_number, require_whole
from audiozoo.classifier.facts import TrainingFacts
from audiozoo.config import named_classes
from audiozoo.features import Frontend
from audiozoo.layers import Activation, keras

SCHEMA = 4
"""Version of the saved format; older versions load.

Version 1 had "kind" instead of "class" for the class of a value. Versions 1 and 2 had no "activation" and no "parameters",
version 3 no "thresholds" and no "rejection".
"""

MOST_CARD_BYTES = 32 * MIB
"""Largest card (bytes). A card with the longest `NoiseClip`, in base64, has 22 MiB."""

LARGEST_DEPTH = 64
"""Deepest nesting of lists and objects in a card."""

_MOST_LABELS, _LONGEST_LABEL = 10_000, 1_000

# Limits of a frontend in a file, which may come from anywhere. They apply before a class sees the numbers. The frontends
# themselves limit combinations of numbers (windows, spectra, filterbanks, outputs), see `audiozoo.audio.check_spectrum`.
_LIMITS: dict[str, tuple[float, float]] = {
    "sample_rate": (audio.MIN_RATE, audio.MAX_RATE),  # Hz
    "duration": (1e-6, audio.MAX_DURATION),  # seconds
    "hop": (1e-6, audio.MAX_DURATION),  # seconds
    "channels": (1, 64),
    "n_fft": (1, 2**16),
    "win_length": (1, 2**16),
    "hop_length": (1, 2**24),
    "frames": (1, 2**20),
    **dict.fromkeys(("n_mels", "n_mfcc", "n_gfcc", "n_bands", "n_bins", "n_chroma", "bins_per_octave"), (1, 2**12)),
}
_LARGEST = 1e12  # any other number


@dataclass(frozen=True, kw_only=True)
class Card:
    """Content of the card of a saved classifier, with the fields of `Classifier`.

    Args:
        scorer: Kind of the model, a key of `SCORERS`.
        parameters: Number of weights that the model must have; `None` if the card does not state it.
    """

    scorer: str
    frontend: Frontend
    labels: tuple[str, ...]
    pooling: str
    temperature: float
    activation: Activation
    history: dict[str, list[float]]
    about: TrainingFacts
    parameters: int | None
    thresholds: tuple[float, ...] | None
    rejection: float | None

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a card of any schema.

        Raises:
            ValueError: The content is not a card, has a newer schema, or a value is of the wrong type or beyond its limit.
        """
        card = parse_json(content, most=MOST_CARD_BYTES, depth=LARGEST_DEPTH)
        if not isinstance(card, dict):
            raise ValueError(f"card.json must be an object, it is a {type(card).__name__}")
        schema = required(card, "schema")
        require_whole(schema=schema)
        if schema > SCHEMA:
            raise ValueError(f"saved in schema {schema}, and this version reads up to {SCHEMA}: upgrade audiozoo")
        about = TrainingFacts.from_dict(mapping_in(card, "about"))
        parameters = card.get("parameters", about.parameters)
        if parameters is not None:
            require_whole(parameters=parameters)
        temperature = required(card, "temperature")
        require_number("temperature", temperature, 0)
        require_choice("activation", card.get("activation"), ("softmax", "sigmoid", None))
        return cls(
            scorer=str(required(card, "scorer")),
            frontend=frontend_in(card, schema),
            labels=labels_in(card),
            pooling=str(required(card, "pooling")),
            temperature=temperature,
            activation=card.get("activation"),
            history=checked_history(mapping_in(card, "history")),
            about=about,
            parameters=parameters,
            thresholds=checked_thresholds(card.get("thresholds")),
            rejection=card.get("rejection"),
        )


def card_of(classifier: Any) -> bytes:
    """Return the card of a classifier as JSON, which `Card.parse` accepts.

    Args:
        classifier: A `Classifier`, whose module imports this one.

    Raises:
        ValueError: See `card_with`.
    """
    return card_with(
        {
            "scorer": classifier.scorer.kind,
            "frontend": classifier.frontend.to_config(),
            "labels": list(classifier.labels),
            "pooling": classifier.pooling,
            "temperature": classifier.temperature,
            "activation": classifier.activation,
            "thresholds": classifier.thresholds and list(classifier.thresholds),
            "rejection": classifier.rejection,
            "parameters": classifier.scorer.parameters,
            "history": classifier.history,
            "about": classifier.about.to_dict(),
        }
    )


def card_with(values: Mapping[str, Any]) -> bytes:
    """Return a card as JSON, which `Card.parse` accepts.

    Args:
        values: All values of the card but its schema and the versions.

    Raises:
        ValueError: A value cannot be represented in JSON, or is beyond the limits for loading.
    """
    card = {"schema": SCHEMA, **values, "versions": versions()}
    try:
        content = json.dumps(card, indent=1).encode()
    except TypeError as error:
        raise ValueError(f"history and about must contain only JSON data: {error}") from error
    # Better an error now than a file that cannot be loaded later.
    Card.parse(content)
    return content


def versions() -> dict[str, str]:
    """Return the versions of this package, Python, NumPy, Keras and its backend."""
    return {
        "audiozoo": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "keras": keras.__version__,
        "backend": keras.backend.backend(),
    }


def required(card: Mapping[str, Any], name: str) -> Any:
    """Return a value of a card.

    Raises:
        ValueError: The card lacks it.
    """
    if name not in card:
        raise ValueError(f"card.json has no {name!r}")
    return card[name]


def mapping_in(card: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a value of a card that must be an object.

    Raises:
        ValueError: The card lacks it, or it is not an object.
    """
    value = required(card, name)
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object, it is {_short(value)}")
    return value


def labels_in(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels in a card.

    Raises:
        ValueError: They are not a list of texts, or too many or too long.
    """
    labels = required(card, "labels")
    if not isinstance(labels, list) or not 1 <= len(labels) <= _MOST_LABELS:
        raise ValueError(f"labels must be a list of 1 to {_MOST_LABELS:,} names, got {_short(labels)}")
    for label in labels:
        if not isinstance(label, str) or not 1 <= len(label) <= _LONGEST_LABEL:
            raise ValueError(f"a label must be a text of 1 to {_LONGEST_LABEL:,} characters, got {_short(label)}")
    return tuple(labels)


def checked_thresholds(thresholds: Any) -> tuple[float, ...] | None:
    """Return thresholds as a tuple.

    Raises:
        ValueError: They are neither a list nor null.
    """
    # The classifier checks the numbers themselves.
    if not isinstance(thresholds, (list, type(None))):
        raise ValueError(f"thresholds must be a list of numbers or null, got {_short(thresholds)}")
    return thresholds if thresholds is None else tuple(thresholds)


def checked_history(history: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return a history as a dictionary.

    Raises:
        ValueError: A metric is not a list of numbers.
    """
    for name, values in history.items():
        if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
            raise ValueError(f"the history of {_short(name)} must be a list of numbers, got {_short(values)}")
    return dict(history)


def frontend_in(card: Mapping[str, Any], schema: int = SCHEMA) -> Frontend:
    """Return the frontend in a card.

    Raises:
        ValueError: It is not the configuration of a frontend, or one of its numbers is beyond its limit.
    """
    config = mapping_in(card, "frontend")
    config = named_classes(config) if schema == 1 else config
    _check_limits("frontend", config)
    frontend = Frontend.from_config(config)
    if not isinstance(frontend, Frontend):
        raise ValueError(f"the frontend is a {type(frontend).__name__}")
    audio.check_features(frontend.shape)
    return frontend


def _check_limits(name: str, value: Any) -> None:
    """Check each number in the configuration of a frontend, before a class allocates tables of that size."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_limits(key, item)
    elif isinstance(value, list):
        for item in value:
            _check_limits(name, item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        require_number(name, value, *_LIMITS.get(name, (-_LARGEST, _LARGEST)))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
