"""All checks in order. A check that fails in an unforeseen way is a finding too, because the others must still run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from audiozoo.doctor.backends import check_backend, check_other_backends
from audiozoo.doctor.finding import Finding
from audiozoo.doctor.packages import check_conflicts, check_extras, check_python, check_required
from audiozoo.doctor.sounds import check_decoders, check_other_formats, check_resampler, check_stretching
from audiozoo.doctor.storage import check_cache

CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_required,
    check_conflicts,
    check_extras,
    check_decoders,
    check_other_formats,
    check_resampler,
    check_stretching,
    check_cache,
    check_other_backends,
    check_backend,
)
"""Checks, each a function that yields findings. The slow one, which starts the backend, is the last."""


def checkup() -> Iterator[Finding]:
    """Run all checks, and yield their findings as they come.

    The backend starts in a process of its own beside the other checks, because it takes seconds, and may crash or hang.
    """
    with ThreadPoolExecutor(1) as thread:
        backend = thread.submit(_findings, CHECKS[-1])
        for check in CHECKS[:-1]:
            yield from _findings(check)
        yield from backend.result()


def _findings(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(check())
    except Exception as error:  # whatever is wrong with an installation, the other checks must run
        part = check.__name__.removeprefix("check_").replace("_", " ")
        reason = f"{type(error).__name__}: {error}"
        found.append(Finding(part, "broken", reason, "install audiozoo again: pip install --force-reinstall audiozoo"))
    return found
