"""Energy of trainings and predictions, as codecarbon estimates it without a network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import logging
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from audiozoo.checks import require_number
from audiozoo.config import Configured

_TOOL = "codecarbon"
_COUNTRY = "USA"  # sets only the emissions per kWh, and a row keeps none
_SECONDS = 3.0  # codecarbon reads the load of the processor once a second

_OFFLINE: dict[str, Any] = {
    # The "offline" tracker also reads the user's configuration and environment. With a token or an endpoint there, it would
    # connect to the network, and by default it writes a file. An argument overrides them, but not if it is None.
    "electricitymaps_api_token": "",
    "emissions_endpoint": "",
    "cloud_provider": "",
    "log_level": "critical",
    # Jobs on the same machine must not count one another, nor wait for a lock that a killed process has left.
    "tracking_mode": "process",
    "allow_multiple_runs": True,
}


@dataclass(frozen=True, kw_only=True)
class Energy(Configured):
    """Electric energy of a job.

    Args:
        kwh_training: Energy of the training, without that of the features (kWh).
        kwh_per_thousand: Energy to classify 1,000 clips from samples in memory, one clip at a time (kWh).
        estimated: Whether a model of the hardware's power gave at least a part of the energy. codecarbon has counters only of
            some processors and GPUs, and always estimates the power of the memory.
        tool: Program that estimated the energy, and its version.

    Raises:
        ValueError: An energy is negative or not a number.
    """

    kwh_training: float
    kwh_per_thousand: float
    estimated: bool = True
    tool: str = ""

    def __post_init__(self) -> None:
        for name in ("kwh_training", "kwh_per_thousand"):
            require_number(name, getattr(self, name), 0)

    @classmethod
    def of(cls, training: Reading, calls: Sequence[Callable[[], Any]]) -> Energy | None:
        """Add the energy of predictions to that of a training.

        Args:
            training: Reading of the training.
            calls: Functions that classify one clip each.

        Returns:
            The energy; `None` if there is no reading.
        """
        if training.kwh is None or (predictions := _kwh_per_call(calls)) is None:
            return None
        tool = f"{_TOOL} {_version()}"
        return cls(kwh_training=_rounded(training.kwh), kwh_per_thousand=_rounded(1e3 * predictions), tool=tool)


@dataclass
class Reading:
    """Energy that `metered` fills in when its block ends (kWh); `None` without one."""

    kwh: float | None = None


def require_codecarbon() -> None:
    """Check that codecarbon is installed.

    Raises:
        ImportError: It is not; the message has the command that installs it.
    """
    if importlib.util.find_spec(_TOOL) is None:
        raise ImportError('an estimate of the energy needs codecarbon; install it with `pip install "audiozoo[codecarbon]"`')


@contextmanager
def metered(on: bool = True) -> Iterator[Reading]:
    """Estimate the energy that this process uses in a block.

    Args:
        on: Whether to estimate it; otherwise the reading stays empty.

    Yields:
        The reading, which is filled in when the block ends.

    Raises:
        ImportError: codecarbon is not installed.
    """
    reading = Reading()
    if not on:
        yield reading
        return
    require_codecarbon()
    with tempfile.TemporaryDirectory() as folder:  # some of codecarbon's counters write a log into the current folder
        tracker = _tracker(folder)
        tracker.start()
        try:
            yield reading
        finally:
            tracker.stop()
        reading.kwh = _kwh(tracker)


def _tracker(folder: str) -> Any:
    import codecarbon

    logging.getLogger(_TOOL).setLevel(logging.CRITICAL)  # it logs before it reads its argument log_level
    return codecarbon.OfflineEmissionsTracker(
        country_iso_code=_COUNTRY,
        output_dir=folder,
        output_methods=[],
        output_handlers=[],  # codecarbon appends to this list
        **_OFFLINE,
    )


def _kwh(tracker: Any) -> float | None:
    # codecarbon logs its own errors and goes on. An hour of training must not be lost because there is no estimate.
    if (found := getattr(tracker, "final_emissions_data", None)) is None:
        warnings.warn("codecarbon has not estimated the energy; the row has none", stacklevel=2)
        return None
    return float(found.energy_consumed)


def _kwh_per_call(calls: Sequence[Callable[[], Any]]) -> float | None:
    count = 0
    with metered() as reading:
        end = time.perf_counter() + _SECONDS
        for call in itertools.cycle(calls):
            call()
            count += 1
            if time.perf_counter() >= end:
                break
    return None if reading.kwh is None else reading.kwh / count


def _rounded(kwh: float) -> float:
    return float(f"{kwh:.4g}")  # more digits would feign a precision that an estimate lacks


def _version() -> str:
    return importlib.metadata.version(_TOOL)
