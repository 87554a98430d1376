"""What a model computes, as data: nodes that name an op, its inputs and its variables.

A graph is made from the layers, not from a recorded run, so nothing that a run decided can be
frozen into it. Only the layers of this package are understood, and only as they are: a subclass
may do anything in its `call`, so it is refused, and the model then runs eagerly.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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
    graph.output = translate(model, graph, 0)
    _drop_unread(graph)
    _put_border(graph)
    return graph


def reasons(model: Any, sample: Shape) -> list[tuple[str, str | None]]:
    """For each layer of a model its name, and why it is not native (None if it is)."""
    graph = Graph([tuple(sample)])
    graph.reasons = []
    try:
        translate(model, graph, 0)
    except NotNative as error:
        graph.reasons.append((model.name, str(error)))
    return graph.reasons


def flat_layers(model: Any) -> list[Any]:
    """The layers of a model and of the models in it, in order."""
    if type(model).__name__ not in ("Sequential", "Model"):
        return [model]
    return [model, *(leaf for layer in model.layers for leaf in flat_layers(layer))]


def translate(layer: Any, graph: Graph, value: Any) -> int:
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
    if layer.activity_regularizer is not None:
        raise NotNative(f"the activity regularizer of {layer.name!r} has no lowering")
    if isinstance(value, list):
        layer.check_input([(1, *graph.shapes[v]) for v in value])
    else:
        layer.check_input((1, *graph.shapes[value]))
    return translation(layer, graph, value)


def _drop_unread(graph: Graph) -> None:
    """Leave out elements that were moved and then moved back."""
    for node in reversed(graph.nodes.copy()):
        if node.op == "move" and node.output != graph.output and not graph.consumers(node.output):
            graph.nodes.remove(node)


def _put_border(graph: Graph) -> None:
    """Give the input the zeros that its only reader, a convolution of few channels, pads with."""
    readers = graph.consumers(0)
    if len(readers) != 1 or readers[0].op != "conv" or graph.shapes[0][-1] > 4:
        return
    node = readers[0]
    if len(node.settings["padding"]) != 2:
        return
    border = node.settings["padding"]
    height, width, channels = graph.shapes[0]
    graph.border = border
    graph.shapes[0] = (height + sum(border[0]), width + sum(border[1]), channels)
    node.settings["padding"] = ((0, 0), (0, 0))
