"""Ctrl-C that waits: for the current batch, or for what must not be left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def deferred() -> Iterator[None]:
    """Lets Ctrl-C wait until the end of this, however often it is pressed.

    For imports and compilations: a Numba that was interrupted while it was imported stays broken
    for as long as the process lives. Then whoever handled Ctrl-C before is told.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    pressed: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed:
            handler(*pressed[-1])


class Interrupts:
    """Lets a first Ctrl-C wait until `check` is called between two batches; a second does not wait.

    Only in the main thread, and only where Ctrl-C would raise KeyboardInterrupt anyway.
    """

    def __init__(self) -> None:
        self._pressed = False
        self._installed = False

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._installed = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._installed:
            signal.signal(signal.SIGINT, self._press)
        return self

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True

    def check(self) -> None:
        """Raise the KeyboardInterrupt that is waiting, if any."""
        if self._pressed:
            raise KeyboardInterrupt

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if kind is None:
            self.check()
