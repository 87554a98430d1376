"""Where modules stood before they had rooms: what was pickled then still finds its classes."""

from __future__ import annotations

import sys

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


def remember(package: str) -> None:
    """Let the modules of a package, which are loaded, be found where they stood as well."""
    for room, names in ROOMS.items():
        for name in names.split():
            sys.modules.setdefault(f"{package}.{name}", sys.modules[f"{package}.{room}.{name}"])
