"""Lowerings of what only moves elements: a copy between two ways of stepping through memory.

Permuting, padding, cropping and repeating are the same loop with other steps, and so are their
gradients, in which elements that were repeated are added up.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ..kernels import moving, pointwise
from ..kernels.native import Kernel
from ..kernels.simd import SHARD
from ..ops.resize import interpolation_matrix
from .build import Buffer
from .graph import Node, Shape
from .lowering import Lowering, OpLowering, lowers

#: An axis of a copy: its length, and the steps in the target and in the source.
Axis = tuple[int, int, int]


@dataclass(frozen=True)
class Move:
    """``out[to + i . t] = x[at + i . f]`` for all i; elements of out that are not met are 0.

    Attributes:
        axes: outermost first; neighbours that step as one are one axis.
        to, at: where it begins.
        size, source: elements of a sample of the target, and of the source.
    """

    axes: tuple[Axis, ...]
    to: int
    at: int
    size: int
    source: int

    @classmethod
    def of(cls, axes: list[Axis], to: int, at: int, size: int, source: int) -> Move:
        """With axes in their simplest form."""
        simple: list[Axis] = []
        for length, t, f in axes:
            if length == 1:
                continue
            if simple and (simple[-1][1], simple[-1][2]) == (length * t, length * f):
                length *= simple.pop()[0]
            simple.append((length, t, f))
        return cls(tuple(simple), to, at, size, source)

    @classmethod
    def permute(cls, shape: Shape, order: tuple[int, ...]) -> Move:
        """The axes of a sample in another order."""
        size, steps = math.prod(shape), _steps(shape)
        places = _steps(tuple(shape[a] for a in order))
        axes = [(shape[a], t, steps[a]) for a, t in zip(order, places, strict=True)]
        return cls.of(axes, 0, 0, size, size)

    @classmethod
    def shift(cls, shape: Shape, by: tuple[int, ...], target: Shape) -> Move:
        """Each axis moved up by so many places (down where negative), and cut to its new length."""
        steps, places = _steps(shape), _steps(target)
        axes, to, at = [], 0, 0
        for n, b, m, f, t in zip(shape, by, target, steps, places, strict=True):
            first = max(0, -b)
            axes.append((max(0, min(n, m - b) - first), t, f))
            to, at = to + (first + b) * t, at + first * f
        return cls.of(axes, to, at, math.prod(target), math.prod(shape))

    @classmethod
    def repeat(cls, shape: Shape, times: tuple[int, ...]) -> Move:
        """Each element of each axis so many times."""
        target = tuple(n * k for n, k in zip(shape, times, strict=True))
        axes: list[Axis] = []
        for n, k, f, t in zip(shape, times, _steps(shape), _steps(target), strict=True):
            axes += [(n, k * t, f), (k, t, 0)]
        return cls.of(axes, 0, 0, math.prod(target), math.prod(shape))

    @property
    def covers(self) -> bool:
        """Whether every element of the target is met."""
        return math.prod(n for n, _, _ in self.axes) == self.size

    @property
    def back(self) -> Move:
        """The same pairs, the other way."""
        axes = tuple((n, f, t) for n, t, f in self.axes)
        return Move(axes, self.at, self.to, self.source, self.size)

    def emit(self, low: Lowering, out: Buffer, x: Buffer) -> None:
        """Fill out; what is met more than once is added up."""
        sums = any(t == 0 for _, t, _ in self.axes)
        if sums or not self.covers:
            low.build.emit(pointwise.fill, out, self.size * SHARD, 0)
        axes, run = list(self.axes), 1
        if axes and axes[-1][1:] == (1, 1):
            run = axes.pop()[0]
        shortest = sorted(axes)[: max(0, len(axes) - moving.AXES)]  # instructions of their own
        inner = [axis for axis in axes if axis not in shortest]
        inner = [(1, 0, 0)] * (moving.AXES - len(inner)) + inner
        extents = [run + sum((n - 1) * axis[k] for n, *axis in inner) for k in (0, 1)]
        kernel = moving.move_add if sums else moving.move
        for index in itertools.product(*(range(n) for n, _, _ in shortest)):
            to = self.to + sum(i * t for i, (_, t, _) in zip(index, shortest, strict=True))
            at = self.at + sum(i * f for i, (_, _, f) in zip(index, shortest, strict=True))
            low.build.emit(
                kernel,
                out.at(to * SHARD, extents[0] * SHARD),
                x.at(at * SHARD, extents[1] * SHARD),
                run,
                *(axis[k] for k in range(3) for axis in inner),
            )


def _steps(shape: Shape) -> list[int]:
    """Elements from one place to the next along each axis."""
    return [math.prod(shape[i + 1 :]) for i in range(len(shape))]


@lowers("reshape")
class Reshape(OpLowering):
    """Another shape of the same elements: nothing to do, the order of the axes is the same."""

    def forward(self, low: Lowering, node: Node) -> None:
        low.values[node.output] = low.values[node.inputs[0]]

    def backward(self, low: Lowering, node: Node) -> None:
        low.pass_on(node.inputs[0], low.gradients[node.output])


@lowers("move")
class Moving(OpLowering):
    """A `Move`."""

    def forward(self, low: Lowering, node: Node) -> None:
        node.settings["move"].emit(low, low.output(node), low.values[node.inputs[0]])

    def backward(self, low: Lowering, node: Node) -> None:
        g, back = low.gradients[node.output], node.settings["move"].back
        low.give(node.inputs[0], lambda out: back.emit(low, out, g))


@lowers("blend")
class Blend(OpLowering):
    """Linear interpolation along one axis, from tables of two places and a weight."""

    @staticmethod
    def _tables(low: Lowering, node: Node) -> tuple[int, list[Buffer]]:
        """Elements after the axis, places and weights."""
        x, axis = low.graph.shapes[node.inputs[0]], node.settings["axis"]
        weights = interpolation_matrix(x[axis], low.graph.shapes[node.output][axis])
        first = (weights > 0).argmax(axis=1)
        second = np.minimum(first + 1, x[axis] - 1)
        share = np.where(second > first, weights[np.arange(len(first)), second], 0)
        places = np.stack([first, second], axis=1).astype(np.int64)
        kept = [low.build.constant(a) for a in (places, share.astype(np.float32))]
        return math.prod(x[axis + 1 :]), kept

    def _emit(self, low: Lowering, node: Node, kernel: Kernel, out: Buffer, x: Buffer) -> None:
        run, tables = self._tables(low, node)
        axis = node.settings["axis"]
        length, whole = (low.graph.shapes[v] for v in (node.output, node.inputs[0]))
        before = math.prod(whole[:axis])
        low.build.emit(kernel, out, x, before, length[axis], whole[axis], run, *tables)

    def forward(self, low: Lowering, node: Node) -> None:
        self._emit(low, node, moving.blend, low.output(node), low.values[node.inputs[0]])

    def backward(self, low: Lowering, node: Node) -> None:
        g = low.gradients[node.output]

        def emit(out: Buffer) -> None:
            low.build.emit(pointwise.fill, out, low.size(node.inputs[0]), 0)
            self._emit(low, node, moving.blend_back, out, g)

        low.give(node.inputs[0], emit)
