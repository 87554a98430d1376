"""Constraints: what a weight is held to after each step of the optimizer. Names are Keras's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import ops
from .autograd.tape import no_grad
from .autograd.tensor import Tensor, as_tensor
from .autograd.variable import Variable
from .config.checked import NotNegative, Share
from .config.configured import Configured
from .config.exports import exporting
from .config.serialization import deserializer, register, resolve, serialize, spellings
from .errors import ShapeError

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "constrain", "deserialize",
           "get", "max_norm", "min_max_norm", "non_neg", "serialize", "unit_norm"]  # fmt: skip

#: Keeps quotients by a norm finite, as Keras's ``epsilon()`` does.
_EPSILON = 1e-7


class Constraint(Configured):
    """Base of all constraints: a function of a weight to what it becomes."""

    def __call__(self, w: Any) -> Any:
        """The weight that comes nearest, a tensor or array of the same shape."""
        return w


@register("constraints")
class NonNeg(Constraint):
    """No element below 0: those that are become 0."""

    def __call__(self, w: Any) -> Tensor:
        return ops.relu(as_tensor(w))


class _OfNorm(Constraint):
    """Base of those that scale a weight by its norm along some axes.

    Args:
        axis: the axis or axes along which the norm is taken: those of the inputs of a unit, 0 for a
            dense kernel and ``(0, 1, 2)`` for a kernel ``(k_h, k_w, c_in, c_out)``.
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def wanted(self, norms: Tensor) -> Any:
        """The norms that they should be."""
        raise TypeError(f"{type(self).__name__} must define wanted(self, norms).")

    def __call__(self, w: Any) -> Tensor:
        w = as_tensor(w)
        norms = ops.sqrt(ops.sum(ops.square(w), axis=self.axis, keepdims=True))
        return w * (self.wanted(norms) / (norms + _EPSILON))


@register("constraints")
class UnitNorm(_OfNorm):
    """Norm 1.

    Args:
        axis: the axis or axes along which the norm is taken: those of the inputs of a unit, 0 for a
            dense kernel and ``(0, 1, 2)`` for a kernel ``(k_h, k_w, c_in, c_out)``.
    """

    def wanted(self, norms: Tensor) -> Any:
        return 1.0


@register("constraints")
class MaxNorm(_OfNorm):
    """A norm of at most `max_value` (Srivastava et al., 2014, section 5.1).

    Args:
        max_value: the largest norm.
        axis: the axis or axes along which the norm is taken: those of the inputs of a unit, 0 for a
            dense kernel and ``(0, 1, 2)`` for a kernel ``(k_h, k_w, c_in, c_out)``.
    """

    def __init__(self, max_value: NotNegative = 2, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.max_value = max_value

    def wanted(self, norms: Tensor) -> Any:
        return ops.minimum(norms, self.max_value)


@register("constraints")
class MinMaxNorm(_OfNorm):
    """A norm between `min_value` and `max_value`.

    Args:
        min_value, max_value: the bounds.
        rate: how much of the way there one step goes: 1 is all of it.
        axis: the axis or axes along which the norm is taken: those of the inputs of a unit, 0 for a
            dense kernel and ``(0, 1, 2)`` for a kernel ``(k_h, k_w, c_in, c_out)``.
    """

    def __init__(
        self,
        min_value: NotNegative = 0.0,
        max_value: NotNegative = 1.0,
        rate: Share = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        super().__init__(axis)
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate

    def wanted(self, norms: Tensor) -> Any:
        held = ops.maximum(ops.minimum(norms, self.max_value), self.min_value)
        return held * self.rate + norms * (1 - self.rate)


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm
_table = spellings([MaxNorm, MinMaxNorm, NonNeg, UnitNorm])


def get(identifier: Any) -> Any:
    """The constraint meant by a name (``"max_norm"``), a configuration, or a function of a weight.

    None means none.

    Raises:
        ValueError: an unknown name, or something that is not callable.
    """
    return resolve(identifier, "constraint", "constraints", _table)


deserialize = deserializer(get)


def constrain(variables: Iterable[Variable]) -> None:
    """Hold each variable to its constraint, in place and outside the tape.

    Raises:
        ShapeError: a constraint returned another shape.
    """
    bound = [v for v in variables if v.constraint is not None]
    if not bound:
        return
    with no_grad():
        for variable in bound:
            held = variable.constraint(variable)
            values = held.data if isinstance(held, Tensor) else np.asarray(held)
            if values.shape != variable.shape:
                raise ShapeError(
                    f"The constraint of {variable.path!r} must return its shape {variable.shape}, "
                    f"received {values.shape}."
                )
            variable.data[...] = values


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "constraint")
