"""`GradientTape`: what is computed inside has gradients."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt


def test_gradients_come_in_the_structure_of_the_sources() -> None:
    a, b, c = (gt.Variable(np.array(v)) for v in ([1.0, 2.0], [3.0, 4.0], [5.0]))
    with gt.no_grad(), gt.GradientTape(persistent=True) as tape:
        y = a * a * b
    assert tape.gradient(y, a).tolist() == [6.0, 16.0]
    first, second, none = tape.gradient(y, [a, b, c])
    assert first.tolist() == [6.0, 16.0] and second.tolist() == [1.0, 4.0] and none is None
    assert list(tape.gradient(y, {"b": b})) == ["b"]
    assert tape.gradient(y, []) == []


def test_tensors_are_watched_on_request() -> None:
    x = gt.tensor([2.0])
    with gt.GradientTape() as tape:
        tape.watch(x)
        y = gt.ops.sum(x * x)
    assert tape.gradient(y, x).tolist() == [4.0]


def test_gradient_can_be_asked_for_once_unless_persistent() -> None:
    x = gt.Variable(np.array([2.0]))
    with gt.GradientTape() as tape:
        y = gt.ops.sum(x * x)
    tape.gradient(y, x)
    with pytest.raises(RuntimeError):
        tape.gradient(y, x)
