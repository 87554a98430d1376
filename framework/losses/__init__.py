"""Losses: the number that training makes small. Names, defaults and values are Keras 3's.

A loss does two things apart: `Loss.check` refuses, in words, targets that cannot be meant, and runs
once on all the targets of a fit; `Loss.compute` is the arithmetic of a step, in differentiable ops.
Calling a loss does both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..serialization import deserialize
from ..tensor import Tensor
from .base import Loss, LossFunctionWrapper, registered
from .crossentropy import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from .regression import (
    MeanAbsoluteError,
    MeanSquaredError,
    mean_absolute_error,
    mean_squared_error,
)

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "as_loss",
    "binary_crossentropy",
    "categorical_crossentropy",
    "get",
    "mean_absolute_error",
    "mean_squared_error",
    "sparse_categorical_crossentropy",
]

_CLASS_OF: dict[Callable[..., Tensor], type[Loss]] = {
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    categorical_crossentropy: CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
    binary_crossentropy: BinaryCrossentropy,
}
_NAMES: dict[str, Callable[..., Any]] = {
    **{f.__name__: f for f in _CLASS_OF},
    **{c.__name__: c for c in _CLASS_OF.values()},
}
for _short, _function in [
    ("mse", mean_squared_error),
    ("mae", mean_absolute_error),
    ("bce", binary_crossentropy),
]:
    _NAMES[_short] = _NAMES[_short.upper()] = _function


def get(identifier: Any) -> Any:
    """The loss that an identifier names.

    Args:
        identifier: the name of a function (``"mse"``, ``"sparse_categorical_crossentropy"``) or
            class, a configuration ``{"class_name": ..., "config": ...}``, or a loss itself.

    Returns:
        A function of ``(y_true, y_pred)`` to the values of the samples, or a `Loss`; None for None.

    Raises:
        ValueError: an unknown name.
        TypeError: it is nothing of the kind.
    """
    if isinstance(identifier, dict):
        identifier = deserialize(identifier, "loss", "losses")
    elif isinstance(identifier, str):
        identifier = _NAMES.get(identifier) or registered(identifier, "loss", "losses", _NAMES)
    if isinstance(identifier, type):
        identifier = identifier()
    if identifier is None or callable(identifier):
        return identifier
    raise TypeError(
        "A loss is a name, a Loss or a function of (y_true, y_pred), received "
        f"{identifier!r} of type {type(identifier).__name__}."
    )


def as_loss(identifier: Any) -> Loss:
    """A `Loss` object for any identifier that `get` understands, as `compile` needs it."""
    found = get(identifier)
    if isinstance(found, Loss):
        return found
    if found in _CLASS_OF:
        return _CLASS_OF[found](name=identifier if isinstance(identifier, str) else None)
    return LossFunctionWrapper(found)
