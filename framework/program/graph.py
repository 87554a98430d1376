"""What a model computes, as data: nodes that name an op, its inputs and its variables."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

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


class Mark(NamedTuple):
    """How long the lists of a graph are."""

    shapes: int
    nodes: int
    activity: int
    reasons: int


@dataclass
class Graph:
    """Nodes in the order of computation.

    Attributes:
        shapes: of every value, for one sample. The first values are the inputs of the model.
        inputs: how many of the values are inputs.
        outputs: what the model returns: a value, or a list, tuple or dict of values.
        borders: zeros around an input, ``((top, bottom), (left, right))``, in the shape of it.
        activity: values whose elements belong to the loss, each with its regularizer.
        losses: values that are weighed and added up.
        reasons: for each layer that computes something its name, the names of its ops, and why it
            is not native (None if it is).
    """

    shapes: list[Shape]
    nodes: list[Node] = field(default_factory=list)
    inputs: int = 1
    outputs: Any = 0
    borders: dict[int, Border] = field(default_factory=dict)
    activity: list[tuple[int, Any]] = field(default_factory=list)
    losses: list[int] = field(default_factory=list)
    reasons: list[tuple[str, list[str], str | None]] = field(default_factory=list)

    def mark(self) -> Mark:
        """How much of it there is."""
        return Mark(len(self.shapes), len(self.nodes), len(self.activity), len(self.reasons))

    def cut(self, mark: Mark) -> None:
        """Leave out what was added since."""
        del self.shapes[mark.shapes :], self.nodes[mark.nodes :]
        del self.activity[mark.activity :], self.reasons[mark.reasons :]

    def copy(self) -> Graph:
        """Another one of the same nodes, to be changed."""
        nodes = [dataclasses.replace(n, settings=dict(n.settings), variables=dict(n.variables))
                 for n in self.nodes]  # fmt: skip
        return Graph(
            list(self.shapes), nodes, self.inputs, self.outputs,
            borders=dict(self.borders), activity=list(self.activity), losses=list(self.losses),
            reasons=list(self.reasons),
        )  # fmt: skip

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

    def source(self, value: int) -> Node | None:
        """The node that makes a value; None: it is an input."""
        return next((n for n in self.nodes if n.output == value), None)

    @property
    def results(self) -> list[int]:
        """The outputs, one after the other."""
        return list(values_in(self.outputs))

    @functools.cached_property
    def kept(self) -> frozenset[int]:
        """The values that somebody looks at after the forward pass (of a finished graph)."""
        return frozenset([*self.results, *(v for v, _ in self.activity), *self.losses])

    def behind(self, values: list[int]) -> set[Any]:
        """The variables to which gradients flow from these values."""
        wanted, found = set(values), set[Any]()
        for node in reversed(self.nodes):
            if node.output in wanted and node.op != "stopped":
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


def factors_of(regularizer: Any) -> tuple[float, float] | None:
    """The factors of an L1 and L2 penalty of this package; None: it is another function."""
    own = is_own(type(regularizer)) and not patched(regularizer)
    if own and hasattr(regularizer, "l1") and hasattr(regularizer, "l2"):
        return regularizer.l1, regularizer.l2
    return None
