"""The card of a saved ensemble: JSON with everything except the members, validated when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from audiozoo.bounded import parse_json
from audiozoo.checks import require_count, require_number
from audiozoo.classifier.card import (
    LARGEST_DEPTH,
    MOST_CARD_BYTES,
    SCHEMA,
    checked_history,
    checked_thresholds,
    mapping_in,
    required,
    versions,
)
from audiozoo.classifier.facts import TrainingFacts

MOST_MEMBERS = 16
"""Largest number of members of an ensemble."""

KIND = "ensemble"
"""Value of "kind" in the card of an ensemble; the card of a classifier has no kind."""


def member_name(number: int) -> str:
    """Return the name of a member in the archive, counted from 0."""
    return f"member-{number}.audiozoo"


MEMBER_NAMES = tuple(map(member_name, range(MOST_MEMBERS)))
"""Names of all members that an archive may have."""


@dataclass(frozen=True, kw_only=True)
class EnsembleCard:
    """Content of the card of a saved ensemble, with the fields of `Ensemble`.

    Args:
        members: Number of members.
    """

    members: int
    weights: tuple[float, ...]
    temperature: float
    thresholds: tuple[float, ...] | None
    rejection: float | None
    history: dict[str, list[float]]
    about: TrainingFacts

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read a card.

        Raises:
            ValueError: The content is not the card of an ensemble, has a newer schema, or a value is of the wrong type or
                beyond its limit.
        """
        card = parse_json(content, most=MOST_CARD_BYTES, depth=LARGEST_DEPTH)
        if not isinstance(card, dict) or card.get("kind") != KIND:
            raise ValueError("card.json is not that of an ensemble")
        require_count("schema", required(card, "schema"), 1)
        if card["schema"] > SCHEMA:
            raise ValueError(f"saved in schema {card['schema']}, and this version reads up to {SCHEMA}: upgrade audiozoo")
        require_count("members", required(card, "members"), 2, MOST_MEMBERS)
        weights = required(card, "weights")
        if not isinstance(weights, list) or len(weights) != card["members"]:
            raise ValueError(f"weights must be a list of {card['members']} numbers, got {str(weights)[:80]}")
        for weight in weights:
            require_number("a weight", weight, 0, 1)
        return cls(
            members=card["members"],
            weights=tuple(weights),
            temperature=required(card, "temperature"),  # the ensemble checks it
            thresholds=checked_thresholds(card.get("thresholds")),
            rejection=card.get("rejection"),
            history=checked_history(mapping_in(card, "history")),
            about=TrainingFacts.from_dict(mapping_in(card, "about")),
        )


def card_of(values: Mapping[str, Any]) -> bytes:
    """Return a card as JSON, which `EnsembleCard.parse` accepts.

    Args:
        values: All values of the card but its kind, its schema and the versions.

    Raises:
        ValueError: A value cannot be represented in JSON, or is beyond the limits for loading.
    """
    card = {"schema": SCHEMA, "kind": KIND, **values, "versions": versions()}
    try:
        content = json.dumps(card, indent=1).encode()
    except TypeError as error:
        raise ValueError(f"history and about must contain only JSON data: {error}") from error
    # Better an error now than a file that cannot be loaded later.
    EnsembleCard.parse(content)
    return content


def is_ensemble(content: bytes) -> bool:
    """Return whether a card is that of an ensemble.

    Raises:
        ValueError: The content is not JSON within the limits of cards.
    """
    card = parse_json(content, most=MOST_CARD_BYTES, depth=LARGEST_DEPTH)
    return isinstance(card, dict) and card.get("kind") == KIND
