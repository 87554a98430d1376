"""Tracebacks end where the user's code does, unless asked to go on into the package."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from types import FrameType, TracebackType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE = __name__.partition(".")[0]
#: What the package stands on: frames of these that it called itself are its own affair, too.
_LIBRARIES = frozenset({*sys.stdlib_module_names, "numpy", "numba", "llvmlite", "PIL", "tqdm"})


class _Switch:
    on = True


def enable_traceback_filtering() -> None:
    """Leave the package's own frames out of tracebacks; the default."""
    _Switch.on = True


def disable_traceback_filtering() -> None:
    """Show every frame of a traceback, to see where inside of the package an error was raised."""
    _Switch.on = False


def is_traceback_filtering_enabled() -> bool:
    """Whether tracebacks leave the package's own frames out."""
    return _Switch.on


def shorten(error: BaseException) -> None:
    """Leave the package's frames out of the traceback of an error and of those it came from.

    Frames of the user's own code stay: of callbacks, layers, losses and so on that the package
    called, too. To be called by the function that an error leaves, which then raises it again.
    """
    if not _Switch.on:
        return
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = _without_ours(link.__traceback__)
        cause = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if cause is not None and _without_ours(cause.__traceback__) is None:
            link.__cause__, link.__suppress_context__ = None, True  # its words are in the message
            cause = None
        link = cause


def _is_ours(frame: FrameType, inside: bool) -> bool:
    """Whether a frame is one of the package, or (`inside`) of a library that the package called."""
    package = frame.f_globals.get("__name__", "").partition(".")[0]
    return package == _PACKAGE or (inside and package in _LIBRARIES)


def _without_ours(traceback: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    inside = False
    while traceback is not None:
        inside = _is_ours(traceback.tb_frame, inside)
        if not inside:
            kept.append(traceback)
        traceback = traceback.tb_next
    shorter: TracebackType | None = None
    for entry in reversed(kept):
        shorter = TracebackType(shorter, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return shorter


def filtered(function: F) -> F:
    """Decorator for what users call: errors that leave it carry no frames of the package."""

    @wraps(function)
    def outermost(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except BaseException as error:
            shorten(error)
            raise

    return outermost  # type: ignore[return-value]


def warn(message: str) -> None:
    """Warn of something at the line of the user's code that led to it."""
    frame: FrameType | None = sys._getframe(1)
    level, inside = 2, True
    while frame is not None and inside:
        frame, level = frame.f_back, level + 1
        inside = frame is not None and _is_ours(frame, inside)
    warnings.warn(message, stacklevel=level)
