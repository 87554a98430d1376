"""Ops on symbolic tensors, ``x + y`` and ``gt.ops.relu(x)``, where a lowering does the same."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...autograd.tape import OPS
from ..graph import Graph, NotNative
from .activations import ACTIVATIONS, applied
from .merging import affine, combined, joined


@dataclass(frozen=True)
class Value:
    """An operand that is a value of the graph, rather than a constant."""

    number: int


#: What makes the nodes of an op: (graph, name of the nodes, op, *operands, **settings) to the value
#: of its result, or None.
OPERATIONS: dict[str, Callable[..., int | None]] = {}


def operation(
    op: str, graph: Graph, name: str, arguments: tuple[Any, ...], settings: dict[str, Any]
) -> int:
    """The value of an op, whose operands are `Value`s and constants.

    Raises:
        NotNative: the op has no lowering, or not for these operands.
    """
    value = None
    if op in OPERATIONS:
        value = OPERATIONS[op](graph, name, op, *arguments, **settings)
    elif op in ACTIVATIONS and isinstance(arguments[0], Value):
        given = inspect.signature(OPS[op]).bind(*arguments, **settings).arguments
        value = applied(graph, arguments[0].number, name, op, **dict(list(given.items())[1:]))
    if value is None:
        raise NotNative(f"the op {op!r} of {name!r} has no lowering for its operands")
    return value


def _enter(*names: str) -> Callable[[Any], Any]:
    def enter(function: Any) -> Any:
        for name in names:
            OPERATIONS[name] = function
        return function

    return enter


def _number(operand: Any) -> float | None:
    """A constant that is one number."""
    single = isinstance(operand, numbers.Real) or getattr(operand, "shape", None) == ()
    return float(operand) if single else None


#: x op c and c op x, for a number c, as (factor, offset); None: it is none.
_WITH_NUMBER: dict[str, tuple[Any, Any]] = {
    "add": (lambda c: (1, c), lambda c: (1, c)),
    "subtract": (lambda c: (1, -c), lambda c: (-1, c)),
    "multiply": (lambda c: (c, 0), lambda c: (c, 0)),
    "divide": (lambda c: (1 / c, 0) if c else None, lambda c: None),
}
_BETWEEN: dict[str, tuple[str, dict[str, Any]]] = {
    "add": ("add", {"factor": 1.0}),
    "subtract": ("add", {"factor": -1.0}),
    "multiply": ("multiply", {}),
    "maximum": ("maximum", {}),
    "minimum": ("minimum", {}),
}


@_enter("add", "subtract", "multiply", "divide", "maximum", "minimum")
def _binary(graph: Graph, node: str, op: str, x: Any, y: Any) -> int | None:
    if isinstance(x, Value) and isinstance(y, Value):
        same_rank = len(graph.shapes[x.number]) == len(graph.shapes[y.number])
        if op not in _BETWEEN or not same_rank:  # axes would meet from the last one on
            return None
        name, settings = _BETWEEN[op]
        return combined(graph, node, name, x.number, y.number, **settings)
    swapped = not isinstance(x, Value)
    value, constant = (y, _number(x)) if swapped else (x, _number(y))
    if constant is None or op not in _WITH_NUMBER:
        return None
    found = _WITH_NUMBER[op][swapped](constant)
    return None if found is None else affine(graph, node, value.number, *found)


@_enter("negative")
def _negative(graph: Graph, node: str, op: str, x: Value) -> int:
    return affine(graph, node, x.number, -1)


@_enter("square", "power")
def _square(graph: Graph, node: str, op: str, x: Any, exponent: Any = 2) -> int | None:
    if not isinstance(x, Value) or isinstance(exponent, Value) or _number(exponent) != 2:
        return None
    return combined(graph, node, "multiply", x.number, x.number)


@_enter("reshape")
def _reshape(graph: Graph, node: str, op: str, x: Value, shape: Any) -> int | None:
    if not isinstance(shape, (tuple, list)) or len(shape) < 2 or shape[0] != -1:
        return None
    rest = tuple(int(n) for n in shape[1:])
    if min(rest) < 1 or math.prod(rest) != math.prod(graph.shapes[x.number]):
        return None
    return graph.add("reshape", (x.number,), rest, node)


@_enter("concatenate")
def _concatenate(graph: Graph, node: str, op: str, *xs: Any, axis: int = 0) -> int | None:
    operands = [v for x in xs for v in (x if isinstance(x, (list, tuple)) else [x])]
    if not all(isinstance(v, Value) for v in operands):
        return None
    return joined(graph, node, [v.number for v in operands], axis)


@_enter("mean")
def _mean(
    graph: Graph, node: str, op: str, x: Value, axis: Any = None, keepdims: bool = False
) -> int | None:
    shape = graph.shapes[x.number]
    if len(shape) != 3 or not isinstance(axis, (tuple, list)):
        return None
    if sorted(a % 4 for a in axis) != [1, 2]:
        return None
    made = (1, 1, shape[-1]) if keepdims else shape[-1:]
    return graph.add("global_average", (x.number,), made, node)
