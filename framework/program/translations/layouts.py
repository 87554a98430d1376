"""What brings a value into another order of its axes, and layers that want their channels last."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Graph, Shape
from ..moving import Move, blending

Translation = Callable[[Any, Graph, int], int]


def permuted(graph: Graph, x: int, order: tuple[int, ...], layer: str) -> int:
    """The value with its axes in another order; nothing is moved where that changes nothing."""
    shape = graph.shapes[x]
    target = tuple(shape[a] for a in order)
    source = next((n for n in graph.nodes if n.output == x), None)
    if source is not None and source.settings.get("order"):
        before = source.settings["order"]
        if all(before[a] == i for i, a in enumerate(order)):  # there and back
            return source.inputs[0]
    moving = [a for a in order if shape[a] > 1]
    if moving == sorted(moving):
        return graph.add("reshape", (x,), target, layer) if target != shape else x
    return graph.add("move", (x,), target, layer, move=Move.permute(shape, order), order=order)


def channels_last(translation: Translation) -> Translation:
    """Let a translation know channels last only: with channels first, axes are moved around it."""

    @functools.wraps(translation)
    def translate(layer: Any, graph: Graph, x: int) -> int:
        rank = len(graph.shapes[x]) - 1
        if layer.data_format == "channels_last" or rank < 1:
            return translation(layer, graph, x)
        last = permuted(graph, x, (*range(1, rank + 1), 0), layer.name)
        y = translation(layer, graph, last)
        rank = len(graph.shapes[y]) - 1
        return permuted(graph, y, (rank, *range(rank)), layer.name) if rank else y

    return translate


def reshaped(graph: Graph, x: int, shape: Shape, layer: str) -> int:
    """The value under another shape."""
    return x if graph.shapes[x] == shape else graph.add("reshape", (x,), shape, layer)


def blended(graph: Graph, x: int, axis: int, weights: np.ndarray, layer: str) -> int:
    """Each place along an axis a sum of places, with weights (new length, length)."""
    shape = graph.shapes[x]
    target = (*shape[:axis], len(weights), *shape[axis + 1 :])
    return graph.add("blend", (x,), target, layer, axis=axis, sums=blending(weights))


def along_channels(
    graph: Graph, x: int, layer: str, variables: dict[str, Any], relu: bool = False
) -> int:
    """A matrix, and a bias, applied to the channels of each place: a convolution of one tap."""
    *places, channels = graph.shapes[x]
    image = (math.prod(places[:-1]), *places[-1:])
    x = reshaped(graph, x, (*image, channels), layer)
    filters = variables["kernel"].shape[-1]
    x = graph.add(
        "conv",
        (x,),
        (*image, filters),
        layer,
        variables,
        taps=(1, 1),
        strides=(1, 1),
        padding=((0, 0), (0, 0)),
        dilation=(1, 1),
        groups=1,
        relu=relu,
    )
    return reshaped(graph, x, (*places, filters), layer)
