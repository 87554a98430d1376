"""Models as layers: a chain, or the calls of a functional model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...autograd.operators import Deferred
from ...autograd.tree import tree_leaves, tree_map
from ..graph import Graph, NotNative, layer_names, or_island, translate, values_in
from .operations import Value, operation


@layer_names("Sequential")
def _sequential(layer: Any, graph: Graph, x: Any) -> Any:
    for inner in layer._layers:
        x = _entered(inner, graph, x) if _is_input(inner) else translate(inner, graph, x)
    return x


@layer_names("Model")
def _functional(layer: Any, graph: Graph, x: Any) -> Any:
    topology = layer._topology
    if topology is None:
        raise NotNative(f"Model {layer.name!r} is no functional model")
    given = topology.listed(x, values_in, layer._where)
    values: dict[Any, Any] = {}
    for tensor, source, value in zip(topology._inputs, topology.input_layers, given, strict=True):
        values[_key(tensor)] = _entered(source, graph, value)

    def value_of(tensor: Any) -> Any:
        return values[_key(tensor)]

    for call in topology.calls:
        found = _called(call, graph, value_of)
        for tensor, value in zip(tree_leaves(call.outputs), values_in(found), strict=True):
            values.setdefault(_key(tensor), value)
    return tree_map(value_of, topology.outputs)


def _key(tensor: Any) -> tuple[int, int]:
    return id(tensor.call), tensor.index


def _called(call: Any, graph: Graph, value_of: Any) -> Any:
    """What a call of a layer returns: a value, or a structure of values."""
    layer, inputs = call.layer, call.inputs

    def as_operand(leaf: Any) -> Any:
        return Value(value_of(leaf)) if isinstance(leaf, Deferred) else leaf

    def odd() -> Any:
        if type(layer).__name__ == "Operation":
            arguments, settings = tree_map(as_operand, (inputs, call.settings))
            return operation(layer.op, graph, layer.name, arguments, settings)
        raise NotNative(f"the call of {layer.name!r} takes more than tensors")

    if (
        type(layer).__name__ != "Operation"
        and len(inputs) == 1
        and set(call.settings) <= {"training"}
        and all(isinstance(leaf, Deferred) for leaf in tree_leaves(inputs[0]))
    ):
        with _in_mode(graph, call.settings.get("training")):
            return translate(layer, graph, tree_map(value_of, inputs[0]))
    return or_island(
        graph,
        _Call(call),
        [value_of(tensor) for tensor in call.sources()],
        odd,
        lambda: layer._output_shapes(call, lambda t: (None, *graph.shapes[value_of(t)])),
    )


@dataclass(frozen=True)
class _Call:
    """A call of a layer with more than tensors, as if it were a layer of the tensors."""

    call: Any

    def __call__(self, tensors: list[Any], training: bool) -> Any:
        found = iter(tensors)
        inputs, settings = tree_map(
            lambda leaf: next(found) if isinstance(leaf, Deferred) else leaf,
            (self.call.inputs, self.call.settings),
        )
        return self.call.layer(*inputs, **{"training": training, **settings})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.call.layer, name)


@contextmanager
def _in_mode(graph: Graph, training: bool | None) -> Iterator[None]:
    """``layer(x, training=False)``: as if it were another model's step."""
    before = graph.training
    graph.training = before if training is None else bool(training)
    try:
        yield
    finally:
        graph.training = before


# Inputs


def _is_input(layer: Any) -> bool:
    return type(layer).__name__ == "InputLayer"


def _entered(layer: Any, graph: Graph, value: int) -> int:
    """A value as an `InputLayer` lets it in: perhaps with an axis of length 1 more or less."""
    if layer.dtype != "float32":
        raise NotNative(f"Input {layer.name!r} converts to {layer.dtype}")
    shape = graph.shapes[value]
    layer.refuse((1, *shape), layer._where)
    fitted = tuple(layer.fitted((1, *shape))[1:])
    return value if fitted == shape else graph.add("reshape", (value,), fitted, layer.name)
