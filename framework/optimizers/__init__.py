"""Optimizers: how gradients change parameters. Names, defaults and formulas are Keras 3's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..config.exports import exporting
from ..config.serialization import deserialize as _deserialize
from ..config.serialization import deserializer, serialize
from ..errors import unknown_name
from . import schedules
from .adam import Adam, Adamax, AdamW, Nadam
from .base import Optimizer
from .rms import Adadelta, Adagrad, RMSprop
from .sgd import SGD, Lion

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "Nadam", "Optimizer",
           "RMSprop", "deserialize", "get", "schedules", "serialize"]  # fmt: skip

_NAMES: dict[str, Callable[[], Optimizer]] = {
    c.__name__.lower(): c
    for c in (SGD, Adadelta, Adagrad, Adam, AdamW, Adamax, Lion, Nadam, RMSprop)
}


def get(identifier: Any) -> Any:
    """The optimizer that an identifier names, with its defaults.

    Args:
        identifier: a name in upper or lower case (``"adam"``), a configuration
            ``{"class_name": ..., "config": ...}``, an optimizer, or None.

    Raises:
        ValueError: an unknown name.
        TypeError: it is nothing of the kind.
    """
    if isinstance(identifier, dict):
        identifier = _deserialize(identifier, "optimizer", "optimizers")
    elif isinstance(identifier, str):
        if identifier.lower() not in _NAMES:
            raise unknown_name("optimizer", identifier, _NAMES)
        identifier = _NAMES[identifier.lower()]()
    if isinstance(identifier, Optimizer) or identifier is None:
        return identifier
    raise TypeError(
        "An optimizer is a name or an Optimizer, as in gt.optimizers.Adam(1e-3), received "
        f"{identifier!r} of type {type(identifier).__name__}."
    )


def usual() -> list[Optimizer]:
    """Every optimizer, with each set of options that makes a formula of its own of its update."""
    more = (
        SGD(momentum=0.9),
        SGD(momentum=0.9, nesterov=True),
        Adam(amsgrad=True),
        RMSprop(momentum=0.9),
        RMSprop(centered=True),
        RMSprop(momentum=0.9, centered=True),
    )
    return [*(make() for make in _NAMES.values()), *more]


deserialize = deserializer(get)


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "optimizer")
