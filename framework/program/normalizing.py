"""Lowerings of batch normalisation and dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import normalize, pointwise, shards
from ..kernels.simd import SHARD, bits_of
from .build import COUNT, Buffer
from .graph import Node
from .lowering import Lowering, OpLowering, lowers


@lowers("batch_norm")
class BatchNorm(OpLowering):
    """Normalisation by the moments of the batch (a barrier each way), or by the moving ones."""

    reads_input = True

    @staticmethod
    def _sizes(low: Lowering, node: Node) -> tuple[int, int, int]:
        """Elements before an axis, of it, and after it."""
        shape, axis = low.graph.shapes[node.inputs[0]], node.settings["axis"]
        return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])

    @staticmethod
    def _variable(low: Lowering, node: Node, role: str) -> Any:
        found = node.variables.get(role)
        return 0 if found is None else low.variable(found)

    @staticmethod
    def _moments(low: Lowering, node: Node, channels: int) -> Buffer:
        return low.packed((node, "moments"), 2 * channels)

    def prepare(self, low: Lowering, node: Node) -> None:
        if node.settings["batch"]:
            return
        _, channels, _ = self._sizes(low, node)
        low.build.task()
        low.build.emit(
            normalize.inference_moments,
            self._moments(low, node, channels),
            self._variable(low, node, "mean"),
            self._variable(low, node, "variance"),
            channels,
            bits_of(node.settings["epsilon"]),
        )

    def forward(self, low: Lowering, node: Node) -> None:
        outer, channels, inner = sizes = self._sizes(low, node)
        x, moments = low.values[node.inputs[0]], self._moments(low, node, channels)
        if node.settings["batch"]:
            stats = low.build.buffer(2 * channels, f"{node.layer}: moments", "batch")
            low.build.emit(normalize.moments, stats, x, *sizes, COUNT)
            low.build.begin(per_shard=False)
            low.build.emit(
                normalize.combine_moments,
                moments, stats, low.shards, channels, outer * inner, low.batch,
                self._variable(low, node, "mean"), self._variable(low, node, "variance"),
                bits_of(node.settings["momentum"]), bits_of(node.settings["epsilon"]),
            )  # fmt: skip
            low.build.begin(per_shard=True)
        gamma, beta = (self._variable(low, node, role) for role in ("gamma", "beta"))
        scratch = low.build.buffer(2 * channels, "coefficients")
        low.build.emit(
            normalize.normalize,
            low.output(node), x, moments, gamma, beta, *sizes, scratch,
        )  # fmt: skip

    def backward(self, low: Lowering, node: Node) -> None:
        outer, channels, inner = sizes = self._sizes(low, node)
        g, x = low.gradients[node.output], low.values[node.inputs[0]]
        moments = self._moments(low, node, channels)
        slots = [self._slot(low, node, role) for role in ("beta", "gamma")]
        sums = low.build.buffer(2 * channels, f"{node.layer}: sums", "batch")
        total: Any = 0
        if node.settings["batch"] or any(slots):
            low.build.emit(normalize.gradient_sums, sums, g, x, moments, *sizes, *slots)
        if node.settings["batch"] and low.needs_gradient(node.inputs[0]):
            total = low.packed((node, "sums"), 2 * channels)
            low.build.begin(per_shard=False)
            low.build.emit(normalize.combine_sums, total, sums, low.shards, 2 * channels)
            low.build.begin(per_shard=True)
        gamma = self._variable(low, node, "gamma")

        def emit(out: Buffer) -> None:
            scratch = low.build.buffer(3 * channels, "coefficients")
            low.build.emit(
                normalize.normalize_back,
                out, g, x, moments, gamma, total, *sizes, outer * inner * low.batch, COUNT, scratch,
            )  # fmt: skip

        low.give(node.inputs[0], emit)

    @staticmethod
    def _slot(low: Lowering, node: Node, role: str) -> Any:
        variable = node.variables.get(role)
        return (None if variable is None else low.slot_of(variable)) or 0


@lowers("dropout")
class Dropout(OpLowering):
    """Zeros where the mask is zero; the layer itself draws the mask, as it does eagerly."""

    def forward(self, low: Lowering, node: Node) -> None:
        size = low.size(node.output)
        shape, layer = low.graph.shapes[node.output], node.settings["draw"]
        outside = low.build.buffer(size, f"{node.layer}: mask", "outside", width=1)
        low.masks[node.output] = low.build.buffer(size, f"{node.layer}: mask of a shard", "pinned")

        def draw() -> np.ndarray:
            drawn = layer.next_generator().random((low.batch, *shape), np.float32)
            return (drawn >= layer.rate).view(np.uint8)

        low.drawn.append((outside, draw))
        low.build.emit(
            shards.gather_bytes,
            low.masks[node.output], outside, COUNT, 1, 1, size // SHARD, 0, 0, 1,
        )  # fmt: skip
        x = low.values[node.inputs[0]]
        self._scaled(low, node, low.output_in_place(node), x)

    @staticmethod
    def _scaled(low: Lowering, node: Node, out: Buffer, x: Buffer) -> None:
        factor = bits_of(1 / (1 - node.settings["rate"]))
        mask, size = low.masks[node.output], low.size(node.output)
        low.build.emit(pointwise.masked_scale, out, x, mask, size, factor)

    def backward(self, low: Lowering, node: Node) -> None:
        g = low.gradients[node.output]
        self._scaled(low, node, g, g)
        low.pass_on(node.inputs[0], g)
