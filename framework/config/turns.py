"""What threads that use one model at the same time share, and what each has for itself."""

from __future__ import annotations

import threading
from typing import Any

from .tracebacks import warn


class Turn:
    """A lock that its holder may take again. A copy of it is another one, that nobody holds.

    Who has waited for `PATIENCE` seconds says so, and goes on waiting: it may be for ever.
    """

    PATIENCE = 60.0

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self.PATIENCE):
            warn(
                f"This thread has waited for {self.PATIENCE:g} s for another one that goes through "
                "batches with the same model: its metrics are those of one pass at a time. If that "
                "one waits for this thread, in a callback perhaps, both wait for ever: call "
                "evaluate() in the callback itself, or with gt.clone_model(model)."
            )
            self._lock.acquire()

    def __exit__(self, *rest: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Turn], tuple[()]]:
        return Turn, ()


class Own(threading.local):
    """Something that each thread has for itself: `value`, None at first. A copy has nothing yet."""

    value: Any = None

    def __reduce__(self) -> tuple[type[Own], tuple[()]]:
        return Own, ()


def kept(holder: Any, name: str, kind: type) -> Any:
    """What an object keeps under a name, made when it is first asked for, once for all threads."""
    found = vars(holder).get(name)
    return vars(holder).setdefault(name, kind()) if found is None else found
