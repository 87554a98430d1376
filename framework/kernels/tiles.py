"""Tiles: `rows` wide vectors of accumulators, the inside of every product kernel.

A tile stays in registers while a loop adds products to it, so that each number that is loaded is
used many times. `rows` is a number known when the kernel is compiled, at most `TILE_ROWS`. A wide
vector holds the numbers of a whole shard; LLVM makes of it what the machine has: one register, two
or four. No sum goes across lanes before the end, so the results are the same bits on every machine.

A tile is a Python list of arrays where nothing is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from . import simd
from .simd import LANES, SHARD, TileType, operation

_i64 = types.int64
_Tile = Any
_WIDE = simd.WIDE
_ZEROS = ir.Constant(_WIDE, [0.0] * SHARD)


def _each(b: Any, rows: int, make: Callable[[int], Any]) -> Any:
    """The tile whose rows are ``make(k)``."""
    tile = ir.Constant(ir.ArrayType(_WIDE, rows), ir.Undefined)
    for k in range(rows):
        tile = b.insert_value(tile, make(k), k)
    return tile


def _at(b: Any, offset: Any, stride: Any, k: int) -> Any:
    """offset + k stride."""
    return b.add(offset, b.mul(stride, ir.Constant(simd._I64, k))) if k else offset


def _load(b: Any, p: Any, i: Any, kind: ir.Type = _WIDE) -> Any:
    return simd._unaligned(b.load(simd._pointer(b, p, i, kind)))


def _plus(b: Any, i: Any, n: int) -> Any:
    return b.add(i, ir.Constant(simd._I64, n)) if n else i


def _splat_at(b: Any, p: Any, i: Any) -> Any:
    return simd._splat(b, b.load(simd._pointer(b, p, i, simd._F32)), _WIDE)


def _lanes(b: Any, x: Any, y: Any, lanes: list[int]) -> Any:
    """These lanes of two vectors, counted on from the first to the second."""
    return b.shuffle_vector(x, y, ir.Constant(ir.VectorType(simd._I32, len(lanes)), lanes))


def _halves(b: Any, wide: Any) -> tuple[Any, Any]:
    """The lower and the upper `LANES` of a wide vector."""
    low, high = list(range(LANES)), list(range(LANES, 2 * LANES))
    return _lanes(b, wide, wide, low), _lanes(b, wide, wide, high)


def _made(arity: int, build: Callable[..., Any], twin: Any) -> Any:
    """An operation that makes a tile: its first argument is the number of rows."""

    def typed(typing: Any, rows: Any, *rest: Any) -> Any:
        count = rows.literal_value

        def code(context: Any, b: Any, signature: Any, values: Any) -> Any:
            return build(b, count, *values[1:])

        return TileType(count)(rows, *[_i64] * arity), code

    return operation(1 + arity, twin)(typed)


def _on_tile(arity: int, returns_tile: bool, build: Callable[..., Any], twin: Any) -> Any:
    """An operation whose first argument is a tile and all others are int64."""

    def typed(typing: Any, tile: Any, *rest: Any) -> Any:
        def code(context: Any, b: Any, signature: Any, values: Any) -> Any:
            made = build(b, tile.rows, *values)
            return context.get_dummy_value() if made is None else made

        return (tile if returns_tile else types.void)(tile, *[_i64] * arity), code

    return operation(1 + arity, twin)(typed)


# Making, reading and writing


def _splats(b: Any, rows: int, p: Any, i: Any, stride: Any) -> Any:
    return _each(b, rows, lambda k: _splat_at(b, p, _at(b, i, stride, k)))


def _read(b: Any, rows: int, p: Any, i: Any, stride: Any) -> Any:
    return _each(b, rows, lambda k: _load(b, p, _at(b, i, stride, k)))


def _write(b: Any, rows: int, tile: Any, p: Any, i: Any, stride: Any) -> None:
    for k in range(rows):
        pointer = simd._pointer(b, p, _at(b, i, stride, k), _WIDE)
        simd._unaligned(b.store(b.extract_value(tile, k), pointer))


def _read_first(b: Any, rows: int, p: Any, i: Any, stride: Any, count: Any) -> Any:
    return _each(
        b, rows, lambda k: simd._load_first(b, p, _at(b, i, stride, k), count, lanes=SHARD)
    )


def _write_first(b: Any, rows: int, tile: Any, p: Any, i: Any, stride: Any, count: Any) -> None:
    for k in range(rows):
        at = _at(b, i, stride, k)
        simd._store_first(b, p, at, count, b.extract_value(tile, k), lanes=SHARD)


def _wide(p: int, i: int) -> np.ndarray:
    return simd._peek(p + 4 * i, SHARD, np.float32).copy()


#: ``tile_zero(rows)``.
tile_zero = _made(
    0,
    lambda b, rows: _each(b, rows, lambda k: _ZEROS),
    lambda rows: [np.zeros(SHARD, np.float32) for _ in range(rows)],
)
#: ``tile_splat(rows, p, i, stride)``: row k is ``p[i + k stride]`` in every lane (a bias).
tile_splat = _made(
    3,
    _splats,
    lambda rows, p, i, stride: [
        np.full(SHARD, simd.load_scalar(p, i + k * stride)) for k in range(rows)
    ],
)
#: ``tile_load(rows, p, i, stride)``: row k from ``p[i + k stride:]``, SHARD long.
tile_load = _made(
    3, _read, lambda rows, p, i, stride: [_wide(p, i + k * stride) for k in range(rows)]
)
#: ``tile_load_first(rows, p, i, stride, count)``: the first `count` of the SHARD; zeros beyond.
tile_load_first = _made(
    4,
    _read_first,
    lambda rows, p, i, stride, count: [
        simd._load_first_twin(p, i + k * stride, count, SHARD) for k in range(rows)
    ],
)


def _write_twin(tile: _Tile, p: int, i: int, stride: int) -> None:
    for k, v in enumerate(tile):
        simd._poke(p, i + k * stride, v)


def _write_first_twin(tile: _Tile, p: int, i: int, stride: int, count: int) -> None:
    for k, v in enumerate(tile):
        simd._store_first_twin(p, i + k * stride, count, v)


#: ``tile_store(tile, p, i, stride)``: row k to ``p[i + k stride:]``.
tile_store = _on_tile(3, False, _write, _write_twin)
#: ``tile_store_first(tile, p, i, stride, count)``: the first `count` of the SHARD.
tile_store_first = _on_tile(4, False, _write_first, _write_first_twin)


def _relu(b: Any, rows: int, tile: Any) -> Any:
    return _each(b, rows, lambda k: simd._pick(b, ">", b.extract_value(tile, k), _ZEROS))


#: max(tile, 0); NaN stays.
tile_relu = _on_tile(
    0, True, _relu, lambda tile: [simd.maximum(v, np.zeros(SHARD, np.float32)) for v in tile]
)


# Products


def _added(b: Any, tile: Any, k: int, x: Any, y: Any) -> Any:
    """The tile with ``x y`` added to row k."""
    return b.insert_value(tile, simd._fused(b, x, y, b.extract_value(tile, k)), k)


def _product(b: Any, rows: int, tile: Any, w: Any, i: Any, stride: Any, x: Any, j: Any) -> Any:
    columns = _load(b, x, j)
    for k in range(rows):
        tile = _added(b, tile, k, _splat_at(b, w, _at(b, i, stride, k)), columns)
    return tile


def _product_twin(tile: _Tile, w: int, i: int, stride: int, x: int, j: int) -> _Tile:
    columns = _wide(x, j)
    return [
        simd._fused_twin(simd.load_scalar(w, i + k * stride), columns, v)
        for k, v in enumerate(tile)
    ]


#: ``tile_fma(tile, w, i, stride, x, j)``: row k gains ``w[i + k stride] x[j:]``; the inside of a
#: matrix product whose right side is contiguous.
tile_fma = _on_tile(5, True, _product, _product_twin)


def _outer(b: Any, rows: int, tile: Any, x: Any, i: Any, y: Any, j: Any, stride: Any) -> Any:
    once, both = list(range(LANES)), list(range(2 * LANES))
    for half in (0, LANES):
        y_0, y_1 = (_load(b, y, _plus(b, _at(b, j, stride, c), half), simd._FLOATS) for c in (0, 1))
        columns = _lanes(b, y_0, y_1, both)
        for k in range(rows):
            row = _load(b, x, _plus(b, i, k * SHARD + half), simd._FLOATS)
            tile = _added(b, tile, k, _lanes(b, row, row, once + once), columns)
    return tile


def _outer_twin(tile: _Tile, x: int, i: int, y: int, j: int, stride: int) -> _Tile:
    for half in (0, LANES):
        columns = np.concatenate([simd.load(y, j + c * stride + half) for c in (0, 1)])
        tile = [
            simd._fused_twin(np.tile(simd.load(x, i + k * SHARD + half), 2), columns, v)
            for k, v in enumerate(tile)
        ]
    return tile


#: ``tile_outer(tile, x, i, y, j, stride)``: the lower half of row k gains
#: ``x[i + k SHARD:] y[j:]``, the upper one ``x[i + k SHARD:] y[j + stride:]``, one half of the
#: images after the other; the inside of a product summed over images.
tile_outer = _on_tile(5, True, _outer, _outer_twin)


def _totals(b: Any, rows: int, tile: Any, p: Any, i: Any, stride: Any, columns: Any) -> None:
    for c in range(2):
        wanted = b.icmp_signed("<", ir.Constant(simd._I64, c), columns)
        with b.if_then(wanted):
            for k in range(rows):
                pointer = simd._pointer(b, p, _plus(b, _at(b, i, stride, k), c), simd._F32)
                sum_of_lanes = simd._total(b, _halves(b, b.extract_value(tile, k))[c])
                b.store(b.fadd(b.load(pointer), sum_of_lanes), pointer)


def _totals_twin(tile: _Tile, p: int, i: int, stride: int, columns: int) -> None:
    for k, v in enumerate(tile):
        for c in range(min(columns, 2)):
            at = i + k * stride + c
            sum_of_lanes = simd.total(v[c * LANES : (c + 1) * LANES])
            simd.store_scalar(p, at, simd.load_scalar(p, at) + sum_of_lanes)


#: ``tile_totals(tile, p, i, stride, columns)``: add the lanes of the lower half of row k to
#: ``p[i + k stride]``, and with 2 columns those of the upper one to the place after it.
tile_totals = _on_tile(4, False, _totals, _totals_twin)


# Products lane by lane


def _taps(b: Any, rows: int, tile: Any, x: Any, i: Any, stride: Any, y: Any, j: Any) -> Any:
    columns = _load(b, y, j)
    for k in range(rows):
        tile = _added(b, tile, k, _load(b, x, _at(b, i, stride, k)), columns)
    return tile


def _taps_twin(tile: _Tile, x: int, i: int, stride: int, y: int, j: int) -> _Tile:
    columns = _wide(y, j)
    return [simd._fused_twin(_wide(x, i + k * stride), columns, v) for k, v in enumerate(tile)]


#: ``tile_taps(tile, x, i, stride, y, j)``: row k gains ``x[i + k stride:] y[j:]``, image by image;
#: the inside of the kernel gradient of one channel.
tile_taps = _on_tile(5, True, _taps, _taps_twin)


def _sums(b: Any, rows: int, tile: Any, p: Any, i: Any, stride: Any) -> None:
    for k in range(rows):
        pointer = simd._pointer(b, p, _at(b, i, stride, k), simd._F32)
        both = b.fadd(*_halves(b, b.extract_value(tile, k)))
        b.store(b.fadd(b.load(pointer), simd._total(b, both)), pointer)


def _sums_twin(tile: _Tile, p: int, i: int, stride: int) -> None:
    for k, v in enumerate(tile):
        at = i + k * stride
        both = simd.total(v[:LANES] + v[LANES:])
        simd.store_scalar(p, at, simd.load_scalar(p, at) + both)


#: ``tile_sums(tile, p, i, stride)``: add all lanes of row k to ``p[i + k stride]``.
tile_sums = _on_tile(3, False, _sums, _sums_twin)
