"""Graphs that compute the same with less work: each rewrite is a pattern and what takes its place.

They look at ops, not at who asked for them, so a chain of ops in the call of a user's layer gains
as much as a layer of this package.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..autograd.tape import OPS
from .graph import Graph, Node, values_in
from .lowering import LOWERINGS
from .traced import mapped

#: What can add a bias to its sums, and hold them above 0, while they are in registers.
_SUMS = ("conv", "conv_transpose", "dense", "depthwise", "local")
#: Steps of a formula at most.
LONGEST = 24


def rewritten(graph: Graph) -> Graph:
    """A graph that computes the same, the given one staying as it is."""
    graph = graph.copy()
    for rewrite in REWRITES:
        rewrite(graph)
    return graph


def with_losses(graph: Graph, join: Callable[[Graph], None]) -> Graph:
    """A rewritten graph that computes losses as well, the given one staying as it is.

    Args:
        graph: of a model.
        join: adds what the losses compute.
    """
    graph = graph.copy()
    join(graph)
    for rewrite in (drop_unread, cross_entropy_of_logits, formulas_into_one, drop_unread):
        rewrite(graph)
    return graph


def _read_once(graph: Graph, value: int) -> bool:
    """Whether one node reads a value, and nobody else looks at it."""
    readers = sum(n.inputs.count(value) for n in graph.nodes)
    return readers == 1 and value not in _looked_at(graph)


def _looked_at(graph: Graph) -> set[int]:
    """The values that are asked for from outside."""
    return {*values_in(graph.outputs), *(v for v, _ in graph.activity), *graph.losses}


def _maker(graph: Graph, value: int) -> Node | None:
    """The node whose result a value is, perhaps under another shape with the same last axis; None
    if somebody else reads it, too."""
    while _read_once(graph, value):
        source = graph.source(value)
        if source is None or source.op != "reshape":
            return source
        (before,) = source.inputs
        if graph.shapes[before][-1:] != graph.shapes[value][-1:]:
            return None
        value = before
    return None


def _leave_out(graph: Graph, node: Node) -> None:
    """Let the input of a node take the place of its output."""
    (value,) = node.inputs
    graph.nodes.remove(node)

    def moved(v: int) -> int:
        return value if v == node.output else v

    for other in graph.nodes:
        other.inputs = tuple(map(moved, other.inputs))
    graph.outputs = mapped(moved, graph.outputs)
    graph.activity = [(moved(v), penalty) for v, penalty in graph.activity]
    graph.losses = list(map(moved, graph.losses))


def bias_into_sums(graph: Graph) -> None:
    """A variable that is added to sums of products is where they begin."""
    for node in [n for n in graph.nodes if n.op == "shift"]:
        maker, bias = _maker(graph, node.inputs[0]), node.variables["bias"]
        if maker is None or maker.op not in _SUMS or maker.settings["relu"]:
            continue
        shape = graph.shapes[maker.output]
        wanted = math.prod(shape) if maker.op == "local" else shape[-1]
        if "bias" not in maker.variables and bias.size == wanted:
            maker.variables["bias"] = bias
            _leave_out(graph, node)


def relu_into_sums(graph: Graph) -> None:
    """Sums are held above 0 before they are written."""
    for node in [n for n in graph.nodes if _is_relu(n)]:
        maker = _maker(graph, node.inputs[0])
        if maker is not None and maker.op in _SUMS and not maker.settings["relu"]:
            maker.settings["relu"] = True
            _leave_out(graph, node)


def _is_relu(node: Node) -> bool:
    """Whether a node holds its input above 0, and does nothing else."""
    if node.op != "formula" or len(node.settings["steps"]) != 1:
        return False
    ((op, _, settings),) = node.settings["steps"]
    return op is OPS["relu"] and dict(settings) == op.defaults


def formulas_into_one(graph: Graph) -> None:
    """A formula that only another reads is part of it, and truth values are of all that read them.

    What has only one step, and a gradient that is known from its output, stays alone: then its
    input need not be kept.
    """
    for node in graph.nodes:
        if node.op != "formula":
            continue
        for value in node.inputs:
            source = graph.source(value)
            if source is None or source.op != "formula":
                continue
            once = _read_once(graph, value)
            small = len(node.settings["steps"]) + len(source.settings["steps"]) <= LONGEST
            if source.settings["masks"] or (once and small and not _from_output(node)):
                _put_into(source, node)


def _from_output(node: Node) -> bool:
    return LOWERINGS[node.op].reads_output_of(node)


def _put_into(source: Node, node: Node) -> None:
    """Let a formula compute what it has read."""
    steps, before = node.settings["steps"], source.settings["steps"]
    inputs = [v for v in node.inputs if v != source.output]
    inputs += [v for v in source.inputs if v not in inputs]

    def place(operand: Any, of: Node, first: int) -> Any:
        if not isinstance(operand, tuple):
            return operand
        kind, number = operand
        if kind == "step":
            return ("step", number + first)
        value = of.inputs[number]
        return ("step", len(before) - 1) if value == source.output else ("in", inputs.index(value))

    made = [
        (op, tuple(place(o, of, first) for o in operands), settings)
        for of, first, part in ((source, 0, before), (node, len(before), steps))
        for op, operands, settings in part
    ]
    node.settings["steps"], node.inputs = tuple(made), tuple(inputs)


def drop_unread(graph: Graph) -> None:
    """Leave out what nobody reads, such as elements that were moved and then moved back."""
    read = _looked_at(graph)
    for node in reversed(graph.nodes.copy()):
        if node.output in read or node.op in ("island", "batch_norm", "drawn"):  # they do more
            read.update(node.inputs)
        else:
            graph.nodes.remove(node)


def cross_entropy_of_logits(graph: Graph) -> None:
    """The cross-entropy of a softmax is taken from what the softmax is taken of."""
    for node in graph.nodes:
        if node.op != "cross_entropy" or not node.settings["of_shares"]:
            continue
        source = graph.source(node.inputs[0])
        if source is None or source.op != "softmax":
            continue
        _, length, inner = source.settings["runs"]
        if inner == 1 and length == graph.shapes[source.output][-1]:
            node.inputs = (*source.inputs, *node.inputs[1:])
            node.settings["of_shares"] = False


def borders_of_inputs(graph: Graph) -> None:
    """Give inputs the zeros that their only reader, a convolution of few channels, pads with."""
    for value in range(graph.inputs):
        readers = graph.consumers(value)
        if len(readers) != 1 or readers[0].op != "conv" or graph.shapes[value][-1] > 4:
            continue
        node = readers[0]
        if not _read_once(graph, value) or len(node.settings["padding"]) != 2:
            continue
        border = node.settings["padding"]
        height, width, channels = graph.shapes[value]
        graph.borders[value] = border
        graph.shapes[value] = (height + sum(border[0]), width + sum(border[1]), channels)
        node.settings["padding"] = ((0, 0), (0, 0))


#: In the order in which they are tried.
REWRITES: tuple[Callable[[Graph], None], ...] = (
    drop_unread,
    bias_into_sums,
    relu_into_sums,
    formulas_into_one,
    drop_unread,
    borders_of_inputs,
)
