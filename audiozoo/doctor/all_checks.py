"""All checks in order. A check that fails in an unforeseen way is a finding too, because the others must still run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from audiozoo.doctor.backends import check_backend, check_other_backends
from audiozoo.doctor.finding import Finding
from audiozoo.doctor.packages import check_conflicts, check_extras, check_imports, check_python, check_required
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
    check_imports,
    check_backend,
)
"""Checks, each a function that yields findings."""

_SLOW = (check_imports, check_backend)


def checkup() -> Iterator[Finding]:
    """Run all checks, and yield their findings in order, as they come.

    Those that start a process, which takes seconds, run beside the others.
    """
    with ThreadPoolExecutor(len(_SLOW)) as threads:
        started = {check: threads.submit(_findings, check) for check in CHECKS if check in _SLOW}
        for check in CHECKS:
            yield from started[check].result() if check in started else _findings(check)


def _findings(check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    found: list[Finding] = []
    try:
        found.extend(check())
    except Exception as error:  # whatever is wrong with an installation, the other checks must run
        part = check.__name__.removeprefix("check_").replace("_", " ")
        reason = f"{type(error).__name__}: {error}"
        found.append(Finding(part, "broken", reason, "install audiozoo again: pip install --force-reinstall audiozoo"))
    return found
