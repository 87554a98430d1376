"""Constraints: what they hold weights to, in layers, optimizers, training and saved models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import constraints, layers

W = np.random.default_rng(0).normal(0, 2, size=(3, 4))


def test_each_holds_what_its_name_says() -> None:
    norms = np.linalg.norm(W, axis=0)
    assert (constraints.NonNeg()(W).numpy() == np.maximum(W, 0)).all()
    np.testing.assert_allclose(np.linalg.norm(constraints.UnitNorm()(W).numpy(), axis=0), 1)
    held = np.linalg.norm(constraints.MaxNorm(1.5)(W).numpy(), axis=0)
    np.testing.assert_allclose(held, np.minimum(norms, 1.5), rtol=1e-6)
    held = np.linalg.norm(constraints.MinMaxNorm(2.0, 3.0, axis=1)(W).numpy(), axis=1)
    np.testing.assert_allclose(held, np.clip(np.linalg.norm(W, axis=1), 2, 3), rtol=1e-6)
    half = np.linalg.norm(constraints.MinMaxNorm(0.0, 1.0, rate=0.5)(W).numpy(), axis=0)
    np.testing.assert_allclose(half, np.minimum(norms, 1) / 2 + norms / 2, rtol=1e-6)
    assert np.isfinite(constraints.UnitNorm()(np.zeros((2, 2))).numpy()).all()


@pytest.mark.parametrize("name", ["max_norm", "min_max_norm", "non_neg", "unit_norm"])
def test_names_and_configurations(name: str) -> None:
    made = constraints.get(name)
    again = constraints.deserialize(gt.saving.serialize(made))
    assert type(again) is type(made) and again.get_config() == made.get_config()
    assert constraints.get(made) is made and constraints.get(None) is None
    assert repr(made).startswith(type(made).__name__)


def test_unknown_names_are_refused_with_near_ones() -> None:
    with pytest.raises(ValueError, match=r"Unknown constraint 'maxnorm'.*'max_norm'"):
        layers.Dense(2, kernel_constraint="maxnorm")


CASES: list[tuple[Any, dict[str, Any], tuple[int, ...], list[str]]] = [
    (layers.Dense, {"units": 2}, (4,), ["kernel", "bias"]),
    (layers.Conv2D, {"filters": 2, "kernel_size": 2}, (5, 5, 2), ["kernel", "bias"]),
    (layers.Conv2DTranspose, {"filters": 2, "kernel_size": 2}, (5, 5, 2), ["kernel", "bias"]),
    (layers.LocallyConnected1D, {"filters": 2, "kernel_size": 2}, (5, 2), ["kernel", "bias"]),
    (layers.DepthwiseConv2D, {"kernel_size": 2}, (5, 5, 2), ["depthwise", "bias"]),
    (layers.SeparableConv1D, {"filters": 2, "kernel_size": 2}, (5, 2),
     ["depthwise", "pointwise", "bias"]),
    (layers.BatchNormalization, {}, (4,), ["gamma", "beta"]),
    (layers.LayerNormalization, {}, (4,), ["gamma", "beta"]),
    (layers.GroupNormalization, {"groups": 2}, (4,), ["gamma", "beta"]),
    (layers.PReLU, {}, (4,), ["alpha"]),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "given", "shape", "roles"), CASES)
def test_layers_hold_each_weight_to_its_constraint(
    cls: Any, given: dict[str, Any], shape: tuple[int, ...], roles: list[str]
) -> None:
    asked = {f"{role}_constraint": "non_neg" for role in roles}
    layer = cls(**given, **asked)
    layer.build((None, *shape))
    weights = layer.trainable_weights
    assert len(weights) == len(roles)
    assert all(isinstance(v.constraint, constraints.NonNeg) for v in weights)
    gt.optimizers.SGD(1.0).apply([np.ones(v.shape) * 3 for v in weights], weights)
    assert all((v.data >= 0).all() and (v.data == 0).any() for v in weights)
    config = layer.get_config()
    for key in asked:
        assert config[key]["class_name"] == "constraints>NonNeg"
    assert cls.from_config(config).get_config() == config


def test_a_constrained_model_is_saved_and_goes_on(tmp_path: Path) -> None:
    model = gt.Sequential(
        [gt.Input((3,)), layers.Dense(2, kernel_constraint=gt.constraints.MaxNorm(0.5))]
    )
    model.compile(gt.optimizers.SGD(1.0), "mse")
    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    model.fit(x, x[:, :2] * 9, epochs=2, verbose=0)
    model.save(tmp_path / "model.npz")
    again = gt.load_model(tmp_path / "model.npz")
    again.fit(x, x[:, :2] * 9, epochs=1, verbose=0)
    assert np.linalg.norm(again.layers[0].kernel.data, axis=0) == pytest.approx(0.5, rel=1e-5)


def test_a_constraint_of_the_users_own_may_return_an_array() -> None:
    v = gt.Variable(np.array([3.0, -3.0]), name="v")
    v.constraint = lambda w: np.clip(w.numpy(), -1, 1)
    gt.optimizers.SGD(0.0).apply([np.zeros(2)], [v])
    assert v.tolist() == [1, -1]
    v.constraint = lambda w: w.numpy()[:1]
    with pytest.raises(gt.errors.ShapeError, match=r"'v' must return its shape \(2,\)"):
        gt.optimizers.SGD(0.0).apply([np.zeros(2)], [v])
