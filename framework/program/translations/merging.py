"""Layers of several inputs."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

from ..graph import Graph, NotNative, Shape, layer_names
from .layouts import permuted
from .normalizing import unit_length

#: Layers that combine element by element: the op, its settings.
MERGES: dict[str, tuple[str, dict[str, Any]]] = {
    "Add": ("add", {"factor": 1.0}),
    "Average": ("add", {"factor": 1.0}),
    "Subtract": ("add", {"factor": -1.0}),
    "Multiply": ("multiply", {}),
    "Maximum": ("maximum", {}),
    "Minimum": ("minimum", {}),
}


@layer_names(*MERGES)
def _merge(layer: Any, graph: Graph, x: Any) -> int:
    rank = max(len(graph.shapes[v]) for v in x)
    raised = [_raised(graph, layer.name, v, rank) for v in x]
    kind = type(layer).__name__
    op, settings = MERGES[kind]
    total = raised[0]
    for other in raised[1:]:
        total = combined(graph, layer.name, op, total, other, **settings)
    if kind == "Average":
        total = affine(graph, layer.name, total, 1 / len(x))
    return total


def _raised(graph: Graph, name: str, value: int, rank: int) -> int:
    """A value of smaller rank with axes of length 1 in front."""
    shape = graph.shapes[value]
    if len(shape) == rank:
        return value
    return graph.add("reshape", (value,), (*(1,) * (rank - len(shape)), *shape), name)


def combined(graph: Graph, name: str, op: str, x: int, y: int, **settings: Any) -> int:
    """An op between two values of one rank, whose axes of length 1 are stretched."""
    target = tuple(
        m if n == 1 else n for n, m in zip(graph.shapes[x], graph.shapes[y], strict=True)
    )
    inputs = tuple(stretched(graph, name, v, target) for v in (x, y))
    return graph.add(op, inputs, target, name, **settings)


def stretched(graph: Graph, name: str, value: int, target: Shape) -> int:
    """A value repeated along its axes of length 1, neighbouring axes at once."""
    shape = graph.shapes[value]
    for repeats, axes in groupby(range(len(target)), lambda i: shape[i] != target[i]):
        if repeats:
            run = list(axes)
            first, below = run[0], run[-1] + 1
            made = (*graph.shapes[value][:first], *target[first:below], *shape[below:])
            value = graph.add(
                "repeat",
                (value,),
                made,
                name,
                outer=math.prod(made[:first]),
                times=math.prod(made[first:below]),
                inner=math.prod(made[below:]),
            )
    return value


def affine(graph: Graph, name: str, value: int, factor: float, offset: float = 0.0) -> int:
    """``factor x + offset``."""
    shape = graph.shapes[value]
    return graph.add(
        "scale_shift", (value,), shape, name, factor=float(factor), offset=float(offset)
    )


def joined(graph: Graph, name: str, values: list[int], axis: int) -> int:
    """Values side by side along an axis, which counts the samples as axis 0."""
    shapes = [graph.shapes[v] for v in values]
    axis = axis % (len(shapes[0]) + 1) - 1
    if axis < 0:
        raise NotNative(f"{name!r} joins samples")
    first = shapes[0]
    shape = (*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :])
    return graph.add("concatenate", tuple(values), shape, name, axis=axis)


@layer_names("Dot")
def _dot(layer: Any, graph: Graph, x: Any) -> int:
    moved = []
    for value, axis in zip(x, layer._pair, strict=True):
        rank = len(graph.shapes[value])
        axis = axis % (rank + 1) - 1
        value = permuted(graph, value, (*(i for i in range(rank) if i != axis), axis), layer.name)
        moved.append(unit_length(layer, graph, value) if layer.normalize else value)
    (*rows, depth), (*columns, _) = (graph.shapes[v] for v in moved)
    m, n = math.prod(rows), math.prod(columns)
    shape = (*rows, *columns) or (1,)
    return graph.add("products", tuple(moved), shape, layer.name, m=m, n=n, k=depth)


@layer_names("Concatenate")
def _concatenate(layer: Any, graph: Graph, x: Any) -> int:
    return joined(graph, layer.name, list(x), layer.axis)
