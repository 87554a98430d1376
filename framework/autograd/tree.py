"""Structures of tensors or of shapes: lists, tuples and dicts of them, in any depth."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

#: A shape with None for every axis whose length is open.
Shape = tuple[int | None, ...]


def is_structure(value: Any) -> bool:
    """Whether this holds arrays or tensors, rather than being one or the numbers of one."""
    if isinstance(value, dict):
        return True
    if not isinstance(value, (list, tuple)):
        return False
    return any(
        is_structure(v) or (hasattr(v, "shape") and not isinstance(v, np.generic)) for v in value
    )


def is_container(value: Any) -> bool:
    """Whether this is a list, tuple or dict, a list of plain numbers included."""
    return isinstance(value, (list, tuple, dict))


def rebuilt(container: Any, items: Iterable[Any]) -> Any:
    """A container of the same kind with other items: lists, (named) tuples, dicts of all kinds."""
    if isinstance(container, dict):
        new = copy.copy(container)  # keeps the order, and what a defaultdict makes
        new.update(zip(container, items, strict=True))
        return new
    if hasattr(container, "_fields"):  # a named tuple takes its items one by one
        return type(container)(*items)
    return type(container)(items)


#: Which values are structures, rather than leaves of one.
Kind = Callable[[Any], bool]


def tree_map(function: Callable[[Any], Any], value: Any, inner: Kind = is_structure) -> Any:
    """The same structure with `function` applied to every tensor or array in it."""
    if not inner(value):
        return function(value)
    items = value.values() if isinstance(value, dict) else value
    return rebuilt(value, [tree_map(function, item, inner) for item in items])


def tree_leaves(value: Any, inner: Kind = is_structure) -> Iterator[Any]:
    """Every tensor or array of a structure, in order."""
    return (leaf for _, leaf in tree_items(value, inner))


def tree_items(value: Any, inner: Kind = is_structure, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a structure with the way to it, as in ``"['rest'][0]"``, in order."""
    if not inner(value):
        yield path, value
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from tree_items(item, inner, f"{path}[{key!r}]")


def is_shape(value: Any) -> bool:
    """Whether this is one shape, rather than a structure of shapes."""
    return isinstance(value, (tuple, list)) and all(
        n is None or isinstance(n, (int, np.integer)) for n in value
    )


def shape_map(function: Callable[[Shape], Any], shapes: Any) -> Any:
    """The same structure with `function` applied to every shape in it."""
    if is_shape(shapes):
        return function(tuple(n if n is None else int(n) for n in shapes))
    if isinstance(shapes, dict):
        return {k: shape_map(function, v) for k, v in shapes.items()}
    if isinstance(shapes, (list, tuple)):
        return [shape_map(function, v) for v in shapes]
    raise TypeError(f"Expected a shape such as (None, 28, 28, 1), received {shapes!r}.")


def common_shape(one: Any, other: Any) -> Any:
    """Two structures of shapes as one, None where they differ."""
    if is_shape(one):
        if len(one) != len(other):
            raise ValueError(f"Shapes {one} and {other} have no common rank.")
        return tuple(n if n == m else None for n, m in zip(one, other, strict=True))
    if isinstance(one, dict):
        return {k: common_shape(one[k], other[k]) for k in one}
    return [common_shape(a, b) for a, b in zip(one, other, strict=True)]
