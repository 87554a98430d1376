"""Instructions on named buffers: what a program is before it has addresses.

Lowerings `emit` kernels whose arguments are numbers and `Ref`s. A buffer says what it belongs to:

    thread   scratch of whoever runs the shard; shares its place with what lives before or after
    pinned   as thread, but nothing else ever takes its place
    batch    one piece per shard, in order: what outlives a phase, or comes out
    outside  one piece per shard of an array that is another in every run: what goes in
    slot     the gradients of a group of shards, laid out as the flat vector of parameters
    slots    the slots of all groups, one behind the other
    packed   a form of a variable, written once in a step
    fixed    memory of the process: variables, settings

Every `Ref` states how many elements its kernel touches, and is refused if they do not fit: no
address leaves this file unchecked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..kernels.native import Kernel

#: Elements between the starts of buffers: one cache line.
ALIGN = 16


@dataclass(eq=False)
class Buffer:
    """float32 memory that has no address yet.

    Attributes:
        size: elements (of one shard, for batch and outside).
        kind: one of those above.
        name: for errors and listings.
        address: of a fixed buffer, in bytes.
        width: bytes of an element, in memory from outside.
        first, last: the instructions between which a thread buffer is in use.
    """

    size: int
    kind: str
    name: str
    address: int = 0
    width: int = 4
    first: tuple[int, int] = (1 << 30, 0)
    last: tuple[int, int] = (-1, 0)

    def at(self, offset: int = 0, extent: int | None = None) -> Ref:
        """Its elements from `offset` on, of which a kernel touches `extent` (default: the rest).

        Raises:
            ValueError: they are not all in the buffer.
        """
        extent = self.size - offset if extent is None else extent
        if offset < 0 or extent < 0 or offset + extent > self.size:
            raise ValueError(
                f"A kernel would touch elements {offset} to {offset + extent} of {self.name!r}, "
                f"which has {self.size}."
            )
        return Ref(self, offset)


@dataclass(frozen=True)
class Ref:
    """A place in a buffer."""

    buffer: Buffer
    offset: int


#: The argument that stands for the number of samples in the shard.
COUNT = object()


@dataclass
class Instruction:
    """A kernel and its arguments: numbers, `Ref`s, `COUNT`."""

    kernel: Kernel
    arguments: tuple[Any, ...]
    note: str = ""


@dataclass
class Phase:
    """What runs between two barriers.

    Attributes:
        per_shard: whether `tasks` holds one task to be run for every shard, or some to run once.
        tasks: lists of instructions; different tasks may run at once.
        per_group: what precedes the first shard of each group.
        then: a function of the program, called after the phase and before the next.
    """

    per_shard: bool
    tasks: list[list[Instruction]]
    per_group: list[Instruction] = field(default_factory=list)
    then: Callable[[Any], None] | None = None


class Build:
    """A program under construction: phases of instructions, and the buffers they name."""

    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self.buffers: list[Buffer] = []
        self.constants: list[np.ndarray] = []
        self.note = ""

    def buffer(self, size: int, name: str, kind: str = "thread", width: int = 4) -> Buffer:
        made = Buffer(size, kind, name, width=width)
        self.buffers.append(made)
        return made

    def fixed(self, address: int, size: int, name: str) -> Buffer:
        made = Buffer(size, "fixed", name, address)
        self.buffers.append(made)
        return made

    def constant(self, array: np.ndarray) -> Buffer:
        """A contiguous array, which is kept as long as the program."""
        self.constants.append(array)
        return self.fixed(array.ctypes.data, array.nbytes // 4, "a constant")

    def begin(self, per_shard: bool) -> Phase:
        """Start a phase; what follows waits for everything before."""
        self.phases.append(Phase(per_shard, [[]]))
        return self.phases[-1]

    def pause(self, function: Callable[[Any], None]) -> None:
        """End a phase of shards, call `function` on the program, and start another one."""
        self.phases[-1].then = function
        self.begin(per_shard=True)

    def task(self) -> None:
        """Start another task of a phase that runs once."""
        if self.phases[-1].tasks[-1]:
            self.phases[-1].tasks.append([])

    def emit(self, kernel: Kernel, *arguments: Any, **named: Any) -> None:
        """Add an instruction to the current task, with arguments in order or by name.

        Raises:
            TypeError: the kernel takes others.
            ValueError: a buffer is not there in this phase.
        """
        row = kernel.row(*arguments, **named)
        given = tuple(a.at() if isinstance(a, Buffer) else a for a in row)
        phase = self.phases[-1]
        here = (len(self.phases) - 1, len(phase.tasks[-1]))
        for argument in given:
            if isinstance(argument, Ref):
                buffer = argument.buffer
                if buffer.kind == "slot" and not phase.per_shard:
                    raise ValueError(f"{buffer.name!r} belongs to a group of shards.")
                if not phase.per_shard and buffer.kind in ("thread", "pinned", "outside"):
                    raise ValueError(f"{buffer.name!r} belongs to a shard.")
                buffer.first, buffer.last = min(buffer.first, here), max(buffer.last, here)
        phase.tasks[-1].append(Instruction(kernel, given, self.note))
