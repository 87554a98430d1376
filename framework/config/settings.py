"""How methods read their settings: counts, verbosity, and keywords they do not know."""

from __future__ import annotations

import inspect
import operator
import os
import reprlib
from collections.abc import Callable
from typing import Any


def count_of(value: Any, name: str, least: int = 1) -> int:
    """A setting that counts something, as an integer.

    Raises:
        TypeError: it is no integer.
        ValueError: it is below `least`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, received {reprlib.repr(value)}.") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, received {number}.")
    return number


def check_verbose(verbose: Any) -> int:
    """0 (silent), 1 (a bar where one can move) or 2 (lines only), from those or ``"auto"``.

    Raises:
        ValueError: anything else.
    """
    if verbose == "auto":
        verbose = 1
    if verbose not in (0, 1, 2):
        raise ValueError(
            "verbose must be 'auto', 0 (silent), 1 (progress bar) or 2 (one line per epoch), "
            f"received {verbose!r}."
        )
    return int(verbose)


def refuse_unknown(method: Callable[..., Any], unknown: dict[str, Any]) -> None:
    """The error for a keyword that a method does not take, with its nearest match."""
    if unknown:
        name = next(iter(unknown))
        known = [p for p in inspect.signature(method).parameters if p not in ("self", "unknown")]
        import difflib  # slow to import, and needed only for an error

        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise TypeError(
            f"{method.__name__}() has no argument {name!r}."
            + (f" Did you mean {near[0]!r}?" if near else "")
            + f" It takes: {', '.join(known)}."
        )


def accepts(function: Callable[..., Any], name: str) -> bool:
    """Whether a function takes a keyword of this name."""
    parameters = inspect.signature(function).parameters
    kinds = [p.kind for p in parameters.values()]
    return name in parameters or inspect.Parameter.VAR_KEYWORD in kinds


def wants_programs() -> bool:
    """Whether native programs may be used at all, which is known before Numba is imported."""
    return os.environ.get("GRADTAPE_NATIVE", "1") != "0"
