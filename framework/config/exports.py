"""What a module shows: its public names, some of them imported when first asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from ..errors import meant
from ..left_out import left_out
from .interrupts import deferred


def exporting(
    module: str,
    names: Iterable[str],
    kind: str = "name",
    later: Mapping[str, str] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a module (PEP 562): only what is public, and an error
    that knows what may have been meant, or why it is not there.

    Args:
        module: its ``__name__``.
        names: what is public, but for `later`.
        kind: what its names name, as in ``"layer"``.
        later: names that cost time to import, or need an extra, by the relative module that has
            them; ``""`` for those that are modules themselves.
    """
    later = later or {}
    public = sorted({*names, *later})

    def get(name: str) -> Any:
        if name in later:
            source = later[name] or f".{name}"
            with deferred():  # Ctrl-C waits: what was imported by half stays broken
                found = import_module(source, module)
            value = getattr(found, name) if later[name] else found
            setattr(sys.modules[module], name, value)
            return value
        if name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        why = left_out(module.partition(".")[2], name)
        raise AttributeError(f"{module} has no {kind} {name!r}.{why or meant(name, public)}")

    return get, lambda: public
