"""The backward pass: cotangents of outputs pulled back along the tape.

Reachable tensors wait in a queue ordered by falling serial number, so each is visited once, when
its gradient is complete: no recursion, no sorting pass.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .anomaly import check_backward, detect_anomaly
from .tape import OPS, Node, enable_grad, grad_enabled, grad_mode
from .tensor import Tensor, as_tensor, wrap


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


def _contributions(
    node: Node, gradient: Tensor, output: Tensor
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Whom the gradient of `output` reaches next, and with what."""
    inputs = node.checked_inputs()
    if node.op.recompute is not None:  # its tape was not kept: make it again, and go on there
        with enable_grad():
            again = node.op.recompute(inputs, node.settings)
        yield again, gradient
        return
    for i, source in enumerate(inputs):
        yield source, _input_gradient(node, i, gradient, output) if source.requires_grad else None


def _input_gradient(node: Node, i: int, gradient: Tensor, output: Tensor) -> Tensor | None:
    """What `node` passes on to its i-th input, in that input's shape and dtype."""
    inputs = node.checked_inputs()
    target = inputs[i]
    result = node.op.gradient(i, gradient, output, inputs, node.settings)
    if result is None:
        return None
    if result.shape != target.shape:
        if not node.op.broadcasts:
            raise RuntimeError(
                f"The gradient rule of {node.op.name!r} for input {i} returned shape "
                f"{result.shape}, expected the input's shape {target.shape}."
            )
        result = OPS["sum_to"](result, shape=target.shape)
    return result if result.dtype == target.dtype else OPS["astype"](result, dtype=target.dtype)


def run_backward(
    outputs: Sequence[Tensor],
    cotangents: Sequence[Any],
    targets: Sequence[Tensor] | None = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> list[Tensor | None]:
    """Pull cotangents of `outputs` back through the tape.

    With `targets`, returns their gradients (None where an output does not depend on one) and leaves
    every ``.grad`` alone; without, accumulates into ``.grad`` of the leaves and returns [].
    """
    if retain_graph is None:
        retain_graph = create_graph
    pending: dict[int, Tensor] = {}  # gradient so far, by id of the tensor it belongs to
    owned: set[int] = set()  # whose pending buffer nobody else can see
    queue: list[tuple[int, Tensor]] = []  # non-leaves by falling serial
    leaves: list[Tensor] = []
    wanted = {id(t): i for i, t in enumerate(targets or ())}
    found: dict[int, Tensor] = {}

    def accumulate(tensor: Tensor, gradient: Tensor) -> None:
        key = id(tensor)
        held = pending.get(key)
        if held is None:
            pending[key] = gradient
            if tensor._node is None:
                leaves.append(tensor)
            else:
                heapq.heappush(queue, (-tensor._node.serial, tensor))
        elif create_graph:
            pending[key] = held + gradient
        elif key in owned:
            held.data += gradient.data
        else:
            pending[key] = wrap(np.asarray(held.data + gradient.data))
            owned.add(key)

    def finish(tensor: Tensor) -> Tensor:
        """The complete gradient of `tensor`: through its hooks, and out to whoever wants it."""
        gradient = pending.pop(id(tensor))
        for hook in tensor._hooks or ():
            gradient = as_tensor(_or(hook(gradient), gradient))
        if targets is not None:
            if id(tensor) in wanted:
                found[id(tensor)] = gradient
        elif tensor._node is None or tensor._retain:
            _store(tensor, gradient, create_graph)
        return gradient

    anomaly = grad_mode.anomaly
    with grad_enabled(create_graph), detect_anomaly(False):
        for output, cotangent in zip(outputs, cotangents, strict=True):
            if output.requires_grad:
                accumulate(output, _cotangent(output, cotangent))
        while queue:
            _, tensor = heapq.heappop(queue)
            gradient = finish(tensor)
            node = tensor._node
            assert node is not None
            for i, (source, part) in enumerate(_contributions(node, gradient, tensor)):
                if part is not None and source.requires_grad:
                    if anomaly:
                        check_backward(node, i, gradient.data, part.data)
                    accumulate(source, part)
            if not retain_graph:
                node.inputs = None
        for leaf in leaves:
            finish(leaf)
    return [found.get(id(t)) for t in targets or ()]


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _store(tensor: Tensor, gradient: Tensor, create_graph: bool) -> None:
    """Add to ``.grad``, in memory that no other tensor shares."""
    if tensor.grad is not None:
        tensor.grad = tensor.grad + gradient
    elif create_graph:
        tensor.grad = OPS["copy"](gradient)
    else:
        tensor.grad = wrap(gradient.data.copy())
