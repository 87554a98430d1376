"""Kernels that a program calls by address, and the native loop that calls them.

A kernel takes one argument, the address of its row of int64: addresses of arrays (in bytes),
lengths, strides (in elements), and float settings as bits (`simd.bits_of`).

    @kernel
    def copy(a):
        out, x, count = a[0], a[1], a[2]
        ...

Compiled with a C calling convention and cached on disk, a kernel costs a few nanoseconds to call.
A program is a flat int64 array of records ``address, number of arguments, arguments...``; `run`
executes it without the interpreter lock.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature

from . import simd
from .jit import _forgive, njit

_ROW = types.void(types.CPointer(types.int64))
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


@functools.cache
def sources_stamp() -> str:
    """A digest of all kernel sources and the vector width.

    Numba's cache looks only at the file of a kernel, but what its vectors do is written in others.
    """
    digest = hashlib.sha256(str(simd.BITS).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _stamped(compiled: Any) -> Any:
    """Let the cache of a function go stale with any kernel source."""
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = (file._source_stamp, sources_stamp())
    return compiled


class Kernel:
    """A function of a row of int64, compiled when its address is first asked for.

    Args:
        function: of the row.
        name: what programs list it as.
        made: whether a factory in this package made it, one kernel a name: the cache then knows
            it by its name. (A closure over a compiled helper would not be found there again.)
    """

    def __init__(self, function: Callable[[Any], None], name: str, made: bool = False) -> None:
        self.function = function
        self.name = name
        self.made = made

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"

    @functools.cached_property
    def address(self) -> int:
        """Where the compiled kernel is; where nothing is compiled, a number that `run` knows."""
        if numba.config.DISABLE_JIT:
            return _interpreted(self)
        self._compiled = _compile(self.function, self.name if self.made else None)
        return int(self._compiled.address)

    def __call__(self, row: Any) -> None:
        """Run once on an int64 array (tests)."""
        run(np.array([self.address, len(row), *row], np.int64))


def _compile(function: Callable[[Any], None], key: str | None) -> Any:
    compiled: Any = CFunc(
        function, normalize_signature(_ROW), locals={}, options=dict(_OPTIONS, nopython=True)
    )
    try:
        compiled.enable_caching()
        _forgive(compiled._cache)
        _stamped(compiled)
        if key is not None:  # code and helpers are in the stamp of the sources
            compiled._cache._index_key = lambda sig, codegen: (sig, codegen.magic_tuple(), key)
        load = compiled._cache.load_overload

        def load_or_say(*given: Any) -> Any:
            found = load(*given)
            if found is None:
                _say_once()
            return found

        compiled._cache.load_overload = load_or_say
    except RuntimeError:  # nowhere to write
        _say_once()
    compiled.compile()
    return compiled


@functools.cache
def _say_once() -> None:
    """Why the first step takes a while; to people only."""
    if sys.stderr.isatty():
        print("gradtape: compiling kernels for this machine, once", file=sys.stderr)


def kernel(function: Callable[[Any], None]) -> Kernel:
    """Make a function of a row of int64 a kernel."""
    return Kernel(function, function.__name__)


def inlined(function: Any) -> Any:
    """A helper that becomes part of the kernels that call it."""
    return numba.njit(function, forceinline=True, **_OPTIONS)


# The loop

_interpretable: list[Kernel] = []


def _interpreted(made: Kernel) -> int:
    _interpretable.append(made)
    return len(_interpretable) - 1


def _call(b: Any, address: Any, row: Any) -> None:
    words = ir.IntType(64).as_pointer()
    function = ir.FunctionType(ir.VoidType(), [words])
    b.call(b.inttoptr(address, function.as_pointer()), [b.inttoptr(row, words)])


def _call_twin(number: int, row: int) -> None:
    count = int(_words(row - 8, 1)[0])
    _interpretable[number].function(_words(row, count))


def _words(address: int, count: int) -> np.ndarray:
    return simd._peek(address, 2 * count, np.int32).view(np.int64)


call = simd.plain(types.void, (types.int64, types.int64), _call, _call_twin)
load_int = simd.plain(
    types.int64,
    (types.int64, types.int64),
    lambda b, p, i: b.load(
        b.inttoptr(b.add(p, b.shl(i, ir.Constant(simd._I64, 3))), simd._I64.as_pointer())
    ),
    lambda p, i: int(_words(p + 8 * i, 1)[0]),
)


def _add_and_fetch(b: Any, p: Any, n: Any) -> Any:
    return b.atomic_rmw("add", b.inttoptr(p, simd._I64.as_pointer()), n, "acq_rel")


def _add_twin(p: int, n: int) -> int:
    word = _words(p, 1)
    word[0] += n
    return int(word[0]) - n


#: ``atomic_add(address, n)``: the value before.
atomic_add = simd.plain(types.int64, (types.int64, types.int64), _add_and_fetch, _add_twin)
atomic_load = simd.plain(
    types.int64,
    (types.int64,),
    lambda b, p: b.load_atomic(b.inttoptr(p, simd._I64.as_pointer()), "acquire", 8),
    lambda p: int(_words(p, 1)[0]),
)


def _call_plain(b: Any, address: Any) -> None:
    function = ir.FunctionType(simd._I32, [])
    b.call(b.inttoptr(address, function.as_pointer()), [])


#: Call a C function ``int f(void)``.
call_plain = simd.plain(types.void, (types.int64,), _call_plain, lambda address: None)


def njit_here(function: Any) -> Any:
    """`njit`, with a cache that goes stale with any kernel source."""
    return _stamped(njit(function))


@njit_here
def execute(program: int, start: int, stop: int) -> None:
    """Run the records of the int64 array at address `program` from word `start` up to `stop`."""
    at = start
    while at < stop:
        call(load_int(program, at), program + 8 * (at + 2))
        at += 2 + load_int(program, at + 1)


def run(program: np.ndarray) -> None:
    """Run the records of a flat, contiguous int64 array."""
    execute(program.ctypes.data, 0, program.size)


def rows_of_tiles(channels: int) -> list[tuple[int, int]]:
    """How to cover so many channels with tiles: pairs (rows of a tile, number of such tiles).

    As few tiles as possible, and as even as possible.
    """
    tiles = -(-channels // simd.TILE_ROWS)
    rows, larger = divmod(channels, tiles)
    parts = [(rows + 1, larger), (rows, tiles - larger)]
    return [(r, n) for r, n in parts if n]
