"""Helpers return what Keras's return."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras

X = np.random.default_rng(0).normal(size=(3, 4, 2))
IMAGE = np.random.default_rng(1).integers(0, 256, (5, 4, 3)).astype("float32")
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("to_categorical", ([0, 2, 1],), {}),
    ("to_categorical", (np.array([[1], [3]]),), {"num_classes": 5}),
    ("normalize", (X,), {}),
    ("normalize", (X,), {"axis": 1, "order": 1}),
    ("pad_sequences", ([[1], [2, 3], [4, 5, 6]],), {}),
    ("pad_sequences", ([[1], [2, 3], [4, 5, 6]],), {"maxlen": 2, "padding": "post"}),
    ("pad_sequences", ([[1.5], [2, 3, 4]],), {"maxlen": 2, "truncating": "post", "value": 9.0,
                                             "dtype": "float32"}),
    ("img_to_array", (gt.utils.array_to_img(IMAGE, scale=False),), {}),
    ("img_to_array", (gt.utils.array_to_img(IMAGE),), {"data_format": "channels_first"}),
    ("array_to_img", (IMAGE,), {"scale": False}),
    ("array_to_img", (IMAGE[..., :1],), {}),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(CALLS)])
def test_utils_return_what_keras_returns(call: Any) -> None:
    name, arguments, settings = call
    ours = getattr(gt.utils, name)(*arguments, **settings)
    theirs = getattr(keras.utils, name)(*arguments, **settings)
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
