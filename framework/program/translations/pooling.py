"""Pooling, over windows and over everything."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Graph, Shape, layer_names
from .layouts import blended, channels_last, reshaped
from .windowed import window


def _axes(kind: str, *ranks: int) -> list[str]:
    return [f"{kind}{rank}D" for rank in ranks]


@layer_names(*_axes("MaxPooling", 1, 2, 3), *_axes("AveragePooling", 1, 2, 3))
@channels_last
def _pooling(layer: Any, graph: Graph, x: int) -> int:
    op = "max_pool" if type(layer).__name__.startswith("Max") else "average_pool"
    shape = graph.shapes[x]
    settings, lengths = window(layer, shape, "pool_size", layer.pool_size)
    axes = list(zip(settings["pool_size"], settings["strides"], settings["padding"], strict=True))
    axes = [(1, 1, (0, 0))] * (2 - len(axes)) + axes

    def pooled(x: int, image: Shape, result: Shape, which: Any) -> int:
        x = reshaped(graph, x, image, layer.name)
        size, strides, padding = zip(*which, strict=True)
        return graph.add(op, (x,), result, layer.name, size=size, strides=strides, padding=padding)

    *lead, height, width, channels = (1, *shape) if len(shape) == 2 else shape
    out_height, out_width = (1, *lengths)[-2:]
    plane = (out_height, out_width, channels)
    x = pooled(x, (*lead, height, width, channels), (*lead, *plane), axes[-2:])
    if lead:
        pixels = out_height * out_width
        along = [axes[0], (1, 1, (0, 0))]
        x = pooled(x, (*lead, pixels, channels), (lengths[0], pixels, channels), along)
    return reshaped(graph, x, (*lengths, channels), layer.name)


@layer_names(*_axes("GlobalAveragePooling", 1, 2, 3), *_axes("GlobalMaxPooling", 1, 2, 3))
@channels_last
def _global(layer: Any, graph: Graph, x: int) -> int:
    op = "global_max" if type(layer).__name__.startswith("GlobalMax") else "global_average"
    *pixels, channels = graph.shapes[x]
    shape = (*[1] * len(pixels), channels) if layer.keepdims else (channels,)
    return graph.add(op, (x,), shape, layer.name)


@layer_names(*_axes("AdaptiveAveragePooling", 1, 2, 3), *_axes("AdaptiveMaxPooling", 1, 2, 3))
@channels_last
def _adaptive(layer: Any, graph: Graph, x: int) -> int:
    average = type(layer).__name__.startswith("AdaptiveAverage")
    for axis in reversed(range(layer.rank)):  # the last axis first: the first of equal maxima wins
        shape = graph.shapes[x]
        n, m = shape[axis], layer.output_size[axis]
        bins = tuple((i * n // m, -(-(i + 1) * n // m)) for i in range(m))
        if average:
            weights = np.zeros((m, n))
            for row, (first, below) in zip(weights, bins, strict=True):
                row[first:below] = 1 / (below - first)
            x = blended(graph, x, axis, weights, layer.name)
        else:
            target = (*shape[:axis], m, *shape[axis + 1 :])
            x = graph.add("bins_max", (x,), target, layer.name, axis=axis, bins=bins)
    return x
