"""Explicit vectors for kernels: what the auto-vectoriser would have to guess is written down.

A `vector` is `LANES` float32; a `mask` holds a truth value per lane; a *tile* is a number of wide
vectors of accumulators that stay in registers. They exist only inside kernels, where memory is
named by its address (an int64, in bytes) and an offset in elements:

    y = fma(load(x, i), load(x, i + LANES), broadcast(2.0))
    store(out, i, y)

How many lanes there are, and how many images a kernel works on, is the same on every machine, and
so is the order of every sum: LLVM makes of a vector as many registers as it takes. What differs is
only how many rows a tile has, which no sum depends on. ``GRADTAPE_VECTOR_BITS=128`` and the like
let tiles be those of another machine.

Under ``NUMBA_DISABLE_JIT=1`` each operation is its NumPy twin below, on an array of lanes.
"""

from __future__ import annotations

import ctypes
import inspect
import os
from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model


def _tile_rows() -> int:
    """As many rows of `SHARD` float32 as fill three quarters of the registers of the host."""
    features = llvm.get_host_cpu_features()
    widest = 512 if features.get("avx512f") else 256 if features.get("avx") else 128
    bits = int(os.environ.get("GRADTAPE_VECTOR_BITS", widest))
    if bits not in (128, 256, 512):
        raise ValueError(f"GRADTAPE_VECTOR_BITS must be 128, 256 or 512, received {bits}.")
    arm = llvm.get_default_triple().startswith(("aarch64", "arm64"))
    registers = 32 if bits == 512 or arm else 16
    return min(12, registers * bits // (32 * SHARD) * 3 // 4)


#: float32 in one vector.
LANES = 8
#: Images that a kernel works on at once, the innermost axis: two vectors.
SHARD = 2 * LANES
#: Most rows of a tile: its accumulators, a row and a broadcast fill the registers.
TILE_ROWS = _tile_rows()
#: The same where the order of a sum depends on it.
FIXED_ROWS = 6

_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_FLOATS = ir.VectorType(_F32, LANES)
_INTS = ir.VectorType(_I32, LANES)
_BITS = ir.VectorType(ir.IntType(1), LANES)
#: The lanes of a shard.
WIDE = ir.VectorType(_F32, SHARD)


class _Opaque(types.Type):
    """A type of kernels, known by its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)


class TileType(types.Type):
    """So many wide vectors."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        super().__init__(name=f"tile{rows}x{SHARD}")


class _VectorType(_Opaque):
    pass


class _IntsType(_Opaque):
    pass


class _MaskType(_Opaque):
    pass


vector = _VectorType(f"float32x{LANES}")
ints = _IntsType(f"int32x{LANES}")
mask = _MaskType(f"mask{LANES}")


def _model(kind: type, layout: Callable[[Any], ir.Type]) -> None:
    class Model(models.PrimitiveModel):
        def __init__(self, manager: Any, fe_type: Any) -> None:
            super().__init__(manager, fe_type, layout(fe_type))

    register_model(kind)(Model)


_model(_VectorType, lambda _: _FLOATS)
_model(_IntsType, lambda _: _INTS)
_model(_MaskType, lambda _: _BITS)
_model(TileType, lambda t: ir.ArrayType(WIDE, t.rows))


def operation(arity: int, twin: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """An intrinsic of so many arguments, or its NumPy twin where nothing is compiled.

    It decorates ``typed(typing, *types)``, which returns a signature and a code generator.
    """

    def choose(typed: Callable[..., Any]) -> Any:
        if numba.config.DISABLE_JIT:
            return twin
        names = ["typing", *"abcdefgh"[:arity]]
        typed.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names]
        )
        return intrinsic(prefer_literal=True)(typed)

    return choose


def plain(result: Any, arguments: tuple[Any, ...], build: Callable[..., Any], twin: Any) -> Any:
    """The operation ``build(builder, *values)`` between fixed types."""

    def code(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        made = build(builder, *values)
        return context.get_dummy_value() if result is types.void else made

    return operation(len(arguments), twin)(lambda typing, *given: (result(*arguments), code))


# Memory: base address in bytes, offset in elements


def _pointer(b: Any, address: Any, offset: Any, to: ir.Type) -> Any:
    return b.inttoptr(b.add(address, b.shl(offset, ir.Constant(_I64, 2))), to.as_pointer())


def _unaligned(access: Any) -> Any:
    access.align = 4
    return access


def _peek(address: int, count: int, kind: Any) -> np.ndarray:
    """The memory at an address as an array (twins only)."""
    raw: Any = (ctypes.c_char * (count * 4)).from_address(int(address))
    return np.frombuffer(raw, kind)


def _poke(address: int, offset: int, values: Any) -> None:
    _peek(address + 4 * offset, np.size(values), np.float32)[...] = values


load = plain(
    vector,
    (types.int64, types.int64),
    lambda b, p, i: _unaligned(b.load(_pointer(b, p, i, _FLOATS))),
    lambda p, i: _peek(p + 4 * i, LANES, np.float32).copy(),
)
store = plain(
    types.void,
    (types.int64, types.int64, vector),
    lambda b, p, i, v: _unaligned(b.store(v, _pointer(b, p, i, _FLOATS))),
    _poke,
)
load_scalar = plain(
    types.float32,
    (types.int64, types.int64),
    lambda b, p, i: b.load(_pointer(b, p, i, _F32)),
    lambda p, i: _peek(p + 4 * i, 1, np.float32)[0],
)
load_byte = plain(  # offset in bytes, the value as float32
    types.float32,
    (types.int64, types.int64),
    lambda b, p, i: b.uitofp(b.load(b.inttoptr(b.add(p, i), ir.IntType(8).as_pointer())), _F32),
    lambda p, i: np.float32(ctypes.c_uint8.from_address(int(p + i)).value),
)
store_scalar = plain(
    types.void,
    (types.int64, types.int64, types.float32),
    lambda b, p, i, v: b.store(v, _pointer(b, p, i, _F32)),
    _poke,
)


def _first_lanes(b: Any, count: Any, lanes: int = LANES) -> Any:
    """Truth in the lanes below count."""
    kind = ir.VectorType(_I32, lanes)
    return b.icmp_signed(
        "<", ir.Constant(kind, list(range(lanes))), _splat(b, b.trunc(count, _I32), kind)
    )


def _masked(b: Any, name: str, lanes: int, returns: Any, values: list[Any]) -> Any:
    kind = ir.FunctionType(returns, [v.type for v in values])
    function = cgutils.get_or_insert_function(b.module, kind, f"llvm.masked.{name}.v{lanes}f32.p0")
    return b.call(function, values)


def _load_first(b: Any, p: Any, i: Any, count: Any, lanes: int = LANES) -> Any:
    kind = ir.VectorType(_F32, lanes)
    zeros = ir.Constant(kind, [0.0] * lanes)
    mask_of_lanes = _first_lanes(b, count, lanes)
    values = [_pointer(b, p, i, kind), ir.Constant(_I32, 4), mask_of_lanes, zeros]
    return _masked(b, "load", lanes, kind, values)


def _store_first(b: Any, p: Any, i: Any, count: Any, v: Any, lanes: int = LANES) -> None:
    kind = ir.VectorType(_F32, lanes)
    mask_of_lanes = _first_lanes(b, count, lanes)
    values = [v, _pointer(b, p, i, kind), ir.Constant(_I32, 4), mask_of_lanes]
    _masked(b, "store", lanes, ir.VoidType(), values)


def _load_first_twin(p: int, i: int, count: int, lanes: int = LANES) -> np.ndarray:
    out = np.zeros(lanes, np.float32)
    count = min(max(count, 0), lanes)
    if count:
        out[:count] = _peek(p + 4 * i, count, np.float32)
    return out


def _store_first_twin(p: int, i: int, count: int, v: np.ndarray) -> None:
    count = min(max(count, 0), len(v))
    if count:
        _poke(p, i, v[:count])


#: ``load_first(p, i, count)``: the lanes below count, zeros above; nothing beyond them is touched.
load_first = plain(vector, (types.int64,) * 3, _load_first, _load_first_twin)
#: ``store_first(p, i, count, v)``: only the lanes below count.
store_first = plain(
    types.void, (types.int64, types.int64, types.int64, vector), _store_first, _store_first_twin
)


def _ones_below(b: Any, count: Any) -> Any:
    ones, zeros = (ir.Constant(_FLOATS, [v] * LANES) for v in (1.0, 0.0))
    return b.select(_first_lanes(b, count), ones, zeros)


#: ``lanes_below(count)``: 1 in the lanes below count, 0 above.
lanes_below = plain(
    vector,
    (types.int64,),
    _ones_below,
    lambda count: (np.arange(LANES) < count).astype(np.float32),
)


# Lanes


def _splat(b: Any, scalar: Any, kind: ir.VectorType) -> Any:
    undefined = ir.Constant(kind, ir.Undefined)
    first = b.insert_element(undefined, scalar, ir.Constant(_I32, 0))
    same = ir.Constant(ir.VectorType(_I32, kind.count), [0] * kind.count)
    return b.shuffle_vector(first, undefined, same)


def _llvm(b: Any, name: str, result: ir.Type, *values: Any) -> Any:
    """A call of an LLVM intrinsic whose operands and result are vectors of float32."""
    kind = ir.FunctionType(result, [v.type for v in values])
    function = cgutils.get_or_insert_function(b.module, kind, f"llvm.{name}")
    return b.call(function, values)


def _fused(b: Any, x: Any, y: Any, z: Any) -> Any:
    """x y + z, in one rounding where the machine has it."""
    return _llvm(b, f"fmuladd.v{x.type.count}f32", x.type, x, y, z)


def _fused_twin(x: Any, y: Any, z: Any) -> np.ndarray:
    return (np.multiply(x, y, dtype=np.float64) + z).astype(np.float32)


broadcast = plain(
    vector,
    (types.float32,),
    lambda b, s: _splat(b, s, _FLOATS),
    lambda s: np.full(LANES, s, np.float32),
)
fma = plain(vector, (vector,) * 3, _fused, _fused_twin)
add = plain(vector, (vector,) * 2, lambda b, x, y: b.fadd(x, y), lambda x, y: x + y)
sub = plain(vector, (vector,) * 2, lambda b, x, y: b.fsub(x, y), lambda x, y: x - y)
mul = plain(vector, (vector,) * 2, lambda b, x, y: b.fmul(x, y), lambda x, y: x * y)
div = plain(vector, (vector,) * 2, lambda b, x, y: b.fdiv(x, y), lambda x, y: x / y)
negative = plain(vector, (vector,), lambda b, x: b.fneg(x), lambda x: -x)
sqrt = plain(
    vector, (vector,), lambda b, x: _llvm(b, f"sqrt.v{LANES}f32", _FLOATS, x), lambda x: np.sqrt(x)
)

#: The square root of a number.
root = plain(
    types.float32,
    (types.float32,),
    lambda b, x: _llvm(b, "sqrt.f32", _F32, x),
    lambda x: np.sqrt(np.float32(x)),
)


def _pick(b: Any, comparison: str, x: Any, y: Any) -> Any:
    """x where it compares so with y or is NaN, else y (one machine instruction or two)."""
    return b.select(b.fcmp_unordered(comparison, x, y), x, y)


#: The larger (smaller) of two; NaN in the first operand stays.
maximum = plain(
    vector,
    (vector,) * 2,
    lambda b, x, y: _pick(b, ">", x, y),
    lambda x, y: np.where((x > y) | np.isnan(x) | np.isnan(y), x, y),
)
minimum = plain(
    vector,
    (vector,) * 2,
    lambda b, x, y: _pick(b, "<", x, y),
    lambda x, y: np.where((x < y) | np.isnan(x) | np.isnan(y), x, y),
)
greater = plain(mask, (vector,) * 2, lambda b, x, y: b.fcmp_ordered(">", x, y), lambda x, y: x > y)
greater_equal = plain(
    mask, (vector,) * 2, lambda b, x, y: b.fcmp_ordered(">=", x, y), lambda x, y: x >= y
)
equal = plain(mask, (vector,) * 2, lambda b, x, y: b.fcmp_ordered("==", x, y), lambda x, y: x == y)
both = plain(mask, (mask,) * 2, lambda b, x, y: b.and_(x, y), lambda x, y: x & y)
either = plain(mask, (mask,) * 2, lambda b, x, y: b.or_(x, y), lambda x, y: x | y)
neither = plain(mask, (mask,), lambda b, x: b.not_(x), lambda x: ~x)
#: Whether two are the same bits: NaN is the same as itself, 0 is not the same as -0.
same = plain(
    mask,
    (vector,) * 2,
    lambda b, x, y: b.icmp_signed("==", b.bitcast(x, _INTS), b.bitcast(y, _INTS)),
    lambda x, y: np.asarray(x).view(np.int32) == np.asarray(y).view(np.int32),
)
select = plain(
    vector,
    (mask, vector, vector),
    lambda b, m, x, y: b.select(m, x, y),
    lambda m, x, y: np.where(m, x, y),
)


def _total(b: Any, v: Any) -> Any:
    """The lanes added pairwise, half onto half: the same order on every machine of this width."""
    width = LANES
    while width > 1:
        width //= 2
        half = ir.VectorType(_I32, width)
        low = b.shuffle_vector(v, v, ir.Constant(half, list(range(width))))
        high = b.shuffle_vector(v, v, ir.Constant(half, list(range(width, 2 * width))))
        v = b.fadd(low, high)
    return b.extract_element(v, ir.Constant(_I32, 0))


def _total_twin(v: np.ndarray) -> np.float32:
    while v.size > 1:
        v = v[: v.size // 2] + v[v.size // 2 :]
    return v[0]


total = plain(types.float32, (vector,), _total, _total_twin)


def _turned(b: Any, p: Any, i: Any, stride: Any, q: Any, j: Any, q_stride: Any) -> None:
    """Read LANES rows, exchange rows and columns in log2(LANES) rounds of pairs, write them."""
    rows = [
        _unaligned(b.load(_pointer(b, p, b.add(i, b.mul(stride, ir.Constant(_I64, k))), _FLOATS)))
        for k in range(LANES)
    ]
    width = LANES // 2
    while width:
        # (r, c) and (r ^ width, c ^ width) change places where bit `width` of r and c differ
        low = [c if not c & width else LANES + (c ^ width) for c in range(LANES)]
        high = [(c ^ width) if not c & width else LANES + c for c in range(LANES)]
        for r in range(LANES):
            if not r & width:
                x, y = rows[r], rows[r | width]
                rows[r] = b.shuffle_vector(x, y, ir.Constant(_INTS, low))
                rows[r | width] = b.shuffle_vector(x, y, ir.Constant(_INTS, high))
        width //= 2
    for k, row in enumerate(rows):
        at = b.add(j, b.mul(q_stride, ir.Constant(_I64, k)))
        _unaligned(b.store(row, _pointer(b, q, at, _FLOATS)))


def _turned_twin(p: int, i: int, stride: int, q: int, j: int, q_stride: int) -> None:
    rows = np.stack([load(p, i + k * stride) for k in range(LANES)])
    for k in range(LANES):
        store(q, j + k * q_stride, np.ascontiguousarray(rows[:, k]))


#: ``transpose(p, i, stride, q, j, q_stride)``: the square of LANES rows of LANES that begin at
#: ``p[i + k stride]``, with rows and columns exchanged, to ``q[j + k q_stride]``.
transpose = plain(types.void, (types.int64,) * 6, _turned, _turned_twin)


# Bits


as_ints = plain(
    ints, (vector,), lambda b, v: b.bitcast(v, _INTS), lambda v: np.asarray(v).view(np.int32)
)
as_floats = plain(
    vector, (ints,), lambda b, v: b.bitcast(v, _FLOATS), lambda v: np.asarray(v).view(np.float32)
)
add_ints = plain(ints, (ints, ints), lambda b, x, y: b.add(x, y), lambda x, y: x + y)
sub_ints = plain(ints, (ints, ints), lambda b, x, y: b.sub(x, y), lambda x, y: x - y)
and_ints = plain(ints, (ints, ints), lambda b, x, y: b.and_(x, y), lambda x, y: x & y)
or_ints = plain(ints, (ints, ints), lambda b, x, y: b.or_(x, y), lambda x, y: x | y)
to_floats = plain(
    vector, (ints,), lambda b, v: b.sitofp(v, _FLOATS), lambda v: v.astype(np.float32)
)
broadcast_int = plain(
    ints,
    (types.int64,),
    lambda b, s: _splat(b, b.trunc(s, _I32), _INTS),
    lambda s: np.full(LANES, s, np.int32),
)
shift_left = plain(
    ints,
    (ints, types.int64),
    lambda b, v, n: b.shl(v, _splat(b, b.trunc(n, _I32), _INTS)),
    lambda v, n: v << np.int32(n),
)
shift_right = plain(  # keeps the sign
    ints,
    (ints, types.int64),
    lambda b, v, n: b.ashr(v, _splat(b, b.trunc(n, _I32), _INTS)),
    lambda v, n: v >> np.int32(n),
)


#: A float32 that came as a word of a row (see `bits_of`).
float_of = plain(
    types.float32,
    (types.int64,),
    lambda b, s: b.bitcast(b.trunc(s, _I32), _F32),
    lambda s: np.array([s], np.int64).astype(np.int32).view(np.float32)[0],
)


def bits_of(value: float) -> int:
    """A float32 as the word of a row that `float_of` reads."""
    return int(np.array([value], np.float32).view(np.int32)[0])
