"""What belongs to an object: found by looking at its attributes, each time."""

from __future__ import annotations

from typing import Any


def owned(thing: Any, kind: Any) -> list[Any]:
    """What is of a kind among the attributes of an object and in their lists and dicts, once each.

    Nothing has to be declared, and what is appended to a list counts from that moment.
    """
    found: dict[int, Any] = {}
    collect(vars(thing), {kind: found})
    return list(found.values())


def collect(value: Any, found: dict[type, dict[int, Any]]) -> None:
    """Add a value to those of its kind, by its identity; or what is in it, if it is a list or dict.

    Args:
        value: anything. What is of a kind is not looked into.
        found: by kind, what was found so far.
    """
    for kind, things in found.items():
        if isinstance(value, kind):
            things[id(value)] = value
            return
    if isinstance(value, (list, tuple)):
        for item in value:
            collect(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            collect(item, found)
