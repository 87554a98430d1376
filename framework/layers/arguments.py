"""Reading what layers are given: counts, and lengths that must be known."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tree import Shape
from .input_spec import LayerError


def positive(value: Any, argument: str, where: str) -> int:
    """`value` as an integer above zero.

    Raises:
        ValueError: it is not one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{where}: {argument} must be a positive integer, received {value!r}.")
    return int(value)


def refuse(arguments: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    """Refuse arguments that a base class has, but this layer has not.

    Raises:
        TypeError: one of them is there.
    """
    for name in names:
        if name in arguments:
            raise TypeError(f"{where} has no argument {name!r}.")


def float_dtype(dtype: Any) -> str:
    """The name of the dtype that a layer computes in.

    Raises:
        TypeError: it is neither float32 nor float64.
    """
    name = "float32" if dtype is None else np.dtype(dtype).name
    if name not in ("float32", "float64"):
        raise TypeError(f"The dtype of a layer is 'float32' or 'float64', received {name!r}.")
    return name


def known_length(shape: Shape, axis: int, noun: str, where: str) -> int:
    """The length of an axis that weights depend on.

    Raises:
        ValueError: it is open (None), or zero.
    """
    length = shape[axis]
    if length is None:
        raise LayerError(
            f"{where} needs to know the length of axis {axis} ({noun}), received {shape}. Say "
            "it in the shape of the Input."
        )
    if length == 0:
        raise LayerError(f"{where} received no {noun} (axis {axis} is empty): {shape}.")
    return length
