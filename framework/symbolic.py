"""Tensors to come: what `Input` returns, and what a layer returns when it is called on one.

A symbolic tensor is a shape, a dtype and the recipe that will make it, as a `Tensor` is an array
and its recipe; `Call` is to layers what a node of the tape is to ops.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from .tree import Shape

if TYPE_CHECKING:
    from .layers.base import Layer

_serial = itertools.count()


class Call:
    """One call of a layer: ``layer(*inputs, **settings)``.

    Attributes:
        inputs: the positional arguments, symbolic tensors among them.
        serial: grows with every call, so that inputs are always older than outputs.
    """

    __slots__ = ("inputs", "layer", "serial", "settings")

    def __init__(self, layer: Layer, inputs: tuple[Any, ...], settings: dict[str, Any]) -> None:
        self.layer = layer
        self.inputs = inputs
        self.settings = settings
        self.serial = next(_serial)


class SymbolicTensor:
    """The shape and dtype of a tensor that a model will compute.

    Attributes:
        shape: ``(None, ...)``, None where any length will do.
        dtype: its name, as in ``"float32"``.
        call: the layer call that makes it.
    """

    __slots__ = ("call", "dtype", "name", "shape")

    def __init__(self, shape: Shape, dtype: str, name: str, call: Call) -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.call = call

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"
