"""`Flat`: the variables of an optimizer, end to end in one array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..autograd.variable import Variable

#: What is kept of each parameter whatever the optimizer: its moving average, and the sum of the
#: gradients of the steps that wait for their update.
AVERAGE, ACCUMULATOR = "average", "gradient_accumulator"


class Flat:
    """Variables of one dtype, end to end in one array that they become views of.

    Gradients, slots and scratch space lie alike, so an update is arithmetic on whole vectors.

    Args:
        variables: of one dtype, at least one.
        slots: what is kept of each parameter, by name, and what it starts from. The moving average
            starts from the parameters.
        decays: of each variable, whether weight decay is for it.
    """

    def __init__(
        self, variables: Sequence[Variable], slots: Mapping[str, float], decays: Sequence[bool]
    ) -> None:
        self.variables = list(variables)
        self.decays = list(decays)
        ends = np.cumsum([v.size for v in variables]).tolist()
        self.spans = [slice(end - v.size, end) for v, end in zip(variables, ends, strict=True)]
        size, dtype = ends[-1], variables[0].dtype
        self.values = np.empty(size, dtype)
        self.gradient = np.zeros(size, dtype)
        self.slots = {name: np.full(size, value, dtype) for name, value in slots.items()}
        self.scratch = (np.empty(size, dtype), np.empty(size, dtype))
        self.attach()
        if AVERAGE in slots:
            self.slots[AVERAGE][:] = self.values

    def attach(self) -> None:
        """Take in every variable whose values are elsewhere: new, copied, or taken by another."""
        for variable, span in zip(self.variables, self.spans, strict=True):
            if variable.data.base is not self.values:
                self.values[span] = variable.data.reshape(-1)
                variable.data = self.values[span].reshape(variable.shape)

    def runs(self, indices: list[int]) -> list[slice]:
        """The fewest slices that cover these variables, given in rising order."""
        if len(indices) == len(self.spans):
            return [slice(0, len(self.values))]
        found: list[slice] = []
        for i in indices:
            span = self.spans[i]
            if found and found[-1].stop == span.start:
                span = slice(found.pop().start, span.stop)
            found.append(span)
        return found
