"""Losses without a kernel: they are computed on the tape, between the two halves of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.backward import run_backward
from ..autograd.tape import grad_enabled
from ..autograd.tensor import wrap
from ..kernels import pointwise
from .build import Buffer
from .graph import Graph, NotNative, Shape
from .islands import Unexpected, outside, read, samples_of, written
from .losses import LossPlan
from .lowering import Lowering
from .program import Program

Array = np.ndarray


class TapedLoss:
    """A loss that is whatever its `compute` does; it has what a `LossPlan` has.

    Args:
        loss: a `Loss`.
        graph: the model.
        output: the value that is judged.
    """

    def __init__(self, loss: Any, graph: Graph, output: int) -> None:
        self.loss, self.value = loss, output
        self.shape = graph.shapes[output]

    def same(self) -> bool:
        """Whether it does what it did: it is asked in every run."""
        return True

    def emit(self, low: Lowering, trains: bool) -> None:
        """Emit the pause in which the loss is computed, and (`trains`) the way back from it."""
        low.build.note = "loss"
        self.trains = trains
        self.samples = written(low, low.values[self.value], self.shape)
        low.build.pause(self._judge)
        if not trains:
            return
        source = self.gradient = outside(low, "loss, gradient", self.shape)

        def emit(out: Buffer) -> None:
            low.build.emit(pointwise.fill, out, out.size, 0)
            read(low, out, source)

        low.give(self.value, emit)

    def _judge(self, program: Program) -> None:
        """Compute the loss of the predictions, and its gradient for them.

        Raises:
            Unexpected: it has none; an eager step knows whether that matters.
        """
        y, sample_weight = self.given
        predictions = wrap(samples_of(program, self.samples, self.shape).copy())
        predictions.requires_grad = self.trains
        with grad_enabled(self.trains):
            loss = self.loss.compute(y, predictions, sample_weight)
        self.result = np.float32(loss.data)
        if not self.trains:
            return
        found = run_backward([loss], [None], [predictions])[0] if loss.requires_grad else None
        if found is None:
            raise Unexpected(f"{type(self.loss).__name__} has no gradient for the predictions")
        self.array = np.ascontiguousarray(found.data, np.float32)
        program.point(self.gradient, self.array)

    def accepts(self, y: Any, count: int, sample_weight: Any = None) -> bool:
        """Any targets: the loss itself refuses what it cannot take."""
        return True

    def place(self, program: Program) -> Callable[[Any, Any], Any]:
        """A function that remembers targets and weights for the pause."""

        def put(y: Any, sample_weight: Any) -> None:
            self.given = y, sample_weight

        return put

    def total(self, program: Program) -> np.float32:
        """The loss of the batch that has just run."""
        return self.result


def plan_of(loss: Any, graph: Graph, output: int, taped: bool, batch: int) -> LossPlan | TapedLoss:
    """How a loss of an output of a graph is computed: in the graph, else (or if `taped`) on the
    tape."""
    if not taped:
        try:
            return LossPlan(loss, graph.shapes[output], batch)
        except NotNative:
            pass
    return TapedLoss(loss, graph, output)


def reason_for_tape(loss: Any, shape: Shape) -> str | None:
    """Why a loss of outputs of this shape is computed on the tape, or None."""
    try:
        LossPlan(loss, shape)
    except NotNative as error:
        return f"eager, the rest native: {error}"
    return None
