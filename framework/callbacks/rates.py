"""Callbacks that set the learning rate, or search for a good one."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from ..config.checked import NotNegative, Verbosity
from ..errors import counted
from .base import Callback, Logs, refuse_schedule


class LearningRateScheduler(Callback):
    """Set the learning rate at the start of each epoch.

    The logs get it, too, as ``learning_rate``.

    Args:
        schedule: a function of the epoch (from 0) and the learning rate so far to the new one; a
            function of the epoch alone will do, too.
        verbose: 1 prints a line for each epoch.

    Raises:
        ValueError: the schedule returns no number.
    """

    remembered = ("_epoch", "_before")

    def __init__(self, schedule: Callable[..., Any], verbose: Verbosity = 0) -> None:
        super().__init__()
        self._epoch, self._before = -1, 0.0  # the last epoch that began, and the rate before it
        self.schedule = schedule
        self.verbose = verbose
        try:
            inspect.signature(schedule).bind(0, 0.1)
            self._takes_rate = True
        except TypeError:
            self._takes_rate = False
        except ValueError:  # of something built in, which does not tell
            self._takes_rate = True

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        if epoch != self._epoch:  # or it goes on in its middle, after a backup was restored
            self._epoch, self._before = epoch, float(optimizer.learning_rate)
        rate = self.schedule(*((epoch, self._before) if self._takes_rate else (epoch,)))
        if hasattr(rate, "item"):
            rate = rate.item()
        if not isinstance(rate, numbers.Real) or isinstance(rate, bool):
            raise ValueError(
                "LearningRateScheduler needs a schedule that returns the learning rate as a "
                f"number; for epoch {epoch} it returned {rate!r}."
            )
        optimizer.learning_rate = rate
        if self.verbose:
            print(f"Epoch {epoch + 1}: setting the learning rate to {float(rate):g}")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        refuse_schedule(self)
        self._epoch = -1

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class LearningRateFinder(Callback):
    """Raise the learning rate from batch to batch and record the loss, to see where it falls best.

    Pass it to a `fit` of its own, whose only purpose is the search; afterwards the model and the
    optimizer are as before:

        finder = gt.callbacks.LearningRateFinder()
        model.fit(x, y, epochs=10, callbacks=[finder])  # ends by itself
        gt.plot.learning_rates(finder)
        model.optimizer.learning_rate = finder.suggestion

    The range test of Smith, "Cyclical learning rates for training neural networks" (2015), with
    steps of equal ratio.

    Args:
        min_lr, max_lr: where the search starts and ends.
        steps: batches in between.
        smoothing: how much of each new loss enters the moving average that is judged.
        stop_factor: ends the search when that average is so many times the least one.

    Attributes:
        learning_rates, losses: of each batch.
        smoothed: the moving average of the losses (corrected for its start).
        suggestion: the rate at which `smoothed` falls most steeply.

    Raises:
        ValueError: settings out of range.
    """

    remembered = ("learning_rates", "losses", "smoothed", "_average", "_weights", "_state")

    def __init__(
        self,
        min_lr: NotNegative = 1e-6,
        max_lr: float = 1.0,
        steps: int = 100,
        smoothing: float = 0.1,
        stop_factor: float = 4.0,
    ) -> None:
        super().__init__()
        if not 0 < min_lr < max_lr:
            raise ValueError(f"0 < min_lr < max_lr must hold, received {min_lr} and {max_lr}.")
        if steps < 2 or not 0 < smoothing <= 1 or not stop_factor > 1:
            raise ValueError(
                "steps must be at least 2, smoothing in (0, 1], stop_factor above 1; received "
                f"{steps}, {smoothing}, {stop_factor}."
            )
        self.min_lr, self.max_lr, self.steps = min_lr, max_lr, steps
        self.smoothing, self.stop_factor = smoothing, stop_factor
        self._forget()

    def _forget(self) -> None:
        self.learning_rates: list[float] = []
        self.losses: list[float] = []
        self.smoothed: list[float] = []
        self._average = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._forget()
        model, optimizer = self.model, self.model.optimizer
        self._weights = [v.data.copy() for v in model.variables]
        self._state = optimizer.get_state()
        self._rate = optimizer._learning_rate
        epoch = self.params.get("steps")
        self._count = self.steps
        if epoch is not None:
            self._count = max(2, min(self.steps, epoch * self.params["epochs"]))

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        share = len(self.losses) / (self._count - 1)
        rate = self.min_lr * (self.max_lr / self.min_lr) ** share
        self.model.optimizer.learning_rate = rate
        self.learning_rates.append(rate)
        self.model.reset_metrics()  # so that the loss in the logs is that of the batch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = float((logs or {})["loss"])
        if math.isfinite(loss):
            self.losses.append(loss)
            self._average += self.smoothing * (loss - self._average)
            corrected = self._average / (1 - (1 - self.smoothing) ** len(self.losses))
            self.smoothed.append(corrected)
        else:
            del self.learning_rates[len(self.losses) :]
        exploded = not math.isfinite(loss) or (
            len(self.losses) > 1 and self.smoothed[-1] > self.stop_factor * min(self.smoothed)
        )
        if exploded or len(self.losses) >= self._count:
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        for variable, values in zip(self.model.variables, self._weights, strict=True):
            variable.assign(values)
        self.model.optimizer.set_state(self._state)
        self.model.optimizer.learning_rate = self._rate

    @property
    def suggestion(self) -> float:
        """The learning rate at which the smoothed loss falls most steeply.

        Raises:
            ValueError: the search has too few batches, or the loss never fell.
        """
        if len(self.smoothed) < 3:
            raise ValueError(
                f"LearningRateFinder has seen {counted(len(self.smoothed), 'batch', 'batches')} "
                "with a finite loss, which is too few to suggest a rate: pass it to fit() first, "
                "with more epochs."
            )
        slopes = np.gradient(self.smoothed, np.log(self.learning_rates))
        slopes[: len(slopes) // 10] = 0  # the average of a few batches is mostly chance
        if slopes.min() >= 0:
            raise ValueError(
                f"The loss did not fall between the learning rates {self.min_lr:g} and "
                f"{self.max_lr:g}: search further down, or look at gt.plot.learning_rates(finder)."
            )
        return self.learning_rates[int(slopes.argmin())]
