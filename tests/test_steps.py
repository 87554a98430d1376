"""Steps: compiling, overriding what a batch does, and losses that layers add."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.config.turns import Turn

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)
Y = X.sum(axis=1, keepdims=True)


def net(cls: type[gt.Sequential] = gt.Sequential) -> gt.Sequential:
    gt.utils.set_random_seed(0)
    return cls([gt.Input((2,)), gt.layers.Dense(3, activation="tanh"), gt.layers.Dense(1)])


def test_default_optimizer_is_rmsprop_as_in_keras() -> None:
    model = net()
    assert not model.compiled and model.optimizer is None and model.metrics == []
    model.compile(loss="mse")
    assert model.compiled and isinstance(model.optimizer, gt.optimizers.RMSprop)


def test_unknown_argument_of_compile_is_refused_with_a_near_match() -> None:
    with pytest.raises(TypeError, match=r"no argument 'metric'\. Did you mean 'metrics'"):
        net().compile("sgd", "mse", metric=["mae"])


def test_metrics_are_known_once_data_came() -> None:
    model = net()
    model.compile("sgd", "mse", metrics=["accuracy", "mae"])
    model.evaluate(X, Y, verbose=0)
    assert model.metrics_names == ["loss", "accuracy", "mae"]
    assert [type(m).__name__ for m in model.metrics] == [
        "Mean",
        "BinaryAccuracy",
        "MeanAbsoluteError",
    ]
    model.reset_metrics()
    assert all(m.result() == 0 for m in model.metrics)


def test_regularizers_belong_to_the_loss() -> None:
    model = net()
    model.compile(gt.optimizers.SGD(0.1), "mse")
    kernel = model.layers[-1].weights[0]
    kernel.regularizer = lambda v: 0.5 * gt.ops.sum(v * v)
    penalty = 0.5 * float((kernel.data**2).sum())
    plain = float(np.square(model.predict(X, verbose=0) - Y).mean())
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(plain + penalty, rel=1e-5)
    with_penalty = model.train_on_batch(X, Y)
    assert with_penalty == pytest.approx(plain + penalty, rel=1e-5)
    history = model.fit(X, Y, epochs=60, verbose=0)
    assert history.history["loss"][-1] < with_penalty
    assert float((kernel.data**2).sum()) < 2 * penalty, "the penalty did not shrink the kernel"


def test_overridden_train_step_is_used_as_keras_documents_it() -> None:
    class Own(gt.Sequential):
        steps = 0

        def train_step(self, data: Any) -> dict[str, Any]:
            Own.steps += 1
            x, y = data
            with gt.GradientTape() as tape:
                y_pred = self(x, training=True)
                loss = self.compute_loss(y=y, y_pred=y_pred)
            gradients = tape.gradient(loss, self.trainable_variables)
            assert self.optimizer is not None
            self.optimizer.apply(gradients, self.trainable_variables)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss)
                else:
                    metric.update_state(y, y_pred)
            return {m.name: m.result() for m in self.metrics}

    own, plain = net(Own), net()
    for model in (own, plain):
        model.compile(gt.optimizers.SGD(0.1), "mse", metrics=["mae"])
        model.fit(X, Y, 3, epochs=2, verbose=0)
    assert Own.steps == 4
    assert own.history is not None and plain.history is not None
    for name, values in plain.history.history.items():
        np.testing.assert_allclose(own.history.history[name], values, rtol=1e-6)


def test_overridden_loss_and_test_step_are_used() -> None:
    class Own(gt.Sequential):
        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> gt.Tensor:
            return gt.ops.mean(gt.ops.abs(y_pred - y)) * (1.0 if training else 10.0)

    model = net(Own)
    model.compile("sgd")
    error = float(np.abs(model.predict(X, verbose=0) - Y).mean())
    assert model.test_on_batch(X, Y) == pytest.approx(10 * error, rel=1e-6)
    assert model.train_on_batch(X, Y) == pytest.approx(error, rel=1e-6)


def test_train_step_that_returns_nothing_is_refused() -> None:
    class Own(gt.Sequential):
        def train_step(self, data: Any) -> Any:
            return None

    model = net(Own)
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"train_step\(\) must return a dict"):
        model.fit(X, Y, verbose=0)


def test_no_loss_at_all_is_refused() -> None:
    model = net()
    model.compile("sgd")
    with pytest.raises(ValueError, match="no loss to compute"):
        model.fit(X, Y, verbose=0)


def test_configuration_compiles_the_same_again() -> None:
    model = net()
    assert model.get_compile_config() is None
    model.compile(
        gt.optimizers.SGD(0.5, momentum=0.9),
        gt.losses.BinaryCrossentropy(from_logits=True),
        metrics=["accuracy", gt.metrics.MeanAbsoluteError("m")],
        weighted_metrics=["mse"],
    )
    config = model.get_compile_config()
    again = net()
    assert config is not None
    again.compile_from_config(config)
    assert again.get_compile_config() == config
    assert again.optimizer is not None and again.optimizer.built
    y = (Y > 0).astype(np.float32)
    for m in (model, again):
        m.fit(X, y, epochs=2, verbose=0, shuffle=False)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_cannot_be_written_down_is_said_and_left_out() -> None:
    model = net()
    model.compile("sgd", lambda y_true, y_pred: gt.ops.mean(y_pred - y_true, axis=-1))
    with pytest.warns(UserWarning, match=r"not saved: A lambda.*compile\(\) after loading"):
        assert model.get_compile_config() is None


def test_loss_without_the_training_argument_and_with_a_loss_of_compile_is_used() -> None:
    class Own(gt.Sequential):
        def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None,
                         sample_weight: Any = None) -> gt.Tensor:  # type: ignore[override]  # fmt: skip
            return gt.ops.mean(gt.ops.abs(y_pred - y))

    model = net(Own)
    model.compile("sgd", "mse")
    error = float(np.abs(model.predict(X, verbose=0) - Y).mean())
    assert model.train_on_batch(X, Y) == pytest.approx(error, rel=1e-6)
    assert model.fit(X, Y, verbose=0).history["loss"][0] < error


def test_metrics_in_attributes_are_reported_and_forgotten() -> None:
    class Own(gt.Sequential):
        def train_step(self, data: Any) -> dict[str, Any]:
            x, y, _ = gt.utils.unpack_x_y_sample_weight(data)
            self.seen.update_state(np.full(len(x), 7.0))
            return super().train_step((x, y))

    model = net(Own)
    model.seen = gt.metrics.Mean(name="seen")
    model.compile("sgd", "mse")
    history = model.fit(X, Y, 3, epochs=2, verbose=0).history
    assert history["seen"] == [7.0, 7.0]
    assert model.seen in model.metrics and "seen" in model.metrics_names
    assert model.evaluate(X, Y, verbose=0, return_dict=True)["seen"] == 0


@pytest.mark.filterwarnings("ignore:train_step.* has changed no weight")
def test_values_of_a_batch_become_those_of_the_epoch() -> None:
    """A step that reports its batch, as many examples do, and tracks the loss."""

    class Own(gt.Sequential):
        def train_step(self, data: Any) -> dict[str, Any]:
            super().train_step(data)
            return {"loss": -1.0}

    class Untracked(gt.Sequential):
        def train_step(self, data: Any) -> dict[str, Any]:
            return {"loss": gt.tensor(-1.0)}

    for cls, positive in ((Own, True), (Untracked, False)):
        model = net(cls)
        model.compile("sgd", "mse")
        (loss,) = model.fit(X, Y, verbose=0).history["loss"]
        assert (loss > 0) is positive


def test_eager_runs_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for eager in (False, True):
        model = net()
        model.compile("sgd", "mse", run_eagerly=eager)
        calls: list[Any] = []
        original = model.call

        def call(*args: Any, calls: list[Any] = calls, original: Any = original, **kw: Any) -> Any:
            calls.append(args)
            return original(*args, **kw)

        monkeypatch.setattr(model, "call", call)
        results.append(model.fit(X, Y, 3, epochs=2, shuffle=False, verbose=0).history["loss"])
        assert not eager or len(calls) >= 4
    np.testing.assert_allclose(*results, rtol=1e-5)
    with pytest.raises(ValueError, match="jit_compile must be True, False or 'auto'"):
        net().compile("sgd", "mse", jit_compile="yes")


def test_who_waits_long_for_another_thread_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback that waits for a thread that evaluates the model it trains: for ever, silently."""
    monkeypatch.setattr(Turn, "PATIENCE", 0.05)
    turn, held, free = Turn(), threading.Event(), threading.Event()

    def hold() -> None:
        with turn:
            held.set()
            free.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    threading.Timer(0.2, free.set).start()
    with pytest.warns(UserWarning, match="waited for 0.05 s for another one"), turn:
        assert free.is_set()
    thread.join()
