"""Lowerings of convolutions and dense layers."""

from __future__ import annotations

from typing import Any

from ..kernels import pointwise, products
from ..kernels.native import rows_of_tiles
from ..kernels.simd import LANES, SHARD, TILE_ROWS
from . import winograd
from .build import Buffer
from .graph import Node
from .lowering import Lowering, OpLowering, lowers

#: From so many channels on, a run along the channels of one tap is long enough by itself, and the
#: weights are better read along them.
LONG_RUN = 32
#: Elements of x that `kernel_gradient` goes over again and again: half of a first-level cache.
CACHED = 4096


def _correlate(
    low: Lowering,
    out: Buffer,
    x: Buffer,
    w: tuple[Buffer, int],
    bias: Any,
    outputs: int,
    numbers: dict[str, int],
    back: bool,
) -> None:
    """Emit `correlate` (or, `back`, `correlate_back`) for all output channels.

    `w` is where the weights of the first tap begin: a buffer and an offset.
    """
    first = 0
    buffer, start = w
    n = {"out_first": 0, **numbers}
    last_pixel = (n["out_height"] - 1) * n["out_row"] + (n["out_width"] - 1) * n["out_pixel"]
    pitch, run = (1, n["w_pitch"]) if back else (n["w_pitch"], 1)
    ends = [(n["taps_h"] - 1) * n["w_tap_h"], (n["taps_w"] - 1) * n["w_tap_w"]]
    least, most = sum(min(e, 0) for e in ends), sum(max(e, 0) for e in ends)
    buffer.at(start + least, most - least + (n["channels"] - 1) * pitch + (outputs - 1) * run + 1)
    for rows, blocks in rows_of_tiles(outputs):
        kernel = (products.correlate_back if back else products.correlate)(rows)
        weights = buffer.at(start + first * run, 0)
        given = {
            **n,
            "out": out.at(first * SHARD + n["out_first"], last_pixel + rows * blocks * SHARD),
            "x": x.at(0, n["height"] * n["width"] * n["channels"] * SHARD),
            "w": weights,
            "bias": 0 if bias is None else bias.at(first, rows * blocks),
            "blocks": blocks,
        }
        low.build.emit(kernel, *(given[name] for name in products.CORRELATE))
        first += rows * blocks


@lowers("dense")
class Dense(OpLowering):
    """``y[o] = sum x[i] w[i, o]``: a convolution of one pixel."""

    reads_input = True

    @staticmethod
    def _numbers(inputs: int, outputs: int, pitch: int, relu: bool) -> dict[str, int]:
        ones = dict.fromkeys(products.CORRELATE, 1)
        return ones | {
            "channels": inputs,
            "top": 0,
            "left": 0,
            "w_tap_h": 0,
            "w_tap_w": 0,
            "w_pitch": pitch,
            "out_row": outputs * SHARD,
            "out_pixel": outputs * SHARD,
            "merged": 0,
            "relu": int(relu),
        }

    def forward(self, low: Lowering, node: Node) -> None:
        kernel, bias = node.variables["kernel"], node.variables.get("bias")
        outputs = kernel.shape[-1]
        inputs = kernel.size // outputs
        wide = None if bias is None else low.variable(bias)
        numbers = self._numbers(inputs, outputs, outputs, node.settings["relu"])
        x, w = low.values[node.inputs[0]], low.variable(kernel)
        _correlate(low, low.output(node), x, (w, 0), wide, outputs, numbers, back=False)

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
        numbers = self._numbers(outputs, inputs, outputs, relu=False)
        low.give(
            node.inputs[0],
            lambda out: _correlate(low, out, g, (w, 0), None, inputs, numbers, back=True),
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


@lowers("conv")
class Conv(OpLowering):
    """Direct convolution; see `kernels.products` for the forms."""

    reads_input = True

    @staticmethod
    def _turned(low: Lowering, node: Node, flip: bool) -> Buffer:
        kernel = node.variables["kernel"]
        return low.packed((kernel, "flipped" if flip else "turned"), kernel.size)

    @staticmethod
    def _long(node: Node) -> bool:
        return node.variables["kernel"].shape[2] >= LONG_RUN

    @staticmethod
    def _flips(node: Node) -> bool:
        """Whether the gradient for x is best a forward convolution with flipped weights."""
        short = node.variables["kernel"].shape[3] < LONG_RUN
        return short and node.settings["strides"] == (1, 1) == node.settings["dilation"]

    def prepare(self, low: Lowering, node: Node) -> None:
        if winograd.pays(low, node):
            winograd.prepare(low, node)
            return
        kernel = node.variables["kernel"]
        taps_h, taps_w, c, f = kernel.shape
        for flip in (False, True):
            if low.has_packed((kernel, "flipped" if flip else "turned")):
                low.build.task()
                turned = self._turned(low, node, flip)
                w = low.variable(kernel)
                low.build.emit(products.transpose_taps, turned, w, taps_h * taps_w, c, f, int(flip))

    def forward(self, low: Lowering, node: Node) -> None:
        if winograd.pays(low, node):
            winograd.forward(low, node)
            return
        kernel, bias = node.variables["kernel"], node.variables.get("bias")
        taps_h, taps_w, c, f = kernel.shape
        height, width, _ = low.graph.shapes[node.inputs[0]]
        out_height, out_width, _ = low.graph.shapes[node.output]
        (top, _), (left, _) = node.settings["padding"]
        step_h, step_w = node.settings["strides"]
        apart_h, apart_w = node.settings["dilation"]
        long = self._long(node)
        numbers = {
            "height": height, "width": width, "channels": c,
            "out_height": out_height, "out_width": out_width,
            "step_h": step_h, "step_w": step_w, "top": -top, "left": -left,
            "taps_h": taps_h, "taps_w": taps_w, "apart_h": apart_h, "apart_w": apart_w,
            "w_tap_h": taps_w * c * f, "w_tap_w": c * f, "w_pitch": c if long else f,
            "out_row": out_width * f * SHARD, "out_pixel": f * SHARD,
            "merged": int(not long and apart_w == 1), "relu": int(node.settings["relu"]),
        }  # fmt: skip
        w = self._turned(low, node, flip=False) if long else low.variable(kernel)
        wide = None if bias is None else low.variable(bias)
        x = low.values[node.inputs[0]]
        _correlate(low, low.output(node), x, (w, 0), wide, f, numbers, back=long)

    def backward(self, low: Lowering, node: Node) -> None:
        g = through_relu(low, node)
        out_height, out_width, f = low.graph.shapes[node.output]
        self._kernel_gradient(low, node, g)
        add_bias_gradient(low, node.variables.get("bias"), g, out_height * out_width, f)
        low.give(node.inputs[0], lambda out: self._input_gradient(low, node, g, out))

    def _kernel_gradient(self, low: Lowering, node: Node, g: Buffer) -> None:
        kernel = node.variables["kernel"]
        slot = low.slot_of(kernel)
        if slot is None:
            return
        if winograd.pays(low, node):
            winograd.kernel_gradient(low, node, g, slot)
            return
        taps_h, taps_w, c, f = kernel.shape
        height, width, _ = low.graph.shapes[node.inputs[0]]
        out_height, out_width, _ = low.graph.shapes[node.output]
        (top, _), (left, right) = node.settings["padding"]
        apart_h, apart_w = node.settings["dilation"]
        merged = left == right == 0 and apart_w == 1
        matrix = taps_w * c if merged else c
        pixels = CACHED // (SHARD * min(c, TILE_ROWS))
        chunk = max(1, pixels // out_width)
        for first_row in range(0, out_height, chunk):
            row = 0
            for rows, blocks in rows_of_tiles(matrix):
                given = {
                    "out": slot, "x": low.values[node.inputs[0]], "g": g,
                    "row": row, "blocks": blocks,
                    "height": height, "width": width, "channels": c, "filters": f,
                    "first_row": first_row, "rows_below": min(first_row + chunk, out_height),
                    "out_width": out_width,
                    "step_h": node.settings["strides"][0], "step_w": node.settings["strides"][1],
                    "top": -top, "left": -left, "taps_h": taps_h,
                    "taps_w": 1 if merged else taps_w, "apart_h": apart_h, "apart_w": apart_w,
                    "matrix": matrix,
                }  # fmt: skip
                low.build.emit(
                    products.kernel_gradient(rows), *(given[n] for n in products.KERNEL_GRADIENT)
                )
                row += rows * blocks

    def _input_gradient(self, low: Lowering, node: Node, g: Buffer, out: Buffer) -> None:
        """Pixel q of x gathers from outputs p with ``q = step p + apart t - pad``: a convolution
        of g, for each remainder of q by the strides one with every so-many-th tap."""
        if winograd.pays(low, node):
            winograd.input_gradient(low, node, g, out)
            return
        kernel = node.variables["kernel"]
        taps_h, taps_w, c, f = kernel.shape
        height, width, _ = low.graph.shapes[node.inputs[0]]
        out_height, out_width, _ = low.graph.shapes[node.output]
        (top, _), (left, _) = node.settings["padding"]
        if self._flips(node):
            numbers = {
                "height": out_height, "width": out_width, "channels": f,
                "out_height": height, "out_width": width,
                "step_h": 1, "step_w": 1, "top": top - taps_h + 1, "left": left - taps_w + 1,
                "taps_h": taps_h, "taps_w": taps_w, "apart_h": 1, "apart_w": 1,
                "w_tap_h": taps_w * c * f, "w_tap_w": c * f, "w_pitch": c,
                "out_row": width * c * SHARD, "out_pixel": c * SHARD, "merged": 1, "relu": 0,
            }  # fmt: skip
            w = self._turned(low, node, flip=True)
            _correlate(low, out, g, (w, 0), None, c, numbers, back=False)
            return
        rows = _phases(
            height, taps_h, node.settings["strides"][0], node.settings["dilation"][0], top
        )
        columns = _phases(
            width, taps_w, node.settings["strides"][1], node.settings["dilation"][1], left
        )
        low_size = low.size(node.inputs[0])
        if any(not p.taps for p in rows + columns):
            low.build.emit(pointwise.fill, out, low_size, 0)
        w = low.variable(kernel)
        for r in rows:
            for q in columns:
                if not (r.taps and q.taps):
                    continue
                numbers = {
                    "height": out_height, "width": out_width, "channels": f,
                    "out_height": r.count, "out_width": q.count,
                    "step_h": 1, "step_w": 1, "top": r.start, "left": q.start,
                    "taps_h": r.taps, "taps_w": q.taps, "apart_h": r.apart, "apart_w": q.apart,
                    "w_tap_h": r.tap_step * taps_w * c * f, "w_tap_w": q.tap_step * c * f,
                    "w_pitch": f,
                    "out_row": r.every * width * c * SHARD, "out_pixel": q.every * c * SHARD,
                    "out_first": (r.first * width + q.first) * c * SHARD,
                    "merged": 0, "relu": 0,
                }  # fmt: skip
                start = (r.first_tap * taps_w + q.first_tap) * c * f
                _correlate(low, out, g, (w, start), None, c, numbers, back=True)


class _Phase:
    """Along one axis, the pixels ``first, first + every, ...`` of x, and the taps they meet.

    Pixel number i of them reads g at ``i + start + apart k`` with tap ``first_tap + tap_step k``,
    for k below `taps`.
    """

    def __init__(self, first: int, length: int, taps: list[int], every: int, places: list[int]):
        self.first, self.every = first, every
        self.count = len(range(first, length, every))
        self.taps = len(taps)
        self.first_tap, self.start, self.tap_step, self.apart = 0, 0, 0, 1
        if taps:
            self.first_tap, self.start = taps[0], places[0]
        if len(taps) > 1:
            self.tap_step, self.apart = taps[1] - taps[0], places[1] - places[0]


def _phases(length: int, taps: int, stride: int, apart: int, pad: int) -> list[_Phase]:
    """The phases of one axis.

    Pixel q meets tap t at output ``(q + pad - apart t) / stride`` where that is whole. Taps are
    taken in falling order, so that outputs rise.
    """
    found = []
    for first in range(min(stride, length)):
        met = [t for t in reversed(range(taps)) if (first + pad - apart * t) % stride == 0]
        places = [(first + pad - apart * t) // stride for t in met]
        found.append(_Phase(first, length, met, stride, places))
    return found
