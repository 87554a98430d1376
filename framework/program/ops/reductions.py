"""Sums, means and extremes along axes of the samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd.tape import OPS
from ...kernels import windows
from ...ops.axes import axis_tuple
from ..graph import Node, NotNative, Shape
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from .shape import Move, as_floats, moved, permuted, reshaped


def _axes(x: Traced, axis: Any, op: str) -> tuple[tuple[int, ...], Shape, Shape]:
    """The axes of the samples that are gone, and the shapes with them (of length 1) and without.

    Raises:
        NotNative: the batch is one of them.
    """
    axes = tuple(a - 1 for a in axis_tuple(axis, x.ndim))
    if axes and axes[0] < 0:
        raise NotNative(f"the op {op!r} mixes the samples of a batch")
    ones = tuple(1 if i in axes else n for i, n in enumerate(x.sample))
    rest = tuple(n for i, n in enumerate(x.sample) if i not in axes)
    return axes, ones, rest


def total(t: Trace, x: Traced, axes: tuple[int, ...]) -> Traced:
    """The sum along axes of the samples, which stay with length 1."""
    kept = tuple(i not in axes for i in range(len(x.sample)))
    shape = tuple(n if k else 1 for n, k in zip(x.sample, kept, strict=True))
    return x if shape == x.sample else moved(t, x, Move.total(x.sample, kept), shape)


@traces("take_along_axis")
def _take_along_axis(t: Trace, x: Any, indices: Any, axis: Any) -> Traced:
    """One place along the last axis for each of the others: the sum of what is there and zeros."""
    if axis not in (-1, x.ndim - 1) or not isinstance(indices, Traced) or indices.sample[-1] != 1:
        raise NotNative("take_along_axis has no lowering for these indices")
    *_, length = x.sample
    places = np.arange(length, dtype=np.float32)
    chosen = OPS["where"](OPS["equal"](indices, places), x, 0.0)
    return total(t, chosen, (len(x.sample) - 1,))


@traces("sum")
def _sum(t: Trace, x: Any, axis: Any, keepdims: bool) -> Traced:
    axes, ones, rest = _axes(x, axis, "sum")
    return reshaped(t, total(t, as_floats(t, x), axes), ones if keepdims else rest)


@traces("mean")
def _mean(t: Trace, x: Any, axis: Any, keepdims: bool) -> Traced:
    axes, ones, rest = _axes(x, axis, "mean")
    x = as_floats(t, x)
    shape = ones if keepdims else rest
    if axes and axes == tuple(range(len(axes))) and len(rest) == 1:  # the pixels of an image
        return reshaped(t, t.add("global_average", (x,), rest), shape)
    count = math.prod(x.sample[a] for a in axes)
    return reshaped(t, total(t, x, axes) * (1 / count), shape)


@traces("max")
def _max(t: Trace, x: Any, axis: Any, keepdims: bool) -> Traced:
    axes, ones, rest = _axes(x, axis, "max")
    order = (*axes, *(i for i in range(len(x.sample)) if i not in axes))
    pixels = math.prod(x.sample[a] for a in axes)
    x = reshaped(t, permuted(t, x, order), (pixels, math.prod(rest)))
    largest = t.add("global_max", (x,), (math.prod(rest),), dtype=x.dtype)
    return reshaped(t, largest, ones if keepdims else rest)


@traces("min")
def _min(t: Trace, x: Any, axis: Any, keepdims: bool) -> Traced:
    return -_max(t, -x, axis, keepdims)


@lowers("global_average")
class GlobalAverage(OpLowering):
    """The mean of each channel."""

    def forward(self, low: Lowering, node: Node) -> None:
        *pixels, channels = low.graph.shapes[node.inputs[0]]
        x = low.values[node.inputs[0]]
        low.build.emit(windows.global_average, low.output(node), x, math.prod(pixels), channels)

    def backward(self, low: Lowering, node: Node) -> None:
        *pixels, channels = low.graph.shapes[node.inputs[0]]
        g = low.gradients[node.output]
        low.give(
            node.inputs[0],
            lambda out: low.build.emit(
                windows.global_average_back, out, g, math.prod(pixels), channels
            ),
        )


@lowers("global_max")
class GlobalMax(OpLowering):
    """The largest of each channel; equal ones share the gradient."""

    reads_output = True

    def forward(self, low: Lowering, node: Node) -> None:
        *pixels, channels = low.graph.shapes[node.inputs[0]]
        x = low.values[node.inputs[0]]
        low.build.emit(windows.global_maximum, low.output(node), x, math.prod(pixels), channels)

    def backward(self, low: Lowering, node: Node) -> None:
        *pixels, channels = low.graph.shapes[node.inputs[0]]
        g, x, y = (
            low.gradients[node.output],
            low.values[node.inputs[0]],
            low.values[node.output],
        )
        low.give(
            node.inputs[0],
            lambda out: low.build.emit(
                windows.global_maximum_back, out, g, x, y, math.prod(pixels), channels
            ),
        )
