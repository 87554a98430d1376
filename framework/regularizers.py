"""Regularizers: what a weight adds to the loss, so that it stays small."""

from __future__ import annotations

import math
from typing import Any

from . import ops
from .serialization import register, resolve, spellings
from .tensor import Tensor, as_tensor

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "l1", "l1_l2", "l2"]


class Regularizer:
    """Base of all regularizers: a function of a weight to one number."""

    def __call__(self, x: Any) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(self, x).")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this regularizer again."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The regularizer that `get_config` described."""
        return cls(**config)


@register("regularizers")
class L1L2(Regularizer):
    """``l1 * sum(abs(x)) + l2 * sum(x ** 2)`` (the lasso and ridge penalties together).

    Args:
        l1, l2: factors, 0 or more.

    Raises:
        ValueError: a factor that is negative or not finite.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _factor(l1, "l1"), _factor(l2, "l2")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} l1={self.l1}, l2={self.l2}>"

    def __call__(self, x: Any) -> Tensor:
        x = as_tensor(x)
        parts = []
        if self.l1:
            parts.append(ops.sum(ops.abs(x)) * self.l1)
        if self.l2:
            parts.append(ops.sum(ops.square(x)) * self.l2)
        if not parts:
            return as_tensor(0.0, x.dtype)
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@register("regularizers")
class L1(L1L2):
    """``l1 * sum(abs(x))``: drives weights to exactly 0.

    Args:
        l1: a factor, 0 or more.
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@register("regularizers")
class L2(L1L2):
    """``l2 * sum(x ** 2)``: weight decay, twice as strong as the ``l2 / 2`` of some papers.

    Args:
        l2: a factor, 0 or more.
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


def _factor(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"The factor {name} must be a number, received {value!r}.")
    if value < 0:
        raise ValueError(f"The factor {name} must not be negative, received {value}.")
    return float(value)


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """An `L1L2`, with the defaults that Keras gives this spelling."""
    return L1L2(l1, l2)


l1, l2 = L1, L2
_table: dict[str, Any] = {**spellings([L1, L2, L1L2]), "l1": L1, "l2": L2, "l1l2": l1_l2()}
_table["l1_l2"] = _table["L1L2"] = _table["l1l2"]


def get(identifier: Any) -> Any:
    """The regularizer meant by a name (``"l2"``), a configuration, or any function of a weight.

    None means none.

    Raises:
        ValueError: an unknown name, or something that is not callable.
    """
    return resolve(identifier, "regularizer", "regularizers", _table)
