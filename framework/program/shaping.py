"""Lowerings of activations, pooling and what only rearranges."""

from __future__ import annotations

import math
from typing import Any

from ..kernels import loss, pointwise, windows
from ..kernels.native import Kernel
from .build import Buffer
from .graph import Node
from .lowering import Lowering, OpLowering, lowers


class _Pointwise(OpLowering):
    """An activation whose gradient is known from its output."""

    reads_output = True
    there: Kernel
    back: Kernel

    def forward(self, low: Lowering, node: Node) -> None:
        x = low.values[node.inputs[0]]
        low.build.emit(self.there, low.output_in_place(node), x, low.size(node.output))

    def backward(self, low: Lowering, node: Node) -> None:
        g, y = low.gradients[node.output], low.values[node.output]
        low.build.emit(self.back, g, g, y, low.size(node.output))
        low.pass_on(node.inputs[0], g)


@lowers("tanh")
class Tanh(_Pointwise):
    there, back = pointwise.tanh, pointwise.tanh_back


@lowers("sigmoid")
class Sigmoid(_Pointwise):
    there, back = pointwise.sigmoid, pointwise.sigmoid_back


@lowers("relu")
class Relu(_Pointwise):
    there, back = pointwise.relu, pointwise.relu_back


@lowers("softmax")
class Softmax(OpLowering):
    """Over the classes of a sample."""

    reads_output = True

    def forward(self, low: Lowering, node: Node) -> None:
        classes = low.graph.shapes[node.output][-1]
        low.build.emit(loss.softmax, low.output(node), low.values[node.inputs[0]], classes)

    def backward(self, low: Lowering, node: Node) -> None:
        g, y = low.gradients[node.output], low.values[node.output]
        classes = low.graph.shapes[node.output][-1]
        low.build.emit(loss.softmax_back, g, g, y, classes)
        low.pass_on(node.inputs[0], g)


@lowers("reshape")
class Reshape(OpLowering):
    """Another shape of the same elements: nothing to do, the order of the axes is the same."""

    def forward(self, low: Lowering, node: Node) -> None:
        low.values[node.output] = low.values[node.inputs[0]]

    def backward(self, low: Lowering, node: Node) -> None:
        low.pass_on(node.inputs[0], low.gradients[node.output])


def _window_numbers(low: Lowering, node: Node) -> tuple[int, list[int]]:
    """The size that a kernel is made for (0: none fits), and the arguments `WINDOWS`."""
    height, width, channels = low.graph.shapes[node.inputs[0]]
    out_height, out_width, _ = low.graph.shapes[node.output]
    size, step = node.settings["size"], node.settings["strides"]
    (top, bottom), (left, right) = node.settings["padding"]
    plain = size == step and size[0] == size[1] <= 3 and not (top + bottom + left + right)
    covers = (out_height * size[0], out_width * size[1]) == (height, width)
    numbers = [height, width, channels, out_height, out_width, *size, *step, -top, -left]
    return (size[0] if plain and covers else 0), numbers


class _Pooling(OpLowering):
    there: Any

    def forward(self, low: Lowering, node: Node) -> None:
        made_for, numbers = _window_numbers(low, node)
        x = low.values[node.inputs[0]]
        low.build.emit(self.there(made_for), low.output(node), x, *numbers)

    def backward(self, low: Lowering, node: Node) -> None:
        made_for, numbers = _window_numbers(low, node)
        size = low.size(node.inputs[0])

        def emit(out: Buffer) -> None:
            if not made_for:
                low.build.emit(pointwise.fill, out, size, 0)
            self.emit_back(low, node, out, made_for, numbers)

        low.give(node.inputs[0], emit)

    def emit_back(
        self, low: Lowering, node: Node, out: Buffer, made_for: int, numbers: list[int]
    ) -> None:
        raise NotImplementedError


@lowers("average_pool")
class AveragePool(_Pooling):
    there = staticmethod(windows.average)

    def emit_back(
        self, low: Lowering, node: Node, out: Buffer, made_for: int, numbers: list[int]
    ) -> None:
        g = low.gradients[node.output]
        low.build.emit(windows.average_back(made_for), out, g, *numbers)


@lowers("max_pool")
class MaxPool(_Pooling):
    reads_input = reads_output = True
    there = staticmethod(windows.maximum)

    def emit_back(
        self, low: Lowering, node: Node, out: Buffer, made_for: int, numbers: list[int]
    ) -> None:
        g, x, y = (
            low.gradients[node.output],
            low.values[node.inputs[0]],
            low.values[node.output],
        )
        low.build.emit(windows.maximum_back(made_for), out, g, x, y, *numbers)


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
