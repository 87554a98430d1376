"""Kernels that a program calls by address, and the native loop that calls them.

A kernel is a function of named numbers: addresses of arrays (in bytes), lengths and strides (in
elements) are int64; a parameter annotated as float is a float32.

    @kernel
    def scale(out, x, count, factor: float):
        ...

Called from outside it takes one argument, the address of its row: an int64 for each parameter, in
order, a float as its bits (`simd.bits_of`). Compiled with a C calling convention and cached on
disk, that costs a few nanoseconds.
A program is a flat int64 array of records ``address, number of arguments, arguments...``; `run`
executes it without the interpreter lock.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.ccallback import _CFuncCompiler  # type: ignore[attr-defined]
from numba.core.compiler import Compiler as Pipeline
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target
from numba.core.sigutils import normalize_signature

from ..config.interrupts import deferred
from . import objects, simd

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_COMPILER = f"numba {numba.__version__}"
_C_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # calls release the interpreter lock


class Kernel:
    """A function of named numbers, compiled when its address is first asked for.

    Args:
        function: of int64, and of float32 where a parameter is annotated as float.
        name: what programs list it as.
        made: whether a factory in this package made it, one kernel a name: the cache then knows
            it by its name. (A closure over a compiled helper would not be found there again.)
    """

    def __init__(self, function: Callable[..., None], name: str, made: bool = False) -> None:
        self.function = function
        self.name = name
        self.made = made

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"

    @functools.cached_property
    def parameters(self) -> dict[str, Any]:
        """Their names in the order of a row, and the type of each."""
        found = inspect.signature(self.function).parameters.values()
        return {p.name: _type_of(p.annotation) for p in found}

    def row(self, *given: Any, **named: Any) -> tuple[Any, ...]:
        """One argument for each parameter, in order.

        Raises:
            TypeError: there are too few, too many, or others.
        """
        rest = [*self.parameters][len(given) :]
        if len(given) > len(self.parameters) or named.keys() != set(rest):
            raise TypeError(
                f"{self!r} takes ({', '.join(self.parameters)}), and was given "
                f"({', '.join([*('_' for _ in given), *named])})."
            )
        return (*given, *(named[name] for name in rest))

    @functools.cached_property
    def address(self) -> int:
        """Where the compiled kernel is; where nothing is compiled, a number that `call` knows."""
        if numba.config.DISABLE_JIT:
            return _interpreted(self)
        with deferred():
            return objects.load(self._key, _COMPILER) or self._compile()

    @functools.cached_property
    def _key(self) -> str:
        """The name of its file in the cache of object code."""
        identity = f"made {self.name}" if self.made else objects.identity(self.function)
        digest = hashlib.sha256(f"{identity} {self.parameters}".encode()).hexdigest()
        return f"{self.name}-{digest[:24]}"

    def _compile(self) -> int:
        _say_once()
        # Kept: the code belongs to it.
        self._library, symbol = _compiled(self.function, [*self.parameters.values()], self._key)
        declared = [f.name for f in self._library._final_module.functions if f.is_declaration]
        called = [name for name in declared if not name.startswith("llvm.")]
        code = self._library._get_compiled_object()
        objects.save(self._key, _COMPILER, symbol, called, code)
        return int(self._library.get_pointer_to_function(symbol))

    @functools.cached_property
    def _entry(self) -> Any:
        return _C_FUNCTION(self.address)

    def __call__(self, row: Any) -> None:
        """Run once on a row."""
        words = np.array(self.row(*row), np.int64)
        if numba.config.DISABLE_JIT:
            self.interpret(words)
        else:
            self._entry(words.ctypes.data)

    def interpret(self, words: Any) -> None:
        """Run once on a row, as plain Python."""
        kinds = self.parameters.values()
        given = zip(words, kinds, strict=True)
        self.function(*(simd.float_of(w) if kind is types.float32 else w for w, kind in given))


def _type_of(annotation: Any) -> types.Type:
    """What a parameter with this annotation is, which may be a name."""
    return types.float32 if annotation in (float, "float") else types.int64


class _Compiler(_CFuncCompiler):
    """Numba's compiler, without the wrapper that would report exceptions."""

    def _customize_flags(self, flags: Any) -> Any:
        flags = super()._customize_flags(flags)
        flags.no_cfunc_wrapper = True
        return flags


@global_compiler_lock
def _compiled(function: Callable[..., None], kinds: list[types.Type], key: str) -> tuple[Any, str]:
    """A function as a library of Numba's code generator, and the symbol to call with a row.

    Kernels raise nothing, so the symbol is a plain C function that needs nothing of Numba's.
    """
    arguments, result = normalize_signature(types.void(*kinds))
    options = dict(_OPTIONS, nopython=True)
    inner = _Compiler(function, cpu_target, options, {}, Pipeline).compile(arguments, result)
    context = cpu_target.target_context
    library = context.codegen().create_library(key)
    library.enable_object_caching()
    library.add_linking_library(inner.library)
    module = library.create_ir_module(key)
    words = simd._I64.as_pointer()
    outer = ir.Function(module, ir.FunctionType(ir.VoidType(), [words]), f"gradtape.{key}")
    convention = context.call_conv
    body = convention.get_function_type(result, arguments)
    body = ir.Function(module, body, inner.fndesc.llvm_func_name)
    builder = ir.IRBuilder(outer.append_basic_block())
    given = [_argument(builder, outer.args[0], i, kind) for i, kind in enumerate(kinds)]
    convention.call_function(builder, body, result, arguments, given)
    builder.ret_void()
    library.add_ir_module(module)
    library.finalize()
    return library, outer.name


def _argument(b: Any, row: Any, place: int, kind: types.Type) -> Any:
    """A word of a row as what the function takes."""
    word = b.load(b.gep(row, [ir.Constant(simd._I64, place)]))
    return b.bitcast(b.trunc(word, simd._I32), simd._F32) if kind is types.float32 else word


@functools.cache
def _say_once() -> None:
    """Why the first step takes a while; to people only."""
    if sys.stderr.isatty():
        print("gradtape: compiling kernels for this machine, once", file=sys.stderr)


def kernel(function: Callable[..., None]) -> Kernel:
    """Make a function of named numbers a kernel."""
    return Kernel(function, function.__name__)


def inlined(function: Any) -> Any:
    """A helper that becomes part of the kernels that call it."""
    return numba.njit(function, forceinline=True, **_OPTIONS)


# The loop

_interpretable: list[Kernel] = []


def _interpreted(made: Kernel) -> int:
    _interpretable.append(made)
    return len(_interpretable)


def _call(b: Any, address: Any, row: Any) -> None:
    words = ir.IntType(64).as_pointer()
    function = ir.FunctionType(ir.VoidType(), [words])
    b.call(b.inttoptr(address, function.as_pointer()), [b.inttoptr(row, words)])


def _call_twin(number: int, row: int) -> None:
    count = int(_words(row - 8, 1)[0])
    _interpretable[number - 1].interpret(_words(row, count))


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


@inlined
def execute(program: int, start: int, stop: int) -> None:
    """Run the records of the int64 array at address `program` from word `start` up to `stop`."""
    at = start
    while at < stop:
        call(load_int(program, at), program + 8 * (at + 2))
        at += 2 + load_int(program, at + 1)


@kernel
def _run(program: int, count: int) -> None:
    execute(program, 0, count)


def run(program: np.ndarray) -> None:
    """Run the records of a flat, contiguous int64 array."""
    _run((program.ctypes.data, program.size))


def rows_of_tiles(channels: int, most: int = simd.TILE_ROWS) -> list[tuple[int, int]]:
    """How to cover so many channels with tiles: pairs (rows of a tile, number of such tiles).

    As few tiles as possible, and as even as possible.

    Args:
        channels: rows to cover.
        most: rows of a tile at most; where that decides about the order of a sum, it must not be
            what suits the machine.
    """
    tiles = -(-channels // most)
    rows, larger = divmod(channels, tiles)
    parts = [(rows + 1, larger), (rows, tiles - larger)]
    return [(r, n) for r, n in parts if n]
