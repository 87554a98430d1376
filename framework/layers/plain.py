"""Layers as plain data, and back."""

from __future__ import annotations

from typing import Any

from ..config import serialization
from .base import Layer


def serialize(layer: Layer) -> dict[str, Any]:
    """A layer as data that JSON can hold: its class and its arguments, without its weights.

    Raises:
        TypeError: an argument that cannot be written down.
    """
    return serialization.serialize(layer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The layer that `serialize` wrote down, with fresh weights.

    Args:
        config: ``{"class_name": name, "config": arguments}``.
        custom_objects: classes and functions of your own that it may name, by their names.

    Raises:
        ValueError: an unknown class, or arguments that it does not take.
    """
    with serialization.custom_object_scope(custom_objects):
        return serialization.deserialize(config, "layer", "layers")
