"""Anomaly mode: stop at the op, and at the user's line, that first made a NaN or an infinity."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .tape import Node, grad_mode

if TYPE_CHECKING:
    from .tensor import Tensor

#: Where a caller counts as a user although the module belongs to this package.
_USERS = ("gradtape.models.", "gradtape.datasets.")


@contextmanager
def detect_anomaly(enabled: bool = True) -> Iterator[None]:
    """Check every result of every op inside, forward and backward. Slow: for finding a fault.

    Raises:
        FloatingPointError: an op made a NaN or received one from outside, or made an infinity
            from finite values; names the op and the line of the user's code that applied it.
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


def _wrong(result: np.ndarray, causes: Iterable[Any]) -> str:
    """What is wrong with a result: "NaN", "infinity" out of finite causes, or (empty) nothing."""
    if result.dtype.kind != "f" or np.isfinite(result).all():
        return ""
    if np.isnan(result).any():
        return "NaN"
    return "" if any(np.isinf(cause).any() for cause in causes) else "infinity"


def _numbers(settings: dict[str, Any]) -> list[Any]:
    return [v for v in settings.values() if isinstance(v, (int, float, np.ndarray, np.number))]


def check_forward(
    name: str, arrays: Sequence[np.ndarray], settings: dict[str, Any], out: np.ndarray
) -> None:
    """Refuse a NaN in a result of op `name`, and an infinity that it made from finite values.

    An infinity that came in, such as the -inf of a mask, may pass.
    """
    wrong = _wrong(out, [*arrays, *_numbers(settings)])
    if not wrong:
        return
    for i, array in enumerate(arrays):
        if np.isnan(array).any():
            raise FloatingPointError(
                f"{name} received an input with NaN (input {i}), at {users_line()}"
            )
    raise FloatingPointError(f"{name} made the first {wrong}, at {users_line()}")


def check_backward(
    node: Node, i: int, inputs: Sequence[Tensor], gradient: Tensor, result: Tensor
) -> None:
    """Refuse a NaN in the gradient for input `i`, and an infinity made from finite values."""
    causes = [gradient.data, *(t.data for t in inputs), *_numbers(node.settings)]
    if wrong := _wrong(result.data, causes):
        verb = "received" if np.isnan(gradient.data).any() else "made the first"
        source = node.source or "a line outside gt.detect_anomaly()"
        raise FloatingPointError(
            f"The gradient of {node.op.name} for input {i} {verb} {wrong}; the op was applied at "
            f"{source}"
        )
