"""`Program`: phases of instructions for one batch size, with addresses, ready to run.

The batch is cut into shards of `SHARD` samples. A group of shards shares a gradient slot and is one
task of a thread; the number of groups depends on the batch only, and the slots are added in a
fixed order, so results are the same bits whatever the number of threads.
"""

from __future__ import annotations

import numpy as np

from ..kernels.simd import SHARD
from . import memory, threads
from .build import ALIGN, COUNT, Buffer, Build, Instruction, Ref

Array = np.ndarray
#: Groups of shards: as many as there are shards up to the first number, half as many from twice as
#: many on, and no more than the second. The order of sums depends on it, so it follows from the
#: batch alone; every group costs a copy of the gradients, and is work for a thread.
SINGLE, GROUPS = 4, 16


def groups_of(batch: int) -> int:
    """How many gradient slots a batch of this size needs."""
    shards = -(-batch // SHARD)
    return min(shards, max(SINGLE, -(-shards // 2)), GROUPS)


def pitch_of(slot: int, guard: int = 0) -> int:
    """Elements from one gradient slot to the next."""
    return memory.rounded(slot) + 2 * guard


class _Template:
    """The words of a task for thread, shard and group 0, and how they change with each."""

    def __init__(self, program: Program, task: list[Instruction]) -> None:
        words: list[int] = []
        steps: list[tuple[int, int, int]] = []
        self.counts: list[int] = []
        self.outside: list[tuple[int, Buffer]] = []
        still = (0, 0, 0)
        for instruction in task:
            words += (instruction.kernel.address, len(instruction.arguments))
            steps += (still, still)
            for argument in instruction.arguments:
                word, step = argument, still
                if isinstance(argument, Ref):
                    word, thread, shard, group = program._address(argument)
                    step = (thread, shard, group)
                    if argument.buffer.kind == "outside":
                        self.outside.append((len(words), argument.buffer))
                elif argument is COUNT:
                    self.counts.append(len(words))
                    word = 0
                words.append(int(word))
                steps.append(step)
        self.words = np.array(words, np.int64)
        self.steps = np.array(steps, np.int64).reshape(-1, 3)


class Program:
    """A finished program.

    Args:
        build: phases and buffers; the program takes them over.
        batch: samples in a batch.
        slot: elements of a gradient slot.
        workers: threads, this one included. Default: one per core.
        guard: elements of canary around each buffer (tests).

    Attributes:
        slots: the gradients of the groups, shape (groups, slot).
    """

    def __init__(
        self, build: Build, batch: int, slot: int, workers: int | None = None, guard: int = 0
    ) -> None:
        self.build = build
        self.batch = batch
        self.shards = -(-batch // SHARD)
        self.groups = groups_of(batch)
        self.workers = max(1, min(workers or threads.chosen(), self.groups))
        self.guard = guard
        memory.keep_what_crosses(build.buffers)
        self._place(slot)
        self._assemble()

    # Memory

    def _place(self, slot: int) -> None:
        guard = self.guard
        self.offsets, size = memory.plan(self.build.buffers, guard)
        self.pitch = pitch_of(slot, guard)
        self._batch: dict[Buffer, int] = {}
        whole = 0
        for buffer in self.build.buffers:
            if buffer.kind in ("batch", "packed"):
                self._batch[buffer] = whole + guard
                whole += memory.rounded(buffer.size * self._copies(buffer)) + 2 * guard
        thread = memory.rounded(size)
        total = thread * self.workers + self.pitch * self.groups + whole
        self.arena = memory.aligned(total + ALIGN)
        fill = memory.CANARY if guard else np.float32(0)
        self.arena[:] = fill
        self._thread_bytes = 4 * thread
        base, at = self.arena.ctypes.data, 0
        self._threads = [base + 4 * thread * t for t in range(self.workers)]
        at += thread * self.workers
        self.slots = self.arena[at : at + self.pitch * self.groups].reshape(self.groups, -1)
        self._slots = [base + 4 * (at + self.pitch * g + guard) for g in range(self.groups)]
        at += self.pitch * self.groups
        self._batch_base = at
        if guard:
            self._clear()

    def gradient(self) -> Array:
        """The gradients of all groups added up, as after a run: the flat vector (a copy)."""
        size = self.pitch - 2 * self.guard
        rows = self.slots[:, self.guard : self.guard + size]
        total = rows[0].copy()
        for row in rows[1:]:
            total += row
        return total

    def _copies(self, buffer: Buffer) -> int:
        return self.shards if buffer.kind == "batch" else 1

    def _clear(self) -> None:
        """Zeros where `aligned` would have left them: what nobody writes first."""
        for buffer in self._batch:
            self.view(buffer)[:] = 0
        for thread in self._threads:
            for buffer, offset in self.offsets.items():
                if buffer.kind == "pinned":
                    at = (thread - self.arena.ctypes.data) // 4 + offset
                    self.arena[at : at + buffer.size] = 0

    def view(self, buffer: Buffer) -> Array:
        """A batch buffer as an array (shards, size)."""
        start = self._batch_base + self._batch[buffer]
        copies = self._copies(buffer)
        return self.arena[start : start + buffer.size * copies].reshape(copies, -1)

    # Tables

    def _address(self, ref: Ref) -> tuple[int, int, int, int]:
        """Where a `Ref` lies for thread, shard and group 0, and what each next one adds to it."""
        buffer, offset = ref.buffer, 4 * ref.offset
        base = self.arena.ctypes.data
        if buffer.kind == "fixed":
            return buffer.address + offset, 0, 0, 0
        if buffer.kind == "slots":
            return self._slots[0] + offset, 0, 0, 0
        if buffer.kind == "slot":
            return self._slots[0] + offset, 0, 0, 4 * self.pitch
        if buffer.kind in ("thread", "pinned"):
            start = self._threads[0] + 4 * self.offsets[buffer]
            return start + offset, self._thread_bytes, 0, 0
        if buffer.kind == "outside":  # `point` adds the address
            return buffer.width * ref.offset, 0, buffer.width * buffer.size, 0
        start = base + 4 * (self._batch_base + self._batch[buffer])
        return start + offset, 0, 4 * buffer.size if buffer.kind == "batch" else 0, 0

    def _assemble(self) -> None:
        #: For buffers from outside: where in each table their addresses stand, and their offsets.
        self._outside: dict[Buffer, list[tuple[int, int, int]]] = {}
        self.tables: list[Array] = []
        phases = [
            (
                phase.per_shard,
                _Template(self, phase.per_group),
                [_Template(self, task) for task in phase.tasks],
            )
            for phase in self.build.phases
        ]
        for thread in range(self.workers):
            parts: list[Array] = []
            self._length = 0
            spans: list[tuple[int, int]] = []
            counts: list[tuple[int, int]] = []
            for per_shard, opening, tasks in phases:
                before = len(spans)
                for group in range(self.groups if per_shard else len(tasks)):
                    start = self._length
                    if not per_shard:
                        self._add(parts, tasks[group], thread, 0, 0)
                    else:
                        self._add(parts, opening, thread, 0, group)
                        for shard in self.shards_of(group):
                            self._add(parts, tasks[0], thread, shard, group)
                    spans.append((start, self._length))
                counts.append((before, len(spans) - before))
            self.tables.append(np.concatenate([*parts, np.empty(0, np.int64)]))
        self._spans = np.array(spans, np.int64).reshape(-1, 2)
        self._phases = np.array(counts, np.int64).reshape(-1, 2)
        self._counters = np.zeros(2 * threads.LINE * (len(counts) + 1), np.int64)

    def shards_of(self, group: int) -> range:
        """The shards of a group: neighbours, as many as in any other, or one less."""
        each, more = divmod(self.shards, self.groups)
        first = group * each + min(group, more)
        return range(first, first + each + (group < more))

    def _add(
        self, parts: list[Array], template: _Template, thread: int, shard: int, group: int
    ) -> None:
        """Append the words of a task for one thread, shard and group."""
        words = template.words + template.steps @ np.array([thread, shard, group])
        words[template.counts] = min(SHARD, self.batch - shard * SHARD)
        for word, buffer in template.outside:
            found = self._outside.setdefault(buffer, [])
            found.append((thread, self._length + word, int(words[word])))
        parts.append(words)
        self._length += len(words)

    def point(self, buffer: Buffer, array: Array) -> None:
        """Let a buffer from outside be this array, which the caller keeps alive.

        Raises:
            ValueError: it is not contiguous, or too small.
        """
        needed = buffer.width * buffer.size * self.batch // SHARD  # `COUNT` keeps to the batch
        if not array.flags.c_contiguous or array.nbytes < needed:
            raise ValueError(
                f"{buffer.name!r} needs {needed} contiguous bytes, received {array.nbytes}."
            )
        base = array.ctypes.data
        for thread, word, offset in self._outside.get(buffer, ()):
            self.tables[thread][word] = base + offset

    def run(self) -> None:
        """Run all phases once, and between them what asks for a pause."""
        first = 0
        for below, phase in enumerate(self.build.phases, start=1):
            if phase.then is not None or below == len(self._phases):
                part = self._phases[first:below]
                threads.run_phases(self.tables, part, self._spans, self._counters)
                first = below
            if phase.then is not None:
                phase.then(self)

    def check_canaries(self) -> None:
        """Raise if a kernel wrote outside of its buffers (only with `guard`).

        Raises:
            AssertionError: it did.
        """
        free = np.ones(self.arena.size, bool)
        base = self.arena.ctypes.data
        for start in self._threads:
            for buffer, offset in self.offsets.items():
                at = (start - base) // 4 + offset
                free[at : at + buffer.size] = False
        for start in self._slots:
            at = (start - base) // 4
            free[at : at + self.pitch - 2 * self.guard] = False
        for buffer, offset in self._batch.items():
            at = self._batch_base + offset
            free[at : at + buffer.size * self._copies(buffer)] = False
        assert (self.arena[free] == memory.CANARY).all(), "a kernel wrote outside of its buffers"
