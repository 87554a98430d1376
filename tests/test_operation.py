"""Operation: ops and operators on symbolic tensors, and what symbolic tensors refuse."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 1.0,
        lambda x: 2 - x,
        lambda x: np.float32([1, 2, 3]) * x,
        lambda x: x / np.arange(1, 4) ** 2,
        lambda x: -x @ np.eye(3, 2, dtype="f"),
        lambda x: x[:, ::-1] + x[:, 1:2],
        lambda x: x[..., np.newaxis, [0, 2]],
        lambda x: abs(x).sum(axis=1, keepdims=True),
        lambda x: gt.ops.relu(x) ** 2,
        lambda x: gt.ops.silu(x).mean(axis=-1),
        lambda x: gt.ops.concatenate([x, x * 2], axis=1),
        lambda x: gt.ops.stack([x, x], axis=1).reshape(-1, 6),
        lambda x: gt.ops.where(x > 0, x, 0.1 * x),
        lambda x: gt.ops.split(x, 3, axis=1)[1],
        lambda x: gt.ops.softmax(x.astype("float64"), axis=-1),
        lambda x: gt.ops.take(np.float32([1, 4, 9]), x.argmax(axis=1)),
        lambda x: gt.ops.square(x.T.T),
    ],
)
def test_ops_and_operators_on_symbolic_tensors_become_layers(function: Any) -> None:
    x = gt.Input((3,))
    model = gt.Model(x, function(x))
    data = RNG.normal(size=(4, 3)).astype("f")
    expected = function(gt.tensor(data))
    np.testing.assert_array_equal(model(data).numpy(), expected.numpy())
    assert model.output.shape[1:] == expected.shape[1:]
    assert model.output.dtype == expected.dtype.name
    again = gt.Model.from_config(json.loads(json.dumps(gt.saving.serialize(model)))["config"])
    np.testing.assert_array_equal(again(data).numpy(), expected.numpy())


def test_ops_refuse_symbolic_tensors_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"add: .*\(1, 3\), \(1, 4\)"):
        gt.Input((3,)) + gt.Input((4,))


def test_a_variable_in_an_op_would_not_be_trained() -> None:
    scale = gt.Variable(np.ones(3, "f"), name="scale")
    with pytest.raises(TypeError, match="not be trained or saved with the model"):
        gt.Input((3,)) * scale
    assert (gt.Input((3,)) * scale.detach()).shape == (None, 3)


@pytest.mark.parametrize(
    "misuse",
    [bool, float, len, list, np.asarray, gt.tensor, lambda x: np.ones(3)[x], lambda x: [1, 2][x]],
)
def test_a_symbolic_tensor_has_no_values(misuse: Any) -> None:
    with pytest.raises(TypeError, match=r"has no values yet.*gt\.Model\(inputs, outputs\)"):
        misuse(gt.Input((3,)))


def test_numpy_functions_of_symbolic_tensors_are_refused() -> None:
    with pytest.raises(TypeError):
        np.exp(gt.Input((3,)))


def test_data_methods_refuse_symbolic_tensors() -> None:
    x = gt.Input((6, 6, 3))
    model = gt.Model(x, layers.Dense(2)(layers.Flatten()(x)))
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="has no values yet"):
        model.predict(gt.Input((6, 6, 3)), verbose=0)
    with pytest.raises(TypeError, match="has no values yet"):
        model.fit(gt.Input((6, 6, 3)), np.ones((2, 2)), verbose=0)
