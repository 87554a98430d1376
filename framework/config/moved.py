"""Where modules stood before they had rooms: what was pickled then still finds its classes."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from typing import Any

ROOMS = {
    "autograd": "anomaly backward checkpoint functional gradient_tape numpy_protocol operators "
    "precision promotion registry tape tensor tree variable",
    "callbacks": "progress resuming",
    "config": "allowance checked exports interrupts naming owned reading serialization settings "
    "signatures tracebacks turns writing",
    "data": "feeding",
    "inspection": "analysis receptive summary",
    "layers": "symbolic topology wire",
    "model": "cloning sequential",
    "proof": "diagnosis differences gradcheck",
    "saving": "archive foreign",
    "training": "outputs repeating scores steps",
}


#: Rooms that are called as a module was, whose names are looked up in the module of that name.
NAMESAKES = ("data", "model", "proof", "training")


def remember(package: str) -> None:
    """Let the modules of a package, which are loaded, be found where they stood as well."""
    for room in NAMESAKES:
        vars(sys.modules[f"{package}.{room}"])["__getattr__"] = partial(
            _inside, f"{package}.{room}"
        )
    for room, names in ROOMS.items():
        for name in names.split():
            sys.modules.setdefault(f"{package}.{name}", sys.modules[f"{package}.{room}.{name}"])


def _inside(room: str, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {room!r} has no attribute {name!r}")
    return getattr(import_module(f"{room}.{room.rpartition('.')[2]}"), name)
