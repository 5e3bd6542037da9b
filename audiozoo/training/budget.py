"""Training within a budget of time: the clock, the speed of the first steps, and the number of epochs that fits."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from audiozoo.checks import require_number
from audiozoo.config import Configured
from audiozoo.recipe import Recipe

MOST_MINUTES = 60 * 24 * 365

_AIM = 0.8
"""Share of the remaining time that a shortened training is planned for. On a quiet machine, an epoch takes up to 15 % longer
than its first steps promise, and other programs may slow the machine down."""

_LONGEST_MEASUREMENT = 2.0  # seconds
_SHARE_MEASURED = 0.05  # share of the remaining time, for a budget of seconds
_FEWEST_STEPS = 3


@dataclass(frozen=True, kw_only=True)
class Budget(Configured):
    """Time that a training may take, from the call of `audiozoo.train` on, with the features of the clips.

    Training measures the speed of its first steps. If the recipe does not fit into the time that is left, training starts again
    with the number of epochs that does, so that the learning rate still decays to its end. Only a machine that becomes slower
    meets the end of the time itself: training then stops after a step and keeps the best epoch so far.

    Args:
        minutes: Time (minutes); 0 trains the recipe in full.
        spent: Part of this time that has passed already (seconds), for example to load the backend.

    Raises:
        ValueError: `minutes` is not a number from 0 to a year, or `spent` is negative.
    """

    minutes: float = 5.0
    spent: float = 0.0

    def __post_init__(self) -> None:
        require_number("minutes", self.minutes, 0, MOST_MINUTES)
        require_number("spent", self.spent, 0, 60 * MOST_MINUTES)


class Clock:
    """The time that is left of a budget, counted from the creation of the clock, and the user's wish to stop.

    Args:
        budget: Budget; `None` for no limit.
        stop: Function that returns true when training should end and keep what it has; `None` never ends it.
    """

    def __init__(self, budget: Budget | None = None, stop: Callable[[], bool] | None = None) -> None:
        self.minutes = budget.minutes if budget else 0.0
        spent = budget.spent if budget else 0.0
        self._deadline = monotonic() + 60 * self.minutes - spent if self.minutes else math.inf
        self._stop = stop

    @property
    def limited(self) -> bool:
        """Whether there is a budget."""
        return self._deadline < math.inf

    @property
    def left(self) -> float:
        """Remaining time (seconds), at least 0; infinite without a budget."""
        return max(self._deadline - monotonic(), 0.0)

    @property
    def ended(self) -> str | None:
        """Reason to stop now, "request" or "budget"; `None` to go on."""
        if self._stop is not None and self._stop():
            return "request"
        return None if self.left else "budget"


def plan(seconds: float, *, epochs: int, start: float, epoch: float, refit_epoch: float | None) -> tuple[int, bool]:
    """Choose the number of epochs, and whether to refit, so that training ends in time.

    The recipe trains in full if it fits. Otherwise a refit is left out if it would leave fewer than half of the epochs.

    Args:
        seconds: Remaining time (seconds).
        epochs: Number of epochs of the recipe.
        start: Duration of what precedes the second step of a training, such as the compilation (seconds).
        epoch: Duration of an epoch with its validation (seconds).
        refit_epoch: Duration of an epoch of the refit (seconds); `None` if the recipe has no refit.

    Returns:
        The number of epochs, from 1 to `epochs`, and whether to refit.
    """
    refits = refit_epoch is not None
    both = epoch + (refit_epoch or 0.0)
    if epochs * both + start * refits <= seconds:
        return epochs, refits
    if refits and 2 * (count := _fitting(_AIM * seconds - 2 * start, both, epochs)) >= epochs:
        return count, True
    # An uninterrupted training needs no second start.
    if epochs * epoch <= seconds:
        return epochs, False
    return max(1, _fitting(_AIM * seconds - start, epoch, epochs)), False


def _fitting(seconds: float, each: float, most: int) -> int:
    return most if seconds >= most * each else max(0, math.floor(seconds / each))


class Meter:
    """Times the first steps of a training, then plans its epochs.

    Args:
        clock: Clock with the budget.
        recipe: Recipe of the training.
        epochs: Number of epochs in full.
        steps: Number of steps in an epoch.
        refit_steps: Number of steps in an epoch of the refit; `None` for no refit.
        ahead: Number of batches that are prepared during the first step, so that the steps with them are quicker than the
            later ones.
    """

    def __init__(
        self, clock: Clock, recipe: Recipe, *, epochs: int, steps: int, refit_steps: int | None, ahead: int = 0
    ) -> None:
        self.clock, self.recipe, self.full, self.steps, self.refit_steps = clock, recipe, epochs, steps, refit_steps
        self.epochs, self.refit = epochs, recipe.refit
        self.measured = self.planned = False
        self.seconds = 0.0
        self.validation = 0.0
        self._needed = min(_LONGEST_MEASUREMENT, _SHARE_MEASURED * clock.left)
        self._skipped = ahead
        self._begin = self._last = monotonic()
        self._start = 0.0
        self._durations: list[float] = []

    def step(self) -> bool:
        """Note the end of a step, and tell whether the speed is known now."""
        now = monotonic()
        if not self._start:
            # The first step also builds the model and compiles its graph.
            self._start = now - self._begin
        elif self._skipped:
            self._skipped -= 1
        else:
            self._durations.append(now - self._last)
        self._last = now
        if len(self._durations) >= _FEWEST_STEPS and sum(self._durations) >= self._needed:
            self._choose()
        return self.measured

    def pause(self) -> None:
        """Leave the time since the last step, in which the model was validated, out of the next one."""
        self._last = monotonic()

    @property
    def step_seconds(self) -> float:
        """Median duration of a step (seconds); the smaller last batch of an epoch can be compiled anew, which takes long."""
        return statistics.median(self._durations)

    def _choose(self) -> None:
        self.measured = True
        left = self.clock.left
        epoch = self.steps * self.step_seconds + self.validation
        refit = None if self.refit_steps is None else self.refit_steps * self.step_seconds
        epochs, refits = plan(left, epochs=self.full, start=self._start, epoch=epoch, refit_epoch=refit)
        if epochs < self.full and left <= self._start:
            return  # too late for a second start: the first one goes on until the time is up
        self.planned = True
        self.epochs, self.refit = epochs, refits
        starts = (epochs < self.full) + refits
        self.seconds = epochs * (epoch + (refit or 0.0) * refits) + self._start * starts

    @property
    def restarts(self) -> bool:
        """Whether training must start again, because another number of epochs needs another schedule."""
        return self.epochs < self.full

    def chosen_recipe(self) -> Recipe:
        """Return the recipe that fits the budget; the same recipe without a budget gives the same training."""
        recipe = self.recipe
        if self.planned and self.refit_steps is not None and not self.refit:
            recipe = replace(recipe, refit=False)
        return replace(recipe, epochs=self.epochs, min_steps=0) if self.restarts else recipe

    def facts(self) -> dict[str, Any]:
        """Return the budget and what was chosen, as JSON data."""
        known: dict[str, Any] = {"minutes": self.clock.minutes}
        if self.planned:
            known |= {"epochs": self.epochs, "full_epochs": self.full, "step_seconds": round(self.step_seconds, 4)}
        return known

    def figures(self) -> dict[str, float]:
        """Return the figures of the plan for the progress callback."""
        return {
            "minutes": self.clock.minutes,
            "step_seconds": self.step_seconds,
            "seconds": self.seconds,
            "refit": float(self.refit),
        }
