"""Layers without a lowering, in the middle of a program: they run on the tape, batch by batch.

The program pauses at the end of a phase. The samples that the layer is called on are in memory as
an array by then, what it returns is read from an array in the next phase, and the same the other
way round with the gradients. Python runs every time, so nothing that it decides is frozen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd.backward import run_backward
from ..autograd.tape import OPS, grad_enabled
from ..autograd.tensor import Tensor, wrap
from ..kernels import pointwise, shards
from ..kernels.simd import SHARD
from .build import COUNT, Buffer
from .graph import Node
from .lowering import Lowering, OpLowering, lowers
from .notes import set_back
from .program import Program
from .traced import Slot, mapped
from .watching import held_by

Array = np.ndarray


class Unexpected(Exception):
    """A layer did what the program was not made for; the whole step has to be done eagerly."""


class _Island:
    """One layer in one program: where its arrays go, and the tape between there and back.

    Args:
        low: the lowering of the program.
        node: of the layer.
    """

    def __init__(self, low: Lowering, node: Node) -> None:
        self.layer = node.settings["runs"]
        self.call = node.settings["args"], node.settings["given"]
        self.batch, self.shape = low.batch, low.graph.shapes[node.output]
        self.trained = [v for v in node.variables.values() if v in low.offsets]
        self.offsets = [low.offsets[v] for v in self.trained]
        self.wanted = [low.needs_gradient(v) for v in node.inputs]
        self.tapes = low.needs_gradient(node.output)
        self.shapes = [low.graph.shapes[v] for v in node.inputs]
        self.inputs = [written(low, low.values[v], shape) for v, shape in self._pairs(node)]
        self.result = outside(low, node.layer, self.shape)

    def _pairs(self, node: Node) -> Any:
        return zip(node.inputs, self.shapes, strict=True)

    def _filled(self, value: Any) -> Any:
        """An argument of the call: a tensor there is the result of an op, as it is eagerly."""
        if not isinstance(value, Slot):
            return value
        tensor = self.tensors[value.number]
        return OPS["reshape"](tensor, shape=tensor.shape)

    def there(self, program: Program) -> None:
        """Call the layer.

        Raises:
            Unexpected: it returns something of another shape.
        """
        self.tensors = []
        for buffer, shape, wanted in zip(self.inputs, self.shapes, self.wanted, strict=True):
            tensor = wrap(samples_of(program, buffer, shape).copy())
            tensor.requires_grad = wanted
            self.tensors.append(tensor)
        layer = self.layer
        self.notes = dict(held_by(layer))
        with grad_enabled(self.tapes):
            args, given = mapped(self._filled, self.call)
            out = layer(*args, **given)
        expected = (self.batch, *self.shape)
        if not isinstance(out, Tensor) or out.shape != expected or out.dtype != np.float32:
            got = f"{out.shape} {out.dtype}" if isinstance(out, Tensor) else type(out).__name__
            raise Unexpected(f"{layer.name!r} returned {got} instead of {expected} float32")
        # What it added in this call comes before the regularizers, which are not its own business.
        regularized = [v for v in layer.trainable_weights if v.regularizer is not None]
        self.added = layer.losses[: len(layer.losses) - len(regularized)]
        self.out = out
        self.array = np.ascontiguousarray(out.data)
        program.point(self.result, self.array)

    def lower_back(self, low: Lowering, node: Node) -> None:
        """Emit the way of the gradients."""
        self.gradient = written(low, low.gradients[node.output], self.shape)
        low.build.pause(self.back)
        self.gradients = []
        for value, shape, wanted in zip(node.inputs, self.shapes, self.wanted, strict=True):
            if not wanted:
                continue
            source = outside(low, f"{node.layer}, gradient", shape)
            self.gradients.append(source)

            def emit(out: Buffer, source: Buffer = source) -> None:
                low.build.emit(pointwise.fill, out, out.size, 0)
                read(low, out, source)

            low.give(value, emit)

    def undo(self) -> None:
        """Forget what the layer noted in this run, which is done again."""
        set_back(self.layer, self.notes)

    def total(self) -> float:
        """What the layer added to the loss in this run."""
        return sum(float(t.data) for t in self.added)

    def back(self, program: Program) -> None:
        """Pull the gradient through the layer's tape, and give the variables theirs.

        Raises:
            Unexpected: something gets no gradient; what lies behind it may be left untrained.
        """
        g = wrap(samples_of(program, self.gradient, self.shape).copy())
        inputs = [t for t in self.tensors if t.requires_grad]
        targets = [*inputs, *self.trained]
        ends = [t for t in (self.out, *self.added) if t.requires_grad]
        found = run_backward(ends, [g if t is self.out else None for t in ends], targets)
        if any([t is None for t in found]):
            raise Unexpected(f"{self.layer.name!r} passes on no gradient")
        self.arrays = [np.ascontiguousarray(t.data, np.float32) for t in found if t is not None]
        for buffer, array in zip(self.gradients, self.arrays, strict=False):
            program.point(buffer, array)
        slot = program.slots[0, program.guard :]
        own = self.arrays[len(inputs) :]
        for variable, first, array in zip(self.trained, self.offsets, own, strict=True):
            slot[first : first + variable.size] += array.reshape(-1)
        self.tensors, self.out = [], g


def samples_of(program: Program, buffer: Buffer, shape: tuple[int, ...]) -> Array:
    """The samples of a batch in a buffer that `scatter` filled."""
    flat = program.view(buffer).reshape(-1)[: program.batch * math.prod(shape)]
    return flat.reshape(program.batch, *shape)


def written(low: Lowering, value: Buffer, shape: tuple[int, ...]) -> Buffer:
    """A buffer of samples, to which the shards write a value."""
    size = math.prod(shape)
    out = low.build.buffer(size * SHARD, f"{value.name}, samples", "batch")
    low.build.emit(shards.scatter, out, value, COUNT, size)
    return out


def outside(low: Lowering, name: str, shape: tuple[int, ...]) -> Buffer:
    return low.build.buffer(math.prod(shape) * SHARD, f"{name}, samples", "outside")


def read(low: Lowering, out: Buffer, source: Buffer) -> None:
    low.build.emit(shards.gather, out, source, COUNT, 1, 1, out.size // SHARD, 0, 0, 1)


@lowers("island")
class Island(OpLowering):
    """A layer on the tape."""

    reads_output = True  # which also keeps others from writing into it

    def forward(self, low: Lowering, node: Node) -> None:
        island = low.islands[node] = _Island(low, node)
        low.build.pause(island.there)
        out = low.build.buffer(low.size(node.output), f"{node.layer}: island", "pinned")
        low.values[node.output] = out
        read(low, out, island.result)
        low.fill_lanes(out)

    def backward(self, low: Lowering, node: Node) -> None:
        low.islands[node].lower_back(low, node)
