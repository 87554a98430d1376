"""What is owned is found in the attributes: metrics in metrics, layers, models and losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt

X = np.ones((8, 4), np.float32)


class Outer(gt.Metric):
    """A metric that leaves its counting to others."""

    def __init__(self) -> None:
        super().__init__(name="outer")
        self.inner = gt.metrics.Mean()
        self.listed = [gt.metrics.Sum(), {"of": gt.metrics.MeanIoU(2)}]
        self.batches = gt.Variable(0.0, trainable=False)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.batches.assign_add(1.0)
        self.inner.update_state(y_true)
        self.listed[0].update_state(y_true)

    def result(self) -> Any:
        return {"outer": self.inner.result(), "sum": self.listed[0].result()}


class Watching(gt.layers.Layer):
    """A layer that watches what it sees."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seen = gt.metrics.Mean(name="seen")

    def call(self, x: Any) -> Any:
        self.seen.update_state(x)
        return x


class Around(gt.layers.Layer):
    """A layer around it, with a metric in a list."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.below = [Watching(), gt.layers.Dense(1)]
        self.calls = {"listed": gt.metrics.Sum(name="calls")}

    def call(self, x: Any) -> Any:
        self.calls["listed"].update_state(1.0)
        for layer in self.below:
            x = layer(x)
        return x


def test_the_state_of_a_metric_is_all_that_is_below_it() -> None:
    metric = Outer()
    assert len(metric.variables) == 5
    metric.update_state(np.array([2.0, 4.0]), np.zeros(2))
    assert metric.result() == {"outer": 3.0, "sum": 6.0}
    assert [v.tolist() for v in metric.variables[:4]] == [1.0, 6.0, 2.0, 6.0]
    metric.reset_state()
    assert not any(v.data.any() for v in metric.variables)
    assert metric.result() == {"outer": 0.0, "sum": 0.0}


def test_the_state_of_every_metric_is_in_its_variables() -> None:
    mean = gt.metrics.Mean(name="mean")
    assert [v.path for v in mean.variables] == ["mean/total", "mean/count"]
    mean.update_state([1.0, 2.0, 6.0])
    assert [v.tolist() for v in mean.variables] == [9.0, 3.0]
    for variable in mean.variables:
        variable.assign(1.0)
    assert mean.result() == 1.0
    f1 = gt.metrics.F1Score()
    f1.update_state(np.eye(3), np.eye(3))  # which shows that there are three columns
    assert [v.shape for v in f1.variables] == [(4, 3)]


@pytest.mark.parametrize("eager", [False, True])
def test_metrics_below_a_metric_start_anew_with_every_round(eager: bool) -> None:
    model = gt.Sequential([gt.Input((4,)), gt.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Outer()], run_eagerly=eager)
    for value in (10.0, 20.0):
        logs = model.evaluate(X, np.full((8, 1), value), verbose=0, return_dict=True)
        assert (logs["outer"], logs["sum"]) == (value, 8 * value)


@pytest.mark.parametrize("eager", [False, True])
def test_metrics_in_layers_are_reset_and_reported(eager: bool) -> None:
    model = gt.Sequential([gt.Input((4,)), Around()])
    model.compile("sgd", "mse", metrics=["mae"], run_eagerly=eager)
    history = model.fit(X, np.ones((8, 1)), epochs=3, batch_size=4, verbose=0).history
    assert history["seen"] == [1.0, 1.0, 1.0]
    assert history["calls"] == [2.0, 2.0, 2.0]
    assert [m.name for m in model.metrics] == ["loss", "mae", "calls", "seen"]
    assert model.evaluate(3 * X, np.ones((8, 1)), verbose=0, return_dict=True)["seen"] == 3.0
    assert len(model.layers[0].metrics_variables) == 3
    assert not set(map(id, model.layers[0].metrics_variables)) & set(map(id, model.variables))


def test_building_a_layer_leaves_no_trace_in_its_metrics() -> None:
    layer = Watching()
    assert layer.compute_output_shape((None, 4)) == (None, 4)
    assert layer.seen.variables[1].item() == 0.0


def test_metrics_of_a_loss_are_reset_and_reported() -> None:
    class Counted(gt.Loss):
        """A loss that watches its targets."""

        def __init__(self) -> None:
            super().__init__()
            self.targets = gt.metrics.Mean(name="targets")

        def call(self, y_true: Any, y_pred: Any) -> Any:
            self.targets.update_state(y_true)
            return gt.ops.mean((y_true - y_pred) ** 2, axis=-1)

    model = gt.Sequential([gt.Input((4,)), gt.layers.Dense(1)])
    model.compile("sgd", Counted())
    for value in (10.0, 20.0):
        logs = model.evaluate(X, np.full((8, 1), value), verbose=0, return_dict=True)
        assert logs["targets"] == value


def test_metrics_of_compile_are_not_counted_twice() -> None:
    model = gt.Sequential([gt.Input((4,)), gt.layers.Dense(1)])
    model.mine = gt.metrics.MeanSquaredError(name="mine")
    model.compile("sgd", "mse", metrics=[model.mine, gt.metrics.MeanAbsoluteError(name="other")])
    logs = model.evaluate(X, np.ones((8, 1)), verbose=0, return_dict=True)
    assert list(logs) == ["loss", "mine", "other"]
    assert logs["mine"] == pytest.approx(logs["loss"], rel=1e-5)


def test_a_metric_counts_from_the_moment_it_is_owned_to_the_moment_it_is_not() -> None:
    class Holder(gt.layers.Dense):
        def __init__(self) -> None:
            super().__init__(1)
            self.calls = {"listed": gt.metrics.Sum(name="calls")}
            self.below = [Watching()]

    holder = Holder()
    model = gt.Sequential([holder])
    model.compile("sgd", "mse")

    def names() -> list[str]:
        before = [m.name for m in model.metrics]
        assert list(model.train_on_batch(X, X[:, :1], return_dict=True)) == before
        return before[1:]

    assert names() == names() == ["calls", "seen"]
    holder.below.append(gt.metrics.Sum(name="appended"))
    assert names() == ["calls", "appended", "seen"]
    holder.below.pop()
    holder.calls["also"] = gt.metrics.Sum(name="keyed")
    assert names() == ["calls", "keyed", "seen"]
    del holder.calls
    assert names() == ["seen"]
    vars(holder)["past"] = gt.metrics.Sum(name="past setattr")
    assert names() == ["past setattr", "seen"]
    holder.below[0].inner = [{"deep": (gt.metrics.Sum(name="deep"),)}]
    assert names() == ["past setattr", "seen", "deep"]
    holder.below[0].inner[0]["deep"] = ()
    assert names() == ["past setattr", "seen"]
