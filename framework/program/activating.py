"""Lowerings of activations."""

from __future__ import annotations

import itertools
import math
from typing import Any

from ..kernels import activations, pointwise, rows, strided
from ..kernels.native import Kernel
from ..kernels.simd import SHARD, bits_of
from .build import Buffer
from .graph import Node
from .lowering import Lowering, OpLowering, lowers


class _FromOutput(OpLowering):
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
class Tanh(_FromOutput):
    there, back = pointwise.tanh, pointwise.tanh_back


@lowers("sigmoid")
class Sigmoid(_FromOutput):
    there, back = pointwise.sigmoid, pointwise.sigmoid_back


@lowers("relu")
class Relu(_FromOutput):
    there, back = pointwise.relu, pointwise.relu_back


@lowers("pointwise")
class Pointwise(OpLowering):
    """One of the table in `kernels.activations`; the gradient is taken from the input."""

    reads_input = True

    def forward(self, low: Lowering, node: Node) -> None:
        x, size = low.values[node.inputs[0]], low.size(node.output)
        out = low.output(node) if low.slot else low.output_in_place(node)
        kernel = activations.value(node.settings["expression"])
        low.build.emit(kernel, out, x, size, *_bits(node))

    def backward(self, low: Lowering, node: Node) -> None:
        g, x = low.gradients[node.output], low.values[node.inputs[0]]
        kernel = activations.slope(node.settings["expression"])
        low.build.emit(kernel, g, g, x, low.size(node.output), *_bits(node))
        low.pass_on(node.inputs[0], g)


def _bits(node: Node) -> list[int]:
    """The four settings of an expression."""
    given = node.settings["given"]
    return [bits_of(v) for v in (*given, *(0.0,) * (4 - len(given)))]


class _Along(OpLowering):
    """An activation along an axis, whose gradient is known from its output."""

    reads_output = True
    there: Kernel
    back: Kernel

    def forward(self, low: Lowering, node: Node) -> None:
        x = low.values[node.inputs[0]]
        low.build.emit(self.there, low.output(node), x, *node.settings["runs"])

    def backward(self, low: Lowering, node: Node) -> None:
        g, y = low.gradients[node.output], low.values[node.output]
        low.build.emit(self.back, g, g, y, *node.settings["runs"])
        low.pass_on(node.inputs[0], g)


@lowers("softmax")
class Softmax(_Along):
    there, back = rows.softmax, rows.softmax_back


@lowers("log_softmax")
class LogSoftmax(_Along):
    there, back = rows.log_softmax, rows.log_softmax_back


@lowers("sparsemax")
class Sparsemax(_Along):
    there, back = rows.sparsemax, rows.sparsemax_back


@lowers("glu")
class Glu(OpLowering):
    """Half of the input, gated by the other half."""

    reads_input = True

    def forward(self, low: Lowering, node: Node) -> None:
        x = low.values[node.inputs[0]]
        low.build.emit(rows.glu, low.output(node), x, *node.settings["runs"])

    def backward(self, low: Lowering, node: Node) -> None:
        g, x = low.gradients[node.output], low.values[node.inputs[0]]
        runs = node.settings["runs"]
        low.give(node.inputs[0], lambda out: low.build.emit(rows.glu_back, out, g, x, *runs))


def walks(shape: tuple[int, ...], small: tuple[int, ...]) -> Any:
    """How to walk an array beside a smaller one that is repeated along its axes of length 1.

    Args:
        shape: of the array.
        small: of the other, of as many axes.

    Yields:
        For each walk of four loops: where it begins in the array and in the other, then the four
        lengths and the four steps in the other. Axes that are repeated alike are one loop.
    """
    lengths: list[int] = []
    steps: list[int] = []
    step = math.prod(small)
    for n, m in zip(shape, small, strict=True):
        if n == 1:
            continue
        step = step // m
        own = 0 if m == 1 else step
        if lengths and steps[-1] == own * n:
            lengths[-1], steps[-1] = lengths[-1] * n, own
        else:
            lengths.append(n)
            steps.append(own)
    lengths, steps = [1] * (4 - len(lengths)) + lengths, [0] * (4 - len(steps)) + steps
    inside = math.prod(lengths[-4:])
    outer = [range(n) for n in lengths[:-4]]
    for number, at in enumerate(itertools.product(*outer)):
        start = sum(i * s for i, s in zip(at, steps, strict=False))
        yield number * inside, start, (*lengths[-4:], *steps[-4:])


@lowers("prelu")
class PRelu(OpLowering):
    """x above 0, alpha x below, alpha repeated along some axes."""

    reads_input = True

    @staticmethod
    def _walks(low: Lowering, node: Node) -> Any:
        shape = low.graph.shapes[node.output]
        return walks(shape, node.variables["alpha"].shape)

    def _emit(
        self, low: Lowering, node: Node, kernel: Kernel, out: Buffer, *arrays: Buffer
    ) -> None:
        alpha = low.variable(node.variables["alpha"])
        for at, start, numbers in self._walks(low, node):
            places = (b.at(at * SHARD, math.prod(numbers[:4]) * SHARD) for b in (out, *arrays))
            low.build.emit(kernel, *places, alpha.at(start), *numbers)

    def forward(self, low: Lowering, node: Node) -> None:
        self._emit(low, node, strided.prelu, low.output(node), low.values[node.inputs[0]])

    def backward(self, low: Lowering, node: Node) -> None:
        g, x = low.gradients[node.output], low.values[node.inputs[0]]
        slot = low.slot_of(node.variables["alpha"])
        if slot is not None:
            for at, start, numbers in self._walks(low, node):
                extent = math.prod(numbers[:4]) * SHARD
                low.build.emit(
                    strided.prelu_alpha_gradient,
                    slot.buffer.at(slot.offset + start, node.variables["alpha"].size - start),
                    g.at(at * SHARD, extent),
                    x.at(at * SHARD, extent),
                    *numbers,
                )
        self._emit(low, node, strided.prelu_back, g, g, x)
        low.pass_on(node.inputs[0], g)
