"""Arguments are what their annotations say: they are read by them before a function begins.

``rate: Share`` refuses everything that is no number from 0 to 1, ``filters: Count`` everything that
is no positive integer, ``use_bias: bool`` everything but True and False. What NumPy calls a number
becomes one of Python's, so that it can be saved. Nothing else has to be written: the constructors
of layers, losses, metrics, optimizers and so on are all `checked`.
"""

from __future__ import annotations

import collections.abc
import inspect
import math
import operator
import os
import reprlib
import types
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Annotated, Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from ..errors import ArgumentError
from .naming import is_own
from .tracebacks import shorten

F = TypeVar("F", bound=Callable[..., Any])


class Where(NamedTuple):
    """A condition on values of a type, for ``Annotated[type, Where(...)]``.

    Args:
        expected: what they are, in words that follow "must be".
        holds: whether a value is one of them.
    """

    expected: str
    holds: Callable[[Any], bool]


#: Counts something that must be there: filters, units, steps.
Count = Annotated[int, Where("a positive integer", lambda n: n >= 1)]
#: Counts something that may be missing: epochs, patience.
Natural = Annotated[int, Where("an integer that is not negative", lambda n: n >= 0)]
Positive = Annotated[float, Where("a positive number", lambda x: 0 < x < math.inf)]
NotNegative = Annotated[float, Where("a number that is not negative", lambda x: 0 <= x < math.inf)]
Finite = Annotated[float, Where("a finite number", math.isfinite)]
Inner = Annotated[float, Where("a number between 0 and 1", lambda x: 0 < x < 1)]
#: A probability, a share of something.
Share = Annotated[float, Where("a number from 0 to 1", lambda x: 0 <= x <= 1)]


SOME = Where("one or more of them", lambda items: len(items) > 0)  # for sequences
#: One axis, or several.
Axes = int | Annotated[Sequence[int], SOME]
#: What callbacks say: nothing, something, everything.
Verbosity = Annotated[int, Where("0, 1 or 2", lambda n: n in (0, 1, 2))]


#: A number, or an array of them (nested lists will do): becomes Python's numbers in lists.
Numbers = Annotated[Any, "numbers"]


class Kind(NamedTuple):
    """What an argument must be, in words, and how to read it; `read` raises ValueError."""

    expected: str
    read: Callable[[Any], Any]


def _flag(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise ValueError


def _whole(value: Any) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise ValueError
    return operator.index(value)


def _real(value: Any) -> float:
    if isinstance(value, (int, np.integer)):
        return _whole(value)
    is_number = isinstance(value, (float, np.floating))
    if not is_number and not (getattr(value, "ndim", None) == 0 and value.dtype.kind in "iuf"):
        raise ValueError
    number = float(value)
    if math.isnan(number):
        raise ValueError
    return number


def _instance(*classes: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, classes):
            raise ValueError
        return value

    return read


def _function(value: Any) -> Any:
    if not callable(value):
        raise ValueError
    return value


def _numbers(value: Any) -> Any:
    array = np.asarray(value.numpy() if hasattr(value, "numpy") else value)
    if array.dtype.kind not in "iuf" or not array.size or np.isnan(array).any():
        raise ValueError
    return array.tolist()


_KINDS: dict[Any, Kind] = {
    bool: Kind("True or False", _flag),
    int: Kind("an integer", _whole),
    float: Kind("a number", _real),
    str: Kind("a string", _instance(str)),
    type(None): Kind("None", _instance(type(None))),
    os.PathLike: Kind("a path", _instance(os.PathLike)),
    dict: Kind("a dict", _instance(dict)),
    collections.abc.Mapping: Kind("a dict", _instance(collections.abc.Mapping)),
    collections.abc.Callable: Kind("a function", _function),
}
ANYTHING = Kind("anything", lambda value: value)


def _sequence(origin: Any, items: tuple[Any, ...]) -> Kind:
    """Of ``Sequence[T]``, ``list[T]``, ``tuple[T, ...]`` and ``tuple[T, T]``."""
    length = len(items) if origin is tuple and ... not in items else None
    kind = kind_of(items[0])
    many = {"an integer": "integers", "a number": "numbers", "a string": "strings"}
    of = many.get(kind.expected, f"which each is {kind.expected}")
    make = tuple if origin is tuple else list
    accepted: Any = (list, tuple, range, np.ndarray)
    if origin is collections.abc.Collection:
        accepted += (set, frozenset)

    def read(value: Any) -> Any:
        if not isinstance(value, accepted):
            raise ValueError
        if length is not None and len(value) != length:
            raise ValueError
        return make(kind.read(item) for item in value)

    return Kind(f"a sequence of {of}" if length is None else f"{length} {of}", read)


def kind_of(annotation: Any) -> Kind:
    """The kind of argument that an annotation names."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if "numbers" in inner:
        return Kind("a number or an array of numbers", _numbers)
    if origin is Annotated:
        return _narrowed(kind_of(inner[0]), inner[1:])
    if origin in (Union, types.UnionType):
        return _either([kind_of(item) for item in inner])
    if origin in (tuple, list, collections.abc.Sequence, collections.abc.Collection):
        return _sequence(origin, inner)
    return _KINDS.get(annotation) or _KINDS.get(origin, ANYTHING)


def _narrowed(kind: Kind, conditions: tuple[Any, ...]) -> Kind:
    wheres = [c for c in conditions if isinstance(c, Where)]

    def read(value: Any) -> Any:
        value = kind.read(value)
        if not all(where.holds(value) for where in wheres):
            raise ValueError
        return value

    if wheres and wheres[-1] is SOME:
        return Kind(f"{kind.expected} (one or more)", read)
    return Kind(wheres[-1].expected if wheres else kind.expected, read)


def _either(kinds: list[Kind]) -> Kind:
    def read(value: Any) -> Any:
        for kind in kinds:
            try:
                return kind.read(value)
            except (ValueError, TypeError):
                continue
        raise ValueError

    return Kind(" or ".join(kind.expected for kind in kinds), read)


def argument(where: str, name: str, value: Any, kind: Kind) -> Any:
    """An argument as its kind reads it.

    Raises:
        ArgumentError: it is none of its kind.
    """
    try:
        return kind.read(value)
    except (ValueError, TypeError, OverflowError):
        received = reprlib.repr(value)
        if isinstance(value, type) or inspect.isfunction(value):
            received = value.__name__
        elif getattr(value, "ndim", 0):
            received = f"an array of shape {tuple(value.shape)}"
        raise ArgumentError(
            f"{where}: {name} must be {kind.expected}, received {received}."
        ) from None


@cache
def kinds_of(function: Callable[..., Any]) -> dict[str, tuple[Kind, Any]]:
    """The kinds of the arguments of a function that are not just anything, with their defaults.

    Looked up when first needed: that takes a while.
    """
    if hasattr(function, "kinds"):  # as of a constructor that was made
        return function.kinds()
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    kinds = {name: kind_of(hint) for name, hint in hints.items() if name in parameters}
    return {
        name: (kind, parameters[name].default)
        for name, kind in kinds.items()
        if kind is not ANYTHING and parameters[name].kind not in _MANY
    }


_MANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def checked(function: F) -> F:
    """Decorator: read the arguments of a function by their annotations before it runs.

    A default stands for itself, whatever it is.
    """
    names = [p.name for p in inspect.signature(function).parameters.values() if p.kind not in _MANY]

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        known = kinds_of(function)
        where = function.__name__
        if where == "__init__":
            where, own = type(args[0]).__name__, kwargs.get("name")
            where += f" {own!r}" if isinstance(own, str) else ""
        positional = list(args)
        for i, name in enumerate(names[: len(positional)]):
            if name in known:
                kind, default = known[name]
                if positional[i] is not default:
                    positional[i] = argument(where, name, positional[i], kind)
        for name, value in kwargs.items():
            if name in known:
                kind, default = known[name]
                if value is not default:
                    kwargs[name] = argument(where, name, value, kind)
        return positional

    @wraps(function)
    def reading(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*read(args, kwargs), **kwargs)
        except BaseException as error:
            shorten(error)
            raise

    return reading  # type: ignore[return-value]


class Checked:
    """Base of the classes of the package whose constructors are `checked`.

    A subclass of a user's is none of these: it takes what it likes, and hands on what its base
    checks.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if is_own(cls) and "__init__" in vars(cls):
            cls.__init__ = checked(cls.__init__)  # type: ignore[method-assign]
