"""Convolution and pooling."""

from __future__ import annotations

import math
from typing import Any

from ...ops.geometry import window_settings
from ..graph import Graph, NotNative, layer_names
from .activations import activated, is_op


def channels_last(layer: Any) -> None:
    if layer.data_format != "channels_last":
        raise NotNative(f"{type(layer).__name__} {layer.name!r} has its channels first")


@layer_names("Conv2D")
def _conv(layer: Any, graph: Graph, x: int) -> int:
    channels_last(layer)
    if layer.groups != 1:
        raise NotNative(f"Conv2D {layer.name!r} has {layer.groups} groups")
    kernel = layer.kernel
    settings, lengths = window_settings(
        layer.name,
        (1, *graph.shapes[x]),
        "kernel",
        kernel.shape[:2],
        layer.strides,
        layer.padding,
        layer.dilation_rate,
    )
    shape = (*lengths, kernel.shape[3])
    variables = {"kernel": kernel, "bias": layer.bias}
    whole = shape[:2] == (1, 1) and kernel.shape[:2] == graph.shapes[x][:2]
    if whole and not any(map(sum, settings["padding"])) and set(settings["dilation"]) == {1}:
        x = graph.add("reshape", (x,), (math.prod(graph.shapes[x]),), layer.name)
        x = graph.add("dense", (x,), shape[2:], layer.name, variables, relu=is_op(layer, "relu"))
        x = graph.add("reshape", (x,), shape, layer.name)
    else:
        x = graph.add(
            "conv",
            (x,),
            shape,
            layer.name,
            variables,
            relu=is_op(layer, "relu"),
            strides=settings["strides"],
            padding=settings["padding"],
            dilation=settings["dilation"],
        )
    return activated(layer, graph, x, done="relu")


@layer_names("MaxPooling2D", "AveragePooling2D")
def _pooling(layer: Any, graph: Graph, x: int) -> int:
    channels_last(layer)
    settings, lengths = window_settings(
        layer.name,
        (1, *graph.shapes[x]),
        "pool_size",
        layer.pool_size,
        layer.strides,
        layer.padding,
    )
    op = "max_pool" if type(layer).__name__.startswith("Max") else "average_pool"
    return graph.add(
        op,
        (x,),
        (*lengths, graph.shapes[x][-1]),
        layer.name,
        size=settings["pool_size"],
        strides=settings["strides"],
        padding=settings["padding"],
    )


@layer_names("GlobalAveragePooling2D")
def _global_average(layer: Any, graph: Graph, x: int) -> int:
    channels_last(layer)
    channels = graph.shapes[x][-1]
    shape = (1, 1, channels) if layer.keepdims else (channels,)
    return graph.add("global_average", (x,), shape, layer.name)
