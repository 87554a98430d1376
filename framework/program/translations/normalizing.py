"""Normalisation layers."""

from __future__ import annotations

from typing import Any

from ...kernels import standardize
from ...ops.axes import axis_index, axis_tuple
from ..graph import Graph, NotNative, layer_names
from ..standardizing import Loop

#: The square of the length below which `UnitNormalization` does not divide by it.
_SHORTEST = 1e-24


@layer_names("BatchNormalization")
def _batch_norm(layer: Any, graph: Graph, x: int) -> int:
    variables = {"gamma": layer.gamma, "beta": layer.beta}
    variables |= {"mean": layer.moving_mean, "variance": layer.moving_variance}
    return graph.add(
        "batch_norm",
        (x,),
        graph.shapes[x],
        layer.name,
        variables,
        axis=axis_index(layer.axis, len(graph.shapes[x]) + 1) - 1,
        epsilon=layer.epsilon,
        momentum=layer.momentum,
        batch=graph.training and layer.trainable,
    )


def _standardize(
    layer: Any,
    graph: Graph,
    x: int,
    loops: list[Loop],
    mode: int,
    epsilon: float,
    gamma: Any = None,
    beta: Any = None,
) -> int:
    variables = {"gamma": gamma, "beta": beta}
    settings = {"loops": tuple(loops), "mode": mode, "epsilon": epsilon}
    return graph.add("standardize", (x,), graph.shapes[x], layer.name, variables, **settings)


def _along(layer: Any, graph: Graph, x: int) -> list[Loop]:
    """The loops of a layer that normalises along its axes, and has a scale along them."""
    shape = graph.shapes[x]
    axes = [i - 1 for i in axis_tuple(layer.axis, len(shape) + 1)]
    if axes and axes[0] < 0:
        raise NotNative(f"{type(layer).__name__} {layer.name!r} normalises along the batch")
    return [Loop(n, i not in axes, i in axes) for i, n in enumerate(shape)]


@layer_names("LayerNormalization")
def _layer_norm(layer: Any, graph: Graph, x: int) -> int:
    given = (standardize.DEVIATION, layer.epsilon, layer.gamma, layer.beta)
    return _standardize(layer, graph, x, _along(layer, graph, x), *given)


@layer_names("RMSNormalization")
def _rms_norm(layer: Any, graph: Graph, x: int) -> int:
    given = (standardize.ROOT_MEAN_SQUARE, layer.epsilon, layer.scale)
    return _standardize(layer, graph, x, _along(layer, graph, x), *given)


@layer_names("UnitNormalization")
def _unit_norm(layer: Any, graph: Graph, x: int) -> int:
    given = (standardize.LENGTH, _SHORTEST)
    return _standardize(layer, graph, x, _along(layer, graph, x), *given)


def unit_length(layer: Any, graph: Graph, x: int) -> int:
    """The value scaled to length 1 along its last axis."""
    *kept, last = graph.shapes[x]
    loops = [*(Loop(n, True, False) for n in kept), Loop(last, False, True)]
    return _standardize(layer, graph, x, loops, standardize.LENGTH, _SHORTEST)


@layer_names("GroupNormalization")
def _group_norm(layer: Any, graph: Graph, x: int) -> int:
    shape = graph.shapes[x]
    axis = axis_index(layer.axis, len(shape) + 1) - 1
    groups = shape[axis] if layer.groups == -1 else layer.groups
    loops = [Loop(n, False, False) for n in shape]
    loops[axis : axis + 1] = [Loop(groups, True, True), Loop(shape[axis] // groups, False, True)]
    given = (standardize.DEVIATION, layer.epsilon, layer.gamma, layer.beta)
    return _standardize(layer, graph, x, loops, *given)


@layer_names("LocalResponseNormalization")
def _local_response(layer: Any, graph: Graph, x: int) -> int:
    settings = {"radius": layer.n // 2, "k": layer.k, "alpha": layer.alpha, "beta": layer.beta}
    return graph.add("local_response", (x,), graph.shapes[x], layer.name, **settings)
