"""Structures of tensors or of shapes: lists, tuples and dicts of them, in any depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def tree_map(function: Callable[[Any], Any], value: Any) -> Any:
    """The same structure with `function` applied to every tensor or array in it."""
    if not is_structure(value):
        return function(value)
    if isinstance(value, dict):
        return {k: tree_map(function, v) for k, v in value.items()}
    return type(value)(tree_map(function, v) for v in value)


def tree_leaves(value: Any) -> Iterator[Any]:
    """Every tensor or array of a structure, in order."""
    if not is_structure(value):
        yield value
        return
    for item in value.values() if isinstance(value, dict) else value:
        yield from tree_leaves(item)


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
