"""Reading what layers are given: counts, and lengths that must be known."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

import numpy as np

from ..tree import Shape, shape_map
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


def first_shape(arguments: dict[str, Any]) -> Shape | None:
    """Take the input shape out of the arguments, where older Keras scripts put it."""
    if "input_dim" in arguments:
        return (None, int(arguments.pop("input_dim")))
    if "input_shape" in arguments:
        shape = arguments.pop("input_shape")
        return (None, *shape_map(lambda s: s, shape))
    return None


def unknown_argument(cls: type, name: str) -> TypeError:
    known = [
        p.name
        for c in cls.__mro__
        if "__init__" in vars(c)
        for p in inspect.signature(c.__init__).parameters.values()  # type: ignore[misc]
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"
    ]
    known = list(dict.fromkeys(known))
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return TypeError(
        f"{cls.__name__} has no argument {name!r}.{hint} It takes: {', '.join(known)}."
    )
