"""Losses and metrics as functions: the values of samples are Keras's."""

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

RNG = np.random.default_rng(0)
SHARES = RNG.dirichlet(np.ones(4), 6).astype("float32")
OTHERS = RNG.dirichlet(np.ones(4), 6).astype("float32")
ONE_HOT = np.eye(4, dtype="float32")[RNG.integers(0, 4, 6)]
IMAGES = RNG.random((3, 4, 4, 2)).astype("float32")
MASKS = (RNG.random((3, 4, 4, 2)) < 0.5).astype("float32")

SETTINGS: dict[str, dict[str, Any]] = {
    "categorical_generalized_cross_entropy": {"q": 0.5},
    "top_k_categorical_accuracy": {"k": 2},
    "sparse_top_k_categorical_accuracy": {"k": 2},
}


def given(name: str) -> tuple[Any, Any]:
    """Targets and predictions that suit a function."""
    if name.startswith("sparse") or name in ("circle", "categorical_generalized_cross_entropy"):
        return ONE_HOT.argmax(-1).astype("int32"), OTHERS
    if name in ("dice", "tversky"):
        return MASKS, IMAGES
    if "entropy" in name or "hinge" in name:
        return ONE_HOT, OTHERS
    return SHARES, OTHERS


def functions(module: str) -> list[str]:
    """What both packages have as a function of targets and predictions."""
    ours, theirs = getattr(gt, module), getattr(keras, module)
    both = [n for n in dir(theirs) if n[0].islower() and inspect.isfunction(getattr(theirs, n))]
    return [n for n in both if hasattr(ours, n) and n not in ("get", "serialize", "deserialize")]


def agree(module: str, name: str) -> None:
    y_true, y_pred = given(name)
    settings = SETTINGS.get(name, {})
    ours = getattr(getattr(gt, module), name)(y_true, y_pred, **settings)
    tensors = (keras.ops.convert_to_tensor(v) for v in (y_true, y_pred))
    theirs = getattr(getattr(keras, module), name)(*tensors, **settings)
    expected = keras.ops.convert_to_numpy(theirs)
    found = np.asarray(getattr(ours, "data", ours))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", functions("losses"))
def test_loss_function_gives_the_same_values(name: str) -> None:
    agree("losses", name)


@pytest.mark.parametrize("name", functions("metrics"))
def test_metric_function_gives_the_same_values(name: str) -> None:
    agree("metrics", name)
