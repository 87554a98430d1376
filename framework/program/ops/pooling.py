"""Pooling.

Windows are two-dimensional; axes in front of theirs are more images. A window along a third axis is
a node of its own: the largest of the largest and the mean of the means are those of the whole box.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...kernels import pointwise, windows
from ...kernels.native import Kernel
from ...kernels.simd import SHARD
from ...ops.geometry import per_axis, window_settings
from ..build import Buffer, Ref
from ..graph import Node, Shape
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from .shape import blended, reshaped


@traces("max_pool")
def _max_pool(t: Trace, x: Any, pool_size: Any, strides: Any, padding: Any) -> Traced:
    return _pooled(t, "max_pool", x, pool_size, strides, padding)


@traces("average_pool")
def _average_pool(t: Trace, x: Any, pool_size: Any, strides: Any, padding: Any) -> Traced:
    return _pooled(t, "average_pool", x, pool_size, strides, padding)


def _pooled(t: Trace, op: str, x: Traced, pool_size: Any, strides: Any, padding: Any) -> Traced:
    shape = x.sample
    strides = pool_size if strides is None else strides
    size = per_axis(pool_size, len(shape) - 1, "pool_size", op)
    settings, lengths = window_settings(op, x.shape, "pool_size", size, strides, padding)
    axes = list(zip(settings["pool_size"], settings["strides"], settings["padding"], strict=True))
    axes = [(1, 1, (0, 0))] * (2 - len(axes)) + axes

    def pooled(x: Traced, image: Shape, result: Shape, which: Any) -> Traced:
        x = reshaped(t, x, image)
        size, strides, padding = zip(*which, strict=True)
        return t.add(op, (x,), result, size=size, strides=strides, padding=padding)

    *lead, height, width, channels = (1, *shape) if len(shape) == 2 else shape
    out_height, out_width = (1, *lengths)[-2:]
    plane = (out_height, out_width, channels)
    x = pooled(x, (*lead, height, width, channels), (*lead, *plane), axes[-2:])
    if lead:
        pixels = out_height * out_width
        along = [axes[0], (1, 1, (0, 0))]
        x = pooled(x, (*lead, pixels, channels), (lengths[0], pixels, channels), along)
    return reshaped(t, x, (*lengths, channels))


def _bins(x: Traced, output_size: Any) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    """Of each axis, the last one first, the bins ``(first, below)``: so the first of equal maxima
    wins."""
    sizes = per_axis(output_size, len(x.sample) - 1, "output_size", "adaptive pooling")
    return [
        (axis, tuple((i * n // m, -(-(i + 1) * n // m)) for i in range(m)))
        for axis, (n, m) in reversed(list(enumerate(zip(x.sample[:-1], sizes, strict=True))))
    ]


@traces("adaptive_average_pool")
def _adaptive_average_pool(t: Trace, x: Any, output_size: Any) -> Traced:
    for axis, bins in _bins(x, output_size):
        weights = np.zeros((len(bins), x.sample[axis]))
        for row, (first, below) in zip(weights, bins, strict=True):
            row[first:below] = 1 / (below - first)
        x = blended(t, x, axis, weights)
    return x


@traces("adaptive_max_pool")
def _adaptive_max_pool(t: Trace, x: Any, output_size: Any) -> Traced:
    for axis, bins in _bins(x, output_size):
        target = (*x.sample[:axis], len(bins), *x.sample[axis + 1 :])
        x = t.add("bins_max", (x,), target, axis=axis, bins=bins)
    return x


def _window_numbers(low: Lowering, node: Node) -> tuple[int, list[int]]:
    """The size that a kernel is made for (0: none fits), and its arguments after the addresses."""
    *_, height, width, channels = low.graph.shapes[node.inputs[0]]
    *_, out_height, out_width, _ = low.graph.shapes[node.output]
    size, step = node.settings["size"], node.settings["strides"]
    (top, bottom), (left, right) = node.settings["padding"]
    plain = size == step and size[0] == size[1] <= 3 and not (top + bottom + left + right)
    covers = (out_height * size[0], out_width * size[1]) == (height, width)
    numbers = [height, width, channels, out_height, out_width, *size, *step, -top, -left]
    return (size[0] if plain and covers else 0), numbers


class _Pooling(OpLowering):
    there: Any
    back: Any

    @staticmethod
    def _image(low: Lowering, value: int, buffer: Buffer, number: int) -> Ref:
        """One of the images of a value."""
        size = math.prod(low.graph.shapes[value][-3:]) * SHARD
        return buffer.at(number * size, size)

    def forward(self, low: Lowering, node: Node) -> None:
        made_for, numbers = _window_numbers(low, node)
        x, out = low.values[node.inputs[0]], low.output(node)
        for i in range(math.prod(low.graph.shapes[node.output][:-3])):
            places = (self._image(low, v, b, i) for v, b in self._there(node, out, x))
            low.build.emit(self.there(made_for), *places, *numbers)

    def backward(self, low: Lowering, node: Node) -> None:
        made_for, numbers = _window_numbers(low, node)

        def emit(out: Buffer) -> None:
            if not made_for:
                low.build.emit(pointwise.fill, out, low.size(node.inputs[0]), 0)
            for i in range(math.prod(low.graph.shapes[node.output][:-3])):
                places = (self._image(low, v, b, i) for v, b in self._back(low, node, out))
                low.build.emit(self.back(made_for), *places, *numbers)

        low.give(node.inputs[0], emit)

    @staticmethod
    def _there(node: Node, out: Buffer, x: Buffer) -> list[tuple[int, Buffer]]:
        return [(node.output, out), (node.inputs[0], x)]

    @staticmethod
    def _back(low: Lowering, node: Node, out: Buffer) -> list[tuple[int, Buffer]]:
        """The values whose memory the way back takes, in the kernel's order."""
        return [(node.inputs[0], out), (node.output, low.gradients[node.output])]


@lowers("average_pool")
class AveragePool(_Pooling):
    """The mean of each window."""

    there, back = staticmethod(windows.average), staticmethod(windows.average_back)


@lowers("max_pool")
class MaxPool(_Pooling):
    """The largest of each window."""

    reads_output = True
    there, back = staticmethod(windows.maximum), staticmethod(windows.maximum_back)

    @staticmethod
    def _back(low: Lowering, node: Node, out: Buffer) -> list[tuple[int, Buffer]]:
        x, y = node.inputs[0], node.output
        return [*_Pooling._back(low, node, out), (x, low.values[x]), (y, low.values[y])]


@lowers("bins_max")
class BinsMax(OpLowering):
    """Along one axis, the largest of each bin ``(first, below)``."""

    reads_output = True

    @staticmethod
    def _emit(
        low: Lowering, node: Node, kernel: Kernel, longs: list[Buffer], shorts: list[Buffer]
    ) -> None:
        """Emit a pooling kernel of one window for each bin, on images one element wide.

        Args:
            longs, shorts: what is as long as the input, and as the output; the kernel takes them
                in turn, the one that it writes first.
        """
        shape, axis = low.graph.shapes[node.inputs[0]], node.settings["axis"]
        bins, run = node.settings["bins"], math.prod(shape[axis + 1 :])
        for image in range(math.prod(shape[:axis])):
            for i, (first, below) in enumerate(bins):
                long = [b.at(image * shape[axis] * run * SHARD) for b in longs]
                short = [b.at((image * len(bins) + i) * run * SHARD) for b in shorts]
                there = len(longs) == 1
                places = [short[0], long[0]] if there else [long[0], short[0], long[1], short[1]]
                numbers = (shape[axis], 1, run, 1, 1, below - first, 1, 1, 1, first, 0)
                low.build.emit(kernel, *places, *numbers)

    def forward(self, low: Lowering, node: Node) -> None:
        x, out = low.values[node.inputs[0]], low.output(node)
        self._emit(low, node, windows.maximum(), [x], [out])

    def backward(self, low: Lowering, node: Node) -> None:
        g, x, y = (
            low.gradients[node.output],
            low.values[node.inputs[0]],
            low.values[node.output],
        )

        def emit(out: Buffer) -> None:
            low.build.emit(pointwise.fill, out, low.size(node.inputs[0]), 0)
            self._emit(low, node, windows.maximum_back(), [out, x], [g, y])

        low.give(node.inputs[0], emit)
