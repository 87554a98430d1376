"""A layer under a name of Keras's has its arguments, configuration, values and gradients."""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Array = np.ndarray
RTOL, ATOL = 1e-5, 1e-6
#: A layer, its arguments, and the shape of a batch, or the shapes of several.
Case = tuple[str, dict[str, Any], Any]

LINE, IMAGE, VOLUME, VECTOR = (2, 6, 4), (2, 6, 7, 4), (2, 6, 7, 8, 4), (3, 5)
SHAPES = {1: LINE, 2: IMAGE, 3: VOLUME}
FIRST: dict[str, Any] = {"data_format": "channels_first"}


def _of_rank(name: str, *choices: dict[str, Any], ranks: Any = (1, 2, 3)) -> list[Case]:
    return [(name.format(rank), s, SHAPES[rank]) for rank in ranks for s in choices]


def _of(name: str, shape: Any, *choices: dict[str, Any]) -> list[Case]:
    return [(name, settings, shape) for settings in choices]


# Average pooling with padding "same" is left out: Keras takes the mean of the pixels that are there
# (as we do) with TensorFlow and JAX, but repeats the edge with PyTorch.
_POOLINGS = {"pool_size": 2}, {"pool_size": 3, "strides": 2}, {"pool_size": 2, **FIRST}
_SEPARABLE: tuple[dict[str, Any], ...] = (
    {"kernel_size": 3},
    {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
    {"kernel_size": 2, "dilation_rate": 2, "activation": "relu", "use_bias": False},
    {"kernel_size": 3, **FIRST},
)
_TRANSPOSED: tuple[dict[str, Any], ...] = (
    {"kernel_size": 3},
    {"kernel_size": 3, "strides": 2, "padding": "same", "activation": "tanh"},
    {"kernel_size": 3, "strides": 2, "output_padding": 1, "use_bias": False},
    {"kernel_size": 2, "strides": 3, **FIRST},
)
_NORMALIZING: tuple[dict[str, Any], ...] = ({}, {"center": False, "epsilon": 0.1}, {"scale": False})

CASES: list[Case] = [
    *_of("Dense", VECTOR, {"units": 3}, {"units": 3, "activation": "softmax"}),
    *_of("Dense", IMAGE, {"units": 3, "use_bias": False}),
    *_of_rank(
        "Conv{}D",
        {"filters": 6, "kernel_size": 3},
        {"filters": 6, "kernel_size": 3, "padding": "same", "strides": 2, "activation": "relu"},
        {"filters": 6, "kernel_size": 2, "padding": "same", "use_bias": False},
        {"filters": 6, "kernel_size": 2, "dilation_rate": 2, "activation": "tanh"},
        {"filters": 6, "kernel_size": 3, "groups": 2, **FIRST},
    ),
    *_of("Conv1D", LINE, {"filters": 2, "kernel_size": 3, "padding": "causal"}),
    *_of_rank("Conv{}DTranspose", *({"filters": 3, **s} for s in _TRANSPOSED)),
    *_of_rank("DepthwiseConv{}D", *_SEPARABLE, ranks=(1, 2)),
    *_of_rank("SeparableConv{}D", *({"filters": 3, **s} for s in _SEPARABLE), ranks=(1, 2)),
    *_of_rank("MaxPooling{}D", *_POOLINGS, {"pool_size": 3, "strides": 2, "padding": "same"}),
    *_of_rank("AveragePooling{}D", *_POOLINGS),
    *_of_rank("GlobalMaxPooling{}D", {}, {"keepdims": True}, FIRST),
    *_of_rank("GlobalAveragePooling{}D", {}, {"keepdims": True}, FIRST),
    *_of_rank("AdaptiveMaxPooling{}D", {"output_size": 2}, {"output_size": 3, **FIRST}),
    *_of_rank("AdaptiveAveragePooling{}D", {"output_size": 2}, {"output_size": 4, **FIRST}),
    *_of("AdaptiveAveragePooling2D", IMAGE, {"output_size": (5, 3)}),
    *_of("BatchNormalization", IMAGE, *_NORMALIZING, {"axis": 1}),
    *_of("LayerNormalization", IMAGE, *_NORMALIZING, {"axis": (1, 3)}),
    *_of("GroupNormalization", IMAGE, *({"groups": 2, **s} for s in _NORMALIZING)),
    *_of("GroupNormalization", IMAGE, {"groups": -1}, {"groups": 3, "axis": 1}),
    *_of("RMSNormalization", IMAGE, {}, {"axis": 3, "epsilon": 0.1}, {"axis": (2, 3)}),
    *_of("UnitNormalization", IMAGE, {}, {"axis": 1}, {"axis": (1, 3)}),
    *_of("Flatten", IMAGE, {}, FIRST),
    *_of("Reshape", IMAGE, {"target_shape": (-1, 2)}, {"target_shape": (4, 7, 6)}),
    *_of("Permute", IMAGE, {"dims": (2, 1, 3)}, {"dims": (3, 1, 2)}),
    *_of("RepeatVector", VECTOR, {"n": 3}),
    *_of("ZeroPadding1D", LINE, {}, {"padding": (2, 0)}, FIRST),
    *_of("ZeroPadding2D", IMAGE, {}, {"padding": (2, 0)}, {"padding": ((1, 2), (3, 0)), **FIRST}),
    *_of("ZeroPadding3D", VOLUME, {}, {"padding": (2, 0, 1)}, FIRST),
    *_of("Cropping1D", LINE, {}, {"cropping": (2, 0)}),
    *_of("Cropping2D", IMAGE, {}, {"cropping": (2, 1)}, {"cropping": ((1, 2), (1, 0)), **FIRST}),
    *_of("Cropping3D", VOLUME, {}, {"cropping": ((1, 2), (0, 1), (2, 2))}),
    *_of("UpSampling1D", LINE, {}, {"size": 3}),
    *_of("UpSampling2D", IMAGE, {}, {"size": (1, 3), **FIRST}),
    *_of("UpSampling2D", IMAGE, {"interpolation": "bilinear"}, {"interpolation": "bicubic"}),
    *_of("UpSampling3D", VOLUME, {}, {"size": (1, 2, 3)}, FIRST),
    *(
        (name, {}, shapes)
        for name in ("Add", "Multiply", "Average", "Maximum", "Minimum")
        for shapes in ([VECTOR] * 3, [(2, 3, 4), (2, 1, 4), (2, 4)])
    ),
    *_of("Subtract", [VECTOR] * 2, {}),
    *_of("Concatenate", [(2, 3, 4), (2, 3, 1)], {}),
    *_of("Concatenate", [(2, 3, 4), (2, 1, 4)], {"axis": 1}),
    *_of("Dot", [VECTOR] * 2, {"axes": 1}, {"axes": -1, "normalize": True}),
    *_of("Dot", [(2, 3, 4), (2, 5, 4)], {"axes": 2}, {"axes": (2, 2), "normalize": True}),
    *_of("Dot", [(2, 3, 4), (2, 4, 6)], {"axes": (2, 1)}, {"axes": (-1, -2)}),
    *_of("Dot", [(2, 3, 4), (2, 3)], {"axes": 1}),
    *_of("Dot", [(2, 3, 4, 5), (2, 5, 3)], {"axes": (3, 1)}),
    *_of("Activation", IMAGE, {"activation": "sigmoid"}),
    *_of("ReLU", IMAGE, {}, {"max_value": 0.5, "negative_slope": 0.1, "threshold": 0.2}),
    *_of("LeakyReLU", IMAGE, {}, {"negative_slope": 0.1}),
    *_of("PReLU", IMAGE, {}, {"shared_axes": (1, 2)}),
    *_of("ELU", IMAGE, {}, {"alpha": 0.5}),
    *_of("Softmax", IMAGE, {}, {"axis": 1}, {"axis": (1, 2)}),
    *_of("Identity", IMAGE, {}),
    *(
        (name, settings, IMAGE)
        for name, settings in [
            ("Dropout", {"rate": 0.5}), ("AlphaDropout", {"rate": 0.5}),
            ("GaussianDropout", {"rate": 0.5}), ("GaussianNoise", {"stddev": 0.5}),
            ("SpatialDropout2D", {"rate": 0.5}),
        ]
    ),
    *_of("SpatialDropout1D", LINE, {"rate": 0.5}),
    *_of("SpatialDropout3D", VOLUME, {"rate": 0.5}),
    *_of("Rescaling", IMAGE, {"scale": 2.0, "offset": -1.0}, {"scale": [1.0, 2.0, 3.0, 4.0]}),
    *_of("Normalization", IMAGE, {"mean": 0.5, "variance": 2.0}),
    *_of("Normalization", IMAGE, {"mean": [0.1, 0.2, 0, 1], "variance": [1, 2, 3, 0.0]}),
    *_of("Normalization", IMAGE, {"axis": (1, 3), "mean": 0.5, "variance": 2, "invert": True}),
    *_of("CenterCrop", (2, 7, 9, 3), {"height": 4, "width": 4}, {"height": 3, "width": 8}),
    *_of("CenterCrop", (2, 7, 9, 3), {"height": 10, "width": 5}),
    *_of("CenterCrop", (2, 3, 7, 9), {"height": 4, "width": 3, **FIRST}),
    *(
        ("Resizing", {"height": size[0], "width": size[1], **settings}, (2, 8, 6, 3))
        for size in ((4, 5), (11, 13))
        for settings in (
            {}, {"interpolation": "nearest"}, {"interpolation": "bicubic"}, {"antialias": True},
            {"interpolation": "bicubic", "antialias": True}, {"crop_to_aspect_ratio": True},
            {"pad_to_aspect_ratio": True, "fill_value": 0.5},
        )
    ),
    *_of("Resizing", (2, 3, 8, 6), {"height": 4, "width": 5, **FIRST}),
]  # fmt: skip

#: Of what Keras has and we have not: quantisation, LoRA, several machines, batch renormalisation,
#: sparse and ragged tensors, masks that layers pass on.
OTHERS = {
    "lora_rank", "lora_alpha", "quantization_config", "synchronized", "renorm", "renorm_clipping",
    "renorm_momentum", "sparse", "rms_scaling",
}  # fmt: skip
LAYERS = sorted(
    name
    for name in set(gt.layers.__all__) & set(dir(keras.layers))
    if isinstance(getattr(keras.layers, name), type) and name not in ("InputSpec", "Layer")
)


def uniform(rng: np.random.Generator, shape: Any) -> Any:
    if isinstance(shape, list):
        return [uniform(rng, s) for s in shape]
    return rng.uniform(-1, 1, shape).astype(np.float32)


def made(name: str, settings: dict[str, Any]) -> tuple[Any, Any]:
    """The same layer of both packages."""
    return getattr(gt.layers, name)(**settings), getattr(keras.layers, name)(**settings)


def label(case: Case) -> str:
    return "-".join(map(str, (case[0], *case[1].values())))


def with_gradients(ours: Any, theirs: Any, x: Any, **settings: Any) -> None:
    """Assert equal outputs, and equal gradients of inputs and weights for a random cotangent."""
    several = isinstance(x, list)
    inputs = [gt.tensor(a, requires_grad=True) for a in (x if several else [x])]
    others = [torch.tensor(a, requires_grad=True) for a in (x if several else [x])]
    y = ours(inputs if several else inputs[0], **settings)
    z = theirs(others if several else others[0], **settings)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), RTOL, ATOL)
    cotangent = uniform(np.random.default_rng(1), y.shape)
    y.backward(cotangent)
    (z * torch.tensor(cotangent)).sum().backward()
    pairs = [(a.grad, b.grad) for a, b in zip(inputs, others, strict=True)]
    weights = zip(ours.trainable_weights, theirs.trainable_weights, strict=True)
    pairs += [(a.grad, b.value.grad) for a, b in weights]
    for mine, other in pairs:
        np.testing.assert_allclose(mine.numpy(), other.detach().numpy(), 10 * RTOL, 10 * ATOL)


@pytest.mark.parametrize("case", CASES, ids=label)
def test_values_and_gradients(case: Case) -> None:
    name, settings, shape = case
    rng = np.random.default_rng(0)
    ours, theirs = made(name, settings)
    x = uniform(rng, shape)
    theirs.build(shape)
    ours.build(shape)
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights] or not theirs.weights
    if theirs.weights:
        values = [np.abs(uniform(rng, w.shape)) for w in theirs.weights]
        ours.set_weights(values)
        theirs.set_weights(values)
    with_gradients(ours, theirs, x)
    assert ours.compute_output_shape(shape) == tuple(theirs.compute_output_shape(shape))
    again = type(ours).from_config(ours.get_config())
    again.build(shape)
    again.set_weights(ours.get_weights())
    np.testing.assert_array_equal(again(x).numpy(), ours(x).numpy())


@pytest.mark.parametrize("masked", [False, True])
def test_batch_normalization_while_training(masked: bool) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = made("BatchNormalization", {"momentum": 0.8})
    x = uniform(rng, IMAGE)
    given = {"mask": rng.random(IMAGE[:-1]) < 0.6} if masked else {}
    with_gradients(ours, theirs, x, training=True, **given)
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, RTOL, ATOL)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), None], ids=str)
def test_normalization_adapts(axis: Any) -> None:
    data = uniform(np.random.default_rng(0), (20, 3, 4))
    ours, theirs = made("Normalization", {"axis": axis})
    ours.adapt(data)
    theirs.adapt(data)
    expected = keras.ops.convert_to_numpy(theirs(data))
    np.testing.assert_allclose(ours(data).numpy(), expected, RTOL, ATOL)


def test_embedding() -> None:
    ours, theirs = made("Embedding", {"input_dim": 7, "output_dim": 3})
    ids = np.random.default_rng(0).integers(0, 7, (4, 5))
    theirs.build()
    ours.build((None, 5))
    ours.set_weights(theirs.get_weights())
    y, z = ours(ids), theirs(ids)
    cotangent = uniform(np.random.default_rng(1), y.shape)
    y.backward(cotangent)
    (z * torch.tensor(cotangent)).sum().backward()
    np.testing.assert_array_equal(y.numpy(), z.detach().numpy())
    theirs_grad = theirs.trainable_weights[0].value.grad.numpy()
    np.testing.assert_allclose(ours.embeddings.grad.numpy(), theirs_grad, RTOL, ATOL)
    assert ours.compute_output_shape((None, 5)) == theirs.compute_output_shape((None, 5))


def test_softmax_with_a_mask() -> None:
    rng = np.random.default_rng(0)
    x, mask = uniform(rng, (3, 5)), rng.random((3, 5)) < 0.6
    for axis in (-1, (0, 1)):
        ours, theirs = made("Softmax", {"axis": axis})
        expected = keras.ops.convert_to_numpy(theirs(x, mask=torch.tensor(mask)))
        np.testing.assert_allclose(ours(x, mask=mask).numpy(), expected, RTOL, ATOL)


# Arguments and configurations


def _arguments(cls: Any) -> dict[str, Any]:
    """The arguments of a layer and their defaults, but for those that every layer has."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(cls).parameters.values()
    shared = ("self", "trainable", "dtype", "name", "autocast")
    return {p.name: p.default for p in parameters if p.kind in kinds and p.name not in shared}


def _same(one: Any, other: Any) -> bool:
    """Whether defaults mean the same: one number stands for all axes."""
    if isinstance(one, tuple) and not isinstance(other, tuple):
        return all(_same(n, other) for n in one)
    return one is other or one == other


@pytest.mark.parametrize("name", LAYERS)
def test_arguments_come_in_keras_order_with_its_defaults(name: str) -> None:
    mine, theirs = (_arguments(getattr(m, name)) for m in (gt.layers, keras.layers))
    names = [n for n in theirs if n not in OTHERS]
    assert [n for n in mine if n in theirs and n not in OTHERS] == names
    assert {n for n in mine if n not in theirs} <= {"data_format", "activity_regularizer"}
    wrong = {n: (theirs[n], mine[n]) for n in names if not _same(theirs[n], mine[n])}
    assert not wrong


_MADE = {
    **{name: settings for name, settings, _ in CASES},
    "Embedding": {"input_dim": 3, "output_dim": 2},
    "InputLayer": {"shape": (3,)},
    "Lambda": {"function": keras.activations.relu},
}
_FACTORS = {"factor": 0.2, "height_factor": 0.1, "width_factor": 0.1, "height": 3, "width": 3}


@pytest.mark.parametrize("name", [n for n in LAYERS if n not in ("Lambda", "InputLayer")])
def test_configurations_have_keras_keys(name: str) -> None:
    required = [
        n for n, v in _arguments(getattr(keras.layers, name)).items() if v is inspect._empty
    ]
    settings = _MADE.get(getattr(gt.layers, name).__name__) or {n: _FACTORS[n] for n in required}
    ours, theirs = made(name, settings)
    mine, other = ours.get_config().keys(), theirs.get_config().keys()
    assert other - OTHERS - {"activity_regularizer"} <= mine  # ours is there if it is set
