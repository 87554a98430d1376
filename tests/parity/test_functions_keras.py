"""Activations, initializers, regularizers and constraints are those of Keras by their names."""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Array = np.ndarray
RTOL, ATOL = 1e-5, 1e-6  # everything is float32

Call = tuple[str, dict[str, Any]]


def made(module: str, call: Call) -> tuple[Any, Any]:
    """The same class with the same arguments from both packages."""
    name, given = call
    return getattr(getattr(gt, module), name)(**given), getattr(getattr(keras, module), name)(
        **given
    )


def label(value: Any) -> str:
    if isinstance(value[-1], dict):
        return "-".join(map(str, (value[0], *value[1].values())))
    return str(value)


def arguments(function: Any) -> list[tuple[str, Any]]:
    """Names and defaults of the arguments, in order."""
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [(p.name, p.default) for p in parameters if p.kind not in kinds]


def public(module: Any, kind: type | None = None) -> list[str]:
    """The names that Keras exports: of functions, or of classes below one."""
    helpers = {"get", "serialize", "deserialize"}
    found = {n: v for n, v in vars(module).items() if callable(v) and n not in helpers}
    if kind is not None:
        found = {n: v for n, v in found.items() if isinstance(v, type) and issubclass(v, kind)}
    return sorted(found)


# Activations

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "relu": [{"negative_slope": 0.3}, {"max_value": 1.5, "threshold": 0.5}],
    "leaky_relu": [{"negative_slope": 0.4}],
    "celu": [{"alpha": 0.5}],
    "elu": [{"alpha": 0.5}],
    "gelu": [{"approximate": True}],
    "glu": [{"axis": 1}],
    "hard_shrink": [{"threshold": 1.0}],
    "soft_shrink": [{"threshold": 1.0}],
    "log_softmax": [{"axis": 0}],
    "softmax": [{"axis": 0}],
    "squareplus": [{"b": 2}],
    "threshold": [{"threshold": 0.5, "default_value": -1.0}],
}
#: Not compared: Keras 3.15 adds up every cumulative sum of the support where the paper takes the
#: last, so what it returns does not sum to 1.
WITHOUT = {"sparsemax"}
ACTIVATIONS = [
    (name, given)
    for name in public(keras.activations)
    if name not in WITHOUT
    for given in [*([{}] if name != "threshold" else []), *SETTINGS.get(name, [])]
]


@pytest.mark.parametrize("call", ACTIVATIONS, ids=label)
def test_activation(call: Call) -> None:
    name, given = call
    ours, theirs = (getattr(m.activations, name) for m in (gt, keras))
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 2, (5, 6)), rng.normal(0, 20, (1, 6))]).astype(np.float32)
    expected = keras.ops.convert_to_numpy(theirs(keras.ops.convert_to_tensor(x), **given))
    np.testing.assert_allclose(ours(x, **given).numpy(), expected, RTOL, ATOL)
    known = arguments(ours)
    assert [n for n, _ in known] == [n for n, _ in arguments(theirs)]
    if name != "threshold":
        assert known[1:] == arguments(theirs)[1:]
        layer = gt.layers.Activation(name)
        again = gt.layers.Activation.from_config(layer.get_config())
        assert again.activation is layer.activation is ours


# Initializers

_SCALED = ("Glorot", "He", "Lecun")
INITIALIZERS: list[Call] = [
    ("Zeros", {}),
    ("Ones", {}),
    ("Constant", {"value": 0.5}),
    ("RandomNormal", {"mean": 1.0, "stddev": 0.5}),
    ("RandomUniform", {}),
    ("TruncatedNormal", {}),
    *((f"{name}{kind}", {}) for name in _SCALED for kind in ("Uniform", "Normal")),
    ("VarianceScaling", {"scale": 2.0, "mode": "fan_avg", "distribution": "untruncated_normal"}),
    ("VarianceScaling", {"input_axes": [0], "output_axes": [-1], "mode": "fan_avg"}),
]


@pytest.mark.parametrize("call", INITIALIZERS, ids=label)
@pytest.mark.parametrize("shape", [(300, 200), (3, 3, 60, 100)], ids=str)
def test_initializer_draws_from_the_same_distribution(call: Call, shape: tuple[int, ...]) -> None:
    ours, theirs = made("initializers", call)
    a = np.sort(np.asarray(ours(shape)), axis=None)
    b = np.sort(keras.ops.convert_to_numpy(theirs(shape)), axis=None)
    spread = float(b.std())
    assert abs(a.mean() - b.mean()) <= 0.03 * spread
    assert abs(a.std() - spread) <= 0.02 * spread
    # The largest distance of the distribution functions (Kolmogorov & Smirnov).
    grid = np.concatenate([a, b])
    gap = np.searchsorted(a, grid, "right") - np.searchsorted(b, grid, "right")
    assert np.abs(gap).max() / a.size <= 0.015


@pytest.mark.parametrize("shape", [(40, 25), (25, 40), (3, 3, 5, 20)], ids=str)
def test_orthogonal_kernels_are_orthogonal_along_the_same_axes(shape: tuple[int, ...]) -> None:
    for values in made("initializers", ("Orthogonal", {"gain": 2.0})):
        matrix = np.asarray(values(shape)).reshape(-1, shape[-1])
        small = matrix @ matrix.T if matrix.shape[0] < matrix.shape[1] else matrix.T @ matrix
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


def test_identity_is_that_of_keras() -> None:
    ours, theirs = made("initializers", ("Identity", {"gain": 3.0}))
    for shape in ((3, 3), (2, 5)):
        np.testing.assert_array_equal(ours(shape), keras.ops.convert_to_numpy(theirs(shape)))


@pytest.mark.parametrize("kind", ["initializers", "regularizers", "constraints"])
def test_every_name_is_there_with_its_arguments(kind: str) -> None:
    ours, theirs = getattr(gt, kind), getattr(keras, kind)
    base = getattr(theirs, kind.capitalize().removesuffix("s"))
    for name in public(theirs, base):
        if name.lower().startswith("stft"):  # of spectrograms, which are no layers here
            continue
        assert arguments(getattr(ours, name)) == arguments(getattr(theirs, name)), name


# Regularizers and constraints

REGULARIZERS: list[Call] = [
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


@pytest.mark.parametrize("call", REGULARIZERS, ids=label)
def test_regularizer(call: Call) -> None:
    ours, theirs = made("regularizers", call)
    w = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    assert float(ours(w)) == pytest.approx(float(theirs(keras.ops.convert_to_tensor(w))), rel=1e-5)
    assert ours.get_config() == pytest.approx(theirs.get_config())


CONSTRAINTS: list[Call] = [
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": [0, 1, 2]}),
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5, "axis": 1}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 1.0, "max_value": 1.5, "rate": 0.3, "axis": -1}),
]


@pytest.mark.parametrize("call", CONSTRAINTS, ids=label)
def test_constraint(call: Call) -> None:
    ours, theirs = made("constraints", call)
    w = np.random.default_rng(0).normal(size=(3, 2, 4, 3)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(theirs(keras.ops.convert_to_tensor(w)))
    np.testing.assert_allclose(ours(w).numpy(), expected, RTOL, ATOL)


# In models

LAYERS: list[tuple[Call, tuple[int, ...]]] = [
    (("Dense", {"units": 4, "kernel_constraint": "max_norm", "bias_constraint": "non_neg"}), (6,)),
    (("Dense", {"units": 4, "activation": "relu", "activity_regularizer": "l2"}), (6,)),
    (("Conv2D", {"filters": 3, "kernel_size": 2, "kernel_constraint": "unit_norm"}), (4, 4, 2)),
    (("DepthwiseConv2D", {"kernel_size": 2, "depthwise_constraint": "unit_norm",
                          "activity_regularizer": "l1"}), (4, 4, 2)),
    (("SeparableConv2D", {"filters": 3, "kernel_size": 2, "pointwise_constraint": "max_norm",
                          "depthwise_constraint": "non_neg"}), (4, 4, 2)),
    (("Conv2DTranspose", {"filters": 2, "kernel_size": 2, "bias_constraint": "non_neg"}),
     (3, 3, 2)),
    (("BatchNormalization", {"gamma_constraint": "non_neg", "beta_constraint": "max_norm"}), (6,)),
    (("LayerNormalization", {"gamma_constraint": "unit_norm"}), (6,)),
    (("PReLU", {"alpha_constraint": "non_neg"}), (6,)),
    (("ActivityRegularization", {"l1": 0.01, "l2": 0.02}), (6,)),
]  # fmt: skip


def _model(package: Any, call: Call, shape: tuple[int, ...]) -> Any:
    name, given = call
    layers = package.layers
    model = package.Sequential(
        [
            package.Input(shape),
            getattr(layers, name)(**given),
            layers.Flatten(),
            layers.Dense(2, activity_regularizer=package.regularizers.L2(0.1)),
        ]
    )
    model.compile(package.optimizers.SGD(0.1, momentum=0.5), "mean_squared_error")
    return model


@pytest.mark.parametrize(("call", "shape"), LAYERS, ids=label)
def test_constrained_and_regularized_models_learn_alike(call: Call, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = (_model(package, call, shape) for package in (gt, keras))
    ours.set_weights([np.asarray(w) for w in theirs.get_weights()])
    for _ in range(6):
        x = rng.normal(size=(8, *shape)).astype(np.float32)
        y = rng.normal(size=(8, 2)).astype(np.float32)
        expected = float(theirs.train_on_batch(x, y))
        assert float(ours.train_on_batch(x, y)) == pytest.approx(expected, rel=1e-4)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-5)
    assert float(ours.test_on_batch(x, y)) == pytest.approx(
        float(theirs.test_on_batch(x, y)), rel=1e-4
    )
    again = gt.Sequential.from_config(ours.get_config())
    assert again.layers[0].get_config() == ours.layers[0].get_config()


@pytest.mark.parametrize("name", ["Dense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose",
                                  "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D",
                                  "SeparableConv1D", "SeparableConv2D", "LayerNormalization",
                                  "GroupNormalization", "PReLU", "BatchNormalization"])  # fmt: skip
def test_layers_take_their_arguments_in_the_order_of_keras(name: str) -> None:
    ours, theirs = ([n for n, _ in arguments(getattr(m.layers, name))] for m in (gt, keras))
    own_of_keras = ("lora_rank", "lora_alpha", "quantization_config", "renorm", "renorm_clipping",
                    "renorm_momentum", "synchronized")  # fmt: skip
    assert ours == [n for n in theirs if n not in own_of_keras]
