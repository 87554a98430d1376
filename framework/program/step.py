"""Training, testing and predicting on one batch by a program, and what must hold for it."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from ..kernels import pointwise, shards
from ..kernels.simd import SHARD
from .build import COUNT, Phase
from .graph import Graph
from .losses import LossPlan
from .lowering import Lowering
from .optimizing import Update
from .program import Program, groups_of, pitch_of

Array = np.ndarray


class Step:
    """A program for batches of one size: predictions, and optionally the loss and an update.

    Args:
        graph: the model; see `graph_of`.
        batch: samples in a batch.
        pixels: dtype of the input, float32 or uint8.
        loss: the loss to compute, or None.
        update: how to train, or None.
        workers: threads. Default: one per core.
        guard: canary elements around buffers (tests).

    Raises:
        NotNative: something is not covered.
    """

    def __init__(
        self,
        graph: Graph,
        batch: int,
        pixels: Any = np.float32,
        loss: Any = None,
        update: Update | None = None,
        workers: int | None = None,
        guard: int = 0,
    ) -> None:
        self.graph, self.batch, self.update = graph, batch, update
        self.dtype = np.dtype(pixels)
        self._lock = threading.Lock()
        self.variables = graph.variables
        self._arrays = [v.data for v in self.variables]
        size = update.size if update else 0
        low = Lowering(graph, batch, update.offsets if update else {}, size, self.dtype.itemsize)
        phase = low.build.begin(per_shard=True)
        low.gather()
        low.forward()
        classes = graph.shapes[graph.output]
        self.output_shape = classes
        self._predictions = low.build.buffer(math.prod(classes) * SHARD, "predictions", "batch")
        low.build.note = "predictions"
        low.build.emit(
            shards.scatter, self._predictions, low.values[graph.output], COUNT, math.prod(classes)
        )
        self.loss = LossPlan(loss, graph) if loss is not None else None
        if self.loss is not None:
            self.loss.emit(low, trains=update is not None)
        if update is not None:
            low.backward()
            self._clear_slots(low, phase)
            update.emit(low.build, groups_of(batch), pitch_of(size, guard))
        self._prepare(low)
        self._input, self._drawn = low.input, low.drawn
        self.sample = low.sample
        self.program = Program(low.build, batch, size, workers, guard)
        if self.loss is not None:
            self._losses: Array = self.program.view(self.loss.losses).reshape(-1)[:batch]
            self._put_targets = self.loss.place(self.program)

    @staticmethod
    def _clear_slots(low: Lowering, phase: Phase) -> None:
        """The first thing a group does: zeros in its slot."""
        assert low.slot is not None
        low.build.emit(pointwise.fill, low.slot, low.slot.size, 0)
        phase.per_group.append(low.build.phases[-1].tasks[0].pop())

    @staticmethod
    def _prepare(low: Lowering) -> None:
        """The phase before the shards, if some weights are wanted in another form."""
        phase = low.build.begin(per_shard=False)
        low.prepare()
        low.build.phases.pop()
        if phase.tasks[0]:
            low.build.phases.insert(0, phase)

    def fresh(self) -> bool:
        """Whether all variables are still where the program was made for."""
        return all([v.data is a for v, a in zip(self.variables, self._arrays, strict=True)])

    def run(
        self, x: Array, y: Array | None = None, sample_weight: Array | None = None
    ) -> tuple[float | None, Array]:
        """One batch.

        Args:
            x: (batch, ...), contiguous, of the dtype the program is made for.
            y: targets, as `LossPlan.accepts` them.
            sample_weight: (batch,) or None.

        Returns:
            The loss (None without one), and the predictions (batch, ...).

        Raises:
            ValueError: an argument of another shape or dtype.
        """
        with self._lock:  # one program, one arena
            return self._run(x, y, sample_weight)

    def _run(
        self, x: Array, y: Array | None, sample_weight: Array | None
    ) -> tuple[float | None, Array]:
        if x.shape != (self.batch, *self.sample) or x.dtype != self.dtype:
            raise ValueError(
                f"This program takes {(self.batch, *self.sample)} {self.dtype}, received {x.shape} "
                f"{x.dtype}."
            )
        self.program.point(self._input, x)
        drawn = [(buffer, draw()) for buffer, draw in self._drawn]
        for buffer, mask in drawn:
            self.program.point(buffer, mask)
        kept: list[Any] = [drawn]
        if self.loss is not None:
            if y is None or not self.loss.accepts(y, self.batch):
                shape = None if y is None else y.shape
                raise ValueError(f"The targets do not fit the loss, shape {shape}.")
            kept.append(self._put_targets(y, sample_weight))
        if self.update is not None:
            self.update.set()
        self.program.run()
        if self.update is not None:
            self.update.finish()
        out = self.program.view(self._predictions).reshape(-1)
        predictions = out[: self.batch * math.prod(self.output_shape)]
        value = None
        if self.loss is not None:
            value = float(np.float32(self._losses.sum(dtype=np.float64)))
        return value, predictions.reshape(self.batch, *self.output_shape).copy()
