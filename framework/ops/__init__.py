"""Differentiable ops, a family a file: forward, gradient rule and samples side by side.

Every op that a family registers is a function of this package: ``gt.ops.exp``, ``gt.ops.conv``.
A new op, or a new family file, needs no entry anywhere else.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from ..autograd.tape import OPS
from ..config.exports import exporting

for _family in iter_modules(__path__):
    import_module(f"{__name__}.{_family.name}")

__all__ = sorted(OPS)
globals().update(OPS)  # after the imports: the op `conv` wins over the module of that name

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...

else:
    __getattr__, __dir__ = exporting(__name__, __all__, "op")
