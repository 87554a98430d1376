"""Callbacks: what happens beside training. Hooks, names and defaults are Keras 3's."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from .errors import unknown_name

Logs = dict[str, Any]


class Callback:
    """Base of all callbacks: every hook is there and does nothing.

    `epoch` and `batch` count from 0. `logs` holds loss and metrics by name: at the end of a batch
    those of the epoch so far, at the end of an epoch also the ``val_`` ones.

    Attributes:
        model: the model that is trained, evaluated or asked to predict.
        params: ``epochs``, ``steps`` (batches per epoch) and ``verbose``.
    """

    model: Any = None

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Called with the model before anything else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called with `params` before anything else."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch of `fit`."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch of `fit`, with its logs."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before each epoch of `fit`."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After each epoch and its validation; ``model.stop_training = True`` then ends `fit`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each batch of `fit`."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each batch of `fit`."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Another name for `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Another name for `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before the first batch of `evaluate`, or of a validation within `fit`."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After the last batch of `evaluate` or of a validation, with the results."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each batch of `evaluate` or of a validation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each batch of `evaluate` or of a validation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before the first batch of `predict`."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After the last batch of `predict`."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each batch of `predict`."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each batch of `predict`; ``logs["outputs"]`` are the predictions."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class CallbackList(Callback):
    """Several callbacks as one. A hook that none of them defines costs nothing.

    Args:
        callbacks: one callback or several.
        model, params: passed on to them.

    Attributes:
        watches_batches: whether anyone looks at the batches of `fit`, and so at their logs.

    Raises:
        TypeError: something that is no callback.
    """

    def __init__(self, callbacks: Any = None, model: Any = None, **params: Any) -> None:
        super().__init__()
        if callbacks is None:
            callbacks = []
        self.callbacks = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                what = callback.__name__ if isinstance(callback, type) else repr(callback)
                raise TypeError(
                    f"callbacks must be Callback objects, received {what}."
                    + (" Did you forget to call it: Name()?" if isinstance(callback, type) else "")
                )
        for hook in HOOKS:
            heard = [getattr(c, hook) for c in self.callbacks if _defines(c, hook)]
            setattr(self, hook, _all(heard) if heard else _nothing)
        watched = ("on_train_batch_begin", "on_train_batch_end")
        self.watches_batches = any(getattr(self, hook) is not _nothing for hook in watched)
        self.shows_progress = False
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)


def _defines(callback: Callback, hook: str) -> bool:
    """Whether a hook of this callback does anything."""
    method = getattr(callback, hook)
    if getattr(method, "__func__", method) is not getattr(Callback, hook):
        return method is not _nothing
    alias = hook.replace("_train_batch_", "_batch_")
    return alias != hook and _defines(callback, alias)


def _nothing(*args: Any) -> None:
    """The hook of a list in which nobody listens."""


def _all(methods: list[Callable[..., None]]) -> Callable[..., None]:
    def call(*args: Any) -> None:
        for method in methods:
            method(*args)

    return call


class History(Callback):
    """The logs of every epoch; `fit` adds one and returns it.

    Attributes:
        epoch: the numbers of the epochs that were finished, from 0.
        history: by name, the value of each of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def __repr__(self) -> str:
        return f"<History of {len(self.epoch)} epochs: {', '.join(self.history)}>"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """A callback from functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``.

    Raises:
        TypeError: there is no hook of that name.
    """

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        super().__init__()
        for name, function in hooks.items():
            if name not in HOOKS:
                raise TypeError(str(unknown_name("hook", name, HOOKS)))
            if function is not None:
                setattr(self, name, function)


class EarlyStopping(Callback):
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

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise unknown_name("mode", mode, ("auto", "min", "max"))
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.patience = patience
        self.verbose = verbose
        self.mode = mode
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
        value = (logs or {}).get(self.monitor)
        if value is None:
            self._warn(logs or {})
            return
        if epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)
        self.wait += 1
        if self._better(value, self.best):
            self.best = value
            self._keep(epoch)
            if self._better(value, self.baseline):
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

    def _better(self, value: float, than: float | None) -> bool:
        up = self._up()
        if than is None:
            return not math.isnan(value)
        return value - self.min_delta > than if up else value + self.min_delta < than

    def _up(self) -> bool:
        """Whether more is better."""
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return False
        direction = {m.name: getattr(m, "direction", None) for m in self.model.metrics}.get(name)
        if direction is None:
            raise ValueError(
                f"EarlyStopping cannot tell whether more {self.monitor!r} is better: pass "
                "mode='max' or mode='min'."
            )
        return direction == "up"

    def _warn(self, logs: Logs) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"EarlyStopping waits for {self.monitor!r}, but the logs hold only "
                f"{', '.join(logs) or 'nothing'}.",
                stacklevel=4,
            )
