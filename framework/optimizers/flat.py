"""`Flat`: the variables of an optimizer, end to end in one array, and what is done to all alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..autograd.variable import Variable

#: What changes from step to step, by name.
State = dict[str, np.ndarray]
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


def clip(
    taken: Sequence[tuple[Flat, list[int]]],
    value: float | None,
    norm: float | None,
    global_norm: float | None,
) -> None:
    """Cut gradients in place, in one of three ways.

    Args:
        taken: flat vectors, with which of their variables have a gradient.
        value: the absolute value of an element at most.
        norm: the norm of each variable's gradient at most.
        global_norm: the norm of all of them together at most.
    """
    if value is not None:
        for flat, _ in taken:
            np.clip(flat.gradient, -value, value, out=flat.gradient)
    elif norm is not None:
        for flat, indices in taken:
            for i in indices:
                part = flat.gradient[flat.spans[i]]
                part *= norm / max(math.sqrt(np.dot(part, part)), norm)
    elif global_norm is not None:
        parts = [flat.gradient[run] for flat, indices in taken for run in flat.runs(indices)]
        size = math.sqrt(sum(float(np.dot(part, part)) for part in parts))
        for part in parts:
            part *= global_norm / max(size, global_norm)


def refuse_misfit(state: State, own: State, who: str, count: int) -> None:
    """Refuse a state that has other keys or shapes than one's own.

    Args:
        state: what was given.
        own: what it is to take the place of.
        who, count: whose it is, with how many variables, for the error.

    Raises:
        ValueError: it has.
    """
    if odd := sorted(own.keys() ^ state.keys()):
        raise ValueError(
            f"The state does not fit {who} with {count} variables: {', '.join(odd[:6])}"
            f"{'...' if len(odd) > 6 else ''} {'is' if len(odd) == 1 else 'are'} in only one of "
            "the two."
        )
    for key, values in own.items():
        if np.shape(state[key]) != values.shape:
            raise ValueError(
                f"The state {key!r} of {who} has shape {np.shape(state[key])}, expected "
                f"{values.shape}."
            )
