"""Lowering of 3x3 convolutions at stride 1 to Winograd's form (see `kernels.winograd`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ...kernels import products, winograd
from ...kernels.native import rows_of_tiles
from ...kernels.simd import LANES, SHARD
from ..build import Buffer
from ..graph import Node, Shape
from ..lowering import Lowering

#: Elements of V and M for one block of tiles: what the outer caches hold.
BLOCK = 1 << 18
#: Fewer channels than this leave too little between the transforms.
FEWEST = 16

_enabled = os.environ.get("GRADTAPE_WINOGRAD", "1") != "0"


def set_winograd(enabled: bool) -> None:
    """Whether programs made from now on use Winograd's form; without it results are a little closer
    to those of the direct sum (1e-6 instead of 1e-5, relative to the largest), and slower."""
    global _enabled
    _enabled = enabled


def pays(low: Lowering, node: Node) -> bool:
    """Whether this form is possible for a convolution, and faster."""
    if len(node.settings["taps"]) != 2 or node.settings["groups"] != 1:
        return False
    taps_h, taps_w = node.settings["taps"]
    channels, filters = node.variables["kernel"].shape[-2:]
    height, width, _ = low.graph.shapes[node.output]
    return (
        _enabled
        and (taps_h, taps_w) == (3, 3)
        and node.settings["strides"] == (1, 1) == node.settings["dilation"]
        and min(channels, filters) >= FEWEST
        and channels % LANES == filters % LANES == 0
        and min(height, width) >= 4
    )


def _pitch(elements: int) -> int:
    """From place to place: odd in cache lines."""
    lines = -(-elements // 16)
    return 16 * (lines + 1 - lines % 2 + 2)


class _Blocks:
    """Tiles of 4x4 outputs of an image, some at a time.

    Each time the transformed kernel passes through the cache: where it is larger than V and M of a
    block of `BLOCK` elements, a block is made as large.
    """

    def __init__(self, height: int, width: int, channels: int, filters: int) -> None:
        self.columns = -(-width // 4)
        self.tiles = -(-height // 4) * self.columns
        most = max(BLOCK, 36 * channels * filters) // (36 * (channels + filters) * SHARD)
        blocks = -(-self.tiles // max(1, most))
        self.each = -(-self.tiles // blocks)  # about as many in each

    def __iter__(self) -> Iterator[tuple[int, int]]:
        for first in range(0, self.tiles, self.each):
            yield first, min(first + self.each, self.tiles)


def prepare(low: Lowering, node: Node) -> None:
    """The kernels transformed: U (36, filters, channels), and for the way back (36, channels,
    filters)."""
    kernel = node.variables["kernel"]
    _, _, c, f = kernel.shape
    w = low.variable(kernel)
    for back, name in ((False, "winograd"), (True, "winograd back")):
        if not low.has_packed((kernel, name)):
            continue
        low.build.task()
        scratch = low.packed((kernel, f"{name} scratch"), 18 * LANES)
        out, rows, columns, source = low.packed((kernel, name), 36 * c * f), c, f, w
        if not back:
            source, rows, columns = low.packed((kernel, "turned"), kernel.size), f, c
            low.build.emit(products.transpose_taps, source, w, 9, c, f, 0)
        low.build.emit(
            winograd.transform_weights, out, source, scratch, rows, columns, 0, rows, int(back)
        )


def convolve(
    low: Lowering,
    out: Buffer,
    x: Buffer,
    u: Buffer,
    bias: Any,
    sizes: tuple[Shape, Shape],
    corner: tuple[int, int],
    relu: bool,
) -> None:
    """Emit the convolution of x (sizes[0]) to out (sizes[1]).

    Args:
        corner: where the first tap of the first output lies in x.
    """
    (height, width, channels), (out_height, out_width, filters) = sizes
    blocks = _Blocks(out_height, out_width, channels, filters)
    v_pitch, m_pitch = _pitch(blocks.each * channels * SHARD), _pitch(blocks.each * filters * SHARD)
    v = low.build.buffer(36 * v_pitch, "transformed inputs")
    m = low.build.buffer(36 * m_pitch, "products")
    scratch = low.build.buffer(36 * LANES, "transform scratch")
    for first, below in blocks:
        low.build.emit(
            winograd.transform_input,
            v, v_pitch, x, scratch, height, width, channels, *corner, blocks.columns, first, below,
        )  # fmt: skip
        f = 0
        for rows, count in rows_of_tiles(filters):
            low.build.emit(
                winograd.multiply(rows),
                m, m_pitch, v, v_pitch, u, filters, channels, f, count, below - first,
            )  # fmt: skip
            f += rows * count
        low.build.emit(
            winograd.transform_output,
            out, m, m_pitch, bias, scratch,
            out_height, out_width, filters, blocks.columns, first, below, int(relu),
        )  # fmt: skip


def forward(low: Lowering, node: Node) -> None:
    kernel, bias = node.variables["kernel"], node.variables.get("bias")
    (top, _), (left, _) = node.settings["padding"]
    convolve(
        low,
        low.output(node),
        low.values[node.inputs[0]],
        low.packed((kernel, "winograd"), 4 * kernel.size),
        0 if bias is None else low.variable(bias),
        (low.graph.shapes[node.inputs[0]], low.graph.shapes[node.output]),
        (-top, -left),
        node.settings["relu"],
    )


def input_gradient(low: Lowering, node: Node, g: Buffer, out: Buffer) -> None:
    """The gradient for x into `out`: a convolution with flipped kernels."""
    kernel = node.variables["kernel"]
    (top, _), (left, _) = node.settings["padding"]
    convolve(
        low,
        out,
        g,
        low.packed((kernel, "winograd back"), 4 * kernel.size),
        0,
        (low.graph.shapes[node.output], low.graph.shapes[node.inputs[0]]),
        (top - 2, left - 2),
        relu=False,
    )


def kernel_gradient(low: Lowering, node: Node, g: Buffer, slot: Any) -> None:
    """Add the gradient for the kernel to its slot."""
    height, width, c = low.graph.shapes[node.inputs[0]]
    out_height, out_width, f = low.graph.shapes[node.output]
    (top, _), (left, _) = node.settings["padding"]
    pixels = out_height * out_width
    turned = low.build.buffer(pixels * f * SHARD, f"{node.layer}: transposed gradient")
    low.build.emit(products.transpose_shard, turned, g, f, f, pixels)
    blocks = _Blocks(out_height, out_width, c, f)
    v_pitch, z_pitch = _pitch(blocks.each * c * SHARD), _pitch(blocks.each * f * SHARD)
    v = low.build.buffer(36 * v_pitch, "transformed inputs")
    z = low.build.buffer(36 * z_pitch, "transformed gradients")
    u = low.build.buffer(36 * c * f, "gradient of the transformed kernel")
    scratch = low.build.buffer(36 * LANES, "transform scratch")
    x = low.values[node.inputs[0]]
    for first, below in blocks:
        low.build.emit(
            winograd.transform_input,
            v, v_pitch, x, scratch, height, width, c, -top, -left, blocks.columns, first, below,
        )  # fmt: skip
        low.build.emit(
            winograd.transform_gradient,
            z, z_pitch, turned, scratch, out_height, out_width, f, blocks.columns, first, below,
        )  # fmt: skip
        row = 0
        for rows, count in rows_of_tiles(c):
            low.build.emit(
                winograd.multiply_gradient(rows),
                u, v, v_pitch, z, z_pitch, c, f, row, count, below - first, int(first == 0),
            )  # fmt: skip
            row += rows * count
    low.build.emit(winograd.restore_weights, slot, u, scratch, c * f)
