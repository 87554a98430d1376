"""Ops of single elements: their own forward and gradient rule, compiled (`formulas.py`).

An op that is registered elsewhere, by a user, comes here as well: nothing is said about it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...config.naming import is_own
from ...kernels import pointwise
from ..build import Buffer
from ..formulas import Chain, NotElementwise, meant
from ..graph import Node, NotNative
from ..lowering import Lowering, OpLowering, lowers, otherwise
from ..trace import Trace
from ..traced import Traced
from .arithmetic import broadcast, number

#: An op, its operands and its settings, as `Chain` takes them, but for the settings: pairs.
Step = tuple[Any, tuple[Any, ...], tuple[tuple[str, Any], ...]]


def chain_of(steps: tuple[Step, ...]) -> Chain:
    """The chain of some steps.

    Raises:
        NotElementwise: one of them is no formula of single elements.
    """
    return _chain_of(steps, repr([parts for _, *parts in steps]))


@functools.lru_cache(1024)
def _chain_of(steps: tuple[Step, ...], _: str) -> Chain:
    """The text tells numbers apart that are equal: 0.0 and -0.0, 1 and True."""
    return Chain(tuple((op, operands, dict(settings)) for op, operands, settings in steps))


@otherwise
def elementwise(t: Trace, op: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Traced:
    """What an op makes of tensors, of what is the same for every sample, and of numbers.

    Raises:
        NotNative: it is no formula of single elements.
    """
    if getattr(op, "integers", False) and all(map(_is_integer, args)):
        raise NotNative(f"the op {op.name!r} computes in integers")
    operands: list[Any] = [x if (n := number(x)) is None else n for x in args]
    places = [i for i, x in enumerate(operands) if not isinstance(x, float)]
    tensors = broadcast(t, op.name, *(operands[i] for i in places))
    inputs: list[Traced] = []
    steps: list[Step] = []
    for i, tensor in zip(places, tensors, strict=True):
        known = [x.value for x in inputs]
        if tensor.value not in known:
            inputs.append(tensor)
        place = [x.value for x in inputs].index(tensor.value)
        operands[i] = ("in", place)
        if tensor.dtype == np.bool_:
            steps.append(("not_equal", (operands[i], 0.0), ()))
            operands[i] = ("step", len(steps) - 1)
    try:
        now = op if is_own(op) else meant(op, settings)
        steps.append((now, tuple(operands), tuple(sorted(settings.items()))))
        masks = chain_of(tuple(steps)).makes_mask
    except (NotElementwise, TypeError) as error:  # unhashable settings are of no formula
        raise NotNative(f"the op {op.name!r} has no lowering: {error}") from None
    dtype = np.dtype(np.bool_ if masks else np.float32)
    sample = tensors[0].sample
    return t.add("formula", tuple(inputs), sample, dtype=dtype, steps=tuple(steps), masks=masks)


def _is_integer(operand: Any) -> bool:
    """Whether it is an image of bytes, or a number or array that lets it stay one of integers."""
    if isinstance(operand, Traced):
        return operand.dtype == np.uint8
    dtype = getattr(operand, "dtype", None)
    return isinstance(operand, int) if dtype is None else dtype.kind in "iu"


@lowers("formula")
class Elementwise(OpLowering):
    """A chain of ops on arrays of one shape."""

    @staticmethod
    def _chain(node: Node) -> Chain:
        return chain_of(node.settings["steps"])

    def reads_output_of(self, node: Node) -> bool:
        return self._chain(node).backward_from_output() is not None

    def forward(self, low: Lowering, node: Node) -> None:
        made = self._chain(node).forward
        places: tuple[Any, ...] = made.reads
        inputs = [low.values[node.inputs[k]] for k in places]
        free = low.slot is None or self.reads_output_of(node)
        in_place = free and len(node.inputs) == 1
        out = low.output_in_place(node) if in_place else low.output(node)
        low.build.emit(made.kernel, *made.arguments([out], inputs, out.size))

    def backward(self, low: Lowering, node: Node) -> None:
        chain, g = self._chain(node), low.gradients[node.output]
        wanted = [k for k, v in enumerate(node.inputs) if low.needs_gradient(v)]
        if not wanted:
            return
        made = chain.backward_from_output() or chain.backward(*wanted)
        arrays: dict[Any, Buffer] = {"g": g, "out": low.values[node.output]}
        arrays |= {k: low.values[v] for k, v in enumerate(node.inputs)}
        if made.reads == ("g",) and chain.passes_on(*wanted):
            for k in wanted[:-1]:
                low.give(
                    node.inputs[k], lambda out: low.build.emit(pointwise.copy, out, g, out.size)
                )
        else:
            others = [low.build.buffer(g.size, f"gradient of {node.layer}") for _ in wanted[:-1]]
            inputs = [arrays[name] for name in made.reads]
            low.build.emit(made.kernel, *made.arguments([*others, g], inputs, g.size))
            for k, buffer in zip(wanted, others, strict=False):
                low.pass_on(node.inputs[k], buffer)
        low.pass_on(node.inputs[wanted[-1]], g)
