"""The one place that compiles: `njit` with the options every kernel here shares.

Kernels have no explicit signatures (those would compile at import), release the interpreter lock,
and are cached on disk wherever that is possible. NUMBA_DISABLE_JIT=1 turns all of them back into
plain Python, which is how they are debugged and their coverage is measured.
"""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from ..config.interrupts import deferred
from .trust import distrusted

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

#: Sums may be reordered and fused; NaN and infinity keep their meaning (full fastmath drops them).
REORDER = frozenset({"contract", "reassoc", "nsz", "arcp"})


def njit(function: Kernel | None = None, *, reorder: bool = False) -> Any:
    """Compile a kernel at its first call.

    Args:
        function: the kernel; without it, a decorator that takes the kernel.
        reorder: allow the compiler to reorder sums (`REORDER`), so that they can be vectorised.
    """
    if function is None:
        return functools.partial(njit, reorder=reorder)
    compiled = functools.partial(
        numba.njit, nogil=True, error_model="numpy", fastmath=set(REORDER) if reorder else False
    )
    kernel = None
    # A cached kernel would have been compiled without the bounds checks that were asked for.
    if not getattr(numba.config, "BOUNDSCHECK", None) and _cached():
        # "cannot cache function ...: no locator available": nowhere to write
        with contextlib.suppress(RuntimeError):
            kernel = compiled(cache=True)(function)
            _forgive(getattr(kernel, "_cache", None))
    kernel = kernel or compiled(function)
    if not numba.config.DISABLE_JIT:
        kernel.compile = _whole(kernel.compile)
    return kernel


@functools.cache
def _cached() -> bool:
    """Whether Numba's files can be trusted, which are pickles. By default they are in the
    ``__pycache__`` of this package: who can write there can write our code, too."""
    chosen = getattr(numba.config, "CACHE_DIR", "")
    why = distrusted(Path(os.path.realpath(chosen))) if chosen else None
    if why is not None:
        warnings.warn(f"gradtape does not use $NUMBA_CACHE_DIR: {why}.", stacklevel=2)
    return why is None


def _whole(compile_kernel: Callable[..., Any]) -> Callable[..., Any]:
    """A compilation that Ctrl-C waits for: with its first one, Numba also fills its own tables."""

    @functools.wraps(compile_kernel)
    def attempt(*args: Any) -> Any:
        with deferred():
            return compile_kernel(*args)

    return attempt


def _forgive(cache: Any) -> None:
    """A full disk or a damaged cache file costs a compilation, never an exception."""
    for method in ("load_overload", "save_overload"):
        if hasattr(cache, method):
            setattr(cache, method, _forgiving(getattr(cache, method)))


def _forgiving(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def attempt(*args: Any) -> Any:
        try:
            return method(*args)
        except Exception:  # pickle raises anything at all on a damaged file
            return None

    return attempt
