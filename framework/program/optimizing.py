"""The end of a step: the groups' gradients added, and the parameters moved, in one pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..kernels import updates
from ..kernels.native import Kernel
from .build import Buffer, Build

Array = np.ndarray
#: Elements that one task updates: enough to be worth taking, little enough to share out.
CHUNK = 8192


def key_of(optimizer: Any) -> tuple[Any, ...]:
    """What, if it changes, makes the instructions of an `Update` wrong."""
    given = vars(optimizer)
    names = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "nesterov", "amsgrad")
    flats = [id(flat.values) for flat in optimizer._flats]
    return (id(optimizer), bool(given.get("momentum")), *map(given.get, names), *flats)


def _kernel_of(o: Any) -> Kernel | None:
    """The kernel of an optimizer; None: `Update.finish` does it in NumPy."""
    if o.weight_decay or o.clipnorm or o.clipvalue or o.global_clipnorm:
        return None
    own = type(o).__module__.split(".")[0] == __name__.split(".")[0]
    if own and type(o).__name__ == "SGD":
        return updates.momentum if o.momentum else updates.sgd
    if own and type(o).__name__ == "Adam" and not o.amsgrad:
        return updates.adam
    return None


def has_kernel(optimizer: Any) -> bool:
    """Whether an optimizer's update is a kernel, rather than NumPy on the flat vector."""
    return _kernel_of(optimizer) is not None


class Update:
    """What an optimizer does with the flat vector, as instructions or, where it must, in NumPy.

    Args:
        optimizer: built on the variables.
        variables: those to train.

    Attributes:
        offsets: of each variable in the flat vector.
        size: elements of the flat vector.
    """

    def __init__(self, optimizer: Any, variables: list[Any]) -> None:
        self.optimizer = optimizer
        self.variables = variables
        places = [optimizer._place[v] for v in variables]
        numbers = {number for number, _ in places}
        if len(numbers) != 1:
            raise ValueError("the variables have more than one dtype")
        self.flat = optimizer._flats[numbers.pop()]
        self.flat.attach()
        self.indices = sorted(i for _, i in places)
        self.runs = self.flat.runs(self.indices)
        self.size = self.flat.values.size
        spans = [self.flat.spans[i] for _, i in places]
        self.offsets = {v: span.start for v, span in zip(variables, spans, strict=True)}
        self.settings = np.zeros(8, np.float32)
        self.kernel = _kernel_of(optimizer)

    def emit(self, build: Build, groups: int, pitch: int) -> None:
        """The phase after the shards.

        Args:
            groups: how many slots there are.
            pitch: elements from one to the next.
        """
        flat = self.flat
        slots = build.buffer((groups - 1) * pitch + self.size, "gradients of all groups", "slots")

        def whole(name: str, array: Array) -> Buffer:
            return build.fixed(array.ctypes.data, array.size, name)

        build.begin(per_shard=False)
        for run in self.runs:
            for first in range(run.start, run.stop, CHUNK):
                below = min(first + CHUNK, run.stop)
                build.task()
                if self.kernel is None:
                    gradient = whole("flat gradient", flat.gradient)
                    build.emit(updates.sum_slots, gradient, slots, groups, pitch, first, below)
                    continue
                arguments = [
                    slots, groups, pitch, first, below,
                    whole("settings", self.settings), whole("weights", flat.values),
                ]  # fmt: skip
                arguments += [whole(name, flat.slots[name]) for name in self.optimizer.slot_names]
                if self.kernel is updates.momentum:
                    arguments.append(int(self.optimizer.nesterov))
                build.emit(self.kernel, *arguments)

    def set(self) -> None:
        """Before a step: the settings of now."""
        o = self.optimizer
        if self.kernel is updates.adam:
            step = o.iterations + 1
            rate = o.learning_rate * math.sqrt(1 - o.beta_2**step) / (1 - o.beta_1**step)
            self.settings[:4] = rate, 1 - o.beta_1, 1 - o.beta_2, o.epsilon
        else:
            self.settings[:2] = o.learning_rate, getattr(o, "momentum", 0.0)

    def _move(self) -> None:
        """`Optimizer.apply` on gradients that are in the flat vector already."""
        o, flat = self.optimizer, self.flat
        o._clip([self.indices if other is flat else [] for other in o._flats])
        decay = (o.weight_decay or 0.0) * o.learning_rate
        for run in self.runs:
            weights = flat.values[run]
            scratch = flat.scratch[0][run], flat.scratch[1][run]
            if decay:
                weights -= np.multiply(weights, decay, out=scratch[0])
            slots = {name: values[run] for name, values in flat.slots.items()}
            o.update(weights, flat.gradient[run], slots, scratch, o.learning_rate)

    def finish(self) -> None:
        """After a step: what the kernel has not done."""
        o = self.optimizer
        if self.kernel is None:
            self._move()
        o.iterations += 1
        for variable in self.variables:
            variable._version += 1
