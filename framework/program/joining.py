"""Lowerings of what combines values, element by element or side by side."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

from ..kernels import joining, pointwise
from ..kernels.native import Kernel
from ..kernels.simd import SHARD, bits_of
from .build import Buffer, Ref
from .graph import Node
from .lowering import Lowering, OpLowering, lowers


@lowers("add")
class Add(OpLowering):
    """x + factor y."""

    def forward(self, low: Lowering, node: Node) -> None:
        x, y = (low.values[v] for v in node.inputs)
        factor = bits_of(node.settings["factor"])
        size = low.size(node.output)
        low.build.emit(pointwise.multiply_add, low.output(node), x, y, size, factor)

    def backward(self, low: Lowering, node: Node) -> None:
        g, size = low.gradients[node.output], low.size(node.output)
        factor = bits_of(node.settings["factor"])
        low.give(node.inputs[1], lambda out: low.build.emit(pointwise.scale, out, g, size, factor))
        low.give(node.inputs[0], lambda out: low.build.emit(pointwise.copy, out, g, size))


@lowers("multiply")
class Multiply(OpLowering):
    """x y."""

    reads_input = True

    def forward(self, low: Lowering, node: Node) -> None:
        x, y = (low.values[v] for v in node.inputs)
        low.build.emit(joining.multiply, low.output(node), x, y, low.size(node.output))

    def backward(self, low: Lowering, node: Node) -> None:
        g, size = low.gradients[node.output], low.size(node.output)

        def pull(out: Buffer, factor: Buffer) -> None:
            low.build.emit(joining.multiply, out, g, factor, size)

        for value, other in (node.inputs, node.inputs[::-1]):
            low.give(value, functools.partial(pull, factor=low.values[other]))


class _Extremum(OpLowering):
    """The larger or the smaller; at a tie each gets half the gradient."""

    reads_input = reads_output = True
    there: Kernel

    def forward(self, low: Lowering, node: Node) -> None:
        x, y = (low.values[v] for v in node.inputs)
        low.build.emit(self.there, low.output(node), x, y, low.size(node.output))

    def backward(self, low: Lowering, node: Node) -> None:
        g, y, size = low.gradients[node.output], low.values[node.output], low.size(node.output)

        def pull(out: Buffer, mine: Buffer, others: Buffer) -> None:
            low.build.emit(joining.chosen_back, out, g, y, mine, others, size)

        for value, other in (node.inputs, node.inputs[::-1]):
            low.give(
                value, functools.partial(pull, mine=low.values[value], others=low.values[other])
            )


@lowers("maximum")
class Maximum(_Extremum):
    there = joining.larger


@lowers("minimum")
class Minimum(_Extremum):
    there = joining.smaller


@lowers("scale_shift")
class ScaleShift(OpLowering):
    """factor x + offset."""

    def forward(self, low: Lowering, node: Node) -> None:
        factor, offset = (bits_of(node.settings[k]) for k in ("factor", "offset"))
        x = low.values[node.inputs[0]]
        size = low.size(node.output)
        low.build.emit(joining.affine, low.output_in_place(node), x, size, factor, offset)

    def backward(self, low: Lowering, node: Node) -> None:
        g, factor = low.gradients[node.output], bits_of(node.settings["factor"])
        low.build.emit(pointwise.scale, g, g, low.size(node.output), factor)
        low.pass_on(node.inputs[0], g)


@lowers("repeat")
class Repeat(OpLowering):
    """``x[o, i]`` as ``y[o, t, i]`` for some t."""

    @staticmethod
    def _numbers(node: Node) -> list[int]:
        return [node.settings[k] for k in ("outer", "times", "inner")]

    def forward(self, low: Lowering, node: Node) -> None:
        x = low.values[node.inputs[0]]
        low.build.emit(joining.repeat, low.output(node), x, *self._numbers(node))

    def backward(self, low: Lowering, node: Node) -> None:
        g, numbers = low.gradients[node.output], self._numbers(node)
        low.give(node.inputs[0], lambda out: low.build.emit(joining.repeat_back, out, g, *numbers))


@lowers("products")
class Products(OpLowering):
    """``y[m, n] = sum x[m, k] z[n, k]``, sample by sample."""

    reads_input = True

    def forward(self, low: Lowering, node: Node) -> None:
        x, z = (low.values[v] for v in node.inputs)
        m, n, k = (node.settings[s] for s in "mnk")
        low.build.emit(joining.products, low.output(node), x, z, m, n, k, k, 1, k, 1)

    def backward(self, low: Lowering, node: Node) -> None:
        g = low.gradients[node.output]
        x, z = (low.values[v] for v in node.inputs)
        m, n, k = (node.settings[s] for s in "mnk")
        low.give(
            node.inputs[0],
            lambda out: low.build.emit(joining.products, out, g, z, m, k, n, n, 1, 1, k),
        )
        low.give(
            node.inputs[1],
            lambda out: low.build.emit(joining.products, out, g, x, n, k, m, 1, n, 1, k),
        )


@lowers("concatenate")
class Concatenate(OpLowering):
    """Side by side along an axis."""

    @staticmethod
    def _parts(low: Lowering, node: Node) -> Iterator[tuple[int, int, list[int]]]:
        """For each input: its value, where it begins in the output, and how much of it in a row:
        the number of rows, the length of its row and that of the output."""
        axis, shapes = node.settings["axis"], low.graph.shapes
        rows, whole = (math.prod(s) for s in _halves(shapes[node.output], axis))
        first = 0
        for value in node.inputs:
            length = math.prod(shapes[value][axis:])
            yield value, first, [rows, length, whole]
            first += length

    def forward(self, low: Lowering, node: Node) -> None:
        out = low.output(node)
        for value, first, (rows, length, whole) in self._parts(low, node):
            low.build.emit(
                pointwise.copy_channels,
                out.at(first * SHARD), low.values[value], rows, length, whole, length,
            )  # fmt: skip

    def backward(self, low: Lowering, node: Node) -> None:
        g = low.gradients[node.output]
        for value, first, (rows, length, whole) in self._parts(low, node):
            low.give(
                value,
                functools.partial(self._part_back, low, g.at(first * SHARD), rows, length, whole),
            )

    @staticmethod
    def _part_back(
        low: Lowering, source: Ref, rows: int, length: int, whole: int, out: Buffer
    ) -> None:
        low.build.emit(pointwise.copy_channels, out, source, rows, length, length, whole)


def _halves(shape: tuple[int, ...], axis: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return shape[:axis], shape[axis:]
