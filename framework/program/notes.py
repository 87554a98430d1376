"""What the call of a user notes on its layer while it is traced: ``self.calls += 1``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .graph import NotNative
from .traced import Traced
from .watching import held_by


def noting(
    layer: Any, compute: Callable[..., Any], args: tuple[Any, ...], settings: dict[str, Any]
) -> Any:
    """What the call of a user returns; what it noted on the layer is forgotten if it fails.

    Raises:
        NotNative: among that is a placeholder, which means nothing to the next batch.
    """
    before = dict(held_by(layer))
    try:
        result = compute(*args, **settings)
        held = [
            name
            for name, value in held_by(layer).items()
            if (value is not before.get(name) or type(value) in (list, dict))
            and _holds_placeholders(value)
        ]
        if held:
            raise NotNative(f"it keeps a tensor as {held[0]!r}")
    except Exception:
        set_back(layer, before)
        raise
    return result


def set_back(layer: Any, before: dict[str, Any]) -> None:
    """Give a layer the attributes that it had."""
    for name, value in list(held_by(layer).items()):
        if name not in before:
            delattr(layer, name)
        elif value is not before[name]:
            setattr(layer, name, before[name])
        elif isinstance(value, list):
            value[:] = [v for v in value if not _holds_placeholders(v)]
        elif isinstance(value, dict):
            for key in [k for k, v in value.items() if _holds_placeholders(v)]:
                del value[key]


def _holds_placeholders(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any([type(v) is Traced for v in value])
    if isinstance(value, dict):
        return any([type(v) is Traced for v in value.values()])
    return type(value) is Traced
