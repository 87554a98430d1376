"""What code of users computes in: the dtypes of a program are those of the eager step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_program_stale import SHAPE, data, net

import gradtape as gt

L, ops = gt.layers, gt.ops


def test_an_array_of_float64_makes_float64_as_it_does_eagerly() -> None:
    for function in (lambda s, x: x * np.arange(4.0), lambda s, x: x + np.array([1.5])):
        model = net(function)
        outputs = [gt.Model(model.inputs, model.layers[1].output) for _ in range(2)]
        outputs[1]._native = False
        x, _ = data(5, 0)
        a, b = (o.predict(x, verbose=0) for o in outputs)
        assert a.dtype == b.dtype == np.float64
        np.testing.assert_allclose(a, b, rtol=1e-6)


class Bytes(gt.Model):
    """Computes with images of bytes before any layer makes floats of them."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function, self.flatten, self.dense = function, L.Flatten(), L.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(self.flatten(self.function(x)))


@pytest.mark.parametrize(
    ("function", "is_native"),
    [
        (lambda x: x + x, False),
        (lambda x: -x, False),
        (lambda x: x * x, False),
        (lambda x: x / 255, True),
        (lambda x: x * 0.5 - 3, True),
        (lambda x: x[:, 1:, ::-1] / 255, True),
        (lambda x: x.astype("float32") + x.astype("float32"), True),
        (lambda x: (x > 100) * 1.0, True),
        (lambda x: ops.tanh(x) + x.dtype.itemsize, True),
    ],
)
def test_bytes_are_computed_with_as_they_are_eagerly(
    function: Callable[[Any], Any], is_native: bool
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (9, *SHAPE)).astype(np.uint8)
    model = Bytes(function)
    model.build((None, *SHAPE))
    expected = model(x).numpy()
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-2)
    assert (model._native.reason is None) == is_native
    floats = x.astype(np.float32)
    np.testing.assert_allclose(
        model.predict(floats, verbose=0), model(floats).numpy(), rtol=1e-4, atol=1e-2
    )
    assert model._native.reason is None
