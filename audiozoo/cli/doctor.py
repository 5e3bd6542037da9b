"""``audiozoo doctor``: check the installation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from audiozoo.cli.console import out

if TYPE_CHECKING:
    from audiozoo.doctor import Finding

EXAMPLE = "audiozoo doctor"

_STYLES = {"ok": "green", "missing": "yellow", "broken": "bold red"}


def run(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check the installation: packages, decoders, backends and GPUs, the cache folder. Each problem comes with its fix.

    A "missing" part is optional. The exit status is 1 if a part is broken.
    """
    from audiozoo.doctor import checkup

    found = list(checkup()) if as_json else list(_printed(checkup()))
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=1))
    broken = [finding.part for finding in found if finding.status == "broken"]
    if not as_json:
        verdict = f"broken: {', '.join(broken)}" if broken else "everything that audiozoo needs works"
        out.print(verdict, style=_STYLES["broken" if broken else "ok"], soft_wrap=True)
    if broken:
        raise typer.Exit(1)


def _printed(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Print each finding at once, and yield it."""
    for finding in findings:
        out.print(f"{finding.status:<8}", style=_STYLES[finding.status], end="")
        out.print(f"{finding.part:<15} {finding.detail}", soft_wrap=True)
        if finding.fix:
            out.print(f"{'':<8}{'':<15} fix: {finding.fix}", soft_wrap=True)
        yield finding
