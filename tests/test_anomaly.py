"""Anomaly mode names the op and the user's line that first made a NaN or an infinity."""

from __future__ import annotations

import numpy as np
import pytest

import gradtape as gt


def test_forward_names_the_op_and_this_line():
    x = gt.tensor(np.array([0.0, -1.0]), requires_grad=True)
    failure = pytest.raises(FloatingPointError, match="log made the first NaN")
    with failure as raised, gt.detect_anomaly(), np.errstate(all="ignore"):
        gt.ops.exp(gt.ops.log(x))  # the faulty line
    assert "test_anomaly.py" in str(raised.value)
    assert "the faulty line" in str(raised.value)


def test_infinities_and_inputs_that_were_wrong_already():
    with gt.detect_anomaly(), np.errstate(all="ignore"):
        with pytest.raises(FloatingPointError, match="divide made the first infinity"):
            gt.tensor([1.0]) / 0.0
        with pytest.raises(FloatingPointError, match=r"exp received an input with NaN \(input 0\)"):
            gt.ops.exp(gt.tensor([np.nan]))


def test_backward_names_the_op_and_the_line_that_applied_it():
    x = gt.tensor([0.0], requires_grad=True)
    failure = pytest.raises(FloatingPointError, match=r"gradient of sqrt .* first infinity")
    with failure as raised, gt.detect_anomaly(), np.errstate(all="ignore"):
        y = gt.ops.sqrt(x)  # zero has no slope
        (y * 2).sum().backward()
    assert "zero has no slope" in str(raised.value)
    assert x.grad is None


def test_nothing_is_checked_outside_and_the_mode_ends():
    with gt.detect_anomaly():
        gt.ops.exp(gt.tensor([1.0]))
    with np.errstate(all="ignore"):
        assert np.isnan(gt.ops.log(gt.tensor([-1.0])).item())
    with gt.detect_anomaly(), gt.detect_anomaly(False), np.errstate(all="ignore"):
        assert np.isnan(gt.ops.log(gt.tensor([-1.0])).item())
