"""Reading what layers are given, and saying it again: names, dtypes, lengths, configurations."""

from __future__ import annotations

import inspect
from typing import Any

from ..autograd.tree import Shape, shape_map
from ..config.configured import is_plain
from ..losses.base import float_name
from .input_spec import LayerError


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
    return float_name(dtype, "a layer") or "float32"


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
    import difflib  # slow to import, and needed only for an error

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return TypeError(
        f"{cls.__name__} has no argument {name!r}.{hint} It takes: {', '.join(known)}."
    )


def plain_arguments(cls: type, args: tuple[Any, ...], settings: dict[str, Any]) -> dict[str, Any]:
    """What a layer was made with, by the names of the arguments of its class.

    Empty if they are not those that it takes: then `__init__` will say so.
    """
    try:
        bound = inspect.signature(cls).bind(*args, **settings)
    except TypeError:
        return {}
    given: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        given |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
    return {n: v if is_plain(v) else Unsaid(type(v).__name__) for n, v in given.items()}


#: What `Layer.get_config` says for all.
_COMMON = ("name", "trainable", "dtype", "activity_regularizer")


class Unsaid(str):
    """In place of an argument that is no plain data: what kind of thing it was."""


def with_plain(layer: Any, config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with the plain arguments of a layer's own class.

    Raises:
        TypeError: some argument is no plain data.
    """
    given, cls = layer._given, type(layer)
    unsaid = [f"{n} (a {v})" for n, v in given.items() if isinstance(v, Unsaid) and n not in config]
    if unsaid:
        raise TypeError(
            f"{cls.__name__} must define get_config(self) to be saved: a dict with "
            f"super().get_config() and its arguments, because {', '.join(unsaid)} is no plain data."
        )
    parameters = inspect.signature(cls).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    taken = {n: v for n, v in config.items() if takes_all or n in parameters}
    own = {n: v for n, v in given.items() if n not in _COMMON and not isinstance(v, Unsaid)}
    return {**taken, **own}
