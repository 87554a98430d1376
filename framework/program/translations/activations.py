"""Dense layers and activations."""

from __future__ import annotations

from typing import Any

from ...tape import OPS
from ..graph import Graph, NotNative, layer_names
from .layouts import along_channels


@layer_names("Dense")
def _dense(layer: Any, graph: Graph, x: int) -> int:
    variables = {"kernel": layer.kernel, "bias": layer.bias}
    relu = is_op(layer, "relu")
    if len(graph.shapes[x]) == 1:
        x = graph.add("dense", (x,), (layer.kernel.shape[1],), layer.name, variables, relu=relu)
    else:
        x = along_channels(graph, x, layer.name, variables, relu)
    return activated(layer, graph, x, done="relu")


def is_op(layer: Any, name: str) -> bool:
    """Whether the activation is this op (or a copy of it, in a copy of the layer)."""
    return getattr(layer.activation, "forward", None) is OPS[name].forward


def activated(layer: Any, graph: Graph, x: int, done: str = "") -> int:
    """The value after the layer's activation, unless that one is part of the op before."""
    activation = layer.activation
    name = getattr(activation, "__name__", repr(activation))
    if (name == done and is_op(layer, done)) or (
        name == "linear" and activation.__module__.endswith("activations")
    ):
        return x
    if name not in ("relu", "tanh", "sigmoid", "softmax") or not is_op(layer, name):
        raise NotNative(f"the activation {name!r} of {layer.name!r} has no lowering")
    if name == "softmax" and len(graph.shapes[x]) != 1:
        raise NotNative(f"the softmax of {layer.name!r} is taken along {graph.shapes[x]}")
    return graph.add(name, (x,), graph.shapes[x], layer.name)


@layer_names("Activation")
def _activation(layer: Any, graph: Graph, x: int) -> int:
    return activated(layer, graph, x)
