"""Ctrl-C that waits for the current batch."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


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
