"""Batch normalisation."""

from __future__ import annotations

import math
from typing import Any

from ...kernels import normalize
from ...kernels.simd import bits_of
from ...ops.axes import axis_index
from ..build import COUNT, Buffer
from ..graph import Node, NotNative
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from .products import learned


def _batch_norm(
    t: Trace, x: Any, axis: int, epsilon: float, momentum: float, batch: bool, **given: Any
) -> Traced:
    axis = axis_index(axis, x.ndim) - 1
    if axis < 0:
        raise NotNative("batch_norm takes its channels along the batch")
    variables = {k: learned(v, "batch_norm")[0] for k, v in given.items() if v is not None}
    if any(v.size != x.sample[axis] for v in variables.values()):
        raise NotNative(f"batch_norm has no lowering for {x.sample[axis]} channels")
    numbers = {"axis": axis, "epsilon": epsilon, "momentum": momentum, "batch": batch}
    return t.add("batch_norm", (x,), x.sample, variables, **numbers)


@traces("batch_norm_moving")
def _moving(
    t: Trace, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any,
    axis: int, epsilon: float, momentum: float,
) -> Traced:  # fmt: skip
    given = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    return _batch_norm(t, x, axis, epsilon, momentum, True, **given)


@traces("batch_norm_moved")
def _moved(
    t: Trace, x: Any, gamma: Any, beta: Any, mean: Any, variance: Any, axis: int, epsilon: float
) -> Traced:
    given = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    return _batch_norm(t, x, axis, epsilon, 1.0, False, **given)


@traces("batch_norm")
def _of_batch(t: Trace, x: Any, gamma: Any, beta: Any, axis: int, epsilon: float) -> Traced:
    return _batch_norm(t, x, axis, epsilon, 1.0, True, gamma=gamma, beta=beta)


@traces("batch_norm_inference")
def _inference(
    t: Trace, x: Any, mean: Any, variance: Any, gamma: Any, beta: Any,
    axis: int, epsilon: float,
) -> Traced:  # fmt: skip
    given = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    return _batch_norm(t, x, axis, epsilon, 1.0, False, **given)


@lowers("batch_norm")
class BatchNorm(OpLowering):
    """Normalisation by the moments of the batch (a barrier each way), or by the moving ones."""

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
    def _moving(low: Lowering, node: Node, role: str) -> Any:
        """Where a moving average is; without one, memory that nobody reads."""
        found = node.variables.get(role)
        _, channels, _ = BatchNorm._sizes(low, node)
        return low.packed((node, role), channels) if found is None else low.variable(found)

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
                self._moving(low, node, "mean"), self._moving(low, node, "variance"),
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
