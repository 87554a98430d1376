"""Layers, ops, losses and optimizers as a reader of the manual would write them: all native."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from replay import assert_replays

import gradtape as gt
from gradtape.autograd.tape import OPS

Array = np.ndarray
L, ops = gt.layers, gt.ops


def _slope_of_lift(g: Any, out: Any, x: Any, beta: float) -> Any:
    share = ops.sigmoid(beta * x)
    return g * (share + beta * x * share * (1 - share))


@gt.op(gradients=[_slope_of_lift])
def lift(x: Array, /, beta: float = 1.0) -> Array:
    """A swish with a rule of its own."""
    return x / (1 + np.exp(-beta * x))


del OPS["lift"]  # other tests are about every op that is registered


class Residual(L.Layer):
    """Two convolutions, and what came in."""

    def __init__(self, filters: int, rate: float = 0.2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.convs = [L.Conv2D(filters, 3, padding="same", use_bias=False) for _ in range(2)]
        self.norms = [L.BatchNormalization() for _ in range(2)]
        self.dropout = L.Dropout(rate, seed=3)

    def call(self, x: Any, training: bool = False) -> Any:
        y = ops.relu(self.norms[0](self.convs[0](x)))
        y = self.dropout(y, training=training)
        return ops.relu(x + self.norms[1](self.convs[1](y)))


class Excite(L.Layer):
    """Squeeze and excite: a gate for each channel, from the means of all."""

    def __init__(self, ratio: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ratio = ratio

    def build(self, input_shape: Any) -> None:
        channels = input_shape[-1]
        self.squeeze = L.Dense(channels // self.ratio, activation="relu")
        self.excite = L.Dense(channels, activation="sigmoid")
        self.squeeze.build((None, channels))
        self.excite.build((None, channels // self.ratio))

    def call(self, x: Any) -> Any:
        gates = self.excite(self.squeeze(ops.mean(x, axis=(1, 2))))
        return x * ops.reshape(gates, (x.shape[0], 1, 1, x.shape[-1]))


class LayerScale(L.Layer):
    """Each channel times a weight that begins small."""

    def __init__(self, start: float = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape: Any) -> None:
        self.gamma = self.add_weight((input_shape[-1],), gt.initializers.Constant(self.start))

    def call(self, x: Any) -> Any:
        return x + self.gamma * x


class Lift(L.Layer):
    """The op `lift` as a layer."""

    def __init__(self, beta: float = 1.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.beta = beta

    def call(self, x: Any) -> Any:
        return lift(x, beta=self.beta)


class Net(gt.Model):
    """A model in Python, of all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = L.Conv2D(4, 3, padding="same")
        self.blocks = [[Residual(4), Excite(), LayerScale()] for _ in range(2)]
        self.lift = Lift()
        self.head = L.Dense(3, activation="softmax")

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.stem(x)
        for residual, excite, scale in self.blocks:
            x = scale(excite(residual(x, training=training)))
        return self.head(ops.mean(self.lift(x), axis=(1, 2)))


class Focal(gt.losses.Loss):
    """Cross-entropy that counts what is certain for little."""

    def __init__(self, gamma: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gamma = gamma

    def call(self, y_true: Any, y_pred: Any) -> Any:
        p = ops.clip(y_pred, 1e-6, 1.0)
        return ops.sum(-y_true * (1 - p) ** self.gamma * ops.log(p), axis=-1)


def focal(y_true: Any, y_pred: Any) -> Any:
    p = ops.clip(y_pred, 1e-6, 1.0)
    return ops.sum(-y_true * (1 - p) ** 2 * ops.log(p), axis=-1)


class Lion(gt.optimizers.Optimizer):
    """The sign of a mean of gradients, and a decay."""

    slot_names = ("m",)

    def __init__(self, learning_rate: Any = 1e-3, beta: float = 0.9, decay: float = 0.01) -> None:
        super().__init__(learning_rate)
        self.beta, self.decay = beta, decay

    def update(
        self, weights: Array, gradient: Array, slots: Any, scratch: Any, learning_rate: float
    ) -> None:
        m = slots["m"]
        mean = self.beta * m + (1 - self.beta) * gradient
        weights -= learning_rate * (np.sign(mean) + self.decay * weights)
        m[:] = 0.99 * m + 0.01 * gradient


def sequential() -> Any:
    gt.utils.set_random_seed(2)
    layers = [Residual(4), Excite(), LayerScale(), Lift(), L.Flatten(), L.Dense(3, "softmax")]
    return gt.Sequential([gt.Input((6, 5, 3)), L.Conv2D(4, 3), *layers])


def subclassed() -> Any:
    gt.utils.set_random_seed(2)
    model = Net()
    model.build((None, 6, 5, 3))
    return model


def functional() -> Any:
    gt.utils.set_random_seed(2)
    inputs, residual, scale = gt.Input((6, 5, 3)), Residual(3), LayerScale()
    x = scale(residual(scale(residual(inputs))))  # shared
    inner = gt.Sequential([Excite(1), Lift(0.7)])
    return gt.Model(inputs, L.Dense(3, "softmax")(L.Flatten()(inner(x))))


def batch(number: int) -> tuple[Array, ...]:
    rng = np.random.default_rng(number)
    count = (17, 17, 3, 1, 32)[number % 5]
    x = rng.normal(size=(count, 6, 5, 3)).astype("f")
    return x, np.eye(3, dtype="f")[rng.integers(0, 3, count)]


NETS = {"sequential": sequential, "subclassed": subclassed, "functional": functional}
LOSSES = {"class": Focal, "function": lambda: focal}


def told(model: Any) -> list[str]:
    text: list[str] = []
    model.explain(text.append)
    return text[0].splitlines()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("net", NETS)
def test_what_a_user_wrote_is_native_in_every_line(net: str, loss: str) -> None:
    model = NETS[net]()
    model.compile(Lion(), LOSSES[loss]())
    model.train_on_batch(*batch(0))
    *lines, last = told(model)
    assert last == "A training step runs natively."
    assert len(lines) >= 6 and all(line.endswith(" native") for line in lines), lines
    assert model._native.reason is None and not model._native.last.pauses


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("net", NETS)
def test_what_a_user_wrote_replays_as_it_runs(net: str, loss: str) -> None:
    assert_replays(NETS[net], batch, LOSSES[loss](), steps=7)


def test_an_optimizer_of_a_user_moves_weights_as_it_does_eagerly() -> None:
    native, eager = subclassed(), subclassed()
    eager._native = False
    for model in (native, eager):
        model.compile(Lion(0.01), Focal())
    for number in range(6):
        got, expected = (m.train_on_batch(*batch(number)) for m in (native, eager))
        assert got == pytest.approx(expected, rel=1e-4)
    assert native._native.reason is None
    for a, b in zip(native.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
