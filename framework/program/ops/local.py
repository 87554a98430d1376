"""Local connection: a convolution with weights of its own for every position."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from ...kernels import pointwise, products
from ...kernels.native import rows_of_tiles
from ...kernels.simd import SHARD
from ...ops.geometry import window_settings
from ..build import Buffer, Ref
from ..graph import Node, NotNative
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from .conv import Three, three
from .products import add_bias_gradient, correlate, learned, through_relu


@traces("local_conv")
def _local_conv(
    t: Trace, x: Any, kernel: Any, kernel_size: Any, strides: Any, padding: Any
) -> Traced:
    kernel, shape = learned(kernel, "local_conv")
    settings, lengths = window_settings(
        "local_conv", x.shape, "taps", kernel_size, strides, padding
    )
    row = math.prod(settings["taps"]) * x.sample[-1]
    if len(x.sample) > 3 or shape[:-1] != (math.prod(lengths), row):
        raise NotNative(f"local_conv has no lowering for a kernel {shape}")
    return t.add("local", (x,), (*lengths, shape[-1]), {"kernel": kernel}, **settings, relu=False)


class _Positions:
    """The windows of a node, in row-major order."""

    def __init__(self, low: Lowering, node: Node) -> None:
        *image, self.channels = low.graph.shapes[node.inputs[0]]
        *pixels, self.filters = low.graph.shapes[node.output]
        settings = node.settings
        _, self.height, self.width = three(image, 1)
        self.pixels = three(pixels, 1)
        _, self.taps_h, self.taps_w = three(settings["taps"], 1)
        self.strides: Three = three(settings["strides"], 1)
        self.before: Three = three([before for before, _ in settings["padding"]], 0)
        self.row = self.taps_w * self.channels * self.filters
        self.size = self.taps_h * self.row

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """The number of a position, and where its first tap lies."""
        starts = (
            [i * self.strides[axis] - self.before[axis] for i in range(self.pixels[axis])]
            for axis in (1, 2)
        )
        for p, (top, left) in enumerate(itertools.product(*starts)):
            yield p, top, left

    def numbers(self, top: int, left: int) -> dict[str, int]:
        """What the kernels of products take for one position."""
        return {
            "height": self.height, "width": self.width, "out_width": 1,
            "step_h": 1, "step_w": 1, "top": top, "left": left,
            "taps_h": self.taps_h, "taps_w": self.taps_w, "apart_h": 1, "apart_w": 1,
        }  # fmt: skip


@lowers("local")
class Local(OpLowering):
    """For every position a product with a matrix of its own."""

    def forward(self, low: Lowering, node: Node) -> None:
        at, bias = _Positions(low, node), node.variables.get("bias")
        w, x, out = (
            low.variable(node.variables["kernel"]),
            low.values[node.inputs[0]],
            low.output(node),
        )
        wide = None if bias is None else low.variable(bias)
        f = at.filters
        for p, top, left in at:
            numbers = at.numbers(top, left) | {
                "channels": at.channels, "x_pixel": at.channels * SHARD,
                "w_tap_h": at.row, "w_tap_w": at.channels * f, "w_pitch": f, "merged": 1,
                "out_height": 1, "out_row": 0, "out_pixel": 0, "relu": int(node.settings["relu"]),
            }  # fmt: skip
            start = None if wide is None else wide.at(p * f, f)
            to, weights = out.at(p * f * SHARD, f * SHARD), Ref(w, p * at.size)
            correlate(low, to, x.at(), weights, start, f, numbers, back=False)

    def backward(self, low: Lowering, node: Node) -> None:
        at, kernel = _Positions(low, node), node.variables["kernel"]
        g, x = through_relu(low, node), low.values[node.inputs[0]]
        slot = low.slot_of(kernel)
        if slot is not None:
            self._kernel_gradient(low, at, slot, x, g)
        positions = math.prod(at.pixels)
        add_bias_gradient(low, node.variables.get("bias"), g, 1, positions * at.filters)
        low.give(node.inputs[0], lambda out: self._input_gradient(low, at, kernel, g, out))

    @staticmethod
    def _kernel_gradient(low: Lowering, at: _Positions, slot: Ref, x: Buffer, g: Buffer) -> None:
        f, c = at.filters, at.channels
        for p, top, left in at:
            given: dict[str, Any] = at.numbers(top, left) | {
                "out": slot.buffer.at(slot.offset + p * at.size, at.size), "x": x,
                "g": g.at(p * f * SHARD, f * SHARD), "x_pixel": c, "g_pixel": f, "filters": f,
                "first_row": 0, "rows_below": 1, "matrix": c,
            }  # fmt: skip
            row = 0
            for rows, blocks in rows_of_tiles(c):
                given |= {"row": row, "blocks": blocks}
                low.build.emit(products.kernel_gradient(rows), **given)
                row += rows * blocks

    @staticmethod
    def _input_gradient(low: Lowering, at: _Positions, kernel: Any, g: Buffer, out: Buffer) -> None:
        """Each row of taps lies on a run of pixels, and so of channels: a matrix adds to it."""
        low.build.emit(pointwise.fill, out, out.size, 0)
        w, f, c = low.variable(kernel), at.filters, at.channels
        one = at.numbers(0, 0) | {
            "height": 1, "width": 1, "taps_h": 1, "taps_w": 1, "channels": f,
            "x_pixel": f * SHARD, "w_tap_h": 0, "w_tap_w": 0, "w_pitch": f, "merged": 0, "adds": 1,
            "out_height": 1, "out_row": 0, "out_pixel": 0,
        }  # fmt: skip
        for p, top, left in at:
            first, below = max(0, -left), min(at.taps_w, at.width - left)
            for tap in range(max(0, -top), min(at.taps_h, at.height - top)):
                if first >= below:
                    continue
                to = ((top + tap) * at.width + left + first) * c * SHARD
                weights = Ref(w, p * at.size + tap * at.row + first * c * f)
                here = g.at(p * f * SHARD, f * SHARD)
                outputs = (below - first) * c
                correlate(low, Ref(out, to), here, weights, None, outputs, one, back=True)
