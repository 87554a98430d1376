"""Numba kernels on plain arrays; they know nothing of gradients.

``from .. import kernels`` costs nothing: a room is imported, and Numba with it, when one of its
kernels is first reached for, as in ``kernels.patches.unfold(...)``.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from ..config.interrupts import deferred


def __getattr__(name: str) -> ModuleType:
    """The room of that name, imported on its first use (PEP 562)."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        with deferred():
            return importlib.import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
