"""Anomaly mode: stop at the op, and at the user's line, that first made a NaN or an infinity."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from .tape import Node, grad_mode

#: Where a caller counts as a user although the module belongs to this package.
_USERS = ("gradtape.models.", "gradtape.datasets.")


@contextmanager
def detect_anomaly(enabled: bool = True) -> Iterator[None]:
    """Check every result of every op inside, forward and backward. Slow: for finding a fault.

    Raises:
        FloatingPointError: an op turned finite inputs into a NaN or an infinity, or received one
            from outside; names the op and the line of the user's code that applied it.
    """
    before = grad_mode.anomaly
    grad_mode.anomaly = enabled
    try:
        yield
    finally:
        grad_mode.anomaly = before


def users_line() -> str:
    """The innermost line on the stack that is not this framework's, as ``file:line: code``."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        module = frame.f_globals.get("__name__", "")
        if module.split(".")[0] != "gradtape" or module.startswith(_USERS):
            break
        frame = frame.f_back
    code = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    return f"{frame.f_code.co_filename}:{frame.f_lineno}: {code}"


def _kind(array: np.ndarray) -> str:
    """What is wrong with an array: a NaN, an infinity, or (empty) nothing."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return ""
    return "NaN" if np.isnan(array).any() else "infinity"


def check_forward(name: str, arrays: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Refuse a result of op `name` that is not finite."""
    wrong = _kind(out)
    if not wrong:
        return
    for i, array in enumerate(arrays):
        if received := _kind(array):
            raise FloatingPointError(
                f"{name} received an input with {received} (input {i}), at {users_line()}"
            )
    raise FloatingPointError(f"{name} made the first {wrong}, at {users_line()}")


def check_backward(node: Node, i: int, gradient: np.ndarray, result: np.ndarray) -> None:
    """Refuse a gradient for input `i` of `node` that is not finite."""
    if wrong := _kind(result):
        verb = "received" if _kind(gradient) else "made the first"
        source = node.source or "a line outside gt.detect_anomaly()"
        raise FloatingPointError(
            f"The gradient of {node.op.name} for input {i} {verb} {wrong}; the op was applied at "
            f"{source}"
        )
