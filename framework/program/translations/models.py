"""Models as layers."""

from __future__ import annotations

from typing import Any

from ..graph import Graph, NotNative, layer_names, translate


@layer_names("Sequential")
def _sequential(layer: Any, graph: Graph, x: int) -> int:
    for inner in layer.layers:
        x = translate(inner, graph, x)
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
        values[id(outputs)] = translate(
            call.layer, graph, found if isinstance(sources, (list, tuple)) else found[0]
        )
    return values[id(topology._outputs[0])]


@layer_names("InputLayer")
def _input(layer: Any, graph: Graph, x: int) -> int:
    return x
