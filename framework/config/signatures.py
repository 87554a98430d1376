"""Constructors made from tables: arguments in an order, with defaults, and errors in words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, get_type_hints

from ..errors import unknown_name
from .checked import Kind, argument, kind_of
from .tracebacks import filtered


def bind(
    who: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Arguments by their names, with defaults for those that are missing.

    Raises:
        TypeError: an argument that the signature has not, with its nearest match; or too many.
    """
    for name in kwargs:
        if name not in signature.parameters:
            raise TypeError(str(unknown_name(f"argument of {who}", name, signature.parameters)))
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        known = ", ".join(signature.parameters)
        raise TypeError(f"{who}: {error}. Its arguments: {known}.") from None
    bound.apply_defaults()
    return dict(bound.arguments)


def constructor(
    order: Iterable[str],
    defaults: dict[str, Any],
    fill: Callable[[Any, dict[str, Any]], None],
    annotations: Callable[[], dict[str, Any]],
) -> Any:
    """An ``__init__`` with these arguments, which hands them to `fill` by name.

    Args:
        order: the names of the arguments.
        defaults: of all of them; ``inspect.Parameter.empty`` where there is none.
        fill: called with the object and its arguments.
        annotations: makes those of the arguments, which are read by them; see `checked`.
    """
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature(
        [inspect.Parameter(name, kind, default=defaults[name]) for name in order]
    )

    @cache
    def kinds() -> dict[str, tuple[Kind, Any]]:
        hints = annotations()
        return {name: (kind_of(hints.get(name, Any)), defaults[name]) for name in defaults}

    @filtered
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        where = type(self).__name__
        given = bind(where, signature, args, kwargs)
        for name, value in given.items():
            if value is not defaults[name]:
                given[name] = argument(where, name, value, kinds()[name][0])
        fill(self, given)

    made: Any = __init__
    owner = inspect.Parameter("self", kind)
    made.__signature__ = signature.replace(parameters=[owner, *signature.parameters.values()])
    made.kinds = kinds
    return made


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function, as they are written."""
    return get_type_hints(inspect.unwrap(function), include_extras=True)
