"""What tests of programs share: a model natively beside the same model eagerly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradtape as gt
from gradtape import program

Array = np.ndarray


def sequential(*layers: Callable[[], Any], shape: tuple[int, ...], seed: int = 1) -> Any:
    """A chain of fresh layers."""
    gt.utils.set_random_seed(seed)
    return gt.Sequential([gt.Input(shape), *(make() for make in layers)])


def assert_replays(
    make: Callable[[], Any],
    batch: Callable[[int], tuple[Array, ...]],
    loss: Any,
    steps: int = 5,
    rate: float = 0.05,
    tolerance: float = 1e-5,
) -> None:
    """Assert that training natively is training eagerly, up to the rounding of float32.

    Args:
        make: the model, the same each time.
        batch: inputs, targets and perhaps weights of samples, by number.
        loss: what to train on.
        steps: how many steps of stochastic gradient descent, of this `rate`.
        tolerance: of losses (relative), weights and predictions (of the largest).
    """
    native, eager = make(), make()
    for model in (native, eager):
        model.compile(gt.optimizers.SGD(rate, momentum=0.9), loss)
    eager._native = False
    for number in range(steps):
        given = batch(number)
        got, expected = native.train_on_batch(*given), eager.train_on_batch(*given)
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    assert native._native.reason is None, native._native.reason
    for a, b in zip(native.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1, np.abs(b).max(initial=0)))
    given = batch(steps)
    got, expected = native.test_on_batch(*given), eager.test_on_batch(*given)
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    got, expected = native.predict(given[0], verbose=0), eager.predict(given[0], verbose=0)
    size = max(1, np.abs(expected).max())
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * size)


def assert_same_bits(
    make: Callable[[], Any],
    batch: Callable[[int], tuple[Array, ...]],
    loss: Any,
    workers: tuple[int, ...] = (1, 2, 3, 4),
) -> None:
    """Assert that the number of threads changes no bit, and that no kernel leaves its buffers."""
    results = []
    for count in workers:
        model = make()
        model.compile(gt.optimizers.SGD(0.05, momentum=0.9), loss)
        variables = model.trainable_variables
        model.optimizer.build(variables)
        x = batch(0)[0]
        graph = program.graph_of(model, x.shape[1:])
        update = program.Update(model.optimizer, variables)
        step = program.Step(graph, len(x), np.float32, model._scores.loss, update, count, guard=64)
        losses = []
        for number in range(2):
            losses.append(step.run(*batch(number))[0])
            step.program.check_canaries()
        results.append((losses, model.get_weights()))
    for losses, weights in results[1:]:
        assert losses == results[0][0]
        for a, b in zip(weights, results[0][1], strict=True):
            np.testing.assert_array_equal(a, b)
