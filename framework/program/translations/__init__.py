"""How layers become nodes of a `Graph`: a family of layers a file, registered by class name."""

from __future__ import annotations

from . import (  # noqa: F401
    activations,
    merging,
    models,
    normalizing,
    pooling,
    reshaping,
    varying,
    windowed,
)
