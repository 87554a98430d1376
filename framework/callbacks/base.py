"""`Callback` and its hooks, lists of them, `History` and `LambdaCallback`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..config.checked import Checked
from ..errors import counted, unknown_name

Logs = dict[str, Any]


class Callback(Checked):
    """Base of all callbacks: every hook is there and does nothing.

    `epoch` and `batch` count from 0. `logs` holds loss and metrics by name: at the end of a batch
    those of the epoch so far, at the end of an epoch also the ``val_`` ones.

    Attributes:
        model: the model that is trained, evaluated or asked to predict.
        params: ``epochs``, ``steps`` (batches per epoch) and ``verbose``.
        remembered: names of attributes that change while `fit` runs. `BackupAndRestore` keeps them,
            so that a callback goes on where it was.
        shows_progress: whether it shows how far `fit` is, which then need not.
        comes_last: whether it is told after all others, because it needs to know what they did.
    """

    model: Any = None
    remembered: tuple[str, ...] = ()
    shows_progress = False
    comes_last = False

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Called with the model before anything else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called with `params` before anything else."""
        self.params = params

    def get_state(self) -> dict[str, Any]:
        """What `set_state` needs to go on from here, in another process if need be.

        Numbers, texts, arrays, None, and lists and dicts of them: by default the attributes that
        `remembered` names.
        """
        return {name: getattr(self, name) for name in self.remembered}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` returned; called after `on_train_begin`."""
        for name in self.remembered:
            setattr(self, name, state[name])

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


def refuse_schedule(callback: Callback) -> None:
    """Refuse an optimizer whose learning rate is a schedule, which the callback would replace."""
    if callback.model.optimizer.scheduled:
        raise ValueError(
            f"{type(callback).__name__} sets the learning rate, but that of the optimizer is a "
            "schedule, which sets it at every step. Give the optimizer a number, or leave out the "
            "callback."
        )


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class CallbackList(Callback):
    """Several callbacks as one. A hook that none of them defines costs nothing.

    Args:
        callbacks: one callback or several, lists of this kind among them.
        model, params: passed on to them.

    Attributes:
        watches_batches, watches_tests, watches_predictions: whether anyone looks on between the
            batches of `fit`, `evaluate` and `predict`.
        shows_progress: whether one of them shows it, so that `fit` need not.

    Raises:
        TypeError: something that is no callback.
    """

    def __init__(self, callbacks: Any = None, model: Any = None, **params: Any) -> None:
        super().__init__()
        if callbacks is None:
            callbacks = []
        callbacks = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
        for callback in callbacks:
            if not isinstance(callback, Callback):
                what = callback.__name__ if isinstance(callback, type) else repr(callback)
                raise TypeError(
                    f"callbacks must be Callback objects, received {what}."
                    + (" Did you forget to call it: Name()?" if isinstance(callback, type) else "")
                )
        each = [
            single
            for c in callbacks
            for single in (c.callbacks if isinstance(c, CallbackList) else [c])
        ]
        self.callbacks: list[Callback] = sorted(each, key=lambda c: c.comes_last)
        for hook in HOOKS:
            heard = [getattr(c, hook) for c in self.callbacks if _defines(c, hook)]
            setattr(self, hook, _all(heard) if heard else nothing)
        self.watches_batches = self._hears("train")
        self.watches_tests = self._hears("test")
        self.watches_predictions = self._hears("predict")
        self.shows_progress = any(c.shows_progress for c in self.callbacks)
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def _hears(self, what: str) -> bool:
        hooks = (f"on_{what}_batch_begin", f"on_{what}_batch_end")
        return any(getattr(self, hook) is not nothing for hook in hooks)

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
        return method is not nothing
    alias = hook.replace("_train_batch_", "_batch_")
    return alias != hook and _defines(callback, alias)


def nothing(*args: Any) -> None:
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

    remembered = ("epoch", "history")

    def __init__(self) -> None:
        super().__init__()
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def __repr__(self) -> str:
        return f"<History of {counted(len(self.epoch), 'epoch')}: {', '.join(self.history)}>"

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
