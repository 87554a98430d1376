"""What tests of programs share: a model natively beside the same model eagerly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import gradtape as gt
from gradtape import program
from gradtape.kernels.simd import SHARD

Array = np.ndarray
L = gt.layers


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


def at_points(
    points: Any, after: Callable[[Any], Any], loss: Any, targets: Callable[[Array], Array]
) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """What a net makes of given numbers, exactly, and the gradient for them: natively, and eagerly.

    The numbers are the biases of a layer that is given zeros, so that not even infinities and NaN
    meet each other before `after`.

    Args:
        points: the numbers, as the features of a pixel.
        after: from their symbolic tensor, of shape (N, 1, number of points), to the output.
        loss: of the output.
        targets: from the predictions of a batch.
    """
    values = np.ravel(np.asarray(points, np.float32))
    bias = L.DepthwiseConv1D(1)
    inputs = gt.Input((1, len(values)))
    model = gt.Model(inputs, after(bias(inputs)))
    bias.bias.assign(values)
    model.compile(gt.optimizers.SGD(0.0), loss)
    variables = model.trainable_variables
    model.optimizer.build(variables)
    update = program.Update(model.optimizer, variables)
    x = np.zeros((SHARD, 1, len(values)), np.float32)
    with np.errstate(all="ignore"):
        predictions = model(x, training=True)
        y = targets(predictions.numpy())
        model._scores.loss(y, predictions).backward()
        graph = program.graph_of(model, x.shape[1:])
        step = program.Step(graph, len(x), np.float32, model._scores.loss, update)
        assert not step.islands
        found = step.run(x, y)[1]
    first = update.offsets[bias.bias]
    gradient = step.program.gradient()[first : first + len(values)]
    return (found[0], gradient), (predictions.numpy()[0], bias.bias.grad.numpy())


def assert_same_at(
    points: Any, after: Callable[[Any], Any], loss: Any, targets: Callable[[Array], Array]
) -> None:
    """Assert that `at_points` gives the same natively and eagerly, also whether it is NaN.

    Where infinity makes NaN of an eager value, a program may know better.
    """
    native, eager = at_points(points, after, loss, targets)
    given = np.ravel(np.asarray(points, np.float32))
    for got, expected in zip(native, eager, strict=True):
        got, expected = got.ravel(), expected.ravel()
        free = np.isnan(expected) & np.isinf(given).any() & ~np.isnan(given).any()
        if got.shape == given.shape:
            free = np.isnan(expected) & np.isinf(given)
        np.testing.assert_allclose(got[~free], expected[~free], rtol=2e-5, atol=2e-6)
