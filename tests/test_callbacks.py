"""Callbacks: which hooks are called when, and what the built-in ones do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.callbacks import HOOKS, CallbackList

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)
Y = X.sum(axis=1, keepdims=True)


def model(**settings: Any) -> gt.Sequential:
    gt.utils.set_random_seed(0)
    made = gt.Sequential([gt.Input((2,)), gt.layers.Dense(1)])
    made.compile("sgd", "mse", **{"metrics": ["mae"], **settings})
    return made


class Recorder(gt.callbacks.Callback):
    """Every call: hook and number."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.logs: dict[str, Any] = {}
        for hook in HOOKS:
            if hook not in ("on_batch_begin", "on_batch_end"):
                setattr(self, hook, self._recorder(hook))

    def _recorder(self, hook: str) -> Any:
        def record(*arguments: Any) -> None:
            self.calls.append((hook.removeprefix("on_"), *arguments[:-1]))
            self.logs[hook] = arguments[-1]

        return record


def test_hooks_of_fit_come_in_order() -> None:
    recorder = Recorder()
    net = model()
    net.fit(X, Y, 3, epochs=2, validation_data=(X, Y), verbose=0, callbacks=[recorder])
    batch = [(f"{kind}_batch_{end}", i) for kind in ("train",) for i in (0, 1)
             for end in ("begin", "end")]  # fmt: skip
    test = [("test_begin",), *[(n.replace("train", "test"), i) for n, i in batch], ("test_end",)]
    epochs = [[("epoch_begin", e), *batch, *test, ("epoch_end", e)] for e in (0, 1)]
    assert recorder.calls == [("train_begin",), *epochs[0], *epochs[1], ("train_end",)]
    assert recorder.model is net
    assert recorder.params == {"epochs": 2, "steps": 2, "verbose": 0}
    assert list(recorder.logs["on_train_batch_end"]) == ["loss", "mae"]
    assert list(recorder.logs["on_epoch_end"]) == ["loss", "mae", "val_loss", "val_mae"]
    assert recorder.logs["on_train_end"] == recorder.logs["on_epoch_end"]
    assert all(type(v) is float for v in recorder.logs["on_epoch_end"].values())


def test_hooks_of_evaluate_and_predict() -> None:
    recorder = Recorder()
    net = model()
    net.evaluate(X, Y, 4, verbose=0, callbacks=[recorder])
    assert [c[0] for c in recorder.calls] == [
        "test_begin", "test_batch_begin", "test_batch_end", "test_batch_begin", "test_batch_end",
        "test_end",
    ]  # fmt: skip
    assert list(recorder.logs["on_test_end"]) == ["loss", "mae"]
    recorder.calls.clear()
    net.predict(X, 6, verbose=0, callbacks=recorder)
    assert [c[0] for c in recorder.calls] == [
        "predict_begin", "predict_batch_begin", "predict_batch_end", "predict_end",
    ]  # fmt: skip
    np.testing.assert_array_equal(
        recorder.logs["on_predict_batch_end"]["outputs"], net.predict_on_batch(X)
    )


def test_batch_hooks_have_a_second_name() -> None:
    class Old(gt.callbacks.Callback):
        seen = 0

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            self.seen += 1

    old = Old()
    model().fit(X, Y, 2, verbose=0, callbacks=[old])
    assert old.seen == 3


def test_hooks_nobody_defines_are_not_called() -> None:
    quiet, loud = gt.callbacks.Callback(), gt.callbacks.LambdaCallback(on_epoch_end=print)
    both = CallbackList([quiet, loud])
    assert both.on_train_batch_end is CallbackList().on_train_batch_end
    assert both.on_epoch_end is not CallbackList().on_epoch_end


def test_what_is_no_callback_is_refused() -> None:
    with pytest.raises(TypeError, match=r"received History\. Did you forget to call it"):
        model().fit(X, Y, verbose=0, callbacks=[gt.callbacks.History])
    with pytest.raises(TypeError, match="received 3"):
        CallbackList([3])
    with pytest.raises(TypeError, match=r"Unknown hook 'on_epoch_ends'.*'on_epoch_end'"):
        gt.callbacks.LambdaCallback(on_epoch_ends=print)


def test_lambda_callback_calls_its_functions() -> None:
    epochs: list[int] = []
    callback = gt.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epochs.append(epoch), on_train_end=None
    )
    model().fit(X, Y, epochs=3, verbose=0, callbacks=callback)
    assert epochs == [0, 1, 2]


def test_history_holds_every_epoch_and_what_callbacks_add() -> None:
    def add(epoch: int, logs: dict[str, Any]) -> None:
        logs["extra"] = epoch * 10

    net = model()
    history = net.fit(X, Y, epochs=4, initial_epoch=1, verbose=0,
                      callbacks=[gt.callbacks.LambdaCallback(on_epoch_end=add)])  # fmt: skip
    assert history is net.history
    assert history.epoch == [1, 2, 3]
    assert history.history["extra"] == [10, 20, 30]
    assert list(history.history) == ["loss", "mae", "extra"]
    assert len(history.history["loss"]) == 3
    assert repr(history) == "<History of 3 epochs: loss, mae, extra>"


class Scripted(gt.callbacks.Callback):
    """Puts values into the logs, as if training had produced them."""

    def __init__(self, values: list[float], name: str = "val_loss") -> None:
        super().__init__()
        self.values, self.name = values, name

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs[self.name] = self.values[epoch]


def stopped_after(values: list[float], name: str = "val_loss", **settings: Any) -> int:
    stop = gt.callbacks.EarlyStopping(monitor=name, **settings)
    script = Scripted(values, name)
    history = model().fit(X, Y, epochs=len(values), verbose=0, callbacks=[script, stop])
    return len(history.epoch)


@pytest.mark.parametrize(
    ("values", "settings", "epochs"),
    [
        ([3, 2, 2, 1], {}, 3),
        ([3, 2, 2, 1, 1, 1], {"patience": 2}, 6),
        ([3, 2, 2.5, 2.4, 1], {"patience": 2}, 4),
        ([3, 2.95, 2.9, 2.85], {"min_delta": 0.1}, 2),
        ([3, 2.8, 2.6, 2.4], {"min_delta": 0.1}, 4),
        ([1, 2, 3, 2.5], {"mode": "max"}, 4),
        ([3, 2, 2, 2, 2], {"start_from_epoch": 3}, 5),
        ([5, 5, 5, 5], {"patience": 2}, 3),
        ([5, 5, 5, 5], {"baseline": 1, "patience": 2}, 2),
        ([5, 4, 0.5, 0.4], {"baseline": 1, "patience": 3}, 4),
        ([float("nan"), 2, 1, 1], {"patience": 1}, 4),
    ],
)
def test_early_stopping_stops_when_nothing_improves(
    values: list[float], settings: dict[str, Any], epochs: int
) -> None:
    assert stopped_after([float(v) for v in values], **settings) == epochs


def test_early_stopping_knows_the_direction_of_a_metric() -> None:
    assert stopped_after([1.0, 2.0, 3.0], "mae") == 2
    accuracy = gt.callbacks.EarlyStopping(monitor="val_accuracy")
    net = gt.Sequential([gt.Input((2,)), gt.layers.Dense(1, activation="sigmoid")])
    net.compile("sgd", "bce", metrics=["accuracy"])
    script = Scripted([0.1, 0.2, 0.3, 0.3], "val_accuracy")
    history = net.fit(X, Y > 0, epochs=4, verbose=0, callbacks=[script, accuracy])
    assert len(history.epoch) == 4
    with pytest.raises(ValueError, match="mode='max' or mode='min'"):
        stopped_after([1.0], "val_beauty")


def test_early_stopping_restores_the_best_weights() -> None:
    weights: list[Any] = []
    net = model()
    keep = gt.callbacks.LambdaCallback(on_epoch_end=lambda *_: weights.append(net.get_weights()))
    stop = gt.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    script = Scripted([3.0, 1.0, 2.0, 2.0, 2.0])
    net.fit(X, Y, epochs=5, verbose=0, callbacks=[script, keep, stop])
    assert stop.best_epoch == 1 and len(weights) == 4
    for restored, best, last in zip(net.get_weights(), weights[1], weights[-1], strict=True):
        np.testing.assert_array_equal(restored, best)
        assert not np.array_equal(restored, last)


def test_early_stopping_says_once_that_its_value_is_missing() -> None:
    stop = gt.callbacks.EarlyStopping()
    with pytest.warns(UserWarning, match="waits for 'val_loss', but the logs hold only loss") as w:
        history = model(metrics=None).fit(X, Y, epochs=3, verbose=0, callbacks=[stop])
    assert len(w) == 1 and len(history.epoch) == 3


def test_stop_training_ends_after_the_batch() -> None:
    class Stop(gt.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 1

    net = model()
    history = net.fit(X, Y, 1, epochs=5, verbose=0, callbacks=[Stop()])
    assert history.epoch == [0]
    assert net.optimizer is not None and net.optimizer.iterations == 2
