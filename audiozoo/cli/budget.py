"""The budget of ``audiozoo train``: its option, the bar with the time that remains, and Ctrl-C that keeps what was learnt."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Task
from rich.text import Text

from audiozoo.cli.console import err, progress_bar
from audiozoo.cli.schedule import WholeColumn

if TYPE_CHECKING:
    from audiozoo.classifier import TrainingFacts
    from audiozoo.progress import Progress
    from audiozoo.recipe import Recipe
    from audiozoo.training import Budget, Checkpoints

DEFAULT_MINUTES = 5.0

Minutes = Annotated[
    float | None,
    typer.Option(
        help="Time for the training (minutes, 5 by default): the number of epochs is chosen so that it fits. "
        "0 trains with the model's own number of epochs.",
        show_default=False,
    ),
]
Refit = Annotated[
    bool | None,
    typer.Option("--refit/--no-refit", help="Whether to train again on all clips at the end; by default the model's own."),
]
CheckpointMinutes = Annotated[
    float | None,
    typer.Option(
        "--checkpoints",
        help="Save the state of the training after this time at the earliest (minutes). After any interruption, the same "
        "command continues. Such a training has no limit of time.",
    ),
]


def chosen_checkpoints(every: float | None, minutes: float | None, output: Path) -> Checkpoints | None:
    """Return the checkpoints that the user chose.

    Args:
        every: Least time between two checkpoints (minutes); `None` for none.
        minutes: Limit of the training's time that the user gave.
        output: File of the classifier. The folder of the checkpoints lies beside it.

    Returns:
        The checkpoints, or `None`.

    Raises:
        ValueError: There is a limit of time, or the time between checkpoints is negative.
    """
    from audiozoo.training import Checkpoints

    if every is None:
        return None
    if minutes:
        raise ValueError(f"--checkpoints is for a training without a limit of time: leave out --minutes {minutes:g}")
    return Checkpoints(output.with_name(f"{output.name}.checkpoints"), minutes=every)


def chosen_budget(minutes: float | None, epochs: int | None) -> Callable[[], Budget | None]:
    """Return a function for the budget that the user chose; a given number of epochs is exact and has none.

    The budget counts the time since this call as spent, in which the clips are checked and the backend is loaded.

    Raises:
        ValueError: Both are given, or the budget is negative.
    """
    from audiozoo.training import Budget

    if minutes and epochs is not None:
        raise ValueError(
            f"--epochs is an exact number and --minutes chooses one: give only one of them, "
            f"got --epochs {epochs} and --minutes {minutes:g}"
        )
    chosen = Budget(minutes=0.0 if epochs is not None else DEFAULT_MINUTES if minutes is None else minutes)
    began = monotonic()
    return lambda: replace(chosen, spent=monotonic() - began) if chosen.minutes else None


class _TimeLeft(WholeColumn):
    """Column that counts down to the expected end of the whole training."""

    end: float | None = None

    def render(self, task: Task) -> Text:
        """Return the time that remains, or an empty text while it is not known."""
        if self.end is None:
            return Text("")
        minutes, seconds = divmod(round(max(self.end - monotonic(), 0)), 60)
        return Text(f"{minutes}:{seconds:02d} left")


class Stages:
    """Follows the stages of a training: when it will end, its best score so far, and whether there is anything to save yet.

    Args:
        recipe: Recipe of the training.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.refits = self._full_refits = recipe.refit
        self.learnt = False
        self.left = _TimeLeft()
        self._best: dict[str, float] = {}
        self._stage, self._first, self._at = "", 0, 0.0

    def note(self, stage: str, done: int, total: int, figures: Mapping[str, float]) -> Mapping[str, float]:
        """Follow a call of the progress callback, and print the plan.

        Args:
            stage: Stage, as for `audiozoo.progress`.
            done: Number of steps done.
            total: Number of steps in all.
            figures: Latest figures.

        Returns:
            The figures to show: the loss, and the best validation score so far.
        """
        # Only the end of an epoch gives weights to keep. After a restart nothing is learnt again, which 0 epochs show.
        self.learnt = stage == "refitting" or (stage == "training" and done > 0)
        if stage == "planned":
            self.refits, self.left.end = bool(figures["refit"]), monotonic() + figures["seconds"]
            err.print(planned_line(figures, done, total, refits=self._full_refits), soft_wrap=True)
        elif stage in ("training", "refitting"):
            self._expect(stage, done, total)
        if "val_loss" in figures and figures["val_loss"] <= self._best.get("val_loss", figures["val_loss"]):
            self._best = {name: value for name, value in figures.items() if name.startswith("val_")}
        shown = {name: value for name, value in figures.items() if name == "loss"}
        return shown | {f"best {name}": value for name, value in self._best.items() if name != "val_loss"}

    def _expect(self, stage: str, done: int, total: int) -> None:
        """Estimate the end from the epochs since the first known one of this stage."""
        now = monotonic()
        if stage != self._stage or done <= self._first:
            self._stage, self._first, self._at = stage, done, now
            return
        again = total if stage == "training" and self.refits else 0
        self.left.end = now + (now - self._at) / (done - self._first) * (total - done + again)


@contextmanager
def training_bar(title: str, recipe: Recipe) -> Iterator[tuple[Progress, Stages]]:
    """Context manager that shows the bar of a training, and yields its callback and its stages."""
    stages = Stages(recipe)
    with progress_bar(title, further=(stages.left,)) as show:

        def told(stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
            shown = stages.note(stage, done, total, figures)
            if stage != "planned":
                show(stage, done, total, shown)

        yield told, stages


@contextmanager
def first_interrupt_ends(stages: Stages) -> Iterator[Callable[[], bool]]:
    """Context manager that yields a function that tells whether training should end, because the user pressed Ctrl-C.

    A second Ctrl-C, or the first one while there is nothing to save, raises KeyboardInterrupt.
    """
    asked: list[int] = []

    def handle(number: int, frame: Any) -> None:
        if asked or not stages.learnt:
            raise KeyboardInterrupt
        asked.append(number)
        err.print("training ends and saves the best epoch so far; Ctrl-C again stops at once", style="yellow")

    # A shell lets the programs it starts in the background ignore Ctrl-C, and only the main thread may handle signals.
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)


def planned_line(figures: Mapping[str, float], epochs: int, full: int, *, refits: bool) -> str:
    """Describe the epochs that a budget allows.

    Args:
        figures: Figures of the stage "planned".
        epochs: Number of epochs chosen.
        full: Number of epochs of the recipe.
        refits: Whether the recipe has a refit.

    Returns:
        One line, such as "5 minutes allow 23 of 100 epochs (0.18 s a step), without refitting; --minutes 0 trains in full".
    """
    refit = "" if not refits else ", with refitting" if figures["refit"] else ", without refitting"
    budget = f"{figures['minutes']:g} minute{'s' * (figures['minutes'] != 1)} allow{'s' * (figures['minutes'] == 1)}"
    line = f"{budget} {epochs} of {full} epochs ({figures['step_seconds']:.2g} s a step){refit}"
    in_full = epochs == full and (not refits or bool(figures["refit"]))
    return line if in_full else f"{line}; --minutes 0 trains in full"


def early_end(about: TrainingFacts, epochs: int) -> str:
    """Describe why a training ended early, or return "" if it did not.

    Args:
        about: Facts about the training.
        epochs: Number of epochs in its history.

    Returns:
        One line.
    """
    if about.stopped is None:
        return ""
    if about.stopped == "request":
        return f"training ended early as you asked; the weights are those of epoch {about.best_epoch}"
    if epochs > 1:
        return f"the time was up before the training was complete; the weights are those of epoch {about.best_epoch}"
    return (
        "the time was up in the first epoch, so the classifier has learnt little: give more --minutes, "
        "or repeat the command, because the cached features save time"
    )
