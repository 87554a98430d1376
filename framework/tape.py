"""The tape: what ops are known, whether they are being recorded, and the recipe of each result.

A recipe (`Node`) is data: which op, which inputs, which settings, and a serial number that grows
with every op applied. Inputs are always older than outputs, so visiting reachable nodes in falling
serial order *is* a valid reverse order (`backward.py`).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .registry import Op
    from .tensor import Tensor

#: Every registered op by name, and the ops that answer for a NumPy function called on a tensor.
OPS: dict[str, Any] = {}
NUMPY: dict[Callable[..., Any], Callable[..., Any]] = {}

_serial = itertools.count()


class GradMode(threading.local):
    enabled = True
    anomaly = False  # see anomaly.py


grad_mode = GradMode()


@contextmanager
def grad_enabled(enabled: bool) -> Iterator[None]:
    before = grad_mode.enabled
    grad_mode.enabled = enabled
    try:
        yield
    finally:
        grad_mode.enabled = before


def no_grad() -> Any:
    """Context manager (or decorator): ops inside leave no tape. Per thread."""
    return grad_enabled(False)


def enable_grad() -> Any:
    """Context manager (or decorator): ops inside are taped again, within a `no_grad`."""
    return grad_enabled(True)


def is_grad_enabled() -> bool:
    """Whether ops applied in this thread are being taped."""
    return grad_mode.enabled


class Node:
    """The recipe of one tensor: ``op(*inputs, **settings)``, never a closure.

    It does not refer to its output (the output refers to it), so a dead tensor takes its part of
    the tape with it, without waiting for the garbage collector.
    """

    __slots__ = ("inputs", "op", "serial", "settings", "source", "version")

    def __init__(self, op: Op, inputs: tuple[Tensor, ...], settings: dict[str, Any]) -> None:
        self.op = op
        self.inputs: tuple[Tensor, ...] | None = inputs
        self.settings = settings
        self.serial = next(_serial)
        self.version = sum([t._version for t in inputs])
        self.source = ""  # the user's line, in anomaly mode

    def checked_inputs(self) -> tuple[Tensor, ...]:
        """The inputs, or an error when they are gone or are no longer what the op saw."""
        if self.inputs is None:
            raise RuntimeError(
                f"backward() reached the result of {self.op.name!r} a second time, but the first "
                "pass freed its graph. Pass retain_graph=True to the first backward()."
            )
        if sum([t._version for t in self.inputs]) != self.version:
            raise RuntimeError(
                f"An input of {self.op.name!r} was overwritten in place after the op used it, so "
                "its gradient would be wrong. Call backward() before the overwrite, or compute a "
                "new tensor (gt.ops.where, gt.ops.concatenate) instead of writing into the old one."
            )
        return self.inputs
