"""The watch over a training: metrics of each epoch, the best weights, and the reasons to stop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from audiozoo.progress import Progress
from audiozoo.training.budget import Clock, Meter
from audiozoo.training.resuming import Checkpoint, Progressed


class Watch:
    """Callbacks at the end of each step and epoch: records metrics, keeps the best weights, and stops early.

    Args:
        model: Keras model in training.
        judge: Function that returns the metrics of the validation clips, "val_loss" among them; `None` without validation.
        patience: Number of epochs without a better validation loss after which training stops; `None` never stops early.
        epochs: Number of epochs.
        steps: Number of steps in an epoch.
        sizes: Number of examples in an epoch, and in a batch.
        stage: Name of the stage for `progress`.
        progress: Callback, see `audiozoo.progress`.
        clock: Clock that may end the training after any step.
        meter: Meter of the first steps; `None` measures nothing.
        checkpoint: File to continue from and to keep the state in; `None` for none.
    """

    def __init__(
        self,
        model: Any,
        judge: Callable[[], dict[str, float]] | None,
        *,
        patience: int | None,
        epochs: int,
        steps: int,
        sizes: tuple[int, int],
        stage: str,
        progress: Progress | None,
        clock: Clock,
        meter: Meter | None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.model, self.judge, self.patience = model, judge, patience
        self.epochs, self.steps, self.sizes, self.stage = epochs, steps, sizes, stage
        self.progress, self.clock, self.meter, self.checkpoint = progress, clock, meter, checkpoint
        self.reached = (checkpoint.restore(model) if checkpoint else None) or Progressed()
        if self.reached.epochs:
            self._tell(stage, self.reached.epochs, epochs, {key: values[-1] for key, values in self.history.items()})
        if not 0 <= self.reached.steps < steps:
            raise ValueError(f"a checkpoint has {self.reached.steps} steps of an epoch of {steps}: remove its folder")
        self.skipped, self._loss = self.reached.steps, self.reached.loss
        self.stopped: str | None = None
        self._partial = self._abandoned = False

    @property
    def history(self) -> dict[str, list[float]]:
        """Metrics of the epochs."""
        return self.reached.history

    @property
    def best(self) -> dict[str, float] | None:
        """Validation metrics of the best epoch; `None` without validation."""
        return self.reached.best

    @property
    def best_epoch(self) -> int:
        """Epoch whose weights are kept, counted from 1: the last one without validation."""
        return self.reached.best_epoch or self.reached.epochs

    def _tell(self, stage: str, done: int, total: int, figures: Mapping[str, float]) -> None:
        if self.progress:
            self.progress(stage, done, total, figures)

    def batch_end(self, step: int, logs: Mapping[str, Any] | None = None) -> None:
        """Measure a step, write a checkpoint, or stop because time is up or the user asks for it."""
        self._partial = step + 1 < self.steps
        if self.checkpoint and self._partial and self.checkpoint.due:
            self.reached.steps, self.reached.loss = step + 1, self._mean_loss(step + 1, logs or {})
            self.checkpoint.keep(self.model, self.reached)
        if self.meter and not self.meter.measured:
            self._measure(self.meter, step, logs or {})
        # Nothing is left to stop after the last step.
        last = not self._partial and self.reached.epochs + 1 == self.epochs
        if not (last or self._abandoned) and (reason := self.clock.ended):
            self.stopped = reason
            self.model.stop_training = True

    def _measure(self, meter: Meter, step: int, logs: Mapping[str, Any]) -> None:
        float(logs["loss"])  # JAX and GPUs compute steps asynchronously; reading a result waits for it
        self._tell("measuring", step + 1, self.steps, {})
        if not meter.step():
            return
        if meter.planned:
            self._tell("planned", meter.epochs, meter.full, meter.figures())
        if meter.restarts:
            self._abandoned = self.model.stop_training = True

    def epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Record the metrics of an epoch; one that was cut short counts only if it is the first, because nothing else is there.

        Raises:
            ValueError: The loss is not finite.
        """
        if self._abandoned or (self._partial and self.history):
            return
        figures = {"loss": self._mean_loss(self.steps, logs or {})}
        self.skipped = self.reached.steps = 0
        # A loss that is not finite never recovers.
        if not math.isfinite(figures["loss"]):
            raise ValueError(
                f"training diverged in epoch {epoch + 1}: the loss is {figures['loss']}; use a smaller learning_rate"
            )
        if self.judge:
            figures |= self.judge()
            self._compare(epoch + 1, figures)
        for key, value in figures.items():
            self.history.setdefault(key, []).append(value)
        self._tell(self.stage, epoch + 1, self.epochs, figures)
        if self.meter:
            self.meter.pause()
        if self.checkpoint and not self.stopped:
            self.reached.finished = self.model.stop_training or epoch + 1 == self.epochs
            self.checkpoint.keep(self.model, self.reached)

    def _mean_loss(self, steps: int, logs: Mapping[str, Any]) -> float:
        """Return the mean loss of the steps of this epoch, also of those before a checkpoint from which it went on."""
        total, batch = self.sizes
        before = self.skipped * batch
        after = min(steps * batch, total) - before
        return (self._loss * before + float(logs["loss"]) * after) / (before + after)

    def _compare(self, epoch: int, figures: dict[str, float]) -> None:
        # The epoch is chosen by loss and not by accuracy, because many epochs have the same accuracy on a few clips.
        if self.best is None or figures["val_loss"] < self.best["val_loss"]:
            self.reached.best = {key: value for key, value in figures.items() if key.startswith("val_")}
            # In memory (at most 140 MB) and not in a file, so that no temporary file can be left behind.
            self.reached.best_epoch, self.reached.best_weights = epoch, self.model.get_weights()
        elif self.patience is not None and epoch - self.best_epoch >= self.patience:
            self.model.stop_training = True

    def restore_best(self) -> None:
        """Load the weights of the best epoch into the model."""
        if self.reached.best_weights is not None:
            self.model.set_weights(self.reached.best_weights)
