"""Activations."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any

from ...autograd.tape import OPS
from ...kernels import activations, pointwise, rows, strided
from ...kernels.native import Kernel
from ...kernels.simd import SHARD, bits_of
from ...ops.axes import axis_tuple
from ..build import Buffer
from ..graph import Node, NotNative
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace, Traced
from .products import learned, placeholder

_NO_LIMIT = float("nan")
_SELU = (1.6732632423543772, 1.0, 1.0507009873554805)

#: For each activation, from its settings: an expression of `kernels.activations`, and the settings
#: of that one.
POINTWISE: dict[str, Callable[..., tuple[str, tuple[float, ...]]]] = {
    "relu": lambda negative_slope, max_value, threshold: (
        "rectified",
        (negative_slope, threshold, _NO_LIMIT if max_value is None else max_value),
    ),
    "leaky_relu": lambda negative_slope: ("rectified", (negative_slope, 0.0, _NO_LIMIT)),
    "relu6": lambda: ("clipped", (0.0, 0.0, 6.0, 1.0)),
    "hard_tanh": lambda: ("clipped", (0.0, -1.0, 1.0, 1.0)),
    "hard_sigmoid": lambda: ("clipped", (3.0, 0.0, 6.0, 1 / 6)),
    "sparse_sigmoid": lambda: ("clipped", (1.0, 0.0, 2.0, 0.5)),
    "hard_silu": lambda: ("gated", (3.0, 0.0, 6.0, 1 / 6)),
    "elu": lambda alpha: ("exponential_unit", (alpha, 1.0, 1.0)),
    "celu": lambda alpha: ("exponential_unit", (alpha, 1 / alpha, 1.0)),
    "selu": lambda: ("exponential_unit", _SELU),
    "exp": lambda: ("exponential", ()),
    "softplus": lambda: ("softplus", (1.0,)),
    "log_sigmoid": lambda: ("softplus", (-1.0,)),
    "silu": lambda: ("silu", ()),
    "gelu": lambda approximate: ("gelu_tanh" if approximate else "gelu", ()),
    "mish": lambda: ("mish", ()),
    "softsign": lambda: ("softsign", ()),
    "tanh_shrink": lambda: ("tanh_shrink", ()),
    "soft_shrink": lambda threshold: ("soft_shrink", (threshold,)),
    "hard_shrink": lambda threshold: ("hard_shrink", (threshold,)),
    "squareplus": lambda b: ("squareplus", (b, math.sqrt(b))),
    "sparse_plus": lambda: ("sparse_plus", ()),
}


@traces("tanh")
def _tanh(t: Trace, x: Any) -> Traced:
    return t.add("tanh", (x,), x.sample)


@traces("sigmoid")
def _sigmoid(t: Trace, x: Any) -> Traced:
    return t.add("sigmoid", (x,), x.sample)


def _pointwise(op: str) -> None:
    """Let an op of the table become a node."""

    def activation(t: Trace, x: Any, *given: Any, **settings: Any) -> Traced:
        settings = inspect.signature(OPS[op]).bind(x, *given, **settings)
        settings.apply_defaults()
        expression, numbers = POINTWISE[op](*settings.args[1:], **settings.kwargs)
        if op == "relu" and (numbers[0], numbers[1]) == (0.0, 0.0) and math.isnan(numbers[2]):
            return t.add("relu", (x,), x.sample)
        return t.add("pointwise", (x,), x.sample, expression=expression, given=tuple(numbers))

    traces(op)(activation)


for _name in POINTWISE:
    _pointwise(_name)


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
def _glu(t: Trace, x: Any, axis: Any = -1) -> Traced:
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
