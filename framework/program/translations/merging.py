"""Layers of several inputs."""

from __future__ import annotations

from typing import Any

from ..graph import Graph, NotNative, Shape, layer_names


def _same_shapes(layer: Any, graph: Graph, values: list[int]) -> Shape:
    shapes = {graph.shapes[v] for v in values}
    if len(shapes) != 1:
        raise NotNative(f"{type(layer).__name__} {layer.name!r} stretches its inputs")
    return shapes.pop()


@layer_names("Add", "Subtract")
def _sum(layer: Any, graph: Graph, x: Any) -> int:
    shape = _same_shapes(layer, graph, x)
    factor = -1.0 if type(layer).__name__ == "Subtract" else 1.0
    total = x[0]
    for other in x[1:]:
        total = graph.add("add", (total, other), shape, layer.name, factor=factor)
    return total


@layer_names("Concatenate")
def _concatenate(layer: Any, graph: Graph, x: Any) -> int:
    rank = len(graph.shapes[x[0]]) + 1
    if layer.axis not in (-1, rank - 1):
        raise NotNative(f"Concatenate {layer.name!r} joins axis {layer.axis}")
    shape = (*graph.shapes[x[0]][:-1], sum(graph.shapes[v][-1] for v in x))
    return graph.add("concatenate", tuple(x), shape, layer.name)
