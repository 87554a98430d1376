"""What a model computes, as data: nodes that name an op, its inputs and its variables.

A graph is made from the layers, not from a recorded run, so nothing that a run decided can be
frozen into it. Only the layers of this package are understood, and only as they are: a subclass
may do anything in its `call`, so it is refused, and the model then runs eagerly.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..ops.geometry import window_settings
from ..tape import OPS

Shape = tuple[int, ...]


class NotNative(Exception):
    """A layer, a loss or an optimizer that programs do not cover; says which and why."""


@dataclass(eq=False)
class Node:
    """One op on the arrays of a sample.

    Attributes:
        op: the name of its lowering.
        inputs, output: numbers of values.
        variables: by role: ``{"kernel": ..., "bias": ...}``.
        settings: plain numbers and strings.
        layer: the name of the layer it comes from.
    """

    op: str
    inputs: tuple[int, ...]
    output: int
    variables: dict[str, Any]
    settings: dict[str, Any]
    layer: str


@dataclass
class Graph:
    """Nodes in the order of computation.

    Attributes:
        shapes: of every value, for one sample. Value 0 is the input of the model.
        training: whether layers behave as in training.
        output: the value that the model returns.
        border: zeros around the input, ``((top, bottom), (left, right))``, in the shape of value 0.
    """

    shapes: list[Shape]
    training: bool = True
    nodes: list[Node] = field(default_factory=list)
    output: int = 0
    border: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    reasons: list[tuple[str, str | None]] | None = None

    def add(
        self,
        op: str,
        inputs: tuple[int, ...],
        shape: Shape,
        layer: str,
        variables: dict[str, Any] | None = None,
        **settings: Any,
    ) -> int:
        """Append a node; returns the number of its value."""
        self.shapes.append(tuple(shape))
        output = len(self.shapes) - 1
        given = {k: v for k, v in (variables or {}).items() if v is not None}
        self.nodes.append(Node(op, inputs, output, given, settings, layer))
        return output

    def consumers(self, value: int) -> list[Node]:
        return [n for n in self.nodes if value in n.inputs]

    def signature(self) -> tuple[Any, ...]:
        """Equal for graphs that compute the same on the same variables."""
        return (
            self.output,
            self.border,
            *self.shapes,
            *(
                (
                    n.op,
                    n.inputs,
                    n.output,
                    tuple(n.settings.values()),
                    tuple(id(v) for v in n.variables.values()),
                )
                for n in self.nodes
            ),
        )

    @functools.cached_property
    def variables(self) -> list[Any]:
        """Every variable, once, in order (of a finished graph)."""
        return list(dict.fromkeys(v for n in self.nodes for v in n.variables.values()))


Translation = Callable[[Any, Graph, int], int]
TRANSLATIONS: dict[str, Translation] = {}


def layer_names(*names: str) -> Callable[[Translation], Translation]:
    """Register how layers of these classes become nodes."""

    def enter(function: Translation) -> Translation:
        TRANSLATIONS.update(dict.fromkeys(names, function))
        return function

    return enter


def graph_of(model: Any, sample: Shape, training: bool = True) -> Graph:
    """The graph of a model for samples of this shape.

    Raises:
        NotNative: some layer is not covered.
        ShapeError: a layer does not take its input.
    """
    graph = Graph([tuple(sample)], training)
    graph.output = _translate(model, graph, 0)
    _put_border(graph)
    return graph


def reasons(model: Any, sample: Shape) -> list[tuple[str, str | None]]:
    """For each layer of a model its name, and why it is not native (None if it is)."""
    graph = Graph([tuple(sample)])
    graph.reasons = []
    try:
        _translate(model, graph, 0)
    except NotNative as error:
        graph.reasons.append((model.name, str(error)))
    return graph.reasons


def flat_layers(model: Any) -> list[Any]:
    """The layers of a model and of the models in it, in order."""
    if type(model).__name__ not in ("Sequential", "Model"):
        return [model]
    return [model, *(leaf for layer in model.layers for leaf in flat_layers(layer))]


def _translate(layer: Any, graph: Graph, value: Any) -> int:
    """The value of a layer called on a value (or a list of them)."""
    shapes = [graph.shapes[v] for v in value] if isinstance(value, list) else graph.shapes[value]
    try:
        found = _covered(layer, graph, value)
    except NotNative as error:
        if graph.reasons is None or type(layer).__name__ in ("Sequential", "Model"):
            raise
        graph.reasons.append((layer.name, str(error)))
        batched = [(None, *s) for s in shapes] if isinstance(value, list) else (None, *shapes)
        graph.shapes.append(tuple(layer.compute_output_shape(batched)[1:]))
        return len(graph.shapes) - 1
    if graph.reasons is not None and type(layer).__name__ not in ("Sequential", "Model"):
        graph.reasons.append((layer.name, None))
    return found


def _covered(layer: Any, graph: Graph, value: Any) -> int:
    kind = type(layer)
    own = kind.__module__.split(".")[0] == __name__.split(".")[0]
    translation = TRANSLATIONS.get(kind.__name__) if own else None
    if translation is None:
        raise NotNative(f"{kind.__name__} {layer.name!r} has no lowering")
    if not layer.built:
        raise NotNative(f"{kind.__name__} {layer.name!r} has not been built yet")
    if getattr(layer, "dtype", "float32") != "float32":
        raise NotNative(f"{kind.__name__} {layer.name!r} computes in {layer.dtype}")
    if isinstance(value, list):
        layer.check_input([(1, *graph.shapes[v]) for v in value])
    else:
        layer.check_input((1, *graph.shapes[value]))
    return translation(layer, graph, value)


def _put_border(graph: Graph) -> None:
    """Give the input the zeros that its only reader, a convolution of few channels, pads with."""
    readers = graph.consumers(0)
    if len(readers) != 1 or readers[0].op != "conv" or graph.shapes[0][-1] > 4:
        return
    node = readers[0]
    border = node.settings["padding"]
    height, width, channels = graph.shapes[0]
    graph.border = border
    graph.shapes[0] = (height + sum(border[0]), width + sum(border[1]), channels)
    node.settings["padding"] = ((0, 0), (0, 0))


# Layers


@layer_names("Sequential")
def _sequential(layer: Any, graph: Graph, x: int) -> int:
    for inner in layer.layers:
        x = _translate(inner, graph, x)
    return x


@layer_names("Model")
def _functional(layer: Any, graph: Graph, x: int) -> int:
    topology = layer._topology
    if topology is None or len(topology.input_layers) != 1 or len(topology._outputs) != 1:
        raise NotNative(f"Model {layer.name!r} has not exactly one input and one output")
    values = {id(topology._inputs[0]): x}
    for call in topology.calls:
        sources = call.inputs[0] if len(call.inputs) == 1 else None
        outputs = call.outputs
        if call.settings or isinstance(sources, dict) or isinstance(outputs, (list, tuple, dict)):
            raise NotNative(f"the call of {call.layer.name!r} takes more than tensors")
        given = list(sources) if isinstance(sources, (list, tuple)) else [sources]
        if not all(id(t) in values for t in given):
            raise NotNative(f"the call of {call.layer.name!r} takes more than tensors")
        found = [values[id(t)] for t in given]
        values[id(outputs)] = _translate(
            call.layer, graph, found if isinstance(sources, (list, tuple)) else found[0]
        )
    return values[id(topology._outputs[0])]


@layer_names("InputLayer")
def _input(layer: Any, graph: Graph, x: int) -> int:
    return x


def _channels_last(layer: Any) -> None:
    if layer.data_format != "channels_last":
        raise NotNative(f"{type(layer).__name__} {layer.name!r} has its channels first")


@layer_names("Conv2D")
def _conv(layer: Any, graph: Graph, x: int) -> int:
    _channels_last(layer)
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
        x = graph.add("dense", (x,), shape[2:], layer.name, variables, relu=_is(layer, "relu"))
        x = graph.add("reshape", (x,), shape, layer.name)
    else:
        x = graph.add(
            "conv",
            (x,),
            shape,
            layer.name,
            variables,
            relu=_is(layer, "relu"),
            strides=settings["strides"],
            padding=settings["padding"],
            dilation=settings["dilation"],
        )
    return _activated(layer, graph, x, done="relu")


@layer_names("Dense")
def _dense(layer: Any, graph: Graph, x: int) -> int:
    if len(graph.shapes[x]) != 1:
        raise NotNative(f"Dense {layer.name!r} is applied along {graph.shapes[x]}")
    variables = {"kernel": layer.kernel, "bias": layer.bias}
    relu = _is(layer, "relu")
    x = graph.add("dense", (x,), (layer.kernel.shape[1],), layer.name, variables, relu=relu)
    return _activated(layer, graph, x, done="relu")


def _is(layer: Any, name: str) -> bool:
    """Whether the activation is this op (or a copy of it, in a copy of the layer)."""
    return getattr(layer.activation, "forward", None) is OPS[name].forward


def _activated(layer: Any, graph: Graph, x: int, done: str = "") -> int:
    """The value after the layer's activation, unless that one is part of the op before."""
    activation = layer.activation
    name = getattr(activation, "__name__", repr(activation))
    if (name == done and _is(layer, done)) or (
        name == "linear" and activation.__module__.endswith("activations")
    ):
        return x
    if name not in ("relu", "tanh", "sigmoid", "softmax") or not _is(layer, name):
        raise NotNative(f"the activation {name!r} of {layer.name!r} has no lowering")
    if name == "softmax" and len(graph.shapes[x]) != 1:
        raise NotNative(f"the softmax of {layer.name!r} is taken along {graph.shapes[x]}")
    return graph.add(name, (x,), graph.shapes[x], layer.name)


@layer_names("Activation")
def _activation(layer: Any, graph: Graph, x: int) -> int:
    return _activated(layer, graph, x)


@layer_names("MaxPooling2D", "AveragePooling2D")
def _pooling(layer: Any, graph: Graph, x: int) -> int:
    _channels_last(layer)
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
    _channels_last(layer)
    channels = graph.shapes[x][-1]
    shape = (1, 1, channels) if layer.keepdims else (channels,)
    return graph.add("global_average", (x,), shape, layer.name)


@layer_names("Flatten", "Reshape")
def _reshape(layer: Any, graph: Graph, x: int) -> int:
    if type(layer).__name__ == "Flatten":
        _channels_last(layer)
    shape = layer.compute_output_shape((None, *graph.shapes[x]))[1:]
    return graph.add("reshape", (x,), shape, layer.name)


# Layers of several inputs


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


# Layers that differ in training


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
