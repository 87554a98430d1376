"""Regularizers: their formulas, names, and how layers and models use them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers, regularizers

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 4))


@pytest.mark.parametrize(
    ("regularizer", "l1", "l2"),
    [
        (regularizers.L1(0.3), 0.3, 0),
        (regularizers.L2(0.3), 0, 0.3),
        (regularizers.L1L2(0.1, 0.2), 0.1, 0.2),
        (regularizers.L1L2(), 0, 0),
        (regularizers.l1_l2(l2=0.2), 0, 0.2),
        (regularizers.L2(None), 0, 0.01),
        (regularizers.get("l2"), 0, 0.01),
        (regularizers.get("L1"), 0.01, 0),
        (regularizers.get("l1_l2"), 0, 0),
        (regularizers.get({"class_name": "L2", "config": {"l2": 0.5}}), 0, 0.5),
        (regularizers.get(regularizers.L2), 0, 0.01),
    ],
)
def test_penalty_and_its_gradient(regularizer: Any, l1: float, l2: float) -> None:
    w = gt.tensor(W, requires_grad=True)
    penalty = regularizer(w)
    assert float(penalty) == pytest.approx(l1 * np.abs(W).sum() + l2 * (W**2).sum())
    if l1 or l2:
        penalty.backward()
        np.testing.assert_allclose(w.grad.numpy(), l1 * np.sign(W) + 2 * l2 * W)


@pytest.mark.parametrize("factor", [-0.1, "a", [1], float("nan"), float("inf"), True])
def test_factors_are_numbers_that_are_not_negative(factor: Any) -> None:
    with pytest.raises(ValueError, match="L2: l2 must be a number that is not negative"):
        regularizers.L2(factor)


@pytest.mark.parametrize("mode", ["rows", "columns"])
def test_orthogonal_regularizer_is_the_mean_cosine_and_has_its_gradient(mode: str) -> None:
    regularizer = regularizers.OrthogonalRegularizer(0.5, mode)
    rows = W if mode == "rows" else W.T
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = [abs(a @ b) for i, a in enumerate(unit) for b in unit[:i]]
    assert float(regularizer(W)) == pytest.approx(0.5 * np.mean(cosines))
    assert gt.gradcheck(regularizer, W) < 1e-6
    assert float(regularizer(np.eye(3))) == 0
    again = regularizers.get(gt.saving.serialize(regularizer))
    assert again.get_config() == {"factor": 0.5, "mode": mode}
    with pytest.raises(ValueError, match=r"takes matrices, received a weight of shape \(3,\)"):
        regularizer(np.ones(3))
    with pytest.raises(ValueError, match="'rows' or 'columns', received 'row'"):
        regularizers.OrthogonalRegularizer(mode="row")


def test_unknown_names_are_refused_with_a_near_match() -> None:
    with pytest.raises(ValueError, match=r"Unknown regularizer 'l3'\. Did you mean"):
        layers.Dense(2, kernel_regularizer="l3")
    assert regularizers.get(None) is None
    assert regularizers.get(abs) is abs


CASES: list[tuple[Any, Any, str]] = [
    (layers.Dense, (4,), "kernel"),
    (layers.Conv2D, (5, 5, 2), "kernel"),
    (layers.Conv2DTranspose, (5, 5, 2), "kernel"),
    (layers.LocallyConnected2D, (5, 5, 2), "kernel"),
    (layers.DepthwiseConv2D, (5, 5, 2), "depthwise"),
    (layers.SeparableConv2D, (5, 5, 2), "depthwise"),
]


@pytest.mark.parametrize(("cls", "shape", "role"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_layers_add_the_penalties_of_kernel_and_bias(cls: Any, shape: Any, role: str) -> None:
    sizes: Any = {"Dense": (3,), "DepthwiseConv2D": (3,)}.get(cls.__name__, (3, 3))
    layer = cls(
        *sizes,
        **{f"{role}_regularizer": regularizers.L2(0.5)},
        bias_regularizer="l1",
        bias_initializer="ones",
    )
    layer.build((None, *shape))
    kernel = layer.weights[0].data
    bias = layer.bias.data
    assert sorted(float(v) for v in layer.losses) == pytest.approx(
        sorted([0.5 * float((kernel**2).sum()), 0.01 * float(np.abs(bias).sum())]), rel=1e-5
    )
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.bias_regularizer.l1 == 0.01


def test_the_loss_of_a_model_holds_the_penalties_and_training_shrinks_the_weights() -> None:
    model = gt.Sequential([gt.Input((3,)), layers.Dense(2, kernel_regularizer="l2")])
    x, y = RNG.normal(size=(8, 3)).astype("f"), RNG.normal(size=(8, 2)).astype("f")
    model.compile(gt.optimizers.SGD(0.1), "mse")
    kernel = model.layers[0].kernel
    plain = float(np.mean((model(x).numpy() - y) ** 2))
    penalty = 0.01 * float((kernel.data**2).sum())
    assert model.evaluate(x, y, verbose=0) == pytest.approx(plain + penalty, rel=1e-5)
    before, bias = (v.data.copy() for v in model.weights)
    error = x @ before + bias - y
    model.fit(x, y, batch_size=8, verbose=0)
    step = 2 * x.T @ error / error.size + 2 * 0.01 * before
    np.testing.assert_allclose(before - kernel.data, 0.1 * step, rtol=1e-4, atol=1e-6)


def test_frozen_layers_add_no_penalty() -> None:
    layer = layers.Dense(2, kernel_regularizer="l2", trainable=False)
    layer.build((None, 3))
    assert layer.losses == []
