"""Losses of a program: what a loss computes is traced like a model, and joins its graph.

A loss says a number for each sample, or for each pixel of one. These are weighed and added up, and
their weights are the gradients that go back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..config.naming import is_own
from ..errors import ShapeError
from ..kernels import loss as kernels
from ..kernels import pointwise
from ..kernels.simd import SHARD
from .build import Buffer
from .graph import Graph, NotNative, Shape
from .lowering import Lowering
from .trace import BATCH, Trace, is_plain

Array = np.ndarray


class LossPlan:
    """A loss of one output of a model.

    Args:
        loss: a `Loss`.
        shape: of a sample of the output.
        batch: samples in a batch, which code of users may look at.

    Attributes:
        value: the values of the loss, in the graph that `join` was given.
        losses: these values, weighed.

    Raises:
        NotNative: the loss cannot be traced.
    """

    def __init__(self, loss: Any, shape: Shape, batch: int = BATCH) -> None:
        self.loss, self.shape = loss, shape
        name = type(loss).__name__
        usual = all(
            is_own(getattr(type(loss), method)) for method in ("__call__", "compute", "mask")
        )
        if not usual or {"__call__", "compute", "mask"} & vars(loss).keys():
            raise NotNative(f"the loss {name} says itself what becomes of its values")
        if getattr(loss, "dtype", None) not in (None, "float32"):
            raise NotNative(f"the loss computes in {loss.dtype}")
        if loss.reduction in (None, "none"):
            raise NotNative("the loss is no number")
        self.target: Shape = shape[:-1] if loss.takes_labels else shape
        kinds = [np.dtype(np.intp if loss.takes_labels else np.float32), np.dtype(np.float32)]
        plain = is_plain(loss)
        self.trace = Trace([self.target, shape], BATCH if plain else batch, dtypes=kinds)
        self.trace.again = not plain
        try:
            self.trace.run_function(loss, self._values)
        except NotNative as error:
            raise NotNative(f"the loss {name} has no lowering: {error}") from None
        except ShapeError as error:  # the eager step will refuse the shapes
            raise NotNative(str(error)) from None
        if not isinstance(self.trace.graph.outputs, int):
            raise NotNative(f"the loss {name} returns more than a tensor")
        self.grid: Shape = self.trace.graph.shapes[self.trace.graph.outputs]
        self.pixels = math.prod(self.grid)

    def _values(self, given: Any) -> Any:
        return self.loss.call(*given)

    def same(self) -> bool:
        """Whether the loss still does what it did; code of users is asked in every batch."""
        if not self.trace.again:
            return True
        try:
            return not self.trace.run_function(self.loss, self._values)
        except (NotNative, ShapeError):
            return False

    def join(self, graph: Graph, output: int) -> None:
        """Let the graph of a model compute the loss of an output, too."""
        mine = self.trace.graph.copy()
        self.given = graph.add("given", (), self.target, self.loss.name)
        places = {0: self.given, 1: output}
        for node in mine.nodes:
            places[node.output] = graph.add(
                node.op, tuple(places[v] for v in node.inputs), mine.shapes[node.output],
                node.layer, node.variables, **node.settings,
            )  # fmt: skip
        self.value = places[mine.outputs]
        graph.losses.append(self.value)

    def moved(self, graph: Graph, place: int) -> None:
        """Take the values from where they are in a graph that was rewritten."""
        self.value = graph.losses[place]

    def emit(self, low: Lowering, trains: bool) -> None:
        """Emit the weighed sum, and (`trains`) the gradient of the values."""
        low.build.note = "loss"
        self.targets = low.given.get(self.given)
        self.losses, self.weights = (
            low.build.buffer(self.pixels * SHARD, name, "batch") for name in ("losses", "weights")
        )
        values, size = low.values[self.value], self.pixels * SHARD
        low.build.emit(kernels.weigh, self.losses, values, self.weights, size)
        if not trains:
            return
        if not low.needs_gradient(self.value):
            raise NotNative("nothing that is trained reaches the loss")

        def emit(out: Buffer) -> None:
            low.build.emit(pointwise.copy, out, self.weights, size)

        low.give(self.value, emit)

    def accepts(self, y: Any, count: int, sample_weight: Any = None) -> bool:
        """Whether targets and weights have the form that the program takes."""
        array, shape = np.asarray(y), (count, *self.grid)
        if sample_weight is not None and _aligned(np.asarray(sample_weight), shape) is None:
            return False
        target = (count, *self.target)
        fits = array.shape == target or (self.loss.takes_labels and array.shape == (*target, 1))
        alone = self.target == (1,) and array.shape == (count,)
        return array.dtype.kind in "biuf" and (fits or alone)

    def weight(self, sample_weight: Array | None, mask: Array | None, batch: int) -> Any:
        """What each pixel's loss counts in the sum: an array (batch, ...), or one number."""
        shape = (batch, *self.grid)
        weight: Any = 1.0 if sample_weight is None else _aligned(sample_weight, shape)
        if mask is not None:
            counted = mask.reshape(shape).astype(np.float32)
            if self.loss.reduction in ("mean", "sum_over_batch_size"):
                counted *= counted.size / max(float(counted.sum()), 1.0)
            weight = weight * counted
        if self.loss.reduction == "sum":
            return weight
        if self.loss.reduction == "mean_with_sample_weight" and np.ndim(weight):
            total = float(np.sum(weight))
            return weight / total if total else 0.0
        return weight / math.prod(shape)

    def place(self, program: Any) -> Callable[[Array, Array | None], Any]:
        """A function that puts targets and weights where a finished program reads them.

        It returns what the caller has to keep alive during the run.
        """
        batch, shape = program.batch, (program.batch, *self.grid)
        weights = _Lanes(program.view(self.weights), batch, self.pixels)
        loss = self.loss

        def put_labels(y: Array, sample_weight: Array | None) -> Any:
            array = np.ascontiguousarray(y.reshape(batch, *self.target), np.float32)
            weights.put(self.weight(sample_weight, None, batch), shape)
            program.point(self.targets, array)
            return array

        def put(y: Array, sample_weight: Array | None) -> Any:
            targets = loss._targets(y.reshape(batch, *self.target), np.float32)
            mask = loss.mask(targets, targets)
            weights.put(self.weight(sample_weight, mask, batch), shape)
            array = np.ascontiguousarray(targets.data, np.float32)
            if self.targets is not None:  # or the loss does not look at them
                program.point(self.targets, array)
            return array

        counts_all = getattr(loss, "ignore_class", None) is None
        plain = loss.takes_labels and counts_all and self.targets is not None
        return put_labels if plain else put

    def total(self, program: Any) -> np.float32:
        """The loss of the batch that has just run."""
        return np.float32(program.view(self.losses).sum(dtype=np.float64))


class _Lanes:
    """Numbers of pixels, where a program has them: (shards, pixels, SHARD).

    Args:
        view: the array of the program.
        batch: samples; the lanes of the last shard that have none stay 0.
        pixels: of a sample.
    """

    def __init__(self, view: Array, batch: int, pixels: int) -> None:
        self.batch = batch
        self.lanes = view.reshape(-1, pixels, SHARD)
        self.flat = view.reshape(-1)[:batch] if pixels == 1 else None
        self._constant: float | None = None

    def put(self, values: Any, shape: Shape) -> None:
        """Write numbers (batch, ...), or one for all."""
        if np.ndim(values) == 0:
            if self._constant == values:
                return
            self._constant = float(values)
        else:
            self._constant = None
        if self.flat is not None:
            self.flat[:] = values if np.ndim(values) == 0 else values.reshape(-1)
            return
        full, rest = divmod(self.batch, SHARD)
        pixels = self.lanes.shape[1]
        wide = np.broadcast_to(values, shape).reshape(self.batch, pixels)
        whole = wide[: full * SHARD].reshape(full, SHARD, pixels)
        self.lanes[:full] = whole.transpose(0, 2, 1)
        if rest:
            self.lanes[full, :, :rest] = wide[full * SHARD :].T


def _aligned(weight: Array, shape: Shape) -> Array | None:
    """Weights as an array that broadcasts to the losses of pixels; None if they do not fit.

    Weights (batch,) belong to the samples, and a last axis of 1 too many is left out.
    """
    if weight.ndim == len(shape) + 1 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    given: Shape = (*weight.shape, *(1,) * (len(shape) - weight.ndim))
    if len(given) != len(shape) or given[0] != shape[0]:
        return None
    fits = all([n in (1, m) for n, m in zip(given, shape, strict=True)])
    return weight.reshape(given) if fits else None
