"""Randomness is counted, not drawn: every stream of numbers has an address.

``generator("shuffle", epoch)`` is the same stream whenever and wherever it is asked for, because
the seed and the address are hashed into the key of Philox, a counter-based generator (Salmon et
al., "Parallel random numbers: as easy as 1, 2, 3", 2011). Nothing depends on what was drawn before,
so a run can be resumed in the middle and does not depend on the timing of threads.
"""

from __future__ import annotations

import itertools
import operator
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

_seed = int.from_bytes(os.urandom(4), "little")
_streams = itertools.count()


def set_seed(seed: int) -> None:
    """Fix every random number from here on: sets the global seed and numbers the streams anew.

    Raises:
        TypeError: the seed is not an integer.
        ValueError: the seed is negative.
    """
    global _seed, _streams
    _seed = check_seed(seed)
    _streams = itertools.count()


def resume_seed(seed: int) -> None:
    """Set the global seed alone: what has a stream of its own keeps it, as a resumed run needs."""
    global _seed
    _seed = check_seed(seed)


def get_seed() -> int:
    """The global seed; drawn from the operating system at import unless `set_seed` was called."""
    return _seed


def next_stream() -> int:
    """The number of a new stream, for whatever needs one of its own from its construction on."""
    return next(_streams)


def check_seed(seed: object) -> int:
    """`seed` as a Python integer.

    Raises:
        TypeError: it is not an integer.
        ValueError: it is negative.
    """
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"A seed must be an integer, received {seed!r}.") from None
    if number < 0:
        raise ValueError(f"A seed must not be negative, received {number}.")
    return number


def key(*address: int | str, seed: int | None = None) -> np.ndarray:
    """The 128-bit Philox key of an address, as two uint64.

    Args:
        address: what the stream is for, as in ``("dropout", stream)``. Name the purpose first, so
            that equal numbers of different purposes are different streams.
        seed: replaces the global seed.
    """
    import hashlib  # slow to import

    parts = [a if isinstance(a, str) else operator.index(a) for a in address]
    start = _seed if seed is None else check_seed(seed)
    digest = hashlib.blake2b(repr((start, *parts)).encode(), digest_size=16).digest()
    return np.frombuffer(digest, "<u8").astype(np.uint64)


def generator(*address: int | str, seed: int | None = None) -> np.random.Generator:
    """A NumPy generator at the start of the stream at `address`; arguments as for `key`."""
    return np.random.Generator(np.random.Philox(key=key(*address, seed=seed)))


Drawn = TypeVar("Drawn")


class _Memory(threading.local):
    kept: list | None = None
    given: Iterator | None = None


_memory = _Memory()


def remembered(draw: Callable[[], Drawn]) -> Drawn:
    """``draw()``; within `replayed`, what it was at this place the first time.

    Whatever advances a random state must go through here, so that a part of a network can be
    computed again with the same numbers and without advancing the state twice.
    """
    if _memory.given is not None:
        return next(_memory.given)
    drawn = draw()
    if _memory.kept is not None:
        _memory.kept.append(drawn)
    return drawn


@contextmanager
def recorded() -> Iterator[list]:
    """Collect everything `remembered` inside."""
    before, _memory.kept = _memory.kept, []
    try:
        yield _memory.kept
    finally:
        if before is not None:
            before += _memory.kept
        _memory.kept = before


@contextmanager
def replayed(drawn: Iterable) -> Iterator[None]:
    """Let everything `remembered` inside be what was collected by `recorded`."""
    before, _memory.given = _memory.given, iter(drawn)
    try:
        yield
    finally:
        _memory.given = before
