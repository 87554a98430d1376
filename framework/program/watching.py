"""`Watch`: whether what a program was made from is still what it was.

A translation may read anything that a layer holds: its attributes, what these hold in turn, the
methods of its class. So all of that is remembered, whatever was read of it, and compared before the
program is used again. Weights are left out: their values lie in memory that a program reads anew in
every run.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..config.naming import is_own
from ..config.owned import Snapshot

#: What a model notes while it trains; it means nothing for what it computes.
_NOTES = frozenset(
    (
        *("history", "stop_training", "stop_evaluating", "stop_predicting"),
        *("_native", "optimizer", "loss", "_scores", "_recipe"),
        *("_rounds", "_turns", "_metrics_found"),
    )
)
#: What holds nothing, or nothing that a translation reads.
_FIXED = (str, int, float, Tensor, types.NoneType)
_OWN = __name__.partition(".")[0]


class Watch:
    """Some objects and all that they hold, as deep as it can change in place.

    Args:
        things: layers, losses, regularizers: what has attributes.
        kinds: more classes whose methods may be replaced.
    """

    def __init__(self, things: Iterable[Any], kinds: Iterable[type] = ()) -> None:
        self._places = Snapshot()
        self._models: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._arrays: list[tuple[np.ndarray, np.ndarray]] = []
        seen = set[int]()  # of what the lists above hold
        watched = list(things)
        for thing in watched:
            self._object(thing, seen)
        classes = [c for kind in (*map(type, watched), *kinds) for c in kind.__mro__ if is_own(c)]
        for kind in dict.fromkeys(classes):
            self._places.add(vars(kind))

    def same(self) -> bool:
        """Whether nothing has changed."""
        try:
            return (
                self._places.same()
                and all([_without_notes(now) == before for now, before in self._models])
                and all([np.array_equal(a, b, equal_nan=True) for a, b in self._arrays])
            )
        except (ValueError, TypeError):  # what cannot be compared is another one
            return False

    def _object(self, thing: Any, seen: set[int]) -> None:
        attributes = getattr(thing, "__dict__", None)
        if attributes is None or id(attributes) in seen:
            return
        seen.add(id(attributes))
        if "_layers" in attributes:  # a model, whose layers are asked for by themselves
            self._models.append((attributes, _without_notes(attributes)))
            self._value(attributes["_layers"], seen)
            return
        self._places.add(attributes)
        for name, value in attributes.items():
            if not name.startswith("_"):  # what is private is not changed from outside
                self._value(value, seen)

    def _value(self, value: Any, seen: set[int]) -> None:
        """Remember what a value holds, if that can change without the value becoming another."""
        if isinstance(value, _FIXED) or id(value) in seen or hasattr(value, "__name__"):
            return
        seen.add(id(value))
        if isinstance(value, np.ndarray):
            self._arrays.append((value, value.copy()))
        elif isinstance(value, (tuple, frozenset)):
            for item in value:
                self._value(item, seen)
        elif isinstance(value, (list, set, dict)):
            self._places.add(value)
            for item in value.values() if isinstance(value, dict) else value:
                self._value(item, seen)
        elif "_layers" not in getattr(value, "__dict__", ()) and not _runs_again(value):
            self._object(value, seen)


def layers_of(layer: Any) -> list[Any]:
    """A layer and all that are in it."""
    return list(layer._all_layers())


def held_by(thing: Any) -> dict[str, Any]:
    """The attributes of a thing, but for what a model notes while it trains."""
    attributes = vars(thing)
    return _without_notes(attributes) if "_layers" in attributes else attributes


def _runs_again(value: Any) -> bool:
    """Whether it is the layer of a user: what its call reads is seen as it is read."""
    return hasattr(value, "activity_regularizer") and not is_own(type(value))


def _without_notes(attributes: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in attributes.items() if k not in _NOTES}


def patched(thing: Any) -> str | None:
    """The name of a method that somebody has put in the place of this package's, or None."""
    kinds = [kind for kind in type(thing).__mro__ if is_own(kind)]
    for kind in kinds:
        for name, member in vars(kind).items():
            function = getattr(member, "__func__", getattr(member, "fget", member))
            code = getattr(function, "__code__", None)
            if code is None:
                if callable(member) and not isinstance(member, type):
                    return f"{kind.__name__}.{name}"
            elif function.__globals__.get("__name__", "").split(".")[0] != _OWN:
                return f"{kind.__name__}.{name}"
    for name in getattr(thing, "__dict__", ()):
        if any(isinstance(vars(kind).get(name), types.FunctionType) for kind in kinds):
            return name
    return None


def frozen(value: Any) -> Any:
    """A value that is equal to another's if both mean the same, and stays what it is.

    Arrays, containers and numbers count by their content (-0.0 is not 0.0, and True is not 1),
    other things by identity.
    """
    if isinstance(value, (bool, int, float)):
        return type(value), repr(value)
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if isinstance(value, (list, tuple)):
        return tuple(frozen(v) for v in value)
    if isinstance(value, dict):
        return tuple((k, frozen(v)) for k, v in value.items())
    return value
