"""Layers that behave differently in training."""

from __future__ import annotations

from typing import Any

from ..graph import Graph, NotNative, layer_names


@layer_names("Dropout")
def _dropout(layer: Any, graph: Graph, x: int) -> int:
    if not graph.training or layer.rate == 0:
        return x
    if layer.noise_shape is not None or layer.rate == 1:
        raise NotNative(f"Dropout {layer.name!r} drops more than single elements")
    return graph.add("dropout", (x,), graph.shapes[x], layer.name, rate=layer.rate, draw=layer)


@layer_names("BatchNormalization")
def _batch_norm(layer: Any, graph: Graph, x: int) -> int:
    if layer.axis not in (-1, len(graph.shapes[x])):
        raise NotNative(f"BatchNormalization {layer.name!r} has its channels at {layer.axis}")
    variables = {"gamma": layer.gamma, "beta": layer.beta}
    variables |= {"mean": layer.moving_mean, "variance": layer.moving_variance}
    return graph.add(
        "batch_norm",
        (x,),
        graph.shapes[x],
        layer.name,
        variables,
        epsilon=layer.epsilon,
        momentum=layer.momentum,
        batch=graph.training and layer.trainable,
    )
