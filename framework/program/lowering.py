"""From a graph to instructions: the forward pass of a shard, its loss, and the way back.

Each op has one lowering, a class with `forward` and `backward`, in the table `LOWERINGS`, beside
the others of its family. They emit instructions through a `Lowering`, which knows where the values,
the gradients and the variables are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..kernels import pointwise, shards
from ..kernels.simd import SHARD, bits_of
from .build import COUNT, Buffer, Build, Ref
from .graph import Graph, Node, NotNative, Shape

#: How ops become nodes, by their names: from a `trace.Trace`, and the arrays and settings of an op,
#: to what it returns. Arrays are placeholders, variables or views of them, NumPy arrays, numbers.
TRANSLATIONS: dict[str, Callable[..., Any]] = {}
#: How nodes become instructions, by what nodes call their op.
LOWERINGS: dict[str, OpLowering] = {}


#: How all other ops do: from a trace, the op, its arrays and its settings.
OTHERWISE: list[Callable[..., Any]] = []


def otherwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register how ops without a translation become nodes."""
    OTHERWISE.append(function)
    return function


def traces(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register how ops of these names become nodes."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        assert TRANSLATIONS.keys().isdisjoint(names), f"{names} are translated already"
        TRANSLATIONS.update(dict.fromkeys(names, function))
        return function

    return enter


class OpLowering:
    """How an op becomes instructions.

    Attributes:
        reads_output: whether `backward` needs the op's output.
    """

    reads_output = False
    #: Whether a gradient flows from its output to its inputs.
    passes_back = True

    def reads_output_of(self, node: Node) -> bool:
        """Whether `backward` needs the output of this node."""
        return self.reads_output

    def prepare(self, low: Lowering, node: Node) -> None:
        """Emit what depends on the variables only, as tasks that run once before the shards."""

    def forward(self, low: Lowering, node: Node) -> None:
        raise NotImplementedError

    def backward(self, low: Lowering, node: Node) -> None:
        raise NotImplementedError


def lowers(op: str) -> Callable[[type[OpLowering]], type[OpLowering]]:
    """Register the lowering of an op.

    Raises:
        ValueError: there is one already.
    """

    def enter(cls: type[OpLowering]) -> type[OpLowering]:
        if op in LOWERINGS:
            raise ValueError(f"The op {op!r} has a lowering, {type(LOWERINGS[op]).__name__}.")
        LOWERINGS[op] = cls()
        return cls

    return enter


class Lowering:
    """A graph on its way to instructions.

    Args:
        graph: what to compute.
        offsets: of each trainable variable in the flat vector, in elements.
        slot: elements of the flat vector.
        pixels: bytes of an element of each input: 4 (float32) or 1 (uint8).
        batch: samples in a batch.

    Attributes:
        samples: the shape of a sample of each input, as it comes from outside.
        inputs: where they come from.
        factor: what the gradients that are given count in the whole loss.
        masks: of the values that dropout makes.
        given: where values of each run come from, besides the inputs.
        drawn: what has to be drawn before each run: a buffer from outside, and a function.
    """

    def __init__(
        self,
        graph: Graph,
        batch: int,
        offsets: dict[Any, int],
        slot: int = 0,
        pixels: Sequence[int] = (4,),
    ) -> None:
        self.graph = graph
        self.batch = batch
        self.shards = -(-batch // SHARD)
        self.masks: dict[int, Buffer] = {}
        self.drawn: list[tuple[Buffer, Callable[[], Any]]] = []
        self.given: dict[int, Buffer] = {}
        #: The layers that run on the tape, by their nodes.
        self.islands: dict[Node, Any] = {}
        self.build = Build()
        self.offsets = offsets
        self.slot = self.build.buffer(slot, "gradients of a group", "slot") if slot else None
        self.values: dict[int, Buffer] = {}
        self.gradients: dict[int, Buffer] = {}
        self._fixed: dict[Any, Buffer] = {}
        self._packed: dict[Any, Buffer] = {}
        self._wanted = self._values_that_need_gradients() if slot else set()
        self.factor = 1.0
        self.samples = [self._outside(value) for value in range(graph.inputs)]
        self.inputs = [
            self.build.buffer(math.prod(shape) * SHARD, f"input {i}", "outside", width=width)
            for i, (shape, width) in enumerate(zip(self.samples, pixels, strict=True))
        ]

    def _outside(self, value: int) -> Shape:
        """The shape of an input without its border."""
        shape = self.graph.shapes[value]
        if value not in self.graph.borders:
            return shape
        height, width, channels = shape
        rows, columns = self.graph.borders[value]
        return height - sum(rows), width - sum(columns), channels

    # Sizes and places

    def size(self, value: int) -> int:
        """Elements of a value for a whole shard."""
        return math.prod(self.graph.shapes[value]) * SHARD

    def variable(self, variable: Any) -> Buffer:
        """The memory of a variable."""
        if variable not in self._fixed:
            array = variable.data
            if array.dtype != np.float32 or not array.flags.c_contiguous:
                raise NotNative(f"{variable.path} is not a contiguous float32 array")
            self._fixed[variable] = self.build.fixed(array.ctypes.data, array.size, variable.path)
        return self._fixed[variable]

    def slot_of(self, variable: Any) -> Ref | None:
        """Where to add the gradient of a variable; None if it is not trained."""
        if self.slot is None or variable not in self.offsets:
            return None
        return self.slot.at(self.offsets[variable], variable.size)

    def packed(self, key: Any, size: int) -> Buffer:
        """Memory for a form of a variable that `prepare` fills; it outlives the step."""
        if key not in self._packed:
            self._packed[key] = self.build.buffer(size, f"packed {key[1]}", "packed")
        return self._packed[key]

    def has_packed(self, key: Any) -> bool:
        return key in self._packed

    # Values

    def output(self, node: Node) -> Buffer:
        """Room for the output of a node."""
        made = self.build.buffer(self.size(node.output), f"{node.layer}: {node.op}")
        self.values[node.output] = made
        return made

    def output_in_place(self, node: Node) -> Buffer:
        """The input's room where nobody needs the input any more, else new room."""
        value = node.inputs[0]
        source = next((n for n in self.graph.nodes if n.output == value), None)
        if source is None or len(self.graph.consumers(value)) > 1 or value in self.graph.kept:
            return self.output(node)
        if LOWERINGS[source.op].reads_output_of(source) or source.settings.get("relu"):
            return self.output(node)
        if source.op in ("reshape", "stopped"):  # its room is that of another value
            return self.output(node)
        self.values[node.output] = self.values[value]
        return self.values[value]

    # Gradients

    def _values_that_need_gradients(self) -> set[int]:
        wanted: set[int] = set()
        for node in self.graph.nodes:
            if not LOWERINGS[node.op].passes_back:
                continue
            trained = any(v in self.offsets for v in node.variables.values())
            if trained or any(v in wanted for v in node.inputs):
                wanted.add(node.output)
        return wanted

    def needs_gradient(self, value: int) -> bool:
        return value in self._wanted

    def give(self, value: int, emit: Callable[[Buffer], None]) -> None:
        """Add to the gradient of a value what `emit` writes into a buffer."""
        if not self.needs_gradient(value):
            return
        size = self.size(value)
        buffer = self.build.buffer(size, f"gradient of value {value}")
        emit(buffer)
        if self.factor != 1:
            self.build.emit(pointwise.scale, buffer, buffer, size, bits_of(self.factor))
        if value in self.gradients:
            total = self.gradients[value]
            self.build.emit(pointwise.add_arrays, total, total, buffer, size)
        else:
            self.gradients[value] = buffer

    def pass_on(self, value: int, gradient: Buffer) -> None:
        """Let a buffer that is no longer needed for its own value be the gradient of this one."""
        if not self.needs_gradient(value):
            return
        if value in self.gradients:
            total = self.gradients[value]
            self.build.emit(pointwise.add_arrays, total, total, gradient, self.size(value))
        else:
            self.gradients[value] = gradient

    # The whole

    def gather(self) -> None:
        """Bring the samples of the shard into the first values."""
        for value, (shape, source) in enumerate(zip(self.samples, self.inputs, strict=True)):
            (top, _), (left, _) = self.graph.borders.get(value, ((0, 0), (0, 0)))
            # Its border is zero from the start: nobody else writes it.
            buffer = self.build.buffer(self.size(value), f"{source.name} of the shard", "pinned")
            self.values[value] = buffer
            images = len(shape) == 3
            height, width, channels = shape if images else (1, 1, math.prod(shape))
            pitch = self.graph.shapes[value][1] if images else 1
            kernel = shards.gather if source.width == 4 else shards.gather_bytes
            self.build.note = f"input {value}"
            self.build.emit(
                kernel, buffer, source, COUNT, height, width, channels, top, left, pitch
            )
            self.fill_lanes(buffer)

    def fill_lanes(self, buffer: Buffer) -> None:
        """Let lanes of no sample hold what another one does."""
        if self.batch % SHARD:
            self.build.emit(shards.fill_lanes, buffer, COUNT, buffer.size // SHARD)

    def forward(self) -> None:
        for node in self.graph.nodes:
            self.build.note = f"{node.layer}: {node.op}"
            LOWERINGS[node.op].forward(self, node)

    def backward(self) -> None:
        for node in reversed(self.graph.nodes):
            if node.output in self.gradients:
                self.build.note = f"{node.layer}: {node.op}, back"
                LOWERINGS[node.op].backward(self, node)

    def prepare(self) -> None:
        for node in self.graph.nodes:
            self.build.note = f"{node.layer}: {node.op}, weights"
            LOWERINGS[node.op].prepare(self, node)
