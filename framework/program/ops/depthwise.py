"""Lowering of depthwise convolution."""

from __future__ import annotations

import math

from ...kernels import channelwise
from ...kernels.native import rows_of_tiles
from ...kernels.simd import FIXED_ROWS, SHARD
from ..build import Buffer
from ..graph import Node
from ..lowering import Lowering, OpLowering, lowers
from .conv import phases
from .products import add_bias_gradient, through_relu

#: Kernels up to so many taps each way are made for their size.
LARGEST = 5


def _two(sizes: tuple[int, ...], fill: int) -> tuple[int, int]:
    return (fill, sizes[0]) if len(sizes) == 1 else (sizes[0], sizes[1])


@lowers("depthwise")
class Depthwise(OpLowering):
    """A kernel or more for each channel; see `kernels.channelwise`."""

    @staticmethod
    def _numbers(low: Lowering, node: Node) -> dict[str, int]:
        *image, channels = low.graph.shapes[node.inputs[0]]
        *pixels, filters = low.graph.shapes[node.output]
        settings = node.settings
        height, width = _two(tuple(image), 1)
        out_height, out_width = _two(tuple(pixels), 1)
        taps_h, taps_w = _two(settings["taps"], 1)
        step_h, step_w = _two(settings["strides"], 1)
        apart_h, apart_w = _two(settings["dilation"], 1)
        top, left = _two(tuple(before for before, _ in settings["padding"]), 0)
        return {
            "height": height, "width": width, "channels": channels,
            "multiplier": filters // channels, "out_height": out_height, "out_width": out_width,
            "step_h": step_h, "step_w": step_w, "top": -top, "left": -left,
            "taps_h": taps_h, "taps_w": taps_w, "apart_h": apart_h, "apart_w": apart_w,
        }  # fmt: skip

    def forward(self, low: Lowering, node: Node) -> None:
        n, bias = self._numbers(low, node), node.variables.get("bias")
        filters = n["channels"] * n["multiplier"]
        given = {
            **n,
            "out": low.output(node),
            "x": low.values[node.inputs[0]],
            "w": low.variable(node.variables["kernel"]),
            "bias": 0 if bias is None else low.variable(bias),
            "w_tap_h": n["taps_w"] * filters,
            "w_tap_w": filters,
            "out_row": n["out_width"] * filters * SHARD,
            "out_pixel": filters * SHARD,
            "relu": int(node.settings["relu"]),
        }
        size = n["taps_h"] if n["taps_h"] == n["taps_w"] <= LARGEST else 0
        low.build.emit(channelwise.forward(size), **given)

    def backward(self, low: Lowering, node: Node) -> None:
        n, kernel = self._numbers(low, node), node.variables["kernel"]
        g, x = through_relu(low, node), low.values[node.inputs[0]]
        slot = low.slot_of(kernel)
        if slot is not None:
            tap = 0
            for rows, blocks in rows_of_tiles(n["taps_w"], most=FIXED_ROWS):
                for _ in range(blocks):
                    low.build.emit(channelwise.kernel_gradient(rows), slot, x, g, tap, **n)
                    tap += rows
        *pixels, filters = low.graph.shapes[node.output]
        add_bias_gradient(low, node.variables.get("bias"), g, math.prod(pixels), filters)
        low.give(node.inputs[0], lambda out: self._input_gradient(low, node, n, g, out))

    @staticmethod
    def _input_gradient(
        low: Lowering, node: Node, n: dict[str, int], g: Buffer, out: Buffer
    ) -> None:
        """As for other convolutions, a sum for each remainder of a place by the strides."""
        filters, pixel = n["channels"] * n["multiplier"], n["channels"] * SHARD
        rows = phases(n["height"], n["taps_h"], n["step_h"], n["apart_h"], -n["top"])
        columns = phases(n["width"], n["taps_w"], n["step_w"], n["apart_w"], -n["left"])
        w = low.variable(node.variables["kernel"])
        for r in rows:
            for q in columns:
                first = (r.first * n["width"] + q.first) * pixel
                tap = (r.first_tap * n["taps_w"] + q.first_tap) * filters
                given = {
                    "out": out.at(first), "x": g, "w": w.at(tap, filters), "bias": 0, "relu": 0,
                    "height": n["out_height"], "width": n["out_width"],
                    "channels": n["channels"], "multiplier": n["multiplier"],
                    "out_height": r.count, "out_width": q.count, "step_h": 1, "step_w": 1,
                    "top": r.start, "left": q.start, "taps_h": r.taps, "taps_w": q.taps,
                    "apart_h": r.apart, "apart_w": q.apart,
                    "w_tap_h": r.tap_step * n["taps_w"] * filters, "w_tap_w": q.tap_step * filters,
                    "out_row": r.every * n["width"] * pixel, "out_pixel": q.every * pixel,
                }  # fmt: skip
                size = r.taps if r.taps == q.taps <= LARGEST else 0
                low.build.emit(channelwise.back(size), **given)
