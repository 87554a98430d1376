"""What only moves elements: a copy between two ways of stepping through memory.

Permuting, padding, cropping and repeating are the same loop with other steps, and so are their
gradients, in which elements that were repeated are added up.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...kernels import joining, moving, pointwise
from ...kernels.native import Kernel
from ...kernels.simd import SHARD
from ...ops.axes import axis_index
from ...ops.resize import interpolation_matrix
from ..build import Buffer, Ref
from ..graph import Node, NotNative, Shape
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced

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

    @classmethod
    def cut(cls, shape: Shape, starts: Shape, steps: Shape, target: Shape) -> Move:
        """Of each axis so many places, from a first one on, so many apart."""
        axes = [
            (m, to, step * at)
            for m, to, at, step in zip(target, _steps(target), _steps(shape), steps, strict=True)
        ]
        first = sum(i * at for i, at in zip(starts, _steps(shape), strict=True))
        return cls.of(axes, 0, first, math.prod(target), math.prod(shape))

    @classmethod
    def total(cls, shape: Shape, kept: tuple[bool, ...]) -> Move:
        """The sum along the axes that are not kept."""
        target = tuple(n if k else 1 for n, k in zip(shape, kept, strict=True))
        axes = [
            (n, to if k else 0, at)
            for n, k, to, at in zip(shape, kept, _steps(target), _steps(shape), strict=True)
        ]
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


# From ops


def reshaped(t: Trace, x: Traced, shape: Shape) -> Traced:
    """The tensor with samples of another shape."""
    return x if x.sample == tuple(shape) else t.add("reshape", (x,), shape, dtype=x.dtype)


def as_floats(t: Trace, x: Traced) -> Traced:
    """Truth values and labels as the floats that they are kept as."""
    return Traced(t, x.value, x.sample)


def moved(t: Trace, x: Traced, move: Move, shape: Shape) -> Traced:
    """The tensor with its elements in other places."""
    return t.add("move", (x,), shape, dtype=x.dtype, move=move)


def permuted(t: Trace, x: Traced, order: tuple[int, ...]) -> Traced:
    """The tensor with the axes of its samples in another order.

    Nothing is moved where that changes nothing, and nothing there and back.
    """
    shape = x.sample
    target = tuple(shape[a] for a in order)
    source = t.graph.source(x.value)
    if source is not None and source.settings.get("order"):
        before = source.settings["order"]
        if all(before[a] == i for i, a in enumerate(order)):
            return Traced(t, source.inputs[0], target, x.dtype)
    moving_ = [a for a in order if shape[a] > 1]
    if moving_ == sorted(moving_):
        return reshaped(t, x, target)
    move = Move.permute(shape, order)
    return t.add("move", (x,), target, dtype=x.dtype, move=move, order=order)


def blended(t: Trace, x: Traced, axis: int, weights: np.ndarray) -> Traced:
    """Each place along an axis of the samples a sum of places, by weights (new length, length)."""
    target = (*x.sample[:axis], len(weights), *x.sample[axis + 1 :])
    return t.add("blend", (x,), target, dtype=x.dtype, axis=axis, sums=blending(weights))


def stretched(t: Trace, x: Traced, target: Shape) -> Traced:
    """The tensor repeated along its axes of length 1, neighbouring axes at once."""
    shape = x.sample
    for repeats, axes in itertools.groupby(range(len(target)), lambda i: shape[i] != target[i]):
        if repeats:
            run = list(axes)
            first, below = run[0], run[-1] + 1
            made = (*x.sample[:first], *target[first:below], *shape[below:])
            numbers = {
                "outer": math.prod(made[:first]),
                "times": math.prod(made[first:below]),
                "inner": math.prod(made[below:]),
            }
            x = t.add("repeat", (x,), made, dtype=x.dtype, **numbers)
    return x


def _of_samples(t: Trace, x: Any, shape: Any, what: str) -> Shape:
    """A shape without its batch axis.

    Raises:
        NotNative: samples would be mixed.
    """
    if not isinstance(x, Traced) or tuple(shape[:1]) != (t.batch,):
        raise NotNative(f"{what} mixes the samples of a batch")
    return tuple(shape[1:])


@traces("reshape")
def _reshape(t: Trace, x: Any, shape: Any) -> Traced:
    return reshaped(t, x, _of_samples(t, x, shape, "reshape"))


@traces("transpose")
def _transpose(t: Trace, x: Any, axes: Any) -> Traced:
    order = tuple(axes) if axes is not None else tuple(range(x.ndim))[::-1]
    if order[:1] != (0,):
        raise NotNative("transpose moves the batch axis")
    return permuted(t, x, tuple(a - 1 for a in order[1:]))


@traces("broadcast_to")
def _broadcast_to(t: Trace, x: Any, shape: Any) -> Traced:
    target = _of_samples(t, x, shape, "broadcast_to")
    if len(target) != len(x.sample):
        raise NotNative("broadcast_to adds axes before the batch")
    return stretched(t, x, target)


@traces("astype")
def _astype(t: Trace, x: Any, dtype: Any) -> Traced:
    if np.dtype(dtype) != np.float32:
        raise NotNative(f"it computes in {np.dtype(dtype)}")
    return as_floats(t, x)


@traces("copy")
def _copy(t: Trace, x: Any) -> Traced:
    return x


@traces("concatenate")
def _concatenate(t: Trace, *xs: Any, axis: int) -> Traced:
    parts = list(xs[0]) if isinstance(xs[0], (list, tuple)) else list(xs)
    if not all(isinstance(x, Traced) for x in parts):
        raise NotNative("concatenate has no lowering for constants")
    axis = axis_index(axis, parts[0].ndim) - 1
    if axis < 0:
        raise NotNative("concatenate joins samples")
    first = parts[0].sample
    shape = (*first[:axis], sum(x.sample[axis] for x in parts), *first[axis + 1 :])
    dtype = max(x.dtype for x in parts)
    return t.add("concatenate", tuple(parts), shape, dtype=dtype, axis=axis)


@traces("pad")
def _pad(t: Trace, x: Any, pad_width: Any, mode: str, constant_value: float) -> Traced:
    if mode != "constant" or constant_value or any(pad_width[0]):
        raise NotNative(f"pad has no lowering for mode {mode!r} with {constant_value}")
    widths = pad_width[1:]
    target = tuple(n + a + b for n, (a, b) in zip(x.sample, widths, strict=True))
    return moved(t, x, Move.shift(x.sample, tuple(a for a, _ in widths), target), target)


@traces("getitem")
def _getitem(t: Trace, x: Any, index: Any) -> Traced:
    """Slices, numbers, None and an ellipsis; all samples."""
    given = list(index) if isinstance(index, tuple) else [index]
    if any(not isinstance(i, (int, slice, type(None), type(...))) or i is True or i is False
           for i in given):  # fmt: skip
        raise NotNative("getitem has no lowering for arrays of indices")
    axes = sum(i is not None and i is not ... for i in given)
    if ... not in given:
        given.append(...)
    at = given.index(...)
    given[at : at + 1] = [slice(None)] * (x.ndim - axes)
    if given[0] != slice(None) or len([i for i in given if i is not None]) != x.ndim:
        raise NotNative("getitem takes some samples of a batch")
    starts, steps, lengths, shape = [], [], [], []
    sizes = iter(x.sample)
    for i in given[1:]:
        if i is None:
            shape.append(1)
            continue
        n = next(sizes)
        if isinstance(i, int):
            if not -n <= i < n:
                raise NotNative(f"getitem: {i} is out of range")
            taken = range(i % n, i % n + 1)
        else:
            taken = range(*i.indices(n))
            shape.append(len(taken))
        starts.append(taken.start if len(taken) else 0)
        steps.append(taken.step)
        lengths.append(len(taken))
    if 0 in lengths:
        raise NotNative("getitem takes nothing")
    for axis, step in enumerate(steps):
        if step < 0:
            places = np.arange(starts[axis], starts[axis] + step * lengths[axis], step)
            x = blended(t, x, axis, np.eye(x.sample[axis])[places])
            starts[axis], steps[axis] = 0, 1
    if tuple(lengths) != x.sample:
        move = Move.cut(x.sample, tuple(starts), tuple(steps), tuple(lengths))
        x = moved(t, x, move, tuple(lengths))
    return reshaped(t, x, tuple(shape))


@traces("take")
def _take(t: Trace, x: Any, indices: Any, axis: Any) -> Traced:
    if axis in (None, 0) or not isinstance(indices, np.ndarray) or indices.ndim != 1:
        raise NotNative("take has no lowering for these indices")
    length = x.shape[axis]
    places = indices.astype(np.int64)
    if not len(places) or places.min() < -length or places.max() >= length:
        raise NotNative("take: an index is out of range")
    return blended(t, x, axis - 1, np.eye(length)[places])


@traces("repeat")
def _repeat(t: Trace, x: Any, repeats: Any, axis: Any) -> Traced:
    axis = None if axis is None else axis_index(axis, x.ndim) - 1
    if axis is None or axis < 0 or not isinstance(repeats, (int, np.integer)) or repeats < 1:
        raise NotNative("repeat has no lowering for these numbers")
    times = tuple(int(repeats) if i == axis else 1 for i in range(len(x.sample)))
    return _repeated(t, x, times)


def _repeated(t: Trace, x: Traced, times: Shape) -> Traced:
    target = tuple(n * k for n, k in zip(x.sample, times, strict=True))
    stretches = all(n == 1 or k == 1 for n, k in zip(x.sample, times, strict=True))
    if stretches:
        return stretched(t, x, target)
    return moved(t, x, Move.repeat(x.sample, times), target)


@traces("upsample")
def _upsample(t: Trace, x: Any, size: Any, interpolation: str) -> Traced:
    factors = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(x.sample) != 3 or len(factors) != 2 or min(factors) < 1:
        raise NotNative(f"upsample has no lowering for {x.shape} by {size}")
    if interpolation == "nearest":
        return _repeated(t, x, (*factors, 1))
    height, width, _ = x.sample
    return _resize(t, x, (height * factors[0], width * factors[1]), interpolation, False)


@traces("resize")
def _resize(t: Trace, x: Any, size: Any, interpolation: str, antialias: bool) -> Traced:
    if len(x.sample) != 3 or interpolation not in ("bilinear", "bicubic") or len(size) != 2:
        raise NotNative(f"resize has no lowering for {x.shape} to {size} by {interpolation}")
    x = as_floats(t, x)
    for axis, length in enumerate(size):
        if length != x.sample[axis]:
            weights = interpolation_matrix(x.sample[axis], length, interpolation, antialias)
            x = blended(t, x, axis, weights)
    return x


# To instructions


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
