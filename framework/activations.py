"""Activation functions by name: what a layer's ``activation="relu"`` means."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import ops
from .autograd.tensor import Tensor, as_tensor
from .config.exports import exporting
from .config.serialization import deserializer, resolve, serialize

Activation = Callable[[Any], Tensor]


def linear(x: Any) -> Tensor:
    """x itself."""
    return as_tensor(x)


_names = (
    "celu", "elu", "exp", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh",
    "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax",
    "squareplus", "tanh", "tanh_shrink", "threshold",
)  # fmt: skip
_table: dict[str, Activation] = {"linear": linear, **{n: getattr(ops, n) for n in _names}}
_table |= {
    "swish": _table["silu"],
    "hard_swish": _table["hard_silu"],
    "exponential": _table["exp"],
}
globals().update(_table)

__all__ = ["deserialize", "get", "serialize", *sorted(_table)]


def get(identifier: Any) -> Activation:
    """The function meant by a name (``"tanh"``), a configuration, or the function itself.

    None means `linear`.

    Raises:
        ValueError: an unknown name.
    """
    return (
        linear if identifier is None else resolve(identifier, "activation", "activations", _table)
    )


deserialize = deserializer(get)


class Chosen:
    """An attribute of a layer that may be set to whatever `get` understands."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    if TYPE_CHECKING:  # reading finds what is in the layer

        def __get__(self, layer: Any, owner: Any = None) -> Any: ...

    def __set__(self, layer: Any, value: Any) -> None:
        vars(layer)[self._name] = get(value)


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "activation")
