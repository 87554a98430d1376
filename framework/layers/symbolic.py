"""Tensors to come: what `Input` returns, and what a layer returns when it is called on one.

A symbolic tensor is a shape, a dtype and the recipe that will make it, as a `Tensor` is an array
and its recipe; `Call` is to layers what a node of the tape is to ops.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.operators import Deferred
from ..autograd.tree import Shape, shape_map, tree_leaves, tree_map
from ..config.allowance import spend
from ..config.naming import unique_name
from ..config.serialization import lookup

if TYPE_CHECKING:
    from .base import Layer

_serial = itertools.count()
#: Bytes that a number of the input takes when a layer is tried on zeros.
_TRIAL = 16
#: The calls of a layer, as far as somebody still holds them.
_calls: weakref.WeakKeyDictionary[Any, list[Any]] = weakref.WeakKeyDictionary()


def calls_of(layer: Layer) -> list[Call]:
    """The calls of a layer whose outputs, or a model of them, are still there, in order."""
    return [call for call in (ref() for ref in _calls.get(layer, ())) if call is not None]


class Call:
    """One call of a layer: ``layer(*inputs, **settings)``.

    A call refers to what it was made of, but its layer and its inputs do not refer to it, nor does
    it refer to its outputs. So a model that nobody needs frees its weights at once, without waiting
    for the garbage collector.

    Attributes:
        inputs: the positional arguments, symbolic tensors among them.
        serial: grows with every call, so that inputs are always older than outputs.
    """

    __slots__ = (
        "__weakref__", "_dtype", "_made", "_shapes", "inputs", "layer", "serial", "settings"
    )  # fmt: skip

    def __init__(self, layer: Layer, inputs: tuple[Any, ...], settings: dict[str, Any]) -> None:
        self.layer = layer
        self.inputs = inputs
        self.settings = settings
        self.serial = next(_serial)
        self._made: dict[int, Any] = {}

    def returns(self, shapes: Any, dtype: str) -> Any:
        """Say what it returns, and return that."""
        self._shapes, self._dtype = shapes, dtype
        self._list()
        return self.outputs

    def _list(self) -> None:
        held = [ref for ref in _calls.get(self.layer, ()) if ref() is not None]
        _calls[self.layer] = [*held, weakref.ref(self)]

    @property
    def outputs(self) -> Any:
        """What it returned: a symbolic tensor, or a list or dict of them."""
        numbers = itertools.count()

        def tensor(shape: Shape) -> SymbolicTensor:
            index = next(numbers)
            made = self._made[index]() if index in self._made else None
            if made is None:
                made = SymbolicTensor(shape, self._dtype, self.layer.name, self, index)
            return made

        return shape_map(tensor, self._shapes)

    def __getstate__(self) -> tuple[Any, ...]:
        own = (self.layer, self.inputs, self.settings, self.serial)
        return (*own, self._shapes, self._dtype)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.layer, self.inputs, self.settings, self.serial = state[:4]
        self._shapes, self._dtype = state[4:]
        self._made = {}
        self._list()

    def sources(self) -> Iterator[SymbolicTensor]:
        """The symbolic tensors among the arguments."""
        return symbolic_leaves((self.inputs, self.settings))

    def on_zeros(
        self, shape_of: Callable[[SymbolicTensor], Shape], length: int
    ) -> tuple[Any, dict[str, Any]]:
        """The arguments with zeros for the symbolic tensors, and `length` for open axes."""

        def zeros(value: Any) -> Any:
            if isinstance(value, SymbolicTensor):
                return trial_zeros(shape_of(value), value.dtype, length)
            return value

        return tree_map(zeros, (self.inputs, self.settings))


class SymbolicTensor(Deferred):
    """The shape and dtype of a tensor that a model will compute.

    Attributes:
        shape: ``(None, ...)``, None where any length will do.
        dtype: its name, as in ``"float32"``.
        call: the layer call that makes it.
        index: its position among the outputs of that call.
    """

    __slots__ = ("__weakref__", "call", "dtype", "index", "name", "shape")

    def __init__(self, shape: Shape, dtype: str, name: str, call: Call, index: int = 0) -> None:
        self.__setstate__((shape, dtype, name, call, index))

    def __getstate__(self) -> tuple[Any, ...]:
        return self.shape, self.dtype, self.name, self.call, self.index

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.shape: Shape
        self.shape, self.dtype, self.name, self.call, self.index = state
        self.call._made[self.index] = weakref.ref(self)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def defer(self, op: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        operation = lookup("Operation", package="layers")  # which is built upon this file
        return operation(op.name, name=unique_name(op.name))(*args, **settings)

    def called(
        self, layer: Any, compute: Any, args: tuple[Any, ...], settings: dict[str, Any]
    ) -> Any:
        return layer._call_symbolic(args, settings)

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


def trial_sizes(shape: Shape, length: int) -> list[int]:
    """Lengths for a trial. Open spatial axes should have room for a few windows."""
    return [n if n is not None else length * (16 if i else 1) for i, n in enumerate(shape)]


def trial_zeros(shape: Shape, dtype: str, length: int) -> np.ndarray:
    """Zeros of such lengths."""
    sizes = trial_sizes(shape, length)
    spend(_TRIAL * math.prod(sizes), f"a trial on {tuple(sizes)}")
    return np.zeros(sizes, dtype)


def symbolic_leaves(value: Any) -> Iterator[SymbolicTensor]:
    """The symbolic tensors in a structure."""
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, SymbolicTensor))


def shape_of_tensor(tensor: SymbolicTensor) -> Shape:
    """Its own shape, where another could be asked for."""
    return tensor.shape


def shapes_in(inputs: Any, shape_of: Callable[[SymbolicTensor], Shape]) -> Any:
    """The shapes of a structure of symbolic tensors, with arrays among them."""
    return tree_map(
        lambda t: shape_of(t) if isinstance(t, SymbolicTensor) else getattr(t, "shape", ()), inputs
    )
