"""Convolutions of every kind."""

from __future__ import annotations

import math
from typing import Any

from ...ops.geometry import transposed_size, window_settings
from ..graph import Graph, Shape, layer_names
from .activations import activated, is_op
from .layouts import along_channels, channels_last


def window(
    layer: Any, shape: Shape, name: str, size: Any, dilation: Any = 1
) -> tuple[dict[str, Any], Shape]:
    """The windows of a layer on a sample of this shape: settings, and how many along each axis."""
    settings, lengths = window_settings(
        layer.name, (1, *shape), name, size, layer.strides, layer.padding, dilation
    )
    return settings, lengths


@layer_names("Conv1D", "Conv2D", "Conv3D")
@channels_last
def _conv(layer: Any, graph: Graph, x: int) -> int:
    kernel, shape = layer.kernel, graph.shapes[x]
    variables = {"kernel": kernel, "bias": layer.bias}
    if layer.groups == shape[-1] > 1 and layer.rank < 3:
        return activated(layer, graph, _depthwise(layer, graph, x, variables), done="relu")
    taps = kernel.shape[:-2]
    settings, lengths = window(layer, shape, "taps", taps, layer.dilation_rate)
    filters, relu = kernel.shape[-1], is_op(layer, "relu")
    whole = math.prod(lengths) == layer.groups == 1 and taps == shape[:-1]
    if whole and not any(map(sum, settings["padding"])) and set(settings["dilation"]) == {1}:
        x = graph.add("reshape", (x,), (math.prod(shape),), layer.name)
        x = graph.add("dense", (x,), (filters,), layer.name, variables, relu=relu)
        x = graph.add("reshape", (x,), (*lengths, filters), layer.name)
    else:
        settings |= {"groups": layer.groups, "relu": relu}
        x = graph.add("conv", (x,), (*lengths, filters), layer.name, variables, **settings)
    return activated(layer, graph, x, done="relu")


@layer_names("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
@channels_last
def _conv_transpose(layer: Any, graph: Graph, x: int) -> int:
    reach = tuple(
        (k - 1) * d + 1 for k, d in zip(layer.kernel_size, layer.dilation_rate, strict=True)
    )
    lengths, padding = transposed_size(
        graph.shapes[x][:-1], reach, layer.strides, layer.padding, layer.output_padding, layer.name
    )
    x = graph.add(
        "conv_transpose",
        (x,),
        (*lengths, layer.filters),
        layer.name,
        {"kernel": layer.kernel, "bias": layer.bias},
        taps=layer.kernel_size,
        strides=layer.strides,
        padding=padding,
        dilation=layer.dilation_rate,
        groups=1,
        relu=is_op(layer, "relu"),
    )
    return activated(layer, graph, x, done="relu")


def _depthwise(
    layer: Any, graph: Graph, x: int, variables: dict[str, Any], relu: bool | None = None
) -> int:
    """A kernel for each channel; it may hold several filters, which lie side by side."""
    kernel, shape = variables["kernel"], graph.shapes[x]
    taps = layer.kernel_size
    settings, lengths = window(layer, shape, "taps", taps, layer.dilation_rate)
    filters = kernel.size // math.prod(taps)
    settings["relu"] = is_op(layer, "relu") if relu is None else relu
    return graph.add("depthwise", (x,), (*lengths, filters), layer.name, variables, **settings)


@layer_names("DepthwiseConv1D", "DepthwiseConv2D")
@channels_last
def _depthwise_conv(layer: Any, graph: Graph, x: int) -> int:
    variables = {"kernel": layer.depthwise_kernel, "bias": layer.bias}
    return activated(layer, graph, _depthwise(layer, graph, x, variables), done="relu")


@layer_names("SeparableConv1D", "SeparableConv2D")
@channels_last
def _separable(layer: Any, graph: Graph, x: int) -> int:
    x = _depthwise(layer, graph, x, {"kernel": layer.depthwise_kernel}, relu=False)
    variables = {"kernel": layer.pointwise_kernel, "bias": layer.bias}
    x = along_channels(graph, x, layer.name, variables, is_op(layer, "relu"))
    return activated(layer, graph, x, done="relu")


@layer_names("LocallyConnected1D", "LocallyConnected2D")
@channels_last
def _local(layer: Any, graph: Graph, x: int) -> int:
    settings, lengths = window(layer, graph.shapes[x], "taps", layer.kernel_size)
    variables = {"kernel": layer.kernel, "bias": layer.bias}
    settings["relu"] = is_op(layer, "relu")
    shape = (*lengths, layer.filters)
    x = graph.add("local", (x,), shape, layer.name, variables, **settings)
    return activated(layer, graph, x, done="relu")
