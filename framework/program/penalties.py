"""What weights and activities add to the loss, as instructions.

L1 and L2 penalties are kernels. Any other function of a weight is asked before each run, on the
tape, for its value and its gradient, which the program then adds to that of the loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.backward import run_backward
from ..autograd.tape import grad_enabled
from ..autograd.tensor import as_tensor
from ..kernels import penalties
from ..kernels.simd import SHARD, bits_of
from .build import Buffer
from .graph import factors_of
from .lowering import Lowering
from .optimizing import CHUNK
from .program import Program

Array = np.ndarray


class WeightPenalties:
    """The regularizers of some variables.

    Args:
        variables: those that have one.
    """

    def __init__(self, variables: list[Any]) -> None:
        self.variables = variables
        self.regularizers = [v.regularizer for v in variables]
        self._sums: Buffer | None = None
        #: Of those that are no L1 or L2: variable, regularizer, where the gradient is put.
        self._asked: list[tuple[Any, Any, Array]] = []

    def emit(self, low: Lowering, offsets: dict[Any, int] | None, slots: int) -> None:
        """Emit the phase after the shards.

        Args:
            offsets: of each variable in the flat vector; None: no gradient is wanted.
            slots: elements of all slots; the gradient is added to the first.
        """
        build = low.build
        build.note = "regularizers"
        tasks = [
            (variable, regularizer, span)
            for variable, regularizer in zip(self.variables, self.regularizers, strict=True)
            if factors_of(regularizer) is not None
            for span in _spans(variable.size)
        ]
        asked = [v for v in self.variables if factors_of(v.regularizer) is None]
        self._asked = [(v, v.regularizer, np.zeros(v.size, np.float32)) for v in asked]
        if not tasks and (not asked or offsets is None):
            return
        build.begin(per_shard=False)
        gradients = build.buffer(slots, "gradients of all groups", "slots") if offsets else None

        def place(variable: Any, first: int, count: int) -> Any:
            if gradients is None or offsets is None:
                return 0
            return gradients.at(offsets[variable] + first, count)

        if tasks:
            self._sums = build.buffer(len(tasks), "penalties", "packed")
        for number, (variable, regularizer, (first, count)) in enumerate(tasks):
            assert self._sums is not None
            build.task()
            l1, l2 = map(bits_of, factors_of(regularizer) or (0.0, 0.0))
            build.emit(
                penalties.of_weights,
                self._sums.at(number, 1), place(variable, first, count),
                low.variable(variable).at(first, count), count, l1, l2,
            )  # fmt: skip
        for variable, _, array in self._asked if offsets else ():
            build.task()
            gradient = build.fixed(array.ctypes.data, array.size, variable.path)
            out = place(variable, 0, variable.size)
            build.emit(penalties.accumulate, out, gradient, variable.size)

    def ask(self, trains: bool) -> float:
        """Before a run: the sum of the penalties that have no kernel; their gradients are kept."""
        whole = 0.0
        for variable, regularizer, gradient in self._asked:
            with grad_enabled(trains):
                value = as_tensor(regularizer(variable))
                whole += float(value.data)
                gradient[:] = 0
                if value.requires_grad:
                    (found,) = run_backward([value], [None], [variable])
                    if found is not None:
                        gradient += found.data.reshape(-1)
        return whole

    def total(self, program: Program) -> float:
        """After a run: the sum of the penalties that have a kernel."""
        if self._sums is None:
            return 0.0
        return float(program.view(self._sums).sum(dtype=np.float64))


def _spans(size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, size, CHUNK):
        yield first, min(CHUNK, size - first)


class ActivityPenalty:
    """A regularizer of what a layer returns, an L1 or L2, divided by the number of samples."""

    def __init__(self, value: int, regularizer: Any) -> None:
        self.value, self.factors = value, factors_of(regularizer) or (0.0, 0.0)

    def emit(self, low: Lowering) -> None:
        """Emit the penalty, and the gradient of its value where one is wanted."""
        low.build.note = "activity regularizer"
        self._sums, self._weights = (
            low.build.buffer(SHARD, name, "batch") for name in ("penalties", "weights")
        )
        size = low.size(self.value) // SHARD
        rest = [size, *map(bits_of, self.factors)]

        def emit(gradient: Buffer | int) -> None:
            low.build.emit(
                penalties.of_activities,
                self._sums, gradient, low.values[self.value], self._weights, *rest,
            )  # fmt: skip

        if low.needs_gradient(self.value):
            low.give(self.value, emit)
        else:
            emit(0)

    def place(self, program: Program) -> None:
        """Put the weights of the samples where a finished program reads them."""
        program.view(self._weights).reshape(-1)[: program.batch] = 1 / program.batch

    def total(self, program: Program) -> float:
        return float(program.view(self._sums).reshape(-1)[: program.batch].sum(dtype=np.float64))
