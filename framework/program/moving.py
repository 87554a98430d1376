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


#: For each place along an axis, the places that it is a weighted sum of, and their weights.
Blending = tuple[tuple[tuple[int, float], ...], ...]


def blending(matrix: np.ndarray) -> Blending:
    """The entries that are not zero of weights (new length, length)."""
    return tuple(
        tuple((int(i), float(row[i])) for i in np.flatnonzero(row)) for row in np.asarray(matrix)
    )


@lowers("blend")
class Blend(OpLowering):
    """Every place along one axis a weighted sum of places."""

    @staticmethod
    def _emit(low: Lowering, node: Node, kernel: Kernel, out: Buffer, x: Buffer) -> None:
        sums: Blending = node.settings["sums"]
        taps = max(1, *(len(terms) for terms in sums))
        places = np.zeros((len(sums), taps), np.int64)
        weights = np.zeros((len(sums), taps), np.float32)
        for i, terms in enumerate(sums):
            for t, (place, weight) in enumerate(terms):
                places[i, t], weights[i, t] = place, weight
        shape, axis = low.graph.shapes[node.inputs[0]], node.settings["axis"]
        before, run = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        tables = [low.build.constant(table) for table in (places, weights)]
        low.build.emit(kernel, out, x, before, len(sums), shape[axis], run, taps, *tables)

    def forward(self, low: Lowering, node: Node) -> None:
        self._emit(low, node, moving.blend, low.output(node), low.values[node.inputs[0]])

    def backward(self, low: Lowering, node: Node) -> None:
        g = low.gradients[node.output]

        def emit(out: Buffer) -> None:
            low.build.emit(pointwise.fill, out, low.size(node.inputs[0]), 0)
            self._emit(low, node, moving.blend_back, out, g)

        low.give(node.inputs[0], emit)
