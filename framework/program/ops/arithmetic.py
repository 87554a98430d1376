"""What combines tensors, variables and numbers element by element."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from ...autograd.tape import OPS
from ...autograd.variable import Variable
from ...kernels import pointwise, products
from ...kernels.simd import SHARD
from ..graph import Node, NotNative
from ..lowering import OTHERWISE, Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced, View
from .shape import stretched

# From ops


def number(operand: Any) -> float | None:
    """An operand that is one number; None: it is none."""
    if isinstance(operand, numbers.Real):
        return float(operand)
    single = isinstance(operand, np.ndarray) and operand.size == 1 and _stays_float32(operand)
    return float(operand.reshape(())) if single else None


def _stays_float32(array: np.ndarray) -> bool:
    """Whether an op on float32 beside this array is computed in float32."""
    return array.dtype.kind in "biuf" and array.dtype != np.float64


def as_traced(t: Trace, operand: Any, rank: int, op: str) -> Traced:
    """An operand as a tensor of that rank: what is no tensor is the same for every sample.

    Raises:
        NotNative: its axes meet others than those of samples.
    """
    if isinstance(operand, Traced):
        if operand.ndim != rank:
            raise NotNative(f"the operands of {op!r} have different ranks")
        return operand
    kind: dict[str, Any] = {"variable": None, "array": None}
    if isinstance(operand, Variable):
        kind["variable"], shape = operand, operand.shape
    elif isinstance(operand, View):
        kind["variable"], shape = operand
    else:
        array = np.asarray(operand)
        if not _stays_float32(array):
            raise NotNative(f"{op!r} meets an array of {array.dtype}")
        kind["array"], shape = np.ascontiguousarray(array, np.float32), array.shape
    if len(shape) > rank or (len(shape) == rank and shape[0] != 1):
        raise NotNative(f"{op!r} meets an array {shape} with numbers for each sample")
    sample = shape[len(shape) == rank :]
    sample = (*(1,) * (rank - 1 - len(sample)), *sample)
    if kind["variable"] is not None:
        return t.add("spread", (), sample, {"variable": kind["variable"]})
    return t.add("spread", (), sample, array=kind["array"])


def broadcast(t: Trace, op: str, *operands: Any) -> tuple[Traced, ...]:
    """Operands as tensors of one shape.

    Raises:
        NotNative: their shapes do not fit.
    """
    rank = max(x.ndim for x in operands if isinstance(x, Traced))
    tensors = [as_traced(t, x, rank, op) for x in operands]
    try:
        target = np.broadcast_shapes(*(x.sample for x in tensors))
    except ValueError:
        raise NotNative(f"the shapes of the operands of {op!r} do not fit") from None
    return tuple(stretched(t, x, target) for x in tensors)


def _along_channels(x: Any, y: Any) -> tuple[Traced, Any] | None:
    """A tensor, and a variable for its last axes; None: that is not what the operands are."""
    x, y = (y, x) if isinstance(y, Traced) else (x, y)
    if not isinstance(x, Traced) or not isinstance(y, (Variable, View)):
        return None
    shape = y.shape
    while shape and shape[0] == 1:
        shape = shape[1:]
    if len(y.shape) >= x.ndim or not shape or x.sample[len(x.sample) - len(shape) :] != shape:
        return None
    return x, y.variable if isinstance(y, View) else y


def _with_array(t: Trace, op: str, x: Any, y: Any) -> Traced | None:
    """x op y, for an array of numbers for each place along some axes of samples."""
    x, y = (y, x) if isinstance(y, Traced) else (x, y)
    if not isinstance(y, np.ndarray) or y.dtype != np.float32 or y.size == 1:
        return None
    lengths = (1,) * (x.ndim - y.ndim) + y.shape
    if len(lengths) > x.ndim or any(
        k not in (1, n) for k, n in zip(lengths, (1, *x.sample), strict=True)
    ):
        return None
    numbers, kept = tuple(y.ravel().tolist()), tuple(k > 1 for k in lengths[1:])
    ones, zeros = (1.0,) * len(numbers), (0.0,) * len(numbers)
    times, plus = (ones, numbers) if op == "add" else (numbers, zeros)
    return t.add("rescale", (x,), x.sample, kept=kept, times=times, plus=plus)


@traces("add")
def _add(t: Trace, x: Any, y: Any) -> Traced:
    if (found := _with_array(t, "add", x, y)) is not None:
        return found
    if (pair := _along_channels(x, y)) is not None:
        return t.add("shift", (pair[0],), pair[0].sample, {"bias": pair[1]})
    return OTHERWISE[0](t, OPS["add"], (x, y), {})


@traces("multiply")
def _multiply(t: Trace, x: Any, y: Any) -> Traced:
    if (found := _with_array(t, "multiply", x, y)) is not None:
        return found
    if (pair := _along_channels(x, y)) is not None:
        return t.add("gain", (pair[0],), pair[0].sample, {"gain": pair[1]})
    return OTHERWISE[0](t, OPS["multiply"], (x, y), {})


# To instructions


@lowers("spread")
class Spread(OpLowering):
    """A variable, or an array, as a value of every sample."""

    def forward(self, low: Lowering, node: Node) -> None:
        variable = node.variables.get("variable")
        source = (
            low.build.constant(node.settings["array"])
            if variable is None
            else low.variable(variable)
        )
        out = low.output(node)
        low.build.emit(pointwise.spread, out, source, out.size // SHARD)

    def backward(self, low: Lowering, node: Node) -> None:
        variable = node.variables.get("variable")
        if variable is not None and (slot := low.slot_of(variable)) is not None:
            g = low.gradients[node.output]
            low.build.emit(products.bias_gradient, slot, g, 1, variable.size)


def _places(low: Lowering, node: Node, variable: Any) -> tuple[int, int]:
    """How many places there are for the numbers of a variable, and how many numbers."""
    return math.prod(low.graph.shapes[node.output]) // variable.size, variable.size


@lowers("shift")
class Shift(OpLowering):
    """x + a variable along the last axes."""

    def forward(self, low: Lowering, node: Node) -> None:
        x, bias = low.values[node.inputs[0]], node.variables["bias"]
        out, sizes = low.output_in_place(node), _places(low, node, bias)
        low.build.emit(pointwise.add_bias, out, x, low.variable(bias), *sizes)

    def backward(self, low: Lowering, node: Node) -> None:
        g, bias = low.gradients[node.output], node.variables["bias"]
        slot = low.slot_of(bias)
        if slot is not None:
            low.build.emit(products.bias_gradient, slot, g, *_places(low, node, bias))
        low.pass_on(node.inputs[0], g)


@lowers("gain")
class Gain(OpLowering):
    """x times a variable along the last axes."""

    def forward(self, low: Lowering, node: Node) -> None:
        x, gain = low.values[node.inputs[0]], node.variables["gain"]
        sizes = _places(low, node, gain)
        low.build.emit(pointwise.scale_channels, low.output(node), x, low.variable(gain), *sizes)

    def backward(self, low: Lowering, node: Node) -> None:
        g, x = low.gradients[node.output], low.values[node.inputs[0]]
        gain = node.variables["gain"]
        slot, sizes = low.slot_of(gain), _places(low, node, gain)
        if slot is not None:
            low.build.emit(pointwise.scale_channels_gradient, slot, g, x, *sizes)
        low.build.emit(pointwise.scale_channels, g, g, low.variable(gain), *sizes)
        low.pass_on(node.inputs[0], g)
