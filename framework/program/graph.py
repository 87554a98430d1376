"""What a model computes, as data: nodes that name an op, its inputs and its variables.

A graph is made from the layers, not from a recorded run, so nothing that a run decided can be
frozen into it. Only the layers of this package are understood, and only as they are: a subclass
may do anything in its `call`, so it is refused, and the model then runs eagerly.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
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


Border = tuple[tuple[int, int], tuple[int, int]]


@dataclass
class Graph:
    """Nodes in the order of computation.

    Attributes:
        shapes: of every value, for one sample. The first values are the inputs of the model.
        training: whether layers behave as in training.
        inputs: how many of the values are inputs.
        outputs: what the model returns: a value, or a list, tuple or dict of values.
        output: the value that a loss looks at; of a model with one output that one.
        borders: zeros around an input, ``((top, bottom), (left, right))``, in the shape of it.
        activity: values whose elements belong to the loss, each with its regularizer.
    """

    shapes: list[Shape]
    training: bool = True
    nodes: list[Node] = field(default_factory=list)
    inputs: int = 1
    outputs: Any = 0
    output: int = 0
    borders: dict[int, Border] = field(default_factory=dict)
    activity: list[tuple[int, Any]] = field(default_factory=list)
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

    @property
    def results(self) -> list[int]:
        """The outputs, one after the other."""
        return list(values_in(self.outputs))

    @functools.cached_property
    def kept(self) -> frozenset[int]:
        """The values that somebody looks at after the forward pass (of a finished graph)."""
        return frozenset([*self.results, *(value for value, _ in self.activity)])

    def seen_from(self, value: int) -> Graph:
        """The same graph, for the loss of this output."""
        return dataclasses.replace(self, output=value)

    def behind(self, values: list[int]) -> set[Any]:
        """The variables that these values depend on."""
        wanted, found = set(values), set[Any]()
        for node in reversed(self.nodes):
            if node.output in wanted:
                wanted.update(node.inputs)
                found.update(node.variables.values())
        return found

    def signature(self) -> tuple[Any, ...]:
        """Equal for graphs that compute the same on the same variables."""
        return (
            repr(self.outputs),
            self.inputs,
            tuple(self.borders.items()),
            tuple((value, id(regularizer)) for value, regularizer in self.activity),
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


Translation = Callable[[Any, Graph, Any], Any]
TRANSLATIONS: dict[str, Translation] = {}
#: Models that are understood: what is in them is translated, layer by layer.
MODELS = ("Sequential", "Model")


def layer_names(*names: str) -> Callable[[Translation], Translation]:
    """Register how layers of these classes become nodes."""

    def enter(function: Translation) -> Translation:
        TRANSLATIONS.update(dict.fromkeys(names, function))
        return function

    return enter


def values_in(structure: Any) -> Iterator[Any]:
    """The values in a list, tuple or dict of them, in order."""
    if isinstance(structure, dict):
        structure = list(structure.values())
    if not isinstance(structure, (list, tuple)):
        yield structure
        return
    for item in structure:
        yield from values_in(item)


def rearranged(structure: Any, items: Iterator[Any]) -> Any:
    """The same structure with the next of `items` for each value."""
    if isinstance(structure, dict):
        return {k: rearranged(v, items) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return type(structure)(rearranged(v, items) for v in structure)
    return next(items)


def graph_of(model: Any, samples: Any, training: bool = True) -> Graph:
    """The graph of a model for samples of this shape.

    Args:
        model: a `Sequential` or functional model.
        samples: the shape of a sample, or a list of them, one for each input.
        training: whether layers behave as in training.

    Raises:
        NotNative: some layer is not covered.
        ShapeError: a layer does not take its input.
    """
    graph, given = _begun(samples, training)
    graph.outputs = translate(model, graph, given)
    graph.output = graph.results[0]
    _drop_unread(graph)
    _put_borders(graph)
    return graph


def reasons(model: Any, samples: Any) -> list[tuple[str, str | None]]:
    """For each layer of a model its name, and why it is not native (None if it is)."""
    graph, given = _begun(samples, True)
    graph.reasons = []
    try:
        translate(model, graph, given)
    except NotNative as error:
        graph.reasons.append((model.name, str(error)))
    return graph.reasons


def _begun(samples: Any, training: bool) -> tuple[Graph, Any]:
    """A graph of inputs alone, and their values as a model takes them."""
    several = isinstance(samples, list)
    shapes = [tuple(s) for s in samples] if several else [tuple(samples)]
    return Graph(shapes, training, inputs=len(shapes)), (list(range(len(shapes))) if several else 0)


def flat_layers(model: Any) -> list[Any]:
    """The layers of a model and of the models in it, in order."""
    if type(model).__name__ not in MODELS:
        return [model]
    return [model, *(leaf for layer in model.layers for leaf in flat_layers(layer))]


def translate(layer: Any, graph: Graph, given: Any) -> Any:
    """What a layer returns for a value (or a structure of them): a value, or a structure."""
    if type(layer).__name__ in MODELS:
        return _covered(layer, graph, given)
    return or_reason(
        graph,
        layer.name,
        lambda: _covered(layer, graph, given),
        lambda: layer.compute_output_shape(_batched(graph, given, None)),
    )


def or_reason(
    graph: Graph, name: str, translated: Callable[[], Any], shape_of: Callable[[], Any]
) -> Any:
    """What `translated` returns; while reasons are collected also if it is not native.

    Args:
        graph: the graph.
        name: of the layer, for the reason.
        translated: adds nodes and returns their value.
        shape_of: the shapes of what the layer returns, with the batch axis.
    """
    if graph.reasons is None:
        return translated()
    try:
        found = translated()
    except NotNative as error:
        graph.reasons.append((name, str(error)))

        def unknown(shapes: Any) -> Any:
            if isinstance(shapes, dict):
                return {k: unknown(s) for k, s in shapes.items()}
            if isinstance(shapes, list):
                return [unknown(s) for s in shapes]
            graph.shapes.append(tuple(shapes[1:]))
            return len(graph.shapes) - 1

        return unknown(shape_of())
    graph.reasons.append((name, None))
    return found


def _batched(graph: Graph, given: Any, batch: int | None) -> Any:
    """The shapes of values, with the batch axis."""
    shapes = iter([(batch, *graph.shapes[v]) for v in values_in(given)])
    return rearranged(given, shapes)


def _covered(layer: Any, graph: Graph, given: Any) -> Any:
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
    layer.check_input(_batched(graph, given, 1))
    return translation(layer, graph, given)


def _drop_unread(graph: Graph) -> None:
    """Leave out elements that were moved and then moved back."""
    for node in reversed(graph.nodes.copy()):
        unread = node.output not in graph.results and not graph.consumers(node.output)
        if node.op == "move" and unread:
            graph.nodes.remove(node)


def _put_borders(graph: Graph) -> None:
    """Give inputs the zeros that their only reader, a convolution of few channels, pads with."""
    for value in range(graph.inputs):
        readers = graph.consumers(value)
        if len(readers) != 1 or readers[0].op != "conv" or graph.shapes[value][-1] > 4:
            continue
        node = readers[0]
        if value in graph.kept or len(node.settings["padding"]) != 2:
            continue
        border = node.settings["padding"]
        height, width, channels = graph.shapes[value]
        graph.borders[value] = border
        graph.shapes[value] = (height + sum(border[0]), width + sum(border[1]), channels)
        node.settings["padding"] = ((0, 0), (0, 0))
