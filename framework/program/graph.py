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

from ..autograd.tree import is_shape
from ..config.naming import is_own
from .watching import frozen, patched

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

    def check_worth(self) -> None:
        """Refuse a graph that leaves more to the tape than it does itself.

        Raises:
            NotNative: it does.
        """
        islands = [n for n in self.nodes if n.op == "island"]
        working = [n for n in self.nodes if n.op != "island" and n.variables]
        if len(islands) > len(working):
            raise NotNative(f"too little is native: {islands[0].settings['why']}")

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
            tuple((value, id(r), factors_of(r)) for value, r in self.activity),
            *self.shapes,
            *(
                (
                    n.op,
                    n.inputs,
                    n.output,
                    frozen(list(n.settings.values())),
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
        assert TRANSLATIONS.keys().isdisjoint(names), f"{names} have translations already"
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
    graph.outputs = _covered(model, graph, given)
    graph.output = graph.results[0]
    _drop_unread(graph)
    graph.check_worth()
    _put_borders(graph)
    return graph


def reasons(model: Any, samples: Any) -> list[tuple[str, str | None]]:
    """For each layer of a model its name, and why it is not native (None if it is)."""
    graph, given = _begun(samples, True)
    graph.reasons = []
    try:
        _covered(model, graph, given)
        graph.check_worth()
    except NotNative as error:
        graph.reasons.append((model.name, f"eager: {error}"))
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
    return or_island(
        graph,
        layer,
        given,
        lambda: _covered(layer, graph, given),
        lambda: layer.compute_output_shape(_batched(graph, given, None)),
    )


def or_island(
    graph: Graph,
    layer: Any,
    given: Any,
    translated: Callable[[], Any],
    shape_of: Callable[[], Any],
) -> Any:
    """What `translated` returns, or else a value that the layer computes on the tape.

    While reasons are collected, there is a value in any case.

    Args:
        graph: the graph.
        layer: or what behaves like one.
        given: the values that it is called on.
        translated: adds nodes and returns their value, or a structure of values.
        shape_of: the shapes of what the layer returns, with the batch axis.

    Raises:
        NotNative: the layer can be neither.
    """
    why = None
    try:
        found = translated()
    except NotNative as error:
        why = str(error)
        shape = shape_of() if layer.built and layer.dtype == "float32" else None
        if shape is not None and is_shape(shape) and all(isinstance(n, int) for n in shape[1:]):
            found = _island(layer, graph, given, tuple(shape[1:]), why)
            why = f"runs on the tape: {why}"
        elif graph.reasons is None:
            raise
        else:
            found = _unknown(graph, shape_of() if shape is None else shape)
    if graph.reasons is not None:
        graph.reasons.append((layer.name, why))
    return found


def _unknown(graph: Graph, shapes: Any) -> Any:
    """Values of these shapes that nothing computes, to look at what comes after them."""
    if isinstance(shapes, dict):
        return {k: _unknown(graph, s) for k, s in shapes.items()}
    if isinstance(shapes, list):
        return [_unknown(graph, s) for s in shapes]
    graph.shapes.append(tuple(shapes[1:]))
    return len(graph.shapes) - 1


def _island(layer: Any, graph: Graph, given: Any, shape: Shape, why: str) -> int:
    """The value of a layer that runs on the tape, between programs."""
    learned = [v for v in layer.weights if v._learnable]
    variables = {str(i): v for i, v in enumerate(learned)}
    settings = {"runs": layer, "given": given, "training": graph.training, "why": why}
    inputs = tuple(values_in(given))
    return graph.add("island", inputs, shape, layer.name, variables, **settings)


def _batched(graph: Graph, given: Any, batch: int | None) -> Any:
    """The shapes of values, with the batch axis."""
    shapes = iter([(batch, *graph.shapes[v]) for v in values_in(given)])
    return rearranged(given, shapes)


def _covered(layer: Any, graph: Graph, given: Any) -> Any:
    kind = type(layer)
    translation = TRANSLATIONS.get(kind.__name__) if is_own(kind) else None
    if translation is None:
        raise NotNative(f"{kind.__name__} {layer.name!r} has no lowering")
    if replaced := patched(layer):
        raise NotNative(f"{replaced} of {layer.name!r} was replaced")
    if not layer.built:
        raise NotNative(f"{kind.__name__} {layer.name!r} has not been built yet")
    if getattr(layer, "dtype", "float32") != "float32":
        raise NotNative(f"{kind.__name__} {layer.name!r} computes in {layer.dtype}")
    layer.check_input(_batched(graph, given, 1))
    penalty = layer.activity_regularizer
    if penalty is not None and factors_of(penalty) is None:
        raise NotNative(f"the activity regularizer of {layer.name!r} has no lowering")
    found = translation(layer, graph, given)
    if penalty is not None:
        graph.activity += [(value, penalty) for value in values_in(found)]
    return found


def factors_of(regularizer: Any) -> tuple[float, float] | None:
    """The factors of an L1 and L2 penalty of this package; None: it is another function."""
    own = is_own(type(regularizer)) and not patched(regularizer)
    if own and type(regularizer).__name__ in ("L1", "L2", "L1L2"):
        return regularizer.l1, regularizer.l2
    return None


def _drop_unread(graph: Graph) -> None:
    """Leave out elements that were moved and then moved back."""
    for node in reversed(graph.nodes.copy()):
        unread = node.output not in graph.kept and not graph.consumers(node.output)
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
