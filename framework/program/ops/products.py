"""Lowering of dense layers, and what it shares with convolutions: sums of products in tiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autograd.variable import Variable
from ...kernels import joining, pointwise, products
from ...kernels.native import rows_of_tiles
from ...kernels.simd import LANES, SHARD
from ..build import Buffer, Ref
from ..graph import Node, NotNative, Shape
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced, View
from .shape import as_floats, blended, permuted, reshaped

#: Most weights of a dense layer that are gone through at a time. A tile takes a piece of a row, and
#: the next tile the next piece: meanwhile the rows stay in the cache.
RUN = 1 << 16


def placeholder(value: Any, op: str) -> Traced:
    """The first array of an op, which has to be a tensor of the graph.

    Raises:
        NotNative: it is none.
    """
    if not isinstance(value, Traced):
        raise NotNative(f"the op {op!r} has no lowering for its operands")
    return value


def learned(value: Any, op: str) -> tuple[Any, Shape]:
    """The variable among the arrays of an op, and the shape in which it takes it.

    Raises:
        NotNative: it is none.
    """
    if isinstance(value, Variable):
        return value, value.shape
    if isinstance(value, View):
        return value.variable, value.shape
    raise NotNative(f"the op {op!r} has no lowering for weights that are computed")


@traces("matmul")
def _matmul(t: Trace, x: Any, y: Any) -> Traced:
    if isinstance(x, Traced) and isinstance(y, (Variable, View)):
        kernel, shape = learned(y, "matmul")
        if len(shape) == 2 and kernel.shape[-1] == shape[-1] and x.sample[-1:] == shape[:1]:
            return _along_channels(t, x, kernel, shape[-1])
    if (
        isinstance(x, Traced)
        and isinstance(y, np.ndarray)
        and y.ndim == 2
        and y.dtype == np.float32
        and x.sample[-1:] == y.shape[:1]
    ):
        return blended(t, as_floats(t, x), len(x.sample) - 1, y.T)
    if isinstance(x, Traced) and isinstance(y, Traced) and x.ndim == y.ndim == 3:
        (m, k), (same, n) = x.sample, y.sample
        if k != same or x.dtype == y.dtype == np.uint8:
            raise NotNative(f"matmul has no lowering for {x.shape} and {y.shape}")
        return t.add("products", (x, permuted(t, y, (1, 0))), (m, n), m=m, n=n, k=k)
    raise NotNative("the op 'matmul' has no lowering for its operands")


def _along_channels(t: Trace, x: Traced, kernel: Any, filters: int) -> Traced:
    """A matrix applied to the channels of each place: a convolution of one tap."""
    *places, channels = x.sample
    variables = {"kernel": kernel}
    if not places:
        return t.add("dense", (x,), (filters,), variables, relu=False)
    image = (math.prod(places[:-1]), *places[-1:])
    one = {"taps": (1, 1), "strides": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    x = reshaped(t, x, (*image, channels))
    x = t.add("conv", (x,), (*image, filters), variables, **one, groups=1, relu=False)
    return reshaped(t, x, (*places, filters))


def correlate(
    low: Lowering,
    out: Ref,
    x: Ref,
    w: Ref,
    bias: Any,
    outputs: int,
    numbers: dict[str, int],
    back: bool,
) -> None:
    """Emit `products.correlate` (or, `back`, `correlate_back`) for so many output channels.

    Args:
        out: the first of them at the first pixel.
        x: channel 0, of those to sum over, of pixel 0.
        w: the first weight of the first tap.
        bias: a `Ref`, or None.
        numbers: the other arguments, by name; a tap or more may be missing along each axis.
    """
    n = {"adds": 0, "relu": 0, **numbers}
    last_pixel = (n["out_height"] - 1) * n["out_row"] + (n["out_width"] - 1) * n["out_pixel"]
    last_x = (n["height"] * n["width"] - 1) * n["x_pixel"] + n["channels"] * SHARD
    pitch, run = (1, n["w_pitch"]) if back else (n["w_pitch"], 1)
    ends = [(n[f"taps_{axis}"] - 1) * n[f"w_tap_{axis}"] for axis in "hw" if n[f"taps_{axis}"]]
    least, most = sum(min(e, 0) for e in ends), sum(max(e, 0) for e in ends)
    if n["taps_h"] and n["taps_w"]:
        extent = most - least + (n["channels"] - 1) * pitch + (outputs - 1) * run + 1
        w.buffer.at(w.offset + least, extent)
    first = 0
    for rows, blocks in rows_of_tiles(outputs):
        kernel = (products.correlate_back if back else products.correlate)(rows)
        size = rows * blocks
        given = {
            **n,
            "out": out.buffer.at(out.offset + first * SHARD, last_pixel + size * SHARD),
            "x": x.buffer.at(x.offset, last_x),
            "w": w.buffer.at(w.offset + first * run, 0),
            "bias": 0 if bias is None else bias.buffer.at(bias.offset + first, size),
            "blocks": blocks,
        }
        low.build.emit(kernel, **given)
        first += size


@lowers("dense")
class Dense(OpLowering):
    """``y[o] = sum x[i] w[i, o]``: a convolution of one pixel."""

    @staticmethod
    def _numbers(inputs: int, outputs: int, pitch: int) -> dict[str, int]:
        ones = (
            "height", "width", "out_height", "out_width", "step_h", "step_w", "taps_h", "taps_w",
            "apart_h", "apart_w",
        )  # fmt: skip
        return dict.fromkeys(ones, 1) | {
            "channels": inputs,
            "x_pixel": inputs * SHARD,
            "top": 0,
            "left": 0,
            "w_tap_h": 0,
            "w_tap_w": 0,
            "w_pitch": pitch,
            "out_row": outputs * SHARD,
            "out_pixel": outputs * SHARD,
            "merged": 0,
        }

    def forward(self, low: Lowering, node: Node) -> None:
        kernel, bias = node.variables["kernel"], node.variables.get("bias")
        outputs = kernel.shape[-1]
        inputs = kernel.size // outputs
        wide = None if bias is None else low.variable(bias).at()
        numbers = self._numbers(inputs, outputs, outputs)
        x, w, out = low.values[node.inputs[0]], low.variable(kernel), low.output(node).at()
        each = max(1, RUN // outputs)
        for start in range(0, inputs, each):
            numbers["channels"] = min(each, inputs - start)
            numbers["adds"] = int(start > 0)
            numbers["relu"] = int(node.settings["relu"] and start + each >= inputs)
            correlate(
                low,
                out,
                x.at(start * SHARD),
                w.at(start * outputs),
                wide,
                outputs,
                numbers,
                back=False,
            )

    def backward(self, low: Lowering, node: Node) -> None:
        kernel, bias = node.variables["kernel"], node.variables.get("bias")
        outputs = kernel.shape[-1]
        inputs = kernel.size // outputs
        g = through_relu(low, node)
        x, w = low.values[node.inputs[0]], low.variable(kernel)
        slot = low.slot_of(kernel)
        if slot is not None:
            pitch = -(-outputs // (2 * LANES)) * 2 * LANES
            turned = low.build.buffer(SHARD * pitch, f"{node.layer}: transposed gradient")
            low.build.emit(products.transpose_shard, turned, g, outputs, pitch, 1)
            first = 0
            for rows, blocks in rows_of_tiles(inputs):
                low.build.emit(
                    products.dense_gradient(rows),
                    slot.buffer.at(slot.offset + first * outputs, rows * blocks * outputs),
                    x.at(first * SHARD, rows * blocks * SHARD),
                    turned,
                    blocks,
                    outputs,
                    pitch,
                )
                first += rows * blocks
        add_bias_gradient(low, bias, g, 1, outputs)
        numbers = self._numbers(outputs, inputs, outputs)
        low.give(
            node.inputs[0],
            lambda out: correlate(low, out.at(), g.at(), w.at(), None, inputs, numbers, back=True),
        )


def through_relu(low: Lowering, node: Node) -> Buffer:
    """The gradient of the op itself, before the relu that is part of it."""
    g = low.gradients[node.output]
    if node.settings["relu"]:
        y = low.values[node.output]
        low.build.emit(pointwise.relu_back, g, g, y, low.size(node.output))
    return g


def add_bias_gradient(low: Lowering, bias: Any, g: Buffer, pixels: int, channels: int) -> None:
    slot = None if bias is None else low.slot_of(bias)
    if slot is not None:
        low.build.emit(products.bias_gradient, slot, g, pixels, channels)


@lowers("products")
class Products(OpLowering):
    """``y[m, n] = sum x[m, k] z[n, k]``, sample by sample."""

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
