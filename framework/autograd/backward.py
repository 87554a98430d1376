"""The backward pass: cotangents of outputs pulled back along the tape.

Reachable tensors wait in a queue ordered by falling serial number, so each is visited once, when
its gradient is complete: no recursion, no sorting pass. What is keyed by a tensor here holds that
tensor (a tensor hashes by identity), so no other can take its place.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .anomaly import check_backward, detect_anomaly
from .tape import OPS, PASSES, Memory, Node, enable_grad, grad_enabled, grad_mode
from .tensor import Tensor, as_tensor, wrap

#: Several threads may add to the ``.grad`` of one leaf.
_storing = threading.RLock()


def _cotangent(output: Tensor, given: Any) -> Tensor:
    """The cotangent to start from, checked against its output."""
    if given is None:
        if output.size != 1:
            raise ValueError(
                f"backward() of a tensor of shape {output.shape} needs a gradient of that shape. "
                "Reduce to a scalar first (.sum(), .mean()), or pass backward(gradient)."
            )
        return wrap(np.ones(output.shape, output.dtype))
    cotangent = as_tensor(given, output.dtype)
    if cotangent.shape != output.shape:
        raise ValueError(
            f"The gradient passed to backward() must have the tensor's shape {output.shape}, "
            f"received {cotangent.shape}."
        )
    return cotangent


def _fitted(node: Node, i: int, target: Tensor, result: Any) -> Tensor:
    """What the rule of `node` returned for its i-th input, in that input's shape and dtype."""
    if not isinstance(result, Tensor):
        raise TypeError(
            f"The gradient rule of {node.op.name!r} for input {i} returned "
            f"{type(result).__name__}, expected a tensor (or None for no gradient). Write rules in "
            "functions of gt.ops, so that they have a derivative themselves."
        )
    if result.shape != target.shape:
        if not node.op.broadcasts:
            raise RuntimeError(
                f"The gradient rule of {node.op.name!r} for input {i} returned shape "
                f"{result.shape}, expected the input's shape {target.shape}."
            )
        result = OPS["sum_to"](result, shape=target.shape)
    return result if result.dtype == target.dtype else OPS["astype"](result, dtype=target.dtype)


class _Ways:
    """Which tensors lead to one of the targets: only there does a gradient need to go.

    Args:
        targets: the tensors that gradients are wanted for; None for every leaf that requires one.
        counts: whether an op with this serial number counts as recorded.
    """

    def __init__(
        self, targets: Iterable[Tensor] | None, counts: Callable[[int], bool] | None = None
    ) -> None:
        self.targets = None if targets is None else dict.fromkeys(targets)
        self.counts = counts
        self._leads: dict[Tensor, bool] = {}

    def lead_from(self, tensor: Tensor) -> bool:
        """Whether a gradient for `tensor` is of use."""
        if self.targets is None:
            return tensor.requires_grad
        known = self._leads.get(tensor)
        return self._explore(tensor) if known is None else known

    def node(self, tensor: Tensor) -> Node | None:
        """The recipe of a tensor, as far as it counts as recorded."""
        node = tensor._node
        return node if node is None or self.counts is None or self.counts(node.serial) else None

    def _explore(self, start: Tensor) -> bool:
        """Decide for everything that `start` was made from, the oldest first."""
        assert self.targets is not None
        found: dict[Tensor, None] = {}
        pending = [start]
        while pending:
            tensor = pending.pop()
            if tensor not in found and tensor not in self._leads:
                found[tensor] = None
                pending += self._made_from(tensor)
        for tensor in sorted(found, key=lambda t: -1 if t._node is None else t._node.serial):
            made_from = self._made_from(tensor)
            self._leads[tensor] = tensor in self.targets or any(self._leads[t] for t in made_from)
        return self._leads[start]

    def _made_from(self, tensor: Tensor) -> Sequence[Tensor]:
        node = self.node(tensor)
        if node is None:
            return ()
        return node.checked_inputs(tensor) if node.inputs is None else node.inputs


def depends_on_others(
    outputs: Sequence[Tensor], sources: Sequence[Tensor], counts: Callable[[int], bool]
) -> bool:
    """Whether gradients of `outputs` for `sources` could be differentiated by something else.

    That is so unless all that requires a gradient, and that they depend on, are leaves among the
    sources: as in a training step, where nobody asks again.
    """
    ways, wanted, seen = _Ways(None, counts), set(sources), set()
    pending = list(outputs)
    while pending:
        tensor = pending.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        node = ways.node(tensor)
        if tensor in wanted:
            if tensor._node is not None:
                return True
        elif node is None:
            if tensor.requires_grad:
                return True
        else:
            pending += node.checked_inputs(tensor)
    return False


def run_backward(
    outputs: Sequence[Tensor],
    cotangents: Sequence[Any],
    targets: Sequence[Tensor] | None = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool | None = None,
    counts: Callable[[int], bool] | None = None,
) -> list[Tensor | None]:
    """Pull cotangents of `outputs` back through the tape.

    With `targets`, returns their gradients (None where an output does not depend on one), each in
    memory of its own, and leaves every ``.grad`` alone; without, accumulates into ``.grad`` of the
    leaves and returns [].

    Args:
        create_graph: tape the backward pass. Default: within a function that is differentiated.
        retain_graph: keep the graph for another pass. Default: `create_graph`.
        counts: whether an op with this serial number counts as recorded; default: all do.
    """
    if create_graph is None:
        create_graph = bool(grad_mode.differentiating) and grad_mode.enabled
    if retain_graph is None:
        retain_graph = create_graph
    ways = _Ways(targets, counts)
    pending: dict[Tensor, Tensor] = {}  # the gradient so far of each tensor that waits
    summed: set[Memory] = set()  # memory of sums made here, which nobody else can see
    queue: list[tuple[int, Tensor]] = []  # non-leaves by falling serial
    leaves: list[Tensor] = []
    found: dict[Tensor, Tensor] = {}

    def accumulate(tensor: Tensor, gradient: Tensor) -> None:
        held = pending.get(tensor)
        if held is None:
            pending[tensor] = gradient
            if tensor._node is None:
                leaves.append(tensor)
            else:
                heapq.heappush(queue, (-tensor._node.serial, tensor))
        elif create_graph:
            pending[tensor] = held + gradient
        elif held._memory in summed:
            held.data += gradient.data
        else:
            pending[tensor] = total = wrap(np.asarray(held.data + gradient.data))
            summed.add(total._memory)

    def finish(tensor: Tensor) -> Tensor:
        """The complete gradient of `tensor`: through its hooks, and out to whoever wants it."""
        gradient = pending.pop(tensor)
        summed.discard(gradient._memory)
        if tensor._hooks:
            for hook in list(tensor._hooks.values()):
                gradient = _hooked(hook, gradient)
        if ways.targets is not None:
            if tensor in ways.targets:
                found[tensor] = gradient
        elif tensor._node is None or tensor._retain:
            _store(tensor, gradient, create_graph)
        return gradient

    anomaly = grad_mode.anomaly
    with grad_enabled(create_graph), detect_anomaly(False):
        for output, cotangent in zip(outputs, cotangents, strict=True):
            if ways.lead_from(output):
                accumulate(output, _cotangent(output, cotangent))
        while queue:
            _, tensor = heapq.heappop(queue)
            gradient = finish(tensor)
            node = ways.node(tensor)
            if node is None:
                continue
            inputs = node.checked_inputs(tensor)
            if node.op.recompute is not None:  # its tape was not kept: make it, and go on there
                with enable_grad(), detect_anomaly(anomaly):
                    again = node.op.recompute(inputs, node.settings)
                if ways.lead_from(again):
                    accumulate(again, gradient)
            else:
                wanted = [ways.lead_from(source) for source in inputs]
                parts = node.op.pull_back(wanted, gradient, tensor, inputs, node.settings)
                for i, part in parts:
                    if part is None:
                        continue
                    fitted = _fitted(node, i, inputs[i], part)
                    if anomaly:
                        check_backward(node, i, inputs, gradient, fitted)
                    accumulate(inputs[i], fitted)
            if not retain_graph:
                node.inputs = None
        for leaf in leaves:
            finish(leaf)
        return _given_out([found.get(t) for t in targets or ()])


def _hooked(hook: Any, gradient: Tensor) -> Tensor:
    """What a hook makes of a gradient; it sees a copy, as other tensors may share the gradient."""
    seen = OPS["copy"](gradient)
    returned = hook(seen)
    if seen._memory.version:
        raise RuntimeError(
            f"Hook {_name(hook)} wrote into the gradient that it was given. Let it return a new "
            "tensor instead, such as gradient * 0.5."
        )
    if returned is None:
        return gradient
    new = as_tensor(returned)
    if new.shape != gradient.shape or new.dtype != gradient.dtype:
        raise ValueError(
            f"Hook {_name(hook)} must return a gradient of shape {gradient.shape} and dtype "
            f"{gradient.dtype}, or None, received shape {new.shape} and dtype {new.dtype}."
        )
    return new


def _name(function: Any) -> str:
    return repr(getattr(function, "__name__", type(function).__name__))


def _given_out(gradients: list[Tensor | None]) -> list[Tensor | None]:
    """Gradients in memory of their own, as several may be one and the same, or the cotangent."""
    seen: set[Memory] = set()
    out: list[Tensor | None] = []
    for gradient in gradients:
        if gradient is not None:
            memory = gradient._memory
            if memory in seen or memory.borrowed or gradient.data.base is not None:
                gradient = OPS["copy"](gradient)
            seen.add(memory)
        out.append(gradient)
    return out


def _store(tensor: Tensor, gradient: Tensor, create_graph: bool) -> None:
    """Add to ``.grad``, in memory that no other tensor shares."""
    with _storing:
        if tensor.grad is not None:
            tensor.grad = tensor.grad + gradient
        elif create_graph:
            tensor.grad = OPS["copy"](gradient)
        else:
            tensor.grad = wrap(gradient.data.copy())


PASSES["backward"] = run_backward
