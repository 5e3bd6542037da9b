"""Metadata in an exported file: JSON with everything that an answer needs beside the network, validated when it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from audiozoo import audio
from audiozoo._version import __version__
from audiozoo.bounded import MIB, parse_json
from audiozoo.checks import require_choice, require_count, require_number, require_whole
from audiozoo.classifier import Classifier, Ensemble
from audiozoo.classifier.calibration import TEMPERATURES
from audiozoo.classifier.card import LARGEST_DEPTH, checked_thresholds, frontend_in, labels_in, required
from audiozoo.classifier.clipscores import checked_labels
from audiozoo.classifier.ensemblecard import MOST_MEMBERS
from audiozoo.classifier.prediction import checked_levels
from audiozoo.classifier.scorers import POOLINGS
from audiozoo.export.graph import has_members, is_exact
from audiozoo.features import Frontend, Waveform
from audiozoo.layers import Activation

SCHEMA = 1
"""Version of the metadata."""

NAME = "audiozoo"
"""Key of the metadata in an ONNX file; with the suffix ``.json``, name of the file in the other formats."""

Precision = Literal["float32", "float16", "int8"]

PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8")
"""Precisions of the weights in a LiteRT file; the other formats have float32."""

MOST_BYTES = 4 * MIB
"""Largest metadata (bytes)."""

_LONGEST_TEXT = 1_000
_WINDOW = ("sample_rate", "samples", "channels", "hop_samples")


@dataclass(frozen=True, kw_only=True)
class ExportCard:
    """Metadata of an exported model.

    Args:
        name: Name of the network.
        input: Input of the model, "waveform" or "features".
        frontend: Frontend that cuts sound into windows: a `Waveform` for "waveform", or the one whose output the model takes.
        labels: Names of the classes, in the order of the output.
        pooling: Function that combines the scores of a clip's windows: "mean" or "max".
        activation: Last step of the model, "softmax" or "sigmoid"; `None` if it is not known.
        members: Weight and temperature of each member in the output "members"; empty if there is no such output.
        temperature: Divisor of the logits after the members have been averaged, for clips of several windows.
        thresholds: Lowest score with which each class counts as present; `None` for one label.
        rejection: Lowest highest probability of a known sound; `None` if none is refused.
        licence: Licence of the weights, "" if it is not known.
        precision: Precision of the weights: "float32", "float16" or "int8".
        version: Version of audiozoo that wrote the file.

    Raises:
        ValueError: A value is of the wrong type or out of bounds, or two of them contradict each other.
    """

    name: str
    input: Literal["waveform", "features"]
    frontend: Frontend
    labels: tuple[str, ...]
    pooling: str = "mean"
    activation: Activation = None
    members: tuple[tuple[float, float], ...] = ()
    temperature: float = 1.0
    thresholds: tuple[float, ...] | None = None
    rejection: float | None = None
    licence: str = ""
    precision: str = "float32"
    version: str = __version__

    def __post_init__(self) -> None:
        for field in ("name", "licence", "version"):
            text = getattr(self, field)
            if not isinstance(text, str) or len(text) > _LONGEST_TEXT:
                raise ValueError(f"{field} must be a text of at most {_LONGEST_TEXT:,} characters, got {str(text)[:80]!r}")
        require_choice("input", self.input, ("waveform", "features"))
        require_choice("pooling", self.pooling, POOLINGS)
        require_choice("activation", self.activation, ("softmax", "sigmoid", None))
        require_choice("precision", self.precision, PRECISIONS)
        require_number("temperature", self.temperature, *TEMPERATURES)
        _check_members(self.members, self.activation)
        checked_levels(self.thresholds, self.rejection, checked_labels(self.labels))
        audio.check_features(self.frontend.shape)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one window in the model's input, without the batch axis."""
        shape = self.frontend.shape
        return shape[:1] if self.input == "waveform" and self.frontend.channels == 1 else shape

    @property
    def output_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each output for one window, by name."""
        classes = len(self.labels)
        more = {"members": (len(self.members), classes)} if self.members else {}
        return {"probabilities": (classes,), **more}

    def to_json(self) -> bytes:
        """Return the metadata as JSON text, which `parse` reads.

        Raises:
            ValueError: The metadata is beyond the limits for reading.
        """
        one = self.frontend
        window = dict(zip(_WINDOW, (one.sample_rate, one.samples, one.channels, one.hop_samples()), strict=True))
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "audiozoo": self.version,
            "name": self.name,
            "licence": self.licence,
            "precision": self.precision,
            "input": self.input,
            **window,
            "pad": one.pad,
            "last": one.last,
            "pooling": self.pooling,
            "activation": self.activation,
            "members": [{"weight": weight, "temperature": temperature} for weight, temperature in self.members],
            "temperature": self.temperature,
            "thresholds": self.thresholds and list(self.thresholds),
            "rejection": self.rejection,
            "labels": list(self.labels),
        }
        if self.input == "features":
            content["frontend"] = one.to_config()
        text = json.dumps(content, indent=1).encode()
        # Better an error now than a file that cannot be read later.
        self.parse(text)
        return text

    @classmethod
    def parse(cls, content: bytes | str) -> Self:
        """Read metadata of a file that is not trusted.

        Args:
            content: JSON text.

        Returns:
            The metadata.

        Raises:
            ValueError: The text is not such metadata, has a newer schema, or a value is out of bounds.
        """
        text = content.encode() if isinstance(content, str) else content
        card = parse_json(text, most=MOST_BYTES, depth=LARGEST_DEPTH)
        if not isinstance(card, dict):
            raise ValueError(f"the metadata must be an object, it is a {type(card).__name__}")
        require_count("schema", required(card, "schema"), 1)
        if card["schema"] > SCHEMA:
            raise ValueError(f"exported in schema {card['schema']}, and this version reads up to {SCHEMA}: upgrade audiozoo")
        return cls(
            name=card.get("name", ""),
            input=required(card, "input"),
            frontend=_frontend(card),
            labels=labels_in(card),
            pooling=required(card, "pooling"),
            activation=card.get("activation"),
            members=_members(card.get("members", [])),
            temperature=card.get("temperature", 1.0),
            thresholds=checked_thresholds(card.get("thresholds")),
            rejection=card.get("rejection"),
            licence=card.get("licence", ""),
            precision=card.get("precision", "float32"),
            version=card.get("audiozoo", ""),
        )


def _frontend(card: Mapping[str, Any]) -> Frontend:
    window = {name: required(card, name) for name in _WINDOW}
    require_whole(**window)
    rate, samples, channels, hop = window.values()
    audio.check_rate(rate)
    # Checked before the division, because Python's whole numbers have no limit.
    require_count("samples", samples, 1, audio.MAX_WINDOW)
    require_count("hop_samples", hop, 1, samples)
    if card.get("input") == "features":
        frontend = frontend_in(card)
        found = (frontend.sample_rate, frontend.samples, frontend.channels, frontend.hop_samples(), frontend.pad, frontend.last)
        if found != (stated := (rate, samples, channels, hop, card.get("pad"), card.get("last"))):
            raise ValueError(f"the metadata states windows of {stated}, but its frontend has {found}")
        return frontend
    return Waveform(
        sample_rate=rate,
        duration=samples / rate,
        channels=channels,
        hop=hop / rate,
        pad=required(card, "pad"),
        last=required(card, "last"),
    )


def _members(members: Any) -> tuple[tuple[float, float], ...]:
    if not isinstance(members, list) or not all(isinstance(member, dict) for member in members):
        raise ValueError(f"members must be a list of objects with weight and temperature, got {str(members)[:80]}")
    return tuple((required(member, "weight"), required(member, "temperature")) for member in members)


def _check_members(members: tuple[tuple[float, float], ...], activation: Activation) -> None:
    if len(members) > MOST_MEMBERS:
        raise ValueError(f"there may be at most {MOST_MEMBERS} members, got {len(members)}")
    for weight, temperature in members:
        require_number("the weight of a member", weight, 0, 1)
        require_number("the temperature of a member", temperature, *TEMPERATURES)
    if members and not math.isclose(total := sum(weight for weight, _ in members), 1, abs_tol=1e-3):
        raise ValueError(f"the weights of the members must sum to 1, they sum to {total:g}")
    if activation is None and any(temperature != 1 for _, temperature in members):
        raise ValueError("a temperature needs an activation, 'softmax' or 'sigmoid'")


def card_for(
    classifier: Classifier | Ensemble, name: str, *, features: bool, members: bool, precision: str = "float32"
) -> ExportCard:
    """Return the metadata for a classifier.

    Args:
        classifier: Classifier or ensemble.
        name: Name of the network.
        features: Whether the model takes features instead of a waveform.
        members: Whether the model may have the output "members".
        precision: Precision of the weights.

    Returns:
        The metadata.

    Raises:
        ValueError: The members of an ensemble cut or pool clips in different ways, or the classifier refuses unknown sounds by
            a familiarity that the model does not compute.
    """
    each = classifier.members if isinstance(classifier, Ensemble) else (classifier,)
    _check_familiarity(classifier, each)
    ways = {(one.frontend.hop_samples(), one.frontend.pad, one.frontend.last, one.pooling) for one in each}
    if len(ways) > 1:
        raise ValueError(
            f"the members of an exported ensemble must have the same hop, pad, last and pooling, they have {sorted(ways)}: "
            "export each member"
        )
    own = each[0].frontend
    weights = classifier.weights or () if isinstance(classifier, Ensemble) else (1.0,)
    shares = tuple((weight, one.temperature) for weight, one in zip(weights, each, strict=True))
    licences = [str(one.about.licence) for one in (classifier, *each) if one.about.licence]
    return ExportCard(
        name=name,
        input="features" if features else "waveform",
        frontend=own if features else _plain_window(own),
        labels=classifier.labels,
        pooling=each[0].pooling if is_exact(classifier) else "mean",
        activation=classifier.activation,
        members=shares if members and has_members(classifier) else (),
        temperature=classifier.temperature if isinstance(classifier, Ensemble) else 1.0,
        thresholds=classifier.thresholds,
        rejection=classifier.rejection,
        licence=", ".join(dict.fromkeys(licences)),
        precision=precision,
    )


def _plain_window(frontend: Frontend) -> Waveform:
    rate = frontend.sample_rate
    return Waveform(
        sample_rate=rate,
        duration=frontend.samples / rate,
        channels=frontend.channels,
        pad=frontend.pad,
        hop=frontend.hop_samples() / rate,
        last=frontend.last,
    )


def _check_familiarity(classifier: Classifier | Ensemble, members: tuple[Classifier, ...]) -> None:
    own = any(getattr(one.scorer, "directions", None) is not None for one in members)
    if classifier.rejection is not None and own:
        raise ValueError(
            "a probe that answers 'unknown' compares a clip with its training clips, which an exported model cannot: "
            "train it without --unknown, or fine-tune the network (--finetune)"
        )
