"""How much memory a file may ask for while it is read.

A few bytes can describe a lot: ``{"num_thresholds": 100000000}``, or a hundred thousand layers. So
what makes something large or numerous of a description `spend`s what it takes; while a file is
read, there is only so much to spend.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import FileError

#: Bytes that every file may ask for, beside its own size.
BASE = 40 << 20


class _Left(threading.local):
    bytes: int | None = None


_left = _Left()


@contextmanager
def allowance(size: int | None) -> Iterator[None]:
    """What is made inside may take `BASE` and `size` bytes. Per thread.

    Args:
        size: of the file that is read; None if it is trusted, and may ask for anything.
    """
    before, _left.bytes = _left.bytes, None if size is None else BASE + size
    try:
        yield
    finally:
        _left.bytes = before


def spend(count: int, what: str) -> None:
    """Say that so many bytes are about to be used; without an `allowance` nobody minds.

    Raises:
        FileError: they are not there.
    """
    if _left.bytes is None:
        return
    _left.bytes -= count
    if _left.bytes < 0:
        raise FileError(
            f"{what} would take more memory than a file of this size may ask for. If you trust it, "
            "load it with safe_mode=False"
        )


def limited() -> bool:
    """Whether a file is being read, so that nothing it names may be tried at any cost."""
    return _left.bytes is not None
