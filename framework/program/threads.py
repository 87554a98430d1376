"""Several threads on one list of tasks, without the interpreter lock and without waiting in Python.

Each thread takes the next task by counting up, so a thread that comes late finds nothing to do, and
one that never comes (a forked child has no helpers) is not missed: the barrier between two phases
counts finished tasks, not threads.
"""

from __future__ import annotations

import ctypes
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from ..kernels.native import (
    atomic_add,
    atomic_load,
    call_plain,
    execute,
    kernel,
    load_int,
)

#: int64 words from one counter to the next: a cache line of its own for each.
LINE = 8


@kernel
def work(table: int, phases: int, count: int, tasks: int, counters: int, give_way: int) -> None:
    """Take part in all phases.

    Args:
        table: address of this thread's records (see `kernels.native`).
        phases: address of pairs: the number of tasks before this phase, and of this phase.
        count: the number of phases.
        tasks: address of pairs: the words of the table where a task begins and ends.
        counters: address of pairs of lines, tasks taken and done of each phase; zeros at first.
        give_way: address of a function that lets other threads run, or 0.
    """
    for p in range(count):
        before, mine = load_int(phases, 2 * p), load_int(phases, 2 * p + 1)
        taken, done = counters + 16 * LINE * p, counters + 16 * LINE * p + 8 * LINE
        while True:
            t = atomic_add(taken, 1)
            if t >= mine:
                break
            at = 2 * (before + t)
            execute(table, load_int(tasks, at), load_int(tasks, at + 1))
            atomic_add(done, 1)
        spins = 0
        while atomic_load(done) < mine:
            spins += 1
            if give_way != 0 and spins > 200:
                call_plain(give_way)


def _give_way() -> int:
    """The address of sched_yield or its like; 0 if there is none."""
    try:
        if sys.platform == "win32":
            function = ctypes.windll.kernel32.SwitchToThread
        else:
            function = ctypes.CDLL(None).sched_yield
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    except (AttributeError, OSError):
        return 0


GIVE_WAY = _give_way()


def cores() -> int:
    """The cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


_chosen: int | None = None


def set_threads(count: int | None) -> None:
    """How many threads programs made from now on use; None for one per core. Results do not change.

    Raises:
        ValueError: fewer than one.
    """
    global _chosen
    if count is not None and count < 1:
        raise ValueError(f"set_threads expected at least 1 thread, received {count}.")
    _chosen = count


def chosen() -> int:
    """How many threads a program uses: `set_threads`, GRADTAPE_THREADS, or one per core."""
    return _chosen or int(os.environ.get("GRADTAPE_THREADS", 0)) or cores()


class Helpers:
    """The threads that help the calling one, made when they are first needed."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._size = 0
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._pool, self._size = None, 0

    def ask(self, count: int, function: Any, arguments: list[tuple[Any, ...]]) -> list[Future[Any]]:
        """Start the function on `count` threads."""
        if self._pool is None or self._size < count:
            self._pool, self._size = ThreadPoolExecutor(count, "gradtape"), count
        return [self._pool.submit(function, *given) for given in arguments[:count]]


HELPERS = Helpers()


def run_phases(
    tables: list[np.ndarray], phases: np.ndarray, tasks: np.ndarray, counters: np.ndarray
) -> None:
    """Run a program: table 0 in this thread, each other one in a helper if it comes in time."""
    counters[:] = 0
    shared = (phases.ctypes.data, len(phases), tasks.ctypes.data, counters.ctypes.data, GIVE_WAY)
    addresses = [t.ctypes.data for t in tables]
    helping = []
    if len(tables) > 1:
        helping = HELPERS.ask(len(tables) - 1, work, [((a, *shared),) for a in addresses[1:]])
    work((addresses[0], *shared))
    for helper in helping:
        if not helper.cancel():
            helper.result()
