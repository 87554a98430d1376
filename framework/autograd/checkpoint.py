"""Trading time for memory: forget what a part of a network computed, and compute it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import random
from .registry import Op
from .tape import OPS, grad_mode, no_grad, observed_use
from .tensor import Tensor, as_tensor, wrap
from .tree import is_container, tree_leaves, tree_map


def checkpoint(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``fn(*args, **kwargs)``, of which only inputs and outputs stay in memory.

    The backward pass calls `fn` again, with the same random numbers, and goes on through what that
    leaves on the tape. Memory falls to the largest checkpointed part, time grows by one forward
    (Chen et al., "Training deep nets with sublinear memory cost", 2016).

    Args:
        fn: a function that returns a tensor, or nested lists, tuples and dicts of them. Parameters
            it uses from outside get their gradients too. It must compute the same again: no state
            may change in between but that of random numbers.
        args: its arguments: tensors, structures of them, or anything else. `fn` gets them as they
            are both times, arrays as they were when this was called.
        kwargs: the same, by name.
    """
    given = [t for t in tree_leaves((args, kwargs), is_container) if isinstance(t, Tensor)]
    if grad_mode.enabled:
        for t in given:
            if t._memory.borrowed:
                t._own()
    with observed_use() as use, no_grad(), random.recorded() as draws:
        out = fn(*args, **kwargs)
        outputs = [as_tensor(t) for t in tree_leaves(out)]
        use.see(outputs)
        whole = _pack(outputs)
    if not grad_mode.enabled or not use.tensors or whole.dtype.kind != "f":
        return out
    packed = wrap(whole.data, whole._memory)
    inputs = tuple(dict.fromkeys([*use.tensors, *given]))
    _Recompute(fn).record(packed, inputs, {"call": (args, kwargs), "draws": draws})
    if len(outputs) == 1:
        return tree_map(lambda _: packed, out)
    following = iter(_unpack(packed, outputs))
    return tree_map(lambda _: next(following), out)


class _Recompute(Op):
    """The op of one checkpointed call; on no list, since it has no rule to check."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.name = f"checkpoint of {getattr(fn, '__name__', 'a function')}"
        self.fn = fn

    def recompute(self, inputs: tuple[Tensor, ...], settings: dict[str, Any]) -> Tensor:
        args, kwargs = settings["call"]
        with random.replayed(settings["draws"]):
            out = self.fn(*args, **kwargs)
        return _pack([as_tensor(t) for t in tree_leaves(out)])


def _pack(outputs: list[Tensor]) -> Tensor:
    """One output as it is, several as one vector: a node has one output."""
    if len(outputs) == 1:
        return outputs[0]
    parts = [t.flatten() for t in outputs if t.dtype.kind == "f"]
    return OPS["concatenate"](parts) if parts else wrap(np.zeros(0, bool))


def _unpack(packed: Tensor, outputs: list[Tensor]) -> list[Tensor]:
    parts, start = [], 0
    for out in outputs:
        if out.dtype.kind == "f":
            parts.append(packed[start : start + out.size].reshape(out.shape).astype(out.dtype))
            start += out.size
        else:
            parts.append(out)
    return parts
