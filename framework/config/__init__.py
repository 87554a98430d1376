"""Settings of the package: what tracebacks show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .exports import exporting
from .tracebacks import (
    disable_traceback_filtering,
    enable_traceback_filtering,
    is_traceback_filtering_enabled,
)

__all__ = [
    "disable_traceback_filtering",
    "enable_traceback_filtering",
    "is_traceback_filtering_enabled",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = exporting(__name__, __all__, "name")
