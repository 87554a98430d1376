"""Losses under Keras's names have Keras's arguments, defaults and values."""

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
RTOL, ATOL = 1e-5, 1e-6  # everything is float32

#: For each loss the kind of data it takes, and settings to compare it with.
CASES: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "MeanSquaredError": ("real", [{}]),
    "MeanAbsoluteError": ("real", [{}]),
    "MeanAbsolutePercentageError": ("real", [{}]),
    "MeanSquaredLogarithmicError": ("real", [{}]),
    "CosineSimilarity": ("real", [{}, {"axis": 1}]),
    "Huber": ("real", [{}, {"delta": 0.3}]),
    "LogCosh": ("real", [{}]),
    "Poisson": ("positive", [{}]),
    "KLDivergence": ("distributions", [{}]),
    "Hinge": ("binary", [{}]),
    "SquaredHinge": ("signs", [{}]),
    "CategoricalHinge": ("one_hot", [{}]),
    "BinaryCrossentropy": (
        "binary",
        [{}, {"from_logits": True}, {"label_smoothing": 0.2}, {"axis": 1}],
    ),
    "BinaryFocalCrossentropy": (
        "binary",
        [
            {},
            {"from_logits": True, "gamma": 1.5},
            {"apply_class_balancing": True, "alpha": 0.4, "label_smoothing": 0.1},
        ],
    ),
    "CategoricalCrossentropy": (
        "one_hot",
        [{}, {"from_logits": True}, {"label_smoothing": 0.2}],
    ),
    "CategoricalFocalCrossentropy": (
        "one_hot",
        [
            {},
            {"from_logits": True, "gamma": 1.0},
            {"alpha": [0.1, 0.2, 0.3, 0.4], "label_smoothing": 0.1},
        ],
    ),
    "SparseCategoricalCrossentropy": (
        "labels",
        [{}, {"from_logits": True}, {"ignore_class": 2}, {"ignore_class": 0, "from_logits": True}],
    ),
    "Dice": ("binary", [{}, {"axis": -1}, {"axis": (1,)}]),
    "Tversky": ("binary", [{}, {"alpha": 0.3, "beta": 0.7}, {"axis": 1}]),
    "Circle": ("embeddings", [{}, {"gamma": 20, "margin": 0.2}, {"remove_diagonal": False}]),
    "CategoricalGeneralizedCrossEntropy": ("labels", [{}, {"q": 0.8}]),
}
NAMED = [(name, settings) for name, (_, choices) in CASES.items() for settings in choices]
REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", None)


def data_of(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Array, Array]:
    """Targets and predictions of a shape (..., 4), predictions from 0 to 1 where that matters."""
    rows, classes = shape[:-1], shape[-1]
    p = rng.uniform(0.02, 1, shape).astype(np.float32)
    if kind == "real":
        return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)
    if kind == "positive":
        return rng.poisson(2, shape), 3 * p
    if kind == "distributions":
        q = rng.uniform(0, 1, shape).astype(np.float32)
        q[..., 0] = 0
        return q / q.sum(-1, keepdims=True), p / p.sum(-1, keepdims=True)
    yes = rng.integers(0, 2, shape)
    if kind in ("binary", "signs"):
        return (yes if kind == "binary" else 2 * yes - 1), p
    labels = rng.integers(0, classes, rows)
    if kind == "one_hot":
        return np.eye(classes, dtype=np.float32)[labels], p
    if kind == "embeddings":
        x = rng.normal(size=shape).astype(np.float32)
        return labels, x / np.linalg.norm(x, axis=-1, keepdims=True)
    return labels, p / p.sum(-1, keepdims=True)


def weights_for(values: tuple[int, ...], rng: np.random.Generator) -> list[Array | None]:
    """No weights, and weights of each shape that Keras broadcasts to such values."""
    shapes = [(values[0],)] if len(values) == 1 else [(values[0], 1), values, (*values, 1)]
    some = rng.uniform(0, 2, values[:1]).astype(np.float32)
    some[0] = 0
    return [None, some[:, None] if len(values) > 1 else some] + [
        rng.uniform(0, 2, s).astype(np.float32) for s in shapes
    ]


def compare(ours: Any, theirs: Any, *given: Any) -> None:
    expected = keras.ops.convert_to_numpy(theirs(*given))
    result = ours(*given).numpy()
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, RTOL, ATOL)


@pytest.mark.parametrize(("name", "settings"), NAMED, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS, ids=str)
def test_value(name: str, settings: dict[str, Any], reduction: str | None) -> None:
    rng = np.random.default_rng(0)
    kind = CASES[name][0]
    for shape in [(7, 4), (5, 3, 4)]:
        if kind == "embeddings" and len(shape) > 2:
            continue
        y, p = data_of(kind, shape, rng)
        ours = getattr(gt.losses, name)(**settings, reduction=reduction)
        theirs = getattr(keras.losses, name)(**settings, reduction=reduction)
        values = getattr(gt.losses, name)(**settings, reduction=None)(y, p).shape
        for weights in weights_for(values or shape[:1], rng):
            if "ignore_class" in settings and weights is not None and weights.shape[1:2] == (1,):
                continue  # Keras multiplies them in place with its mask, which PyTorch refuses
            compare(ours, theirs, y, p, weights)


@pytest.mark.parametrize(("name", "settings"), NAMED, ids=str)
def test_gradient(name: str, settings: dict[str, Any]) -> None:
    y, p = data_of(CASES[name][0], (7, 4), np.random.default_rng(5))
    ours, theirs = (getattr(m.losses, name)(**settings) for m in (gt, keras))
    mine = gt.tensor(p, requires_grad=True)
    other = torch.tensor(p, requires_grad=True)
    ours(y, mine).backward()
    theirs(y, other).backward()
    assert mine.grad is not None and other.grad is not None
    np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), 10 * RTOL, ATOL)


@pytest.mark.parametrize("reduction", REDUCTIONS, ids=str)
def test_wrapped_function_knows_what_counts(reduction: str | None) -> None:
    y, p = data_of("labels", (7, 4), np.random.default_rng(6))
    wrappers = gt.losses.LossFunctionWrapper, keras.src.losses.losses.LossFunctionWrapper
    made = [
        wrapper(m.losses.sparse_categorical_crossentropy, reduction, ignore_class=1)
        for wrapper, m in zip(wrappers, (gt, keras), strict=True)
    ]
    compare(*made, y, p)


@pytest.mark.parametrize("name", CASES)
def test_arguments_and_defaults(name: str) -> None:
    parameters = [
        {n: p.default for n, p in inspect.signature(getattr(m.losses, name)).parameters.items()}
        for m in (gt, keras)
    ]
    assert parameters[0] == parameters[1]
    assert list(parameters[0]) == list(parameters[1])


@pytest.mark.parametrize("name", CASES)
def test_function(name: str) -> None:
    function = getattr(gt.losses, name).function
    theirs = getattr(keras.losses, function.__name__, None)
    if theirs is None:  # Keras exports the class only
        theirs = keras.src.losses.losses.categorical_generalized_cross_entropy
    ours, expected = (inspect.signature(f).parameters.values() for f in (function, theirs))
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in expected]
    y, p = data_of(CASES[name][0], (6, 4), np.random.default_rng(1))
    settings = {"q": 0.5} if "Generalized" in name else {}
    if "Generalized" not in name:
        assert keras.losses.get(function.__name__) is theirs
    tensors = keras.ops.convert_to_tensor(y), keras.ops.convert_to_tensor(p)
    expected_values = keras.ops.convert_to_numpy(theirs(*tensors, **settings))
    np.testing.assert_allclose(function(y, p, **settings).numpy(), expected_values, RTOL, ATOL)


@pytest.mark.parametrize("name", ["Categorical", "CategoricalFocal", "SparseCategorical"])
@pytest.mark.parametrize("logits", [False, True])
def test_classes_on_another_axis(name: str, logits: bool) -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, (3, 4, 5))
    p = rng.uniform(0.1, 1, (3, 4, 4, 5)).astype(np.float32)
    y = labels if name.startswith("Sparse") else np.moveaxis(np.eye(4)[labels], -1, 1)
    settings = {"axis": 1, "from_logits": logits, "reduction": None}
    ours, theirs = (getattr(m.losses, f"{name}Crossentropy")(**settings) for m in (gt, keras))
    compare(ours, theirs, y.astype(np.float32) if y.ndim == 4 else y, p)


def test_extremes() -> None:
    y = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], np.float32)
    p = np.array([[0, 0, 1], [1, 0, 0], [0.5, 1, 0]], np.float32)
    for name, (kind, _) in CASES.items():
        if kind in ("binary", "real", "positive", "distributions"):
            compare(*(getattr(m.losses, name)(reduction=None) for m in (gt, keras)), y, p)
    shifted = 200 * (p - 0.5)
    for name in ("BinaryCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy"):
        made = (getattr(m.losses, name)(from_logits=True, reduction=None) for m in (gt, keras))
        compare(*made, y, shifted)


def test_ranks_that_differ_by_one_unit_axis() -> None:
    rng = np.random.default_rng(3)
    for true, predicted in [
        ((5,), (5, 1)),
        ((5, 1), (5,)),
        ((5, 3), (5, 3, 1)),
        ((5, 3, 1), (5, 3)),
    ]:
        y, p = rng.uniform(size=true).astype("f4"), rng.uniform(size=predicted).astype("f4")
        for name in ("MeanSquaredError", "BinaryCrossentropy", "Huber", "Poisson"):
            for reduction in ("sum", None):
                made = (getattr(m.losses, name)(reduction=reduction) for m in (gt, keras))
                compare(*made, y, p)


def test_aliases() -> None:
    for short in ("mse", "MAE", "mape", "MSLE", "bce", "BCE", "kld", "KLD"):
        assert gt.losses.get(short).__name__ == keras.losses.get(short).__name__
