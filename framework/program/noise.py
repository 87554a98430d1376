"""Lowering of the layers that draw factors or summands: noise, and dropout of whole channels.

The layer's own generator draws, as it does eagerly, so a seed gives the same numbers either way.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..kernels import shards, strided
from ..kernels.simd import SHARD, bits_of
from .activating import walks
from .build import COUNT, Buffer
from .graph import Node
from .lowering import Lowering, OpLowering, lowers

Array = np.ndarray


@lowers("noise")
class Noise(OpLowering):
    """``scale x factors + summands``; what is drawn may be repeated along some axes."""

    @staticmethod
    def _brought(low: Lowering, node: Node, what: str, width: int) -> tuple[Buffer, Buffer]:
        """Where what is drawn comes from, and where a shard has it."""
        size = math.prod(node.settings["small"]) * SHARD
        outside = low.build.buffer(size, f"{node.layer}: {what}", "outside", width=width)
        inside = low.build.buffer(size, f"{node.layer}: {what} of a shard", "pinned")
        kernel = shards.gather_bytes if width == 1 else shards.gather
        low.build.emit(kernel, inside, outside, COUNT, 1, 1, size // SHARD, 0, 0, 1)
        return outside, inside

    def forward(self, low: Lowering, node: Node) -> None:
        shape = (low.batch, *node.settings["small"])
        first = 1 if node.settings["of_batch"] else low.batch
        layer, draw, parts = (node.settings[k] for k in ("source", "draw", "parts"))
        drawn: list[Array | None] = [None, None]

        def take(number: int) -> Array:
            if number == parts[0]:  # the first one draws for both
                drawn[:] = draw(layer, (first, *shape[1:]))
            found = drawn[number]
            assert found is not None
            found = found.view(np.uint8) if found.dtype == bool else found
            return np.ascontiguousarray(np.broadcast_to(found, shape))

        arrays: list[Any] = [0, 0]
        for number in parts:
            width = 1 if number == 0 and node.settings["bools"] else 4
            name = ("factors", "summands")[number]
            outside, arrays[number] = self._brought(low, node, name, width)
            low.drawn.append((outside, functools.partial(take, number)))
        if arrays[0] != 0:
            low.masks[node.output] = arrays[0]
        x = low.values[node.inputs[0]]
        self._emit(low, node, low.output_in_place(node), x, *arrays)

    @staticmethod
    def _emit(
        low: Lowering, node: Node, out: Buffer, x: Buffer, factors: Any, summands: Any
    ) -> None:
        scale = bits_of(node.settings["scale"])
        small = node.settings["small"]
        for at, start, numbers in walks(low.graph.shapes[node.output], small):
            extent = math.prod(numbers[:4]) * SHARD
            parts = (b and b.at(start * SHARD) for b in (factors, summands))
            low.build.emit(
                strided.multiply_add,
                out.at(at * SHARD, extent), x.at(at * SHARD, extent), *parts, scale, *numbers,
            )  # fmt: skip

    def backward(self, low: Lowering, node: Node) -> None:
        g = low.gradients[node.output]
        if node.output in low.masks:
            self._emit(low, node, g, g, low.masks[node.output], 0)
        low.pass_on(node.inputs[0], g)
