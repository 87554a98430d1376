"""What is drawn anew in every step, and dropout.

The layer's own generator draws, as it does eagerly, so a seed gives the same numbers either way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...kernels import pointwise, shards
from ...kernels.simd import bits_of
from ..build import COUNT, Buffer
from ..graph import Node, NotNative, Shape
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from .arithmetic import broadcast
from .products import placeholder

Array = np.ndarray


@traces("drawn")
def _drawn(t: Trace, beside: Any, draw: Any, shape: Shape, dtype: str) -> Traced:
    first, *sample = shape
    fits = len(sample) == len(beside.sample) and first in (1, t.batch)
    if not fits or any(m not in (1, n) for n, m in zip(beside.sample, sample, strict=True)):
        raise NotNative(f"what is drawn of shape {shape} does not fit {beside.shape}")
    settings = {"draw": draw, "of_batch": first == 1 != t.batch, "bools": dtype == "bool"}
    return t.add("drawn", (), tuple(sample), dtype=np.dtype(dtype), **settings)


@traces("dropout")
def _dropout(t: Trace, x: Any, mask: Any, rate: float) -> Traced:
    x, mask = broadcast(t, "dropout", placeholder(x, "dropout"), mask)
    factor = 1 / (1 - rate) if rate < 1 else 0.0
    return t.add("dropout", (x, mask), x.sample, factor=factor)


@lowers("drawn")
class Drawn(OpLowering):
    """An array from outside, another one in every run."""

    reads_output = True  # which also keeps others from writing into lanes that stay zero

    def forward(self, low: Lowering, node: Node) -> None:
        sample, size = low.graph.shapes[node.output], low.size(node.output)
        bools, draw = node.settings["bools"], node.settings["draw"]
        first = 1 if node.settings["of_batch"] else low.batch
        source = low.build.buffer(size, f"{node.layer}: drawn", "outside", width=1 if bools else 4)
        out = low.build.buffer(size, f"{node.layer}: drawn for a shard", "pinned")
        low.values[node.output] = out

        def take() -> Array:
            found = draw((first, *sample))
            found = found.view(np.uint8) if bools else found.astype(np.float32, copy=False)
            return np.ascontiguousarray(np.broadcast_to(found, (low.batch, *sample)))

        low.drawn.append((source, take))
        kernel = shards.gather_bytes if bools else shards.gather
        low.build.emit(kernel, out, source, COUNT, 1, 1, math.prod(sample), 0, 0, 1)


@lowers("dropout")
class Dropout(OpLowering):
    """Zeros where the mask is zero, and the rest scaled up."""

    @staticmethod
    def _emit(low: Lowering, node: Node, out: Buffer, x: Buffer) -> None:
        mask, factor = low.values[node.inputs[1]], bits_of(node.settings["factor"])
        low.build.emit(pointwise.masked_scale, out, x, mask, out.size, factor)

    def forward(self, low: Lowering, node: Node) -> None:
        self._emit(low, node, low.output_in_place(node), low.values[node.inputs[0]])

    def backward(self, low: Lowering, node: Node) -> None:
        g = low.gradients[node.output]
        self._emit(low, node, g, g)
        low.pass_on(node.inputs[0], g)
