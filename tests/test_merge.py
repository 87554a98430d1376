"""Merge layers: what they compute, how they stretch, and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)
A, B, C = RNG.normal(size=(3, 2, 3, 4)).astype("f")

FORMULAS: list[tuple[Any, Any, Any]] = [
    (layers.Add, layers.add, lambda *v: sum(v)),
    (layers.Multiply, layers.multiply, lambda *v: np.prod(v, axis=0)),
    (layers.Average, layers.average, lambda *v: np.mean(v, axis=0)),
    (layers.Maximum, layers.maximum, lambda *v: np.max(v, axis=0)),
    (layers.Minimum, layers.minimum, lambda *v: np.min(v, axis=0)),
]
IDS = [cls.__name__ for cls, _, _ in FORMULAS]


@pytest.mark.parametrize(("cls", "function", "formula"), FORMULAS, ids=IDS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_elements_are_combined(cls: Any, function: Any, formula: Any, count: int) -> None:
    inputs = [A, B, C][:count]
    expected = formula(*inputs)
    np.testing.assert_allclose(cls()(inputs).numpy(), expected, rtol=1e-6)
    np.testing.assert_allclose(function(inputs, name="n").numpy(), expected, rtol=1e-6)
    assert cls().compute_output_shape([(None, 3, 4)] * count) == (None, 3, 4)


def test_subtract_takes_two() -> None:
    np.testing.assert_array_equal(layers.subtract([A, B]).numpy(), A - B)
    with pytest.raises(ValueError, match="Subtract 's' takes two inputs, received 3"):
        layers.Subtract(name="s")([A, B, C])


@pytest.mark.parametrize("cls", [layers.Add, layers.Multiply, layers.Maximum])
def test_axes_of_length_one_are_stretched_and_missing_ones_put_after_the_batch(cls: Any) -> None:
    numpy = {"Add": np.add, "Multiply": np.multiply, "Maximum": np.maximum}[cls.__name__]
    channel = RNG.normal(size=(2, 4)).astype("f")
    np.testing.assert_allclose(cls()([A, channel]).numpy(), numpy(A, channel[:, None]), rtol=1e-6)
    row = RNG.normal(size=(2, 1, 4)).astype("f")
    np.testing.assert_allclose(cls()([row, A]).numpy(), numpy(row, A), rtol=1e-6)
    assert cls().compute_output_shape([(None, 3, 4), (None, 4)]) == (None, 3, 4)
    assert cls().compute_output_shape([(None, 1, 4), (None, None, 1)]) == (None, None, 4)


@pytest.mark.parametrize("axis", [1, 2, -1, -2])
def test_concatenate_puts_side_by_side(axis: int) -> None:
    layer = layers.Concatenate(axis)
    np.testing.assert_array_equal(layer([A, B]).numpy(), np.concatenate([A, B], axis))
    assert layer.compute_output_shape([A.shape, B.shape]) == layer([A, B]).shape
    np.testing.assert_array_equal(layers.concatenate([A, B], axis=axis).numpy(), layer([A, B]))


def test_concatenate_works_with_open_axes() -> None:
    layer = layers.Concatenate()
    assert layer.compute_output_shape([(None, None, 3), (None, 5, 4)]) == (None, 5, 7)
    assert layer.compute_output_shape([(None, 5, None), (None, 5, 4)]) == (None, 5, None)


@pytest.mark.parametrize("cls", [cls for cls, _, _ in FORMULAS] + [layers.Subtract])
def test_gradients_reach_every_input(cls: Any) -> None:
    pair = [gt.tensor(v.astype("d"), requires_grad=True) for v in (A, B)]
    cotangent = RNG.normal(size=A.shape)
    layer = cls(dtype="float64")
    layer(pair).backward(cotangent)
    for i, tensor in enumerate(pair):
        step = np.zeros_like(A, "d")
        step[1, 2, 3] = 1e-6
        moved = [t.numpy() + (step if i == j else 0) for j, t in enumerate(pair)]
        change = (layer(moved).numpy() - layer([t.numpy() for t in pair]).numpy()) / 1e-6
        assert tensor.grad.numpy()[1, 2, 3] == pytest.approx((change * cotangent).sum(), rel=1e-5)


@pytest.mark.parametrize("cls", [layers.Add, layers.Concatenate, layers.Subtract])
def test_a_single_tensor_or_a_dict_is_refused(cls: Any) -> None:
    name = cls.__name__
    with pytest.raises(ValueError, match=rf"takes a list of tensors, as in {name}\(\)\(\[x, y\]\)"):
        cls()(A)
    with pytest.raises(ValueError, match="received a dict"):
        cls()({"a": A, "b": B})


def test_shapes_that_do_not_fit_are_named_with_the_axis() -> None:
    with pytest.raises(ValueError, match=r"Add 'a' cannot combine.*axis 2 is 4 and 5"):
        layers.Add(name="a")([gt.Input((3, 4)), gt.Input((3, 5))])
    with pytest.raises(ValueError, match="axis 0 is 2 and 5"):
        layers.Add()([A, np.ones((5, 3, 4))])
    with pytest.raises(ValueError, match=r"'c' joins along axis -1.*axis 1.* is 3 and 6"):
        layers.Concatenate(name="c")([gt.Input((3, 4)), gt.Input((6, 4))])
    with pytest.raises(ValueError, match="joins inputs of one rank"):
        layers.Concatenate()([gt.Input((3, 4)), gt.Input((4,))])
    with pytest.raises(ValueError, match="have an axis 3"):
        layers.Concatenate(3)([A, B])


def test_they_are_made_again_from_their_configuration() -> None:
    layer = layers.Concatenate(1, name="c")
    assert layers.Concatenate.from_config(layer.get_config()).axis == 1
    assert layers.Add.from_config(layers.Add(name="n").get_config()).name == "n"
