"""What belongs to an object: found by looking at its attributes, each time."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any


def owned(thing: Any, kind: type) -> list[Any]:
    """What is of a kind among the attributes of an object and in their lists and dicts, once each.

    Nothing has to be declared, and what is appended to a list counts from that moment.
    """
    found: dict[int, Any] = {}
    collect(vars(thing).values(), _roles(kind), found)
    return list(found.values())


class Roles(dict[type, "int | str | None"]):
    """What to do with an attribute, by its class: the position of its kind; "items" or "values" of
    what may hold some; None. A class is judged once, because walks happen in every step.

    Args:
        kinds: the first that a class belongs to counts.
    """

    def __init__(self, *kinds: type) -> None:
        self._kinds = kinds

    def __missing__(self, cls: type) -> int | str | None:
        if len(self) > 10_000:  # classes made and dropped
            self.clear()
        role: int | str | None = None
        for position, kind in enumerate(self._kinds):
            if issubclass(cls, kind):
                role = position
                break
        else:
            if issubclass(cls, (list, tuple)):
                role = "items"
            elif issubclass(cls, dict):
                role = "values"
        self[cls] = role
        return role


_roles = lru_cache(64)(Roles)


def collect(values: Iterable[Any], roles: Roles, *found: dict[int, Any]) -> None:
    """Add the values that are of a kind, and those in lists and dicts, by their identity.

    Args:
        values: what is of a kind is not looked into.
        roles: of the kinds.
        found: for each kind, what was found so far.
    """
    for value in values:
        role = roles[type(value)]
        if role is None:
            continue
        if isinstance(role, int):
            found[role][id(value)] = value
        elif value:
            collect(value if role == "items" else value.values(), roles, *found)


class Snapshot:
    """Containers that can change in place, and whether each still holds what it held."""

    def __init__(self) -> None:
        self._places: list[Any] = []  # two lists are compared faster than pairs
        self._copies: list[Any] = []

    def add(self, place: Any) -> None:
        """Remember a list, dict or set, or the namespace of a class."""
        self._places.append(place)
        self._copies.append(place.copy())

    def same(self) -> bool:
        """Whether nothing has changed.

        Raises:
            ValueError, TypeError: something cannot be compared.
        """
        return self._places == self._copies


class Found:
    """What was found among the attributes of some objects, and whether that is so still.

    Args:
        things: the objects that were looked at.
        found: among their attributes; what compares by identity.
    """

    def __init__(self, things: Iterable[Any], found: list[Any]) -> None:
        self.found = found
        self._places = Snapshot()
        for thing in things:
            self._note(vars(thing))

    def _note(self, place: Any) -> None:
        """Remember a container, and those in it."""
        if not isinstance(place, tuple):
            self._places.add(place)
        for value in place.values() if isinstance(place, dict) else place:
            if isinstance(value, (list, tuple, dict)):
                self._note(value)

    def still(self) -> bool:
        """Whether all that was looked at holds what it held."""
        try:
            return self._places.same()
        except (ValueError, TypeError):  # what cannot be compared is another one
            return False
