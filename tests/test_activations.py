"""Activation functions by name."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt
from gradtape import activations

X = np.linspace(-3, 3, 13).astype(np.float32)
FORMULAS = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "elu": lambda x: np.where(x > 0, x, np.exp(x) - 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "swish": lambda x: x / (1 + np.exp(-x)),
    "exponential": np.exp,
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_names_mean_keras_functions(name):
    np.testing.assert_allclose(
        activations.get(name)(X).numpy(), FORMULAS[name](X.astype(float)), rtol=1e-5, atol=1e-6
    )


def test_none_is_linear_and_functions_are_themselves():
    assert activations.get(None) is activations.linear
    assert activations.get(gt.ops.tanh) is gt.ops.tanh
    assert activations.get("relu") is activations.relu is gt.ops.relu


def test_unknown_names_are_refused_with_near_ones():
    with pytest.raises(ValueError, match=r"Unknown activation 'sofmax'.*'softmax'"):
        activations.get("sofmax")
    with pytest.raises(ValueError, match="received 3"):
        gt.layers.Dense(2, activation=3)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_name_survives_the_configuration_of_a_layer(name):
    layer = gt.layers.Activation(name)
    again = gt.layers.Activation.from_config(layer.get_config())
    assert again.activation is layer.activation
