"""Layers that only look at the elements in another order."""

from __future__ import annotations

from typing import Any

from ..graph import Graph, layer_names
from .windowed import channels_last


@layer_names("Flatten", "Reshape")
def _reshape(layer: Any, graph: Graph, x: int) -> int:
    if type(layer).__name__ == "Flatten":
        channels_last(layer)
    shape = layer.compute_output_shape((None, *graph.shapes[x]))[1:]
    return graph.add("reshape", (x,), shape, layer.name)
