"""Losses: which value they take, which kernel computes them, and how their targets get there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..kernels import loss as kernels
from ..kernels import shards
from ..kernels.simd import SHARD, bits_of
from .build import COUNT, Buffer
from .graph import Graph, NotNative
from .lowering import Lowering

Array = np.ndarray
#: How far cross-entropies keep probabilities from 0 and 1.
SMALLEST = 1e-7


def _logits(loss: Any, graph: Graph) -> tuple[int, float]:
    """The value that holds the logits, and the smallest probability (0: no bound)."""
    if loss.from_logits:
        return graph.output, 0.0
    last = next((n for n in graph.nodes if n.output == graph.output), None)
    if last is None or last.op != "softmax" or last.settings["runs"][2] != 1:
        raise NotNative("the loss takes probabilities that are not those of a softmax")
    return last.inputs[0], SMALLEST


class LossPlan:
    """A loss of a graph's output.

    Args:
        loss: an instance of a class of this package.
        graph: the model.

    Attributes:
        value: what the gradient is given for.
        sparse: whether targets are class numbers, (batch,), rather than arrays like the output.

    Raises:
        NotNative: the loss has no lowering, or not for this output.
    """

    def __init__(self, loss: Any, graph: Graph) -> None:
        name = type(loss).__name__
        own = type(loss).__module__.split(".")[0] == __name__.split(".")[0]
        known = ("SparseCategoricalCrossentropy", "CategoricalCrossentropy", "MeanSquaredError")
        if not own or name not in known:
            raise NotNative(f"the loss {name} has no lowering")
        shape = graph.shapes[graph.output]
        if len(shape) != 1:
            raise NotNative(f"the loss is taken over outputs of shape {shape}")
        self.features = shape[0]
        self.reduction = loss.reduction
        self.sparse = name.startswith("Sparse")
        self.smoothing, smallest = 0.0, 0.0
        if name == "MeanSquaredError":
            self.value = graph.output
            self._kernel, self._settings = kernels.squared_error, [self.features]
            return
        self.value, smallest = _logits(loss, graph)
        self._settings = [self.features, bits_of(smallest)]
        if self.sparse:
            self._kernel = kernels.sparse_cross_entropy
            return
        if loss.axis not in (-1, 1):
            raise NotNative(f"the loss has its classes at axis {loss.axis}")
        self._kernel = kernels.dense_cross_entropy
        self._settings += [bits_of(1 - loss.label_smoothing)]
        self._settings += [bits_of(loss.label_smoothing / self.features)]

    def emit(self, low: Lowering, trains: bool) -> None:
        """Emit the loss, and (`trains`) the gradient of its value."""
        low.build.note = "loss"
        self.losses, self.weights = (
            low.build.buffer(SHARD, name, "batch") for name in ("losses", "weights")
        )
        if self.sparse:
            self.targets = targets = low.build.buffer(SHARD, "labels", "batch")
        else:
            size = self.features * SHARD
            self.targets = low.build.buffer(size, "targets", "outside")
            targets = low.build.buffer(size, "targets of a shard", "pinned")
            low.build.emit(
                shards.gather, targets, self.targets, COUNT, 1, 1, self.features, 0, 0, 1
            )

        def emit(gradient: Buffer | int) -> None:
            x, rest = low.values[self.value], self._settings
            low.build.emit(self._kernel, self.losses, gradient, x, targets, self.weights, *rest)

        if not trains:
            emit(0)
        elif not low.needs_gradient(self.value):
            raise NotNative("nothing that is trained reaches the loss")
        else:
            low.give(self.value, emit)

    def accepts(self, y: Any, count: int) -> bool:
        """Whether targets have the form that the kernel takes."""
        array = np.asarray(y)
        if self.sparse:
            return array.dtype.kind in "iu" and array.shape in ((count,), (count, 1))
        return array.dtype.kind in "biuf" and array.shape == (count, self.features)

    def weight(self, sample_weight: Array | None, batch: int) -> Any:
        """What each sample's loss counts in the sum."""
        if sample_weight is None:
            return 1.0 if self.reduction == "sum" else 1.0 / batch
        weight = sample_weight.reshape(batch)
        if self.reduction == "sum":
            return weight
        if self.reduction == "mean_with_sample_weight":
            total = float(weight.sum())
            return weight / total if total else 0.0
        return weight / batch

    def place(self, program: Any) -> Callable[[Array, Array | None], Any]:
        """A function that puts targets and weights where a finished program reads them.

        It returns what the caller has to keep alive during the run.
        """
        batch = program.batch
        weights = program.view(self.weights).reshape(-1)[:batch]
        labels = program.view(self.targets).reshape(-1)[:batch] if self.sparse else None

        def put(y: Array, sample_weight: Array | None) -> Any:
            weights[:] = self.weight(sample_weight, batch)
            if labels is not None:
                labels[:] = y.reshape(batch)
                return None
            array = np.ascontiguousarray(y, np.float32)
            program.point(self.targets, array)
            return array

        return put
