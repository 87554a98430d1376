"""Layers that bring elements into another order or number, and to another scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ops.resize import interpolation_matrix
from ..graph import Graph, NotNative, layer_names
from ..moving import Move
from .layouts import blended, channels_last, permuted


@layer_names("Identity", "ActivityRegularization")
def _identity(layer: Any, graph: Graph, x: int) -> int:
    return x


@layer_names("Flatten", "Reshape")
def _reshape(layer: Any, graph: Graph, x: int) -> int:
    shape = layer.compute_output_shape((None, *graph.shapes[x]))[1:]
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        x = permuted(graph, x, (*range(1, len(graph.shapes[x])), 0), layer.name)
    return graph.add("reshape", (x,), shape, layer.name)


@layer_names("Permute")
def _permute(layer: Any, graph: Graph, x: int) -> int:
    return permuted(graph, x, tuple(d - 1 for d in layer.dims), layer.name)


@layer_names("RepeatVector")
def _repeat_vector(layer: Any, graph: Graph, x: int) -> int:
    shape = (layer.n, *graph.shapes[x])
    return graph.add(
        "move", (x,), shape, layer.name, move=Move.repeat((1, *shape[1:]), (layer.n, 1))
    )


@layer_names("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
@channels_last
def _padding(layer: Any, graph: Graph, x: int) -> int:
    return _shifted(layer, graph, x, [before for before, _ in layer.padding])


@layer_names("Cropping1D", "Cropping2D", "Cropping3D")
@channels_last
def _cropping(layer: Any, graph: Graph, x: int) -> int:
    return _shifted(layer, graph, x, [-before for before, _ in layer.cropping])


def _shifted(layer: Any, graph: Graph, x: int, by: list[int]) -> int:
    shape = graph.shapes[x]
    lengths = _last(layer, shape)
    target = (*lengths, shape[-1])
    return graph.add("move", (x,), target, layer.name, move=Move.shift(shape, (*by, 0), target))


def _last(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The spatial sizes of a layer's output, for a sample with its channels last."""
    given = (*shape[:-1], shape[-1])
    if layer.data_format == "channels_first":
        given = (shape[-1], *shape[:-1])
    return tuple(layer.spatial(layer.compute_output_shape((None, *given))))


@layer_names("UpSampling1D", "UpSampling2D", "UpSampling3D")
@channels_last
def _upsampling(layer: Any, graph: Graph, x: int) -> int:
    shape = graph.shapes[x]
    if getattr(layer, "interpolation", "nearest") == "nearest":
        move = Move.repeat(shape, (*layer.size, 1))
        target = (*_last(layer, shape), shape[-1])
        return graph.add("move", (x,), target, layer.name, move=move)
    for axis, length in enumerate(_last(layer, shape)):
        if length != shape[axis]:
            weights = interpolation_matrix(shape[axis], length, layer.interpolation)
            x = blended(graph, x, axis, weights, layer.name)
    return x


@layer_names("Rescaling")
def _rescaling(layer: Any, graph: Graph, x: int) -> int:
    shape = graph.shapes[x]
    numbers = np.broadcast_arrays(layer.scale, layer.offset)
    lengths = (1,) * (len(shape) + 1 - numbers[0].ndim) + numbers[0].shape
    if len(lengths) > len(shape) + 1 or any(
        k not in (1, n) for k, n in zip(lengths, (1, *shape), strict=True)
    ):
        raise NotNative(f"Rescaling {layer.name!r} stretches its input {shape}")
    times, plus = (tuple(a.ravel().tolist()) for a in numbers)
    kept = tuple(k > 1 for k in lengths[1:])
    return graph.add("rescale", (x,), shape, layer.name, kept=kept, times=times, plus=plus)


@layer_names("Normalization")
def _normalization(layer: Any, graph: Graph, x: int) -> int:
    shape = graph.shapes[x]
    kept = tuple(i + 1 in layer._axes for i in range(len(shape)))
    variables = {"mean": layer.mean, "variance": layer.variance}
    return graph.add("rescale", (x,), shape, layer.name, variables, kept=kept, invert=layer.invert)
