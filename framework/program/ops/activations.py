"""Activations."""

from __future__ import annotations

import itertools
import math
from typing import Any

from ...kernels import rows, strided
from ...kernels.native import Kernel
from ...kernels.simd import SHARD
from ...ops.axes import axis_tuple
from ..build import Buffer
from ..graph import Node, NotNative
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from .products import learned, placeholder


@traces("softmax")
def _softmax(t: Trace, x: Any, axis: Any) -> Traced:
    return _along(t, "softmax", x, axis)


@traces("shares")
def _shares(t: Trace, x: Any, axis: Any) -> Traced:
    return _along(t, "softmax", x, axis)


@traces("log_softmax")
def _log_softmax(t: Trace, x: Any, axis: Any) -> Traced:
    return _along(t, "log_softmax", x, axis)


@traces("sparsemax")
def _sparsemax(t: Trace, x: Any, axis: Any) -> Traced:
    return _along(t, "sparsemax", x, axis)


@traces("glu")
def _glu(t: Trace, x: Any, axis: Any) -> Traced:
    return _along(t, "glu", x, axis)


def _along(t: Trace, op: str, x: Any, axis: Any) -> Traced:
    """An activation along an axis (or neighbouring axes), counted with the batch as axis 0."""
    shape = placeholder(x, op).sample
    axes = [i - 1 for i in axis_tuple(axis, len(shape) + 1)]
    if not axes or axes[0] < 0 or axes != list(range(axes[0], axes[0] + len(axes))):
        raise NotNative(f"{op} is taken along {axis}")
    first, last = axes[0], axes[-1] + 1
    runs = (math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:]))
    if op == "glu":
        if shape[first] % 2:
            raise NotNative(f"glu halves {shape[first]} elements")
        shape = (*shape[:first], shape[first] // 2, *shape[last:])
    return t.add(op, (x,), shape, runs=runs)


@traces("prelu")
def _prelu(t: Trace, x: Any, alpha: Any) -> Traced:
    variable, shape = learned(alpha, "prelu")
    if shape != variable.shape or len(shape) != len(x.sample):
        raise NotNative("prelu has no lowering for this alpha")
    return t.add("prelu", (x,), x.sample, {"alpha": variable})


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
