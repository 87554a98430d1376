"""What a model costs and sees, from shapes alone: the sums that lectures do by hand.

    >>> gt.analysis(model, batch_size=128).totals.multiply_adds

What is counted:

- Multiply-adds are products with weights, for one sample: of convolutions, dense layers and their
  kin. Adding a bias, activation, pooling and normalisation count as nothing, as in the papers.
- The receptive field is what one position of an output can see along the spatial axes of an input,
  padding included. Where branches meet it reaches from the first to the last pixel that any of
  them sees.
- Activation memory is the output of each layer, once; layers that only rename axes take none.
  Training needs these for the backward pass. More may be alive for a moment, so it is the least.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from .. import optimizers
from ..autograd.tree import Shape, shape_map, tree_leaves, tree_map
from ..layers.activation import Identity
from ..layers.base import Layer, placeholder_weights
from ..layers.core import InputLayer
from ..layers.reshaping import Flatten, Reshape
from ..layers.symbolic import Call, SymbolicTensor
from ..layers.topology import Topology, shape_leaves
from .receptive import ReceptiveField, joined

__all__ = ["Analysis", "LayerAnalysis", "ReceptiveField", "Totals", "analysis"]

#: Layers whose output is their input under another shape.
_VIEWS = (Flatten, Reshape, Identity)

#: Inputs, calls of layers in order, outputs.
Graph = tuple[list[SymbolicTensor], list[Call], list[SymbolicTensor]]


@dataclass(frozen=True)
class LayerAnalysis:
    """One call of a layer.

    Attributes:
        layer: the layer itself.
        name: its name.
        depth: 0 for the layers of the model, 1 for those of models that are layers, and so on.
        output_shape: with None for the batch; of several outputs a list or dict.
        parameters: elements of its weights; 0 at a later call of a shared layer.
        multiply_adds: products with weights for one sample.
        receptive_fields: by the name of each input that it depends on.
        activation_bytes: of its output, for the batch.
        sources: which of the rows of depth 0 it is called on, counted from 0; for rows of depth 0.
    """

    layer: Layer = field(repr=False, compare=False)
    name: str
    depth: int
    output_shape: Any
    parameters: int
    multiply_adds: int
    receptive_fields: dict[str, ReceptiveField]
    activation_bytes: int
    sources: tuple[int, ...] = ()

    @property
    def receptive_field(self) -> ReceptiveField | None:
        """That in the input, or in the first of several."""
        return next(iter(self.receptive_fields.values()), None)


@dataclass(frozen=True)
class Totals:
    """Sums over a model. Memory is in bytes; that of training is for the batch.

    Attributes:
        parameters: elements of all weights.
        trainable: elements of those that are trained.
        multiply_adds: of a forward pass, for one sample.
        activation_bytes: the inputs and the outputs of all layers.
        parameter_bytes: all weights.
        gradient_bytes: a gradient for each trainable weight.
        optimizer_bytes: what the optimizer keeps for each of them.
    """

    parameters: int
    trainable: int
    multiply_adds: int
    activation_bytes: int
    parameter_bytes: int
    gradient_bytes: int
    optimizer_bytes: int

    @property
    def training_bytes(self) -> int:
        """The least memory that a training step needs."""
        weights = self.parameter_bytes + self.gradient_bytes + self.optimizer_bytes
        return self.activation_bytes + weights


@dataclass(frozen=True)
class Analysis:
    """What `analysis` returns: ``for row in a``, ``a["conv1"]``, ``a.totals``.

    Attributes:
        rows: a row for each call of a layer, in the order of computation; those of a model that is
            a layer come after it.
        totals: sums.
        batch_size: the samples that memory is counted for.
        optimizer: whose slots are counted.
    """

    rows: list[LayerAnalysis]
    totals: Totals
    batch_size: int
    optimizer: str

    def __iter__(self) -> Iterator[LayerAnalysis]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | str) -> LayerAnalysis:
        """A row by its number or the name of its layer."""
        if isinstance(key, int):
            return self.rows[key]
        for row in self.rows:
            if row.name == key:
                return row
        raise KeyError(f"There is no layer {key!r}: {', '.join(row.name for row in self.rows)}.")


def analysis(
    model: Any, input_shape: Any = None, batch_size: int = 1, optimizer: Any = None
) -> Analysis:
    """Count what a model costs and find what its layers see, without computing anything.

    Args:
        model: Sequential, functional, or a subclass whose `call` connects layers. If it has not
            been built it stays so, and no weights are allocated.
        input_shape: of one sample, as in ``(28, 28, 1)``; of several inputs a list or dict of
            them. Default: what the model was made for.
        batch_size: the samples that memory is counted for.
        optimizer: whose slots to count: a name or an `Optimizer`. Default: what the model was
            compiled with, or else Adam.

    Raises:
        ValueError: no or open lengths (None) in the shape, or a model that cannot be traced.

    >>> gt.analysis(gt.models.LeNet5())["C3"].multiply_adds
    240000
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, received {batch_size!r}.")
    if input_shape is None and not model.built:
        raise ValueError(
            f"{model._where} has not been built: pass input_shape, of one sample, as in (28, 28, 1)"
        )
    shapes = None if input_shape is None else _with_batch(input_shape)
    if not model.built:
        model = copy.deepcopy(model)
    with placeholder_weights():
        inputs, calls, _ = _graph(model, shapes)
    given = [t.shape for t in inputs] if shapes is None else _listed(model, shapes)
    walk = _Walk(batch_size, any(_channels_first(call.layer) for call in calls))
    rows = walk.inputs(inputs, given) + walk.calls(calls, 0)
    method = optimizers.get(optimizer if optimizer is not None else model.optimizer or "adam")
    trained = model.trainable_weights
    top = [row for row in rows if row.depth == 0]
    totals = Totals(
        parameters=sum(v.size for v in model.weights),
        trainable=sum(v.size for v in trained),
        multiply_adds=sum(row.multiply_adds for row in top),
        activation_bytes=sum(row.activation_bytes for row in top),
        parameter_bytes=sum(v.data.nbytes for v in model.weights),
        gradient_bytes=sum(v.data.nbytes for v in trained),
        optimizer_bytes=sum(v.data.nbytes for v in trained) * len(method.slot_names),
    )
    return Analysis(rows, totals, batch_size, type(method).__name__)


class _State(NamedTuple):
    """What is known of a tensor: its shape, and what it sees of each input."""

    shape: Shape
    fields: dict[str, ReceptiveField]


class _Walk:
    """Layer calls in the order of computation, as rows."""

    def __init__(self, batch_size: int, channels_first: bool) -> None:
        self.batch_size = batch_size
        self.channels_first = channels_first
        self.states: dict[int, _State] = {}
        self.counted: set[int] = set()
        self.makers: dict[int, int] = {}  # of each tensor: which row of depth 0 made it
        self.made = 0

    def inputs(self, tensors: list[SymbolicTensor], shapes: list[Shape]) -> list[LayerAnalysis]:
        """The rows of the inputs of the whole model."""
        rows = []
        for tensor, shape in zip(tensors, shapes, strict=True):
            layer = tensor.call.layer
            if not isinstance(layer, InputLayer):  # the model starts in the middle of another
                layer = InputLayer(batch_shape=shape, name=tensor.name)
            name = layer.name
            if None in shape[1:]:
                raise ValueError(
                    f"Input {name!r} has axes of open length, {shape}: pass input_shape, of one "
                    "sample, as in (28, 28, 1)."
                )
            fields = {name: ReceptiveField.of_input(self._lengths(shape))}
            self.states[id(tensor)] = _State(shape, fields)
            rows.append(
                self._numbered(self._row(layer, 0, shape, 0, fields, [tensor]), [], [tensor])
            )
        return rows

    def calls(self, calls: list[Call], depth: int) -> list[LayerAnalysis]:
        """The rows of some calls."""
        return [row for call in calls for row in self._of_call(call, depth)]

    def _of_call(self, call: Call, depth: int) -> list[LayerAnalysis]:
        layer, sources = call.layer, [self.states[id(t)] for t in call.sources()]
        results: list[SymbolicTensor] = list(tree_leaves(call.outputs))
        inner: list[LayerAnalysis] = []
        connections = getattr(layer, "_connections", None)  # of a model
        if connections is not None and (connected := connections()) is not None:
            inputs, calls, outputs = _flat(*connected)
            counted = set(self.counted)
            for tensor, state in zip(inputs, sources, strict=True):
                self.states[id(tensor)] = state
            inner = self.calls(calls, depth + 1)
            self.counted = counted
            states = [self.states[id(t)] for t in outputs]
            cost = sum(row.multiply_adds for row in inner if row.depth == depth + 1)
        else:
            shapes = self._output_shapes(call, sources)
            inputs_shape = sources[0].shape if len(sources) == 1 else [s.shape for s in sources]
            outputs_shape = shapes[0] if len(shapes) == 1 else shapes
            states = [_State(s, self._fields(layer, sources, s)) for s in shapes]
            cost = layer.multiply_adds(inputs_shape, outputs_shape)
        for tensor, state in zip(results, states, strict=True):
            self.states[id(tensor)] = state
        shape_of = {id(t): s.shape for t, s in zip(results, states, strict=True)}
        shape = tree_map(lambda t: shape_of[id(t)], call.outputs)
        row = self._row(layer, depth, shape, cost, states[0].fields, results)
        if inner:
            memory = sum(r.activation_bytes for r in inner if r.depth == depth + 1)
            row = replace(row, activation_bytes=memory)
        return [self._numbered(row, call.sources(), results), *inner]

    def _numbered(
        self, row: LayerAnalysis, sources: Iterable[SymbolicTensor], results: list[SymbolicTensor]
    ) -> LayerAnalysis:
        """The row with the numbers of those it depends on."""
        if row.depth:
            return row
        found = tuple(dict.fromkeys(self.makers[id(t)] for t in sources))
        self.makers.update((id(t), self.made) for t in results)
        self.made += 1
        return replace(row, sources=found)

    def _output_shapes(self, call: Call, sources: list[_State]) -> list[Shape]:
        if all(t.shape == s.shape for t, s in zip(call.sources(), sources, strict=True)):
            return [t.shape for t in tree_leaves(call.outputs)]
        return shape_leaves(call.layer._output_shapes(call, lambda t: self.states[id(t)].shape))

    def _fields(
        self, layer: Layer, sources: list[_State], shape: Shape
    ) -> dict[str, ReceptiveField]:
        """What an output of that shape sees of every input."""
        found: dict[str, list[ReceptiveField]] = {}
        for source in sources:
            window = layer.window(source.shape, shape)
            for name, seen in source.fields.items():
                found.setdefault(name, []).append(seen.through(window, self._lengths(shape)))
        return {name: joined(fields) for name, fields in found.items()}

    def _lengths(self, shape: Shape) -> tuple[int, ...]:
        """The spatial axes of a shape; the features of vectors count as one."""
        if len(shape) < 3:
            return tuple(shape[1:])  # type: ignore[arg-type]
        return tuple(shape[2:] if self.channels_first else shape[1:-1])  # type: ignore[arg-type]

    def _row(
        self,
        layer: Layer,
        depth: int,
        shape: Any,
        cost: int,
        fields: dict[str, ReceptiveField],
        outputs: list[SymbolicTensor],
    ) -> LayerAnalysis:
        new = {id(v): v.size for v in layer.weights if id(v) not in self.counted}
        self.counted.update(new)
        memory = 0
        if not isinstance(layer, _VIEWS):
            for tensor in outputs:
                elements = math.prod(self.states[id(tensor)].shape[1:])  # type: ignore[arg-type]
                memory += self.batch_size * elements * np.dtype(tensor.dtype).itemsize
        return LayerAnalysis(
            layer, layer.name, depth, shape, sum(new.values()), cost, fields, memory
        )


def _graph(model: Any, shapes: Any) -> Graph:
    """Inputs, calls and outputs of a model, which may have to be called on symbolic inputs."""
    connected = model._connections(shapes)
    return _traced(model, shapes) if connected is None else _flat(*connected)


def _traced(model: Any, shapes: Any) -> Graph:
    """What a subclass computes, by calling it on symbolic inputs."""
    shapes = model.input_shape if shapes is None else shapes
    inputs = shape_map(lambda s: InputLayer(batch_shape=s).output, shapes)
    try:
        outputs = model.call(inputs)
        topology = Topology(inputs, outputs, model._where)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{model._where} cannot be analysed: its call() does not work on gt.Input({shapes}): "
            f"{error}"
        ) from error
    return _flat(inputs, topology.calls, outputs)


def _flat(inputs: Any, calls: list[Call], outputs: Any) -> Graph:
    return list(tree_leaves(inputs)), calls, list(tree_leaves(outputs))


def _listed(model: Any, shapes: Any) -> list[Shape]:
    """The shapes of the inputs, in their order."""
    if model._topology is not None:
        return model._topology.listed(shapes, shape_leaves, model._where)
    return shape_leaves(shapes)


def _with_batch(shapes: Any) -> Any:
    """Shapes of samples as shapes of batches; those that begin with None are left alone."""
    return shape_map(lambda s: s if s[:1] == (None,) else (None, *s), shapes)


def _channels_first(layer: Layer) -> bool:
    return getattr(layer, "data_format", None) == "channels_first"
