"""The tape: what ops are known, whether they are being recorded, and the recipe of each result.

A recipe (`Node`) is data: which op, which inputs, which settings, and a serial number that grows
with every op applied. Inputs are always older than outputs, so visiting reachable nodes in falling
serial order *is* a valid reverse order (`backward.py`).
"""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ContextDecorator, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .registry import Op
    from .tensor import Tensor

#: Every registered op by name, and the ops that answer for a NumPy function called on a tensor.
OPS: dict[str, Any] = {}
NUMPY: dict[Callable[..., Any], Callable[..., Any]] = {}
#: What is built upon tensors, and what tensors call all the same: ``"backward"``.
PASSES: dict[str, Callable[..., Any]] = {}

_serial = itertools.count()


class GradMode(threading.local):
    """What this thread is doing: each thread records, or does not, on its own."""

    enabled = True
    anomaly = False  # see anomaly.py
    #: How many transforms and gradient tapes are at work: they lose what leaves a tensor.
    differentiating = 0
    use: Use | None = None

    def __init__(self) -> None:
        self.before: list[bool] = []


grad_mode = GradMode()


class grad_enabled(ContextDecorator):
    """Context manager and decorator: record ops, or do not. One object may serve many times."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        grad_mode.before.append(grad_mode.enabled)
        grad_mode.enabled = self.enabled

    def __exit__(self, *error: object) -> None:
        grad_mode.enabled = grad_mode.before.pop()

    def __call__(self, function: Any) -> Any:
        if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{function.__name__} would run after the decorator's block has ended, as it is a "
                "generator or a coroutine. Write `with gt.no_grad():` inside it instead."
            )
        return super().__call__(function)


def no_grad() -> grad_enabled:
    """Context manager (or decorator): ops inside leave no tape. Per thread."""
    return grad_enabled(False)


def enable_grad() -> grad_enabled:
    """Context manager (or decorator): ops inside are taped again, within a `no_grad`."""
    return grad_enabled(True)


@contextmanager
def differentiating() -> Iterator[None]:
    """What runs inside is being differentiated: taped, and values may not leave it unseen."""
    grad_mode.differentiating += 1
    try:
        with enable_grad():
            yield
    finally:
        grad_mode.differentiating -= 1


def next_serial() -> int:
    """A serial number older than every op applied from now on."""
    return next(_serial)


def is_grad_enabled() -> bool:
    """Whether ops applied in this thread are being taped."""
    return grad_mode.enabled


class Use:
    """The tensors from outside that a function uses and that require a gradient."""

    def __init__(self) -> None:
        self.since = next(_serial)
        self.tensors: dict[Tensor, None] = {}
        self.inner: set[Tensor] = set()  # leaves that transforms made inside

    def see(self, tensors: Iterable[Tensor]) -> None:
        """Take note of what an op is applied to."""
        for t in tensors:
            outside = t._node is None or t._node.serial < self.since
            if outside and t.requires_grad and t not in self.inner:
                self.tensors[t] = None


@contextmanager
def observed_use() -> Iterator[Use]:
    """Watch what the ops inside use, whether they are taped or not."""
    before, grad_mode.use = grad_mode.use, Use()
    try:
        yield grad_mode.use
    finally:
        if before is not None:
            before.inner |= grad_mode.use.inner
            before.see(grad_mode.use.tensors)
        grad_mode.use = before


class Memory:
    """The memory behind a tensor, one object for all tensors that look at it.

    Attributes:
        version: how often it was written to.
        borrowed: it is an array that somebody else may write to without our seeing it.
    """

    __slots__ = ("borrowed", "version")

    def __init__(self, borrowed: bool = False) -> None:
        self.version = 0
        self.borrowed = borrowed


class Node:
    """The recipe of one tensor: ``op(*inputs, **settings)``, never a closure.

    It does not refer to its output (the output refers to it), so a dead tensor takes its part of
    the tape with it, without waiting for the garbage collector.
    """

    __slots__ = ("inputs", "op", "serial", "settings", "source", "version")

    def __init__(
        self, op: Op, inputs: tuple[Tensor, ...], settings: dict[str, Any], output: Tensor
    ) -> None:
        self.op = op
        self.inputs: tuple[Tensor, ...] | None = inputs
        self.settings = settings
        self.serial = next(_serial)
        self.version = _writes(inputs, output)
        self.source = ""  # the user's line, in anomaly mode

    def checked_inputs(self, output: Tensor) -> tuple[Tensor, ...]:
        """The inputs, or an error when they are gone, or when values were written over since."""
        if self.inputs is None:
            raise RuntimeError(
                f"backward() reached the result of {self.op.name!r} a second time, but the first "
                "pass freed its graph. Pass retain_graph=True to the first backward()."
            )
        if _writes(self.inputs, output) != self.version:
            raise RuntimeError(
                f"An input or the result of {self.op.name!r} was overwritten in place after the op "
                "was applied, perhaps through a view of it (a slice, reshape, detach), so its "
                "gradient would be wrong. Call backward() before the overwrite, or compute a "
                "new tensor (gt.ops.where, gt.ops.concatenate) instead of writing into the old one."
            )
        return self.inputs


def _writes(inputs: tuple[Tensor, ...], output: Tensor) -> int:
    """A number that grows with every write to the memory of these tensors."""
    return sum([t._memory.version for t in inputs], output._memory.version)
