"""Callbacks that watch a value of the logs and act when it no longer gets better."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..config.checked import Natural, NotNegative, Verbosity
from ..config.tracebacks import warn
from ..errors import unknown_name
from .base import Callback, Logs, refuse_schedule


class Monitor(Callback):
    """Base of callbacks that watch one value of the logs.

    Args:
        monitor: its name in the logs.
        mode: ``"min"``, ``"max"``, or ``"auto"``: what the metric of that name says.
        min_delta: how much better it must be to count as improved.

    Raises:
        ValueError: an unknown mode; later, a metric that does not say whether more is better.
    """

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise unknown_name("mode", mode, ("auto", "min", "max"))
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self._warned = False

    def watched(self, logs: Logs | None) -> float | None:
        """The value in these logs; None if it is missing, which is said once."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            self.warn_once(
                f"{type(self).__name__} waits for {self.monitor!r}, but the logs hold only "
                f"{', '.join(logs or ()) or 'nothing'}."
            )
        return value

    def warn_once(self, text: str) -> None:
        """Warn, unless this callback has before in this training."""
        if not self._warned:
            self._warned = True
            warn(text)

    def improved(self, value: float, than: float | None) -> bool:
        """Whether a value is better than another by `min_delta`; than nothing, unless it is NaN."""
        up = self._up()
        if than is None:
            return not math.isnan(value)
        return value - self.min_delta > than if up else value + self.min_delta < than

    def _up(self) -> bool:
        """Whether more is better."""
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return False
        found = {m.name: getattr(m, "direction", None) for m in self.model.metrics}
        # Metrics of one of several outputs, and weighted ones, have more before their name.
        ending = max((n for n in found if name.endswith(f"_{n}")), key=len, default=name)
        direction = found.get(name) or found.get(ending)
        if direction is None:
            raise ValueError(
                f"{type(self).__name__} cannot tell whether more {self.monitor!r} is better: pass "
                f"mode='max' or mode='min'. The metrics that can: "
                f"{', '.join(n for n, d in found.items() if d is not None) or 'none'}."
            )
        return direction == "up"


class EarlyStopping(Monitor):
    """Stop `fit` when a value has not improved for a number of epochs.

    Args:
        monitor: its name in the logs.
        min_delta: how much better it must be to count as improved.
        patience: how many epochs without improvement to allow.
        verbose: 1 prints a line when it stops.
        mode: ``"min"``, ``"max"``, or ``"auto"``: what the metric of that name says.
        baseline: a value to beat from the start.
        restore_best_weights: whether to end with the weights of the best epoch.
        start_from_epoch: epochs to leave alone at the start.

    Raises:
        ValueError: an unknown mode; at the first epoch's end, a metric that does not say whether
            more is better.
    """

    remembered = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: Natural = 0,
        verbose: Verbosity = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: Natural = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: Any = None
        self._warned = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.watched(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)
        self.wait += 1
        if self.improved(value, self.best):
            self.best = value
            self._keep(epoch)
            if self.improved(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"Restoring the weights of the best epoch, {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by a factor when a value has not improved for some epochs.

    The logs get the learning rate, too, as ``learning_rate``.

    Args:
        monitor, mode: see `EarlyStopping`.
        factor: below 1.
        patience: epochs without improvement before a reduction.
        verbose: 1 prints a line for each.
        min_delta: how much better the value must be to count as improved.
        cooldown: epochs after a reduction in which no patience is lost.
        min_lr: where it ends.

    Raises:
        ValueError: a factor that reduces nothing.
    """

    remembered = ("best", "wait", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: Natural = 10,
        verbose: Verbosity = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: Natural = 0,
        min_lr: NotNegative = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 <= factor < 1:
            raise ValueError(f"ReduceLROnPlateau needs a factor below 1, received {factor}.")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        refuse_schedule(self)
        self._begin()

    def _begin(self) -> None:
        self.best: float | None = None
        self.wait = 0
        self.cooldown_counter = 0
        self._warned = False

    def in_cooldown(self) -> bool:
        """Whether a reduction is so recent that no patience is lost."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        optimizer = self.model.optimizer
        logs["learning_rate"] = float(optimizer.learning_rate)
        value = self.watched(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improved(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            before = logs["learning_rate"]
            if self.wait >= self.patience and before > np.float32(self.min_lr):
                optimizer.learning_rate = rate = max(before * self.factor, self.min_lr)
                if self.verbose:
                    print(f"Epoch {epoch + 1}: reducing the learning rate to {rate:g}")
                self.cooldown_counter = self.cooldown
                self.wait = 0


class TerminateOnNaN(Callback):
    """End `fit` at the first batch after which the loss is NaN or infinite.

    Args:
        raise_error: whether to raise instead, without the other callbacks' ``on_train_end``.

    Raises:
        RuntimeError: the loss is not finite (with `raise_error`).
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        text = f"Batch {batch}: the loss is {loss}, training ends."
        if self.raise_error:
            raise RuntimeError(text)
        print(text)
        self.model.stop_training = True
