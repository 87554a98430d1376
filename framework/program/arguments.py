"""The arguments of an op that is applied to placeholders: its arrays, and its settings."""

from __future__ import annotations

import inspect
from typing import Any

from ..autograd.tensor import as_tensor
from .traced import Traced, View


def arrays_of(op: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arrays among the arguments of an op."""
    if getattr(op, "variadic", False):
        return args[:1] if args and isinstance(args[0], (list, tuple)) else args
    return args[: op.arity] if hasattr(op, "arity") else args


def settings_of(op: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of an op with their defaults."""
    if not hasattr(op, "setting_names"):
        given = inspect.signature(op.function).bind(*args, **settings)
        given.apply_defaults()
        return dict(list(given.arguments.items())[len(args) :])
    arrays = arrays_of(op, args)
    listed = op.variadic and isinstance(args[0], (list, tuple))
    extra = () if op.variadic and not listed else args[len(arrays) :]
    settings = op.settled(extra, settings)
    if op.resolve is None or not settings:  # what has none checks values, which are not there
        return settings
    return dict(op.resolve(*map(_shaped, arrays[0] if listed else arrays), **settings))


def _shaped(value: Any) -> Any:
    """What has the shape of an array of an op."""
    return value if isinstance(value, (Traced, View)) else as_tensor(value)
