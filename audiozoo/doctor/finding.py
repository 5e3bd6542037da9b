"""Result of one check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Args:
        part: Part of the installation.
        status: "ok", "missing" for an optional part that is absent, or "broken" for one that audiozoo needs or that was
            installed and does not work.
        detail: Description of what is there.
        fix: Command or step that mends it; "" if nothing needs to be done.
    """

    part: str
    status: Status
    detail: str
    fix: str = ""
