"""Layers and losses under Keras's names do what Keras's do."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Array = np.ndarray
#: Everything is float32: Keras takes the mean of float64 in float32, too.
RTOL, ATOL = 1e-5, 1e-6

Call = tuple[str, dict[str, Any]]


def uniform(rng: np.random.Generator, shape: tuple[int, ...], low: float = -1.0) -> Array:
    return rng.uniform(low, 1, shape).astype(np.float32)


def made(module: str, call: Call, **settings: Any) -> tuple[Any, Any]:
    """The same class with the same arguments from both packages."""
    name, given = call
    ours = getattr(getattr(gt, module), name)(**given, **settings)
    return ours, getattr(getattr(keras, module), name)(**given, **settings)


def label(value: Any) -> str:
    """Of a test case."""
    return "-".join(map(str, (value[0], *value[1].values()))) if isinstance(value, tuple) else ""


# Layers

# Not compared: average pooling with padding "same", where Keras takes the mean of the pixels that
# are there (as we do) with TensorFlow and JAX, but repeats the edge with PyTorch.
_POOLINGS = {
    "Max": [{"pool_size": 3, "strides": 2, "padding": "same"}, {"pool_size": 2}],
    "Average": [{"pool_size": 3, "strides": 2}, {"pool_size": 2}],
}
_CONVOLUTIONS = [
    {"kernel_size": 3},
    {"kernel_size": 3, "padding": "same", "strides": 2, "activation": "relu"},
    {"kernel_size": 2, "padding": "same", "use_bias": False},
    {"kernel_size": 2, "dilation_rate": 2, "activation": "tanh"},
    {"kernel_size": 3, "groups": 2, "data_format": "channels_first"},
]
LAYERS: list[tuple[Call, int]] = [
    *(
        ((f"Conv{rank}D", {"filters": 6, **settings}), rank)
        for rank in (1, 2, 3)
        for settings in _CONVOLUTIONS
    ),
    (("Conv1D", {"filters": 2, "kernel_size": 3, "padding": "causal"}), 1),
    *(
        ((f"{kind}Pooling{rank}D", settings), rank)
        for kind, choices in _POOLINGS.items()
        for rank in (1, 2, 3)
        for settings in choices
    ),
    *(
        ((f"Global{kind}Pooling{rank}D", {"keepdims": kept}), rank)
        for kind in ("Max", "Average")
        for rank in (1, 2, 3)
        for kept in (False, True)
    ),
    *((("Dense", {"units": 3, "activation": name}), 0) for name in (None, "relu", "softmax")),
    (("Dense", {"units": 3, "use_bias": False}), 2),
    (("Activation", {"activation": "sigmoid"}), 2),
    (("Flatten", {}), 2),
    (("Flatten", {"data_format": "channels_first"}), 2),
    (("Reshape", {"target_shape": (-1, 2)}), 2),
    (("Dropout", {"rate": 0.5}), 2),
]


@pytest.mark.parametrize(("call", "rank"), LAYERS, ids=label)
def test_layer(call: Call, rank: int) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = made("layers", call)
    x = uniform(rng, (2, *(6, 7, 8)[:rank], 4))
    theirs.build(x.shape)
    ours.build(x.shape)
    weights = [uniform(rng, w.shape) for w in theirs.get_weights() if w.dtype.kind == "f"]
    if weights:
        ours.set_weights(weights)
        theirs.set_weights(weights)
    expected = keras.ops.convert_to_numpy(theirs(x))
    np.testing.assert_allclose(ours(x).numpy(), expected, RTOL, ATOL)
    assert ours.compute_output_shape(x.shape) == theirs.compute_output_shape(x.shape)


# Losses


def _targets(name: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Targets and predictions, which are probabilities, of 5 samples."""
    predictions = uniform(rng, (5, 4), 0.05)
    if name == "BinaryCrossentropy":
        return (rng.random((5, 4)) < 0.5).astype(np.float32), predictions
    predictions /= predictions.sum(axis=-1, keepdims=True)
    labels = rng.integers(0, 4, 5)
    if name == "SparseCategoricalCrossentropy":
        return labels, predictions
    return np.eye(4, dtype=np.float32)[labels], predictions


LOSSES: list[Call] = [
    *(
        (f"{name}Crossentropy", {"from_logits": logits, **settings})
        for name, settings in [
            ("Binary", {}),
            ("Binary", {"label_smoothing": 0.2}),
            ("Categorical", {}),
            ("Categorical", {"label_smoothing": 0.2}),
            ("SparseCategorical", {}),
        ]
        for logits in (False, True)
    ),
    *(
        (f"Mean{name}Error", {"reduction": reduction})
        for name in ("Squared", "Absolute")
        for reduction in ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None)
    ),
]


@pytest.mark.filterwarnings("ignore:.*look like probabilities")
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("call", LOSSES, ids=label)
def test_loss(call: Call, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = made("losses", call)
    y_true, y_pred = _targets(call[0], rng)
    weights = uniform(rng, (5,), 0.0) if weighted else None
    expected = keras.ops.convert_to_numpy(theirs(y_true, y_pred, weights))
    np.testing.assert_allclose(ours(y_true, y_pred, weights).numpy(), expected, RTOL, ATOL)
