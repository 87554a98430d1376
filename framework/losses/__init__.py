"""Losses: the number that training makes small. Names, defaults and values are Keras 3's.

A loss does two things apart: `Loss.check` refuses, in words, targets that cannot be meant, and runs
once on all the targets of a fit; `Loss.compute` is the arithmetic of a step, in differentiable ops.
Calling a loss does both. Functions return the values of the samples, classes reduce them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.exports import exporting
from ..config.serialization import custom_object_scope
from ..config.serialization import deserialize as _deserialize
from ..config.serialization import serialize as _serialize
from .base import Loss, registered
from .crossentropy import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CrossentropyByShape,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from .margins import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from .overlap import Circle, Dice, Tversky, circle, dice, tversky
from .regression import (
    CosineSimilarity,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    cosine_similarity,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
)
from .wrapping import FunctionLoss, LossFunctionWrapper

_CLASSES: tuple[type[FunctionLoss], ...] = (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    CategoricalHinge,
    Circle,
    CosineSimilarity,
    Dice,
    Hinge,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    Tversky,
)
_CLASS_OF = {cls.function: cls for cls in _CLASSES}
#: Short names of functions, in small and in capital letters.
SHORT = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
}
_NAMES: dict[str, Any] = {f.__name__: f for f in _CLASS_OF}
_NAMES |= {cls.__name__: cls for cls in _CLASSES}
_NAMES |= {n: _NAMES[full] for short, full in SHORT.items() for n in (short, short.upper())}
#: Names that stand for a class by the shapes of the data.
_BY_SHAPE = ("crossentropy", "ce")

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "FunctionLoss",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "as_loss",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "circle",
    "cosine_similarity",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]


def serialize(loss: Any) -> Any:
    """A loss or a loss function as plain data: see `deserialize`.

    Raises:
        TypeError: there is no way to write it down.
    """
    return _serialize(loss)


def deserialize(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The loss or function that `serialize` wrote down.

    Args:
        name: the name of a function, or ``{"class_name": ..., "config": ...}``.
        custom_objects: classes and functions of your own by name.

    Raises:
        ValueError: an unknown name, or no configuration.
    """
    with custom_object_scope(custom_objects):
        return get(name) if isinstance(name, str) else _deserialize(name, "loss", "losses")


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
        identifier = _deserialize(identifier, "loss", "losses")
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


def resolved(identifier: Any) -> Any:
    """An identifier that means the same for ever: what it names now, unless that is of the package.

    Args:
        identifier: what `as_loss` takes.
    """
    if isinstance(identifier, str):
        ours = identifier in _NAMES or identifier.lower() in _BY_SHAPE
        return identifier if ours else get(identifier)
    return get(identifier) if isinstance(identifier, dict) else identifier


def as_loss(identifier: Any) -> Loss:
    """A `Loss` object for any identifier that `get` understands, as `compile` needs it.

    ``"crossentropy"`` or ``"ce"`` is the binary, sparse categorical or categorical one, whichever
    fits the shapes of the data.
    """
    if isinstance(identifier, str) and identifier.lower() in _BY_SHAPE:
        return CrossentropyByShape(identifier)
    found = get(identifier)
    if isinstance(found, Loss):
        return found
    if found in _CLASS_OF:
        return _CLASS_OF[found](name=identifier if isinstance(identifier, str) else None)
    return LossFunctionWrapper(found)


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "loss")
