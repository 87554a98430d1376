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
    made.compile(**{"optimizer": "sgd", "loss": "mse", "metrics": ["mae"], **settings})
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


# Learning rates


@pytest.mark.parametrize(
    ("values", "settings", "rates"),
    [
        ([3, 2, 2, 2, 2], {"patience": 2}, [1, 1, 1, 1, 0.1]),
        ([3, 3, 3, 3], {"patience": 1, "factor": 0.5, "min_lr": 0.3}, [1, 1, 0.5, 0.3]),
        ([3, 3, 3, 3, 3, 3], {"patience": 1, "cooldown": 2}, [1, 1, 0.1, 0.1, 0.01, 0.01]),
        ([3, 2.99, 2.98], {"patience": 1, "min_delta": 0.1}, [1, 1, 0.1]),
        ([1, 2, 2], {"patience": 1, "mode": "max"}, [1, 1, 1]),
    ],
)
def test_plateaus_reduce_the_learning_rate(
    values: list[float], settings: dict[str, Any], rates: list[float]
) -> None:
    net = model(optimizer=gt.optimizers.SGD(1.0))
    reduce = gt.callbacks.ReduceLROnPlateau(**settings)
    with np.errstate(all="ignore"):
        history = net.fit(
            X, Y * 0, epochs=len(values), verbose=0, callbacks=[Scripted(values), reduce]
        ).history  # fmt: skip
    assert history["learning_rate"] == pytest.approx(rates)


def test_plateaus_say_what_is_missing_and_refuse_to_grow() -> None:
    with pytest.warns(UserWarning, match="only loss, mae, learning_rate"):
        model().fit(X, Y, verbose=0, callbacks=[gt.callbacks.ReduceLROnPlateau()])
    with pytest.raises(ValueError, match="factor below 1, received 2"):
        gt.callbacks.ReduceLROnPlateau(factor=2)


@pytest.mark.parametrize(
    "schedule", [lambda epoch, rate: rate / 2, lambda epoch: np.float32(0.04 / 2**epoch)]
)
def test_schedule_sets_the_rate_of_each_epoch(schedule: Any) -> None:
    net = model(optimizer=gt.optimizers.SGD(0.08))
    callback = gt.callbacks.LearningRateScheduler(schedule)
    history = net.fit(X, Y, epochs=3, verbose=0, callbacks=[callback]).history
    assert history["learning_rate"] == pytest.approx([0.04, 0.02, 0.01])


def test_schedule_must_return_a_number() -> None:
    with pytest.raises(ValueError, match="for epoch 0 it returned 'fast'"):
        wrong = gt.callbacks.LearningRateScheduler(lambda epoch: "fast")
        model().fit(X, Y, verbose=0, callbacks=[wrong])


def test_finder_raises_the_rate_and_leaves_everything_as_it_was() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 2)).astype(np.float32)
    y = x.sum(axis=1, keepdims=True)
    net = model(optimizer=gt.optimizers.SGD(0.05, momentum=0.5))
    net.fit(x, y, verbose=0)
    before = net.get_weights(), net.optimizer.get_state()
    net.set_weights([w + 2 for w in before[0]])
    start = net.get_weights()
    finder = gt.callbacks.LearningRateFinder(1e-4, 100.0, steps=60)
    with np.errstate(all="ignore"):
        net.fit(x, y, 16, epochs=10, verbose=0, callbacks=[finder])
    for a, b in zip(start, net.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    after = net.optimizer.get_state()
    assert all((after[k] == v).all() for k, v in before[1].items())
    ratios = np.diff(np.log(finder.learning_rates))
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-6)
    assert len(finder.losses) == len(finder.learning_rates) < 60, "it did not stop when it exploded"
    assert 1e-3 < finder.suggestion < 1.0
    assert net.optimizer.learning_rate == 0.05


def test_finder_says_when_it_cannot_suggest() -> None:
    finder = gt.callbacks.LearningRateFinder()
    with pytest.raises(ValueError, match="has seen 0 batches"):
        _ = finder.suggestion
    with pytest.raises(ValueError, match="min_lr < max_lr"):
        gt.callbacks.LearningRateFinder(1.0, 0.1)


# What ends a training, and what is shown


def test_training_ends_when_the_loss_is_not_finite(capsys: pytest.CaptureFixture[str]) -> None:
    net = model(optimizer=gt.optimizers.SGD(1e30))
    with pytest.warns(UserWarning, match="The loss became"), np.errstate(all="ignore"):
        history = net.fit(X, Y, 2, epochs=5, verbose=0, callbacks=[gt.callbacks.TerminateOnNaN()])
    assert history.epoch == [0] and "training ends" in capsys.readouterr().out
    net = model(optimizer=gt.optimizers.SGD(1e30))
    raising = gt.callbacks.TerminateOnNaN(raise_error=True)
    with pytest.raises(RuntimeError, match="the loss is"), np.errstate(all="ignore"):
        net.fit(X, Y, 2, epochs=5, verbose=0, callbacks=[raising])


def test_progress_bar_in_the_list_takes_the_place_of_the_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    net, bar = model(), gt.callbacks.ProgbarLogger()
    net.fit(X, Y, epochs=2, validation_data=(X, Y), verbose=2, callbacks=[bar])
    rows = capsys.readouterr().out.splitlines()
    assert [row[:9] for row in rows] == ["Epoch 1/2", "Epoch 2/2"] and "val_mae" in rows[0]
    net.evaluate(X, Y, callbacks=[gt.callbacks.ProgbarLogger()])
    assert capsys.readouterr().out.startswith("Evaluate - ")
    net.fit(X, Y, verbose=0, callbacks=[gt.callbacks.ProgbarLogger()])
    assert not capsys.readouterr().out


def test_live_plot_follows_the_history(tmp_path: Any) -> None:
    pytest.importorskip("matplotlib", reason="draws with Matplotlib")
    live = gt.callbacks.LivePlot(tmp_path / "live.png", every=4)
    model().fit(X, Y, epochs=3, validation_data=(X, Y), verbose=0, callbacks=[live])
    assert live.figure is not None and (tmp_path / "live.png").stat().st_size > 1000
    lines = live.figure.axes[0].get_lines()
    assert [len(line.get_ydata()) for line in lines] == [3, 3]
    assert lines[1].get_ydata().tolist() == live.history["val_loss"]


# Averaged weights


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averages_are_in_the_model_while_it_is_judged(swap_on_epoch: bool) -> None:
    optimizer = gt.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    net = model(optimizer=optimizer)
    seen: list[tuple[str, bool]] = []

    def look(what: str) -> Any:
        def is_average(*_: Any) -> None:
            kernel = net.trainable_variables[0]
            seen.append((what, bool((kernel.data == optimizer.average_of(kernel)).all())))

        return is_average

    net.fit(
        X, Y, 3, epochs=2, validation_data=(X, Y), verbose=0,
        callbacks=[
            gt.callbacks.SwapEMAWeights(swap_on_epoch),
            gt.callbacks.LambdaCallback(
                on_train_batch_end=look("train"), on_test_begin=look("test"),
                on_epoch_end=look("end"), on_train_end=look("done"),
            ),
        ],
    )  # fmt: skip
    first = [("train", True), ("train", False), ("test", True), ("end", swap_on_epoch)]
    assert seen == [*first, ("train", False), *first[1:], ("done", True)]


def test_averages_need_an_optimizer_that_keeps_them() -> None:
    with pytest.raises(ValueError, match="pass use_ema=True to SGD"):
        model().fit(X, Y, verbose=0, callbacks=[gt.callbacks.SwapEMAWeights()])
