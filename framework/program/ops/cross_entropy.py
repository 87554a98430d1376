"""Cross-entropies along the last axis, of logits or of shares; and targets."""

from __future__ import annotations

import math
from typing import Any

from ...kernels import loss as kernels
from ...kernels import shards
from ...kernels.simd import SHARD, bits_of
from ..build import COUNT, Buffer
from ..graph import Node, NotNative
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from .arithmetic import as_traced
from .products import placeholder


def _cross_entropy(
    t: Trace, x: Any, targets: Any, labels: bool, smallest: float, of_shares: bool
) -> Traced:
    x = placeholder(x, "cross_entropy")
    targets = as_traced(t, targets, x.ndim - labels, "cross_entropy")
    if targets.sample != (x.sample[:-1] if labels else x.sample):
        raise NotNative(f"a cross-entropy has no lowering for {targets.shape} beside {x.shape}")
    numbers = {"labels": labels, "smallest": smallest, "of_shares": of_shares}
    return t.add("cross_entropy", (x, targets), x.sample[:-1], **numbers)


@traces("sparse_softmax_cross_entropy")
def _sparse_of_logits(t: Trace, logits: Any, labels: Any) -> Traced:
    return _cross_entropy(t, logits, labels, True, 0.0, False)


@traces("softmax_cross_entropy")
def _of_logits(t: Trace, logits: Any, probabilities: Any) -> Traced:
    return _cross_entropy(t, logits, probabilities, False, 0.0, False)


@traces("sparse_share_cross_entropy")
def _sparse_of_shares(t: Trace, x: Any, labels: Any, least: float) -> Traced:
    return _cross_entropy(t, x, labels, True, least, True)


@traces("share_cross_entropy")
def _of_shares(t: Trace, x: Any, targets: Any, least: float) -> Traced:
    return _cross_entropy(t, x, targets, False, least, True)


@lowers("cross_entropy")
class CrossEntropy(OpLowering):
    """``-sum(t log softmax(x))``, or of shares of x, for targets t or their labels."""

    @staticmethod
    def _emit(low: Lowering, node: Node, losses: Any, gradient: Any, weights: Any) -> None:
        x, targets = (low.values[v] for v in node.inputs)
        *grid, classes = low.graph.shapes[node.inputs[0]]
        labels, of_shares = node.settings["labels"], node.settings["of_shares"]
        kernel = kernels.KERNELS[labels, of_shares]
        low.build.emit(
            kernel, losses, gradient, x, targets, weights, math.prod(grid), classes,
            bits_of(node.settings["smallest"]),
        )  # fmt: skip

    def forward(self, low: Lowering, node: Node) -> None:
        self._emit(low, node, low.output(node), 0, 0)

    def backward(self, low: Lowering, node: Node) -> None:
        g = low.gradients[node.output]
        scratch = low.build.buffer(g.size, f"{node.layer}: scratch")

        def emit(out: Buffer) -> None:
            self._emit(low, node, scratch, out, g)

        low.give(node.inputs[0], emit)


@lowers("given")
class Given(OpLowering):
    """An array of each run."""

    reads_output = True  # which also keeps others from writing into it

    def forward(self, low: Lowering, node: Node) -> None:
        size = low.size(node.output)
        source = low.given[node.output] = low.build.buffer(size, "targets", "outside")
        out = low.values[node.output] = low.build.buffer(size, "targets of a shard", "pinned")
        low.build.emit(shards.gather, out, source, COUNT, 1, 1, size // SHARD, 0, 0, 1)
        low.fill_lanes(out)
