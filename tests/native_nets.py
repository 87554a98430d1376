"""Small nets on native programs, judged by the eager ones in float64."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

import gradtape as gt
from gradtape import program

Array = np.ndarray
L = gt.layers
EPS = float(np.finfo(np.float32).eps)
Layers = Callable[[Any], list[Any]]
#: Whether to take all sizes of a batch and many more numbers, as `make kernels` does.
THOROUGH = os.environ.get("GRADTAPE_THOROUGH", "0") != "0"


def sizes(*batches: int) -> tuple[int, ...]:
    """Of sizes of a batch, in order: all, or one sample and the last, which fills no shard."""
    return batches if THOROUGH else (batches[0], batches[-1])


def net_of(layers: Layers, shape: tuple[int, ...], dtype: str) -> gt.Sequential:
    gt.utils.set_random_seed(3)
    return gt.Sequential(
        [gt.Input(shape, dtype=dtype), *layers({"dtype": dtype}), L.Flatten(dtype=dtype)]
    )


def gradients_of(model: gt.Sequential, x: Array, y: Array) -> tuple[Array, list[Array]]:
    """Predictions and gradients, eagerly."""
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    predictions = model(x, training=True)
    loss(y, predictions).backward()
    found = [v.grad.data for v in model.trainable_variables]
    for v in model.trainable_variables:
        v.zero_grad()
    return predictions.data, found


def agrees_with_float64(layers: Layers, shape: tuple[int, ...], products: int, batch: int) -> None:
    """Predictions and gradients of a program are those of float64, up to rounding; no kernel writes
    outside of its buffers.

    Args:
        layers: given the keyword arguments for each, the layers.
        shape: of a sample.
        products: the most products in a sum of one sample.
        batch: samples.
    """
    single, double = (net_of(layers, shape, d) for d in ("float32", "float64"))
    double.set_weights([w.astype(np.float64) for w in single.get_weights()])
    rng = np.random.default_rng(batch)
    for v, w in zip(single.trainable_variables, double.trainable_variables, strict=True):
        v.assign(rng.normal(size=v.shape, scale=0.5).astype(np.float32))
        w.assign(v.data.astype(np.float64))
    x = rng.normal(size=(batch, *shape)).astype(np.float32)
    classes = single.output_shape[-1]
    y = rng.integers(0, classes, batch)
    exact, gradients = gradients_of(double, x.astype(np.float64), y)

    optimizer = gt.optimizers.SGD(0.0)
    optimizer.build(single.trainable_variables)
    update = program.Update(optimizer, single.trainable_variables)
    graph = program.graph_of(single, shape)
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    step = program.Step(graph, batch, np.float32, loss, update, guard=64)
    for _ in range(2):  # nothing may be left over from the run before
        _, predictions = step.run(x, y)
        step.program.check_canaries()
    scale = 1 + np.abs(exact).max()
    bound = 4 * np.sqrt(products) * EPS
    assert np.abs(predictions - exact).max() <= bound * scale
    total = step.program.gradient()
    for variable, gradient in zip(single.trainable_variables, gradients, strict=True):
        start = update.offsets[variable]
        got = total[start : start + variable.size].reshape(variable.shape)
        # every term may be as large as these; they are summed over the batch as well
        size = np.abs(gradient).max() + scale / 4
        assert np.abs(got - gradient).max() <= bound * size, variable.path
