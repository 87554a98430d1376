"""Activations in programs: each replays as it runs, at its limits too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from replay import assert_replays, assert_same_at, assert_same_bits, sequential

import gradtape as gt
from gradtape import ops
from gradtape.kernels import rows
from gradtape.kernels.simd import SHARD
from gradtape.program.ops.activations import walks

Array = np.ndarray
L = gt.layers
_RNG = np.random.default_rng(0)

POINTWISE = (
    "celu", "elu", "exp", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh",
    "leaky_relu", "log_sigmoid", "mish", "relu", "relu6", "selu", "silu", "soft_shrink", "softplus",
    "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh_shrink",
)  # fmt: skip
LAYERS: dict[str, Any] = {
    **{n: (lambda n=n: L.Activation(n)) for n in POINTWISE},
    **{n: (lambda n=n: L.Activation(n)) for n in ("tanh", "sigmoid", "log_softmax", "sparsemax")},
    "softmax": lambda: L.Softmax(),
    "softmax over pixels": lambda: L.Softmax(axis=1),
    "ReLU": lambda: L.ReLU(),
    "ReLU, all set": lambda: L.ReLU(0.8, 0.1, 0.2),
    "ReLU, threshold": lambda: L.ReLU(threshold=0.3),
    "LeakyReLU": lambda: L.LeakyReLU(0.2),
    "ELU": lambda: L.ELU(0.7),
    "PReLU": lambda: L.PReLU("random_normal"),
    "PReLU per channel": lambda: L.PReLU("random_normal", shared_axes=(1, 2)),
    "PReLU per column": lambda: L.PReLU("random_normal", shared_axes=(1, 3)),
    "Identity": lambda: L.Identity(),
}


def _images(number: int, batch: int) -> tuple[Array, ...]:
    rng = np.random.default_rng(number)
    return rng.normal(size=(batch, 4, 3, 2)).astype("f"), rng.normal(size=(batch, 3)).astype("f")


def _model(name: str) -> Any:
    return sequential(
        lambda: L.Conv2D(5, 2, padding="same"), LAYERS[name], L.Flatten, lambda: L.Dense(3),
        shape=(4, 3, 2),
    )  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_activations_replay_as_they_run(name: str) -> None:
    loss = gt.losses.MeanSquaredError()
    assert_replays(lambda: _model(name), lambda i: _images(i, 17), loss, rate=0.02)


def test_a_gate_halves_its_input() -> None:
    def make() -> Any:
        return sequential(lambda: L.Dense(6), lambda: L.Activation("glu"), shape=(5,))

    def batch(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        return rng.normal(size=(9, 5)).astype("f"), rng.normal(size=(9, 3)).astype("f")

    assert_replays(make, batch, gt.losses.MeanSquaredError())


def test_activations_called_as_ops_are_native() -> None:
    def make() -> Any:
        gt.utils.set_random_seed(1)
        x = gt.Input((4, 3))
        y = ops.softmax(ops.relu(ops.gelu(L.Dense(5)(x), approximate=True), 0.2), axis=1)
        return gt.Model(x, L.Dense(2)(L.Flatten()(ops.hard_silu(ops.celu(y, alpha=0.5)))))

    def batch(number: int) -> tuple[Array, ...]:
        rng = np.random.default_rng(number)
        return rng.normal(size=(6, 4, 3)).astype("f"), rng.normal(size=(6, 2)).astype("f")

    assert_replays(make, batch, gt.losses.MeanSquaredError())
    told: list[str] = []
    model = make()
    model.compile("sgd", "mse")
    model.explain(told.append)
    assert told[0].endswith("runs natively.")


@pytest.mark.parametrize("batch", [1, 2, 15, 17, 33])
def test_results_are_the_same_bits_and_stay_in_their_buffers(batch: int) -> None:
    def make() -> Any:
        return sequential(
            lambda: L.Conv2D(5, 2, activation="gelu"), LAYERS["PReLU per column"],
            lambda: L.Conv2D(4, 1, activation="selu"), LAYERS["softmax over pixels"],
            L.Flatten, lambda: L.Dense(3, activation="log_softmax"), shape=(4, 3, 2),
        )  # fmt: skip

    assert_same_bits(make, lambda i: _images(i, batch), gt.losses.MeanSquaredError())


_KINKS = (0.0, 0.1, 0.3, 0.5, 0.8, 1.0, 2.0, 3.0, 6.0, 20.0)


def _beside(kinks: tuple[float, ...]) -> list[float]:
    """Each of these numbers and its negative, and what lies next to them."""
    found = np.array([*kinks, *(-k for k in kinks)], np.float32)
    sides = [np.nextafter(found, np.float32(side)) for side in (np.inf, -np.inf)]
    return np.concatenate([found, *sides]).tolist()


_EXTREMES = [np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e20, -1e20, 3e38, -3e38, 89.0, -104.0]
_KINKED = {
    "ReLU, limit": lambda: L.ReLU(max_value=6.0),
    "ReLU, limit 0": lambda: L.ReLU(max_value=0.0),
    "LeakyReLU, slope 0": lambda: L.LeakyReLU(0.0),
    "PReLU of 0.25": lambda: L.PReLU(gt.initializers.Constant(0.25)),
    "PReLU of -0.25, shared": lambda: L.PReLU(gt.initializers.Constant(-0.25), shared_axes=(1, 2)),
}
_ALONG_AXES = ("log_softmax", "sparsemax", "softmax", "softmax over pixels")
_AT_POINTS = [n for n in LAYERS if n not in (*_ALONG_AXES, "PReLU per column", "PReLU")]


def _weighted_sum(y_true: Any, y_pred: Any) -> Any:
    return ops.sum(y_true * y_pred, axis=-1)


def _weights(predictions: Array) -> Array:
    features = np.linspace(0.5, 2, predictions[0].size, dtype=np.float32)
    return np.broadcast_to(features.reshape(predictions.shape[1:]), predictions.shape)


@pytest.mark.parametrize("name", [*_AT_POINTS, *_KINKED])
def test_activations_have_the_eager_value_and_slope_at_kinks_and_extremes(name: str) -> None:
    points = [*_beside(_KINKS), *_EXTREMES]
    layer = (LAYERS | _KINKED)[name]()
    assert_same_at(points, lambda x: L.Flatten()(layer(x)), _weighted_sum, _weights)


_ROWS = [
    [1, 1, 0, 1], [0, 0, 0, 0], [0.0, -0.0, -0.0, 0.0], [1, 2, 2, 1], [np.nan, 0, 1, 2],
    [0, np.nan, 1, 2], [0, 1, 2, np.nan], [np.nan] * 4, [-np.inf, 0, -np.inf, 0],
    [3e38, 3e38, 0, 0],
]  # fmt: skip
_OVER_ROWS: dict[str, Any] = {
    "max pooling": lambda x: L.MaxPooling1D(2)(L.Reshape((4, 1))(x)),
    "max pooling, windows overlap": lambda x: L.MaxPooling2D(2, 1, "same")(L.Reshape((2, 2, 1))(x)),
    "global maximum": lambda x: L.GlobalMaxPooling1D()(L.Reshape((4, 1))(x)),
    "adaptive maximum": lambda x: L.AdaptiveMaxPooling1D(3)(L.Reshape((4, 1))(x)),
    "maximum": lambda x: L.Maximum()(_halves(x)),
    "minimum": lambda x: L.Minimum()(_halves(x)),
    "softmax": L.Softmax(),
    "log_softmax": ops.log_softmax,
    "sparsemax": ops.sparsemax,
    "glu": ops.glu,
    "unit length": L.UnitNormalization(),
}


def _halves(x: Any) -> list[Any]:
    column = L.Reshape((4, 1))(x)
    return [L.Cropping1D(cut)(column) for cut in ((0, 2), (2, 0))]


@pytest.mark.parametrize("name", _OVER_ROWS)
def test_ties_and_nan_are_treated_as_eagerly(name: str) -> None:
    for row in _ROWS:
        assert_same_at(row, lambda x: L.Flatten()(_OVER_ROWS[name](x)), _weighted_sum, _weights)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sparsemax"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (1, 7, 1), (2, 1, 3)])
def test_rows_are_those_of_the_ops(name: str, shape: tuple[int, int, int]) -> None:
    x = (3 * _RNG.normal(size=(*shape, SHARD))).astype("f")
    g, y, back = _RNG.normal(size=x.shape).astype("f"), np.empty_like(x), np.empty_like(x)
    getattr(rows, name)([y.ctypes.data, x.ctypes.data, *shape])
    getattr(rows, f"{name}_back")([*(v.ctypes.data for v in (back, g, y)), *shape])
    wide = gt.tensor(x.astype(np.float64), requires_grad=True)
    exact = getattr(ops, name)(wide, axis=1)
    exact.backward(gt.tensor(g.astype(np.float64)))
    np.testing.assert_allclose(y, exact.numpy(), rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(back, wide.grad.numpy(), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("shape", "small"),
    [
        ((4, 3, 2), (4, 3, 2)), ((4, 3, 2), (1, 1, 2)), ((4, 3, 2), (1, 3, 1)), ((4,), (1,)),
        ((4, 3, 2), (4, 1, 2)), ((2, 3, 2, 3, 2), (2, 1, 2, 1, 2)), ((1, 5), (1, 5)), ((), ()),
        ((2, 3, 2, 3, 2, 2), (1, 3, 1, 3, 1, 2)),
    ],
)  # fmt: skip
def test_walks_meet_what_broadcasting_meets(shape: tuple[int, ...], small: tuple[int, ...]) -> None:
    numbers = np.arange(int(np.prod(small))).reshape(small)
    expected = np.broadcast_to(numbers, shape).ravel()
    got = np.full(expected.size, -1)
    for at, start, loops in walks(shape, small):
        for index in np.ndindex(*loops[:4]):
            got[at] = start + sum(i * s for i, s in zip(index, loops[4:], strict=True))
            at += 1
    np.testing.assert_array_equal(got, expected)
