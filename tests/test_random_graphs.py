"""Random graphs, checkpointed or not and differentiated in every nesting, agree with each other.

`make kernels` draws 320 of them: GRADTAPE_RANDOM_GRAPHS says how many.
"""

from __future__ import annotations

import functools
import os
import random

import numpy as np
import pytest
from random_graphs import DERIVATIVES, RUNS, SECOND, RandomGraph, nested

import gradtape as gt

T = np.array(0.37)
GRAPHS = int(os.environ.get("GRADTAPE_RANDOM_GRAPHS", 112))


def slope(function, t, step=3e-4):
    """The derivative of a function of one number, by a five-point difference."""
    near, far = (
        (function(np.asarray(t + h)) - function(np.asarray(t - h))).item() for h in (step, 2 * step)
    )
    return (8 * near - far) / (12 * step)


def agree(found, expected, what):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11, err_msg=what)


@pytest.mark.parametrize("block", range(16))
def test_checkpoints_do_not_change_a_gradient(block):
    for seed in range(block, GRAPHS, 16):
        gradients = {}
        for name in ("plain", "checkpoint", list(RUNS)[2 + seed % 2]):
            x = gt.tensor(T, requires_grad=True)
            RandomGraph(seed, RUNS[name])(x).backward()
            gradients[name] = x.grad.item()
            agree(gradients[name], gradients["plain"], f"graph {seed}, {name}")
        if seed % 8 == 0:
            difference = slope(RandomGraph(seed), T)
            np.testing.assert_allclose(gradients["plain"], difference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("block", range(16))
def test_derivatives_of_every_nesting_agree(block):
    """Up to three orders, by argument and by closure, checkpointed or not, on all the graphs."""
    for seed in range(block, GRAPHS, 16):
        draw = random.Random(seed)
        order = 3 if seed % 8 == 0 else 2
        expected = nested(RandomGraph(seed), ["grad"] * order)(T).item()
        names = draw.choices(list(DERIVATIVES), k=order)
        if draw.random() < 0.3:
            names = [draw.choice(list(SECOND)), *names[2:]]
        run = draw.choice(list(RUNS))
        found = nested(RandomGraph(seed, RUNS[run]), names)(T).item()
        agree(found, expected, f"graph {seed}, {run}, {names}")


@functools.cache
def slope_of(seed, order):
    """The derivative of this order, as the difference of the one below."""
    return slope(nested(RandomGraph(seed), ["grad"] * (order - 1)), T)


@pytest.mark.parametrize("inner", DERIVATIVES)
def test_every_transform_in_every_other(inner):
    for outer in DERIVATIVES:
        found = nested(RandomGraph(7), [inner, outer])(T).item()
        np.testing.assert_allclose(found, slope_of(7, 2), rtol=1e-7, atol=1e-8, err_msg=outer)


@pytest.mark.parametrize("inner", SECOND)
def test_second_derivatives_can_be_differentiated(inner):
    for outer in DERIVATIVES:
        found = nested(RandomGraph(11), [inner, outer])(T).item()
        np.testing.assert_allclose(found, slope_of(11, 3), rtol=1e-6, atol=1e-7, err_msg=outer)
