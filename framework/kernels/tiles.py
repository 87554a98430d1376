"""Tiles: ``rows x 2`` vectors of accumulators, the inside of every product kernel.

A tile stays in registers while a loop adds products to it, so that each number that is loaded is
used many times. `rows` is a number known when the kernel is compiled, at most `TILE_ROWS`.

A tile is a Python list of ``2 rows`` arrays where nothing is compiled.
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


def _each(b: Any, rows: int, make: Callable[[int, int], Any]) -> Any:
    """The tile whose vectors are ``make(row, column)``."""
    tile = ir.Constant(ir.ArrayType(simd._FLOATS, 2 * rows), ir.Undefined)
    for k in range(rows):
        for c in range(2):
            tile = b.insert_value(tile, make(k, c), 2 * k + c)
    return tile


def _at(b: Any, offset: Any, stride: Any, k: int) -> Any:
    """offset + k stride."""
    return b.add(offset, b.mul(stride, ir.Constant(simd._I64, k))) if k else offset


def _load(b: Any, p: Any, i: Any) -> Any:
    return simd._unaligned(b.load(simd._pointer(b, p, i, simd._FLOATS)))


def _store(b: Any, p: Any, i: Any, v: Any) -> None:
    simd._unaligned(b.store(v, simd._pointer(b, p, i, simd._FLOATS)))


def _plus(b: Any, i: Any, n: int) -> Any:
    return b.add(i, ir.Constant(simd._I64, n)) if n else i


def _splat_at(b: Any, p: Any, i: Any) -> Any:
    return simd._splat(b, b.load(simd._pointer(b, p, i, simd._F32)), simd._FLOATS)


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


def _zero(b: Any, rows: int) -> Any:
    return _each(b, rows, lambda k, c: ir.Constant(simd._FLOATS, [0.0] * LANES))


def _splats(b: Any, rows: int, p: Any, i: Any, stride: Any) -> Any:
    wide = [_splat_at(b, p, _at(b, i, stride, k)) for k in range(rows)]
    return _each(b, rows, lambda k, c: wide[k])


def _read(b: Any, rows: int, p: Any, i: Any, stride: Any) -> Any:
    return _each(b, rows, lambda k, c: _load(b, p, _plus(b, _at(b, i, stride, k), c * LANES)))


def _write(b: Any, rows: int, tile: Any, p: Any, i: Any, stride: Any) -> None:
    for k in range(rows):
        for c in range(2):
            _store(
                b, p, _plus(b, _at(b, i, stride, k), c * LANES), b.extract_value(tile, 2 * k + c)
            )


def _left(b: Any, count: Any, c: int) -> Any:
    """How many of the lanes of column c lie below count."""
    return b.sub(count, ir.Constant(simd._I64, c * LANES))


def _read_first(b: Any, rows: int, p: Any, i: Any, stride: Any, count: Any) -> Any:
    return _each(
        b,
        rows,
        lambda k, c: simd._load_first(
            b, p, _plus(b, _at(b, i, stride, k), c * LANES), _left(b, count, c)
        ),
    )


def _write_first(b: Any, rows: int, tile: Any, p: Any, i: Any, stride: Any, count: Any) -> None:
    for k in range(rows):
        for c in range(2):
            at = _plus(b, _at(b, i, stride, k), c * LANES)
            simd._store_first(b, p, at, _left(b, count, c), b.extract_value(tile, 2 * k + c))


def _twin_rows(rows: int, make: Callable[[int, int], np.ndarray]) -> _Tile:
    return [make(k, c) for k in range(rows) for c in range(2)]


#: ``tile_zero(rows)``.
tile_zero = _made(0, _zero, lambda rows: _twin_rows(rows, lambda k, c: np.zeros(LANES, np.float32)))
#: ``tile_splat(rows, p, i, stride)``: row k is ``p[i + k stride]`` in every lane (a bias).
tile_splat = _made(
    3,
    _splats,
    lambda rows, p, i, stride: _twin_rows(
        rows, lambda k, c: simd.broadcast(simd.load_scalar(p, i + k * stride))
    ),
)
#: ``tile_load(rows, p, i, stride)``: row k from ``p[i + k stride:]``, 2 LANES long.
tile_load = _made(
    3,
    _read,
    lambda rows, p, i, stride: _twin_rows(
        rows, lambda k, c: simd.load(p, i + k * stride + c * LANES)
    ),
)
#: ``tile_load_first(rows, p, i, stride, count)``: the first `count` of the 2 LANES; zeros beyond.
tile_load_first = _made(
    4,
    _read_first,
    lambda rows, p, i, stride, count: _twin_rows(
        rows, lambda k, c: simd.load_first(p, i + k * stride + c * LANES, count - c * LANES)
    ),
)


def _write_twin(tile: _Tile, p: int, i: int, stride: int) -> None:
    for n, v in enumerate(tile):
        simd.store(p, i + n // 2 * stride + n % 2 * LANES, v)


def _write_first_twin(tile: _Tile, p: int, i: int, stride: int, count: int) -> None:
    for n, v in enumerate(tile):
        simd.store_first(p, i + n // 2 * stride + n % 2 * LANES, count - n % 2 * LANES, v)


#: ``tile_store(tile, p, i, stride)``: row k to ``p[i + k stride:]``.
tile_store = _on_tile(3, False, _write, _write_twin)
#: ``tile_store_first(tile, p, i, stride, count)``: the first `count` of the 2 LANES.
tile_store_first = _on_tile(4, False, _write_first, _write_first_twin)


def _relu(b: Any, rows: int, tile: Any) -> Any:
    zero = ir.Constant(simd._FLOATS, [0.0] * LANES)
    return _each(b, rows, lambda k, c: simd._pick(b, ">", b.extract_value(tile, 2 * k + c), zero))


#: max(tile, 0); NaN stays.
tile_relu = _on_tile(
    0, True, _relu, lambda tile: [simd.maximum(v, np.zeros(LANES, np.float32)) for v in tile]
)


# Products


def _product(b: Any, rows: int, tile: Any, w: Any, i: Any, stride: Any, x: Any, j: Any) -> Any:
    columns = [_load(b, x, _plus(b, j, c * LANES)) for c in range(2)]
    for k in range(rows):
        wide = _splat_at(b, w, _at(b, i, stride, k))
        for c in range(2):
            new = simd._fused(b, wide, columns[c], b.extract_value(tile, 2 * k + c))
            tile = b.insert_value(tile, new, 2 * k + c)
    return tile


def _product_twin(tile: _Tile, w: int, i: int, stride: int, x: int, j: int) -> _Tile:
    columns = [simd.load(x, j), simd.load(x, j + LANES)]
    return [
        simd.fma(simd.broadcast(simd.load_scalar(w, i + n // 2 * stride)), columns[n % 2], v)
        for n, v in enumerate(tile)
    ]


#: ``tile_fma(tile, w, i, stride, x, j)``: row k gains ``w[i + k stride] x[j:]``; the inside of a
#: matrix product whose right side is contiguous.
tile_fma = _on_tile(5, True, _product, _product_twin)


def _outer(b: Any, rows: int, tile: Any, x: Any, i: Any, y: Any, j: Any, stride: Any) -> Any:
    for half in (0, LANES):
        columns = [_load(b, y, _plus(b, _at(b, j, stride, c), half)) for c in range(2)]
        for k in range(rows):
            row = _load(b, x, _plus(b, i, k * SHARD + half))
            for c in range(2):
                new = simd._fused(b, row, columns[c], b.extract_value(tile, 2 * k + c))
                tile = b.insert_value(tile, new, 2 * k + c)
    return tile


def _outer_twin(tile: _Tile, x: int, i: int, y: int, j: int, stride: int) -> _Tile:
    for half in (0, LANES):
        tile = [
            simd.fma(
                simd.load(x, i + n // 2 * SHARD + half), simd.load(y, j + n % 2 * stride + half), v
            )
            for n, v in enumerate(tile)
        ]
    return tile


#: ``tile_outer(tile, x, i, y, j, stride)``: entry (k, c) gains
#: ``x[i + k SHARD:] y[j + c stride:]``, image by image; the inside of a product summed over images.
tile_outer = _on_tile(5, True, _outer, _outer_twin)


def _totals(b: Any, rows: int, tile: Any, p: Any, i: Any, stride: Any, columns: Any) -> None:
    for c in range(2):
        wanted = b.icmp_signed("<", ir.Constant(simd._I64, c), columns)
        with b.if_then(wanted):
            for k in range(rows):
                pointer = simd._pointer(b, p, _plus(b, _at(b, i, stride, k), c), simd._F32)
                sum_of_lanes = simd._total(b, b.extract_value(tile, 2 * k + c))
                b.store(b.fadd(b.load(pointer), sum_of_lanes), pointer)


def _totals_twin(tile: _Tile, p: int, i: int, stride: int, columns: int) -> None:
    for n, v in enumerate(tile):
        if n % 2 < columns:
            at = i + n // 2 * stride + n % 2
            simd.store_scalar(p, at, simd.load_scalar(p, at) + simd.total(v))


#: ``tile_totals(tile, p, i, stride, columns)``: add the lanes of entry (k, c) to
#: ``p[i + k stride + c]``, for the first 1 or 2 columns.
tile_totals = _on_tile(4, False, _totals, _totals_twin)


# Products lane by lane


def _taps(b: Any, rows: int, tile: Any, x: Any, i: Any, stride: Any, y: Any, j: Any) -> Any:
    columns = [_load(b, y, _plus(b, j, c * LANES)) for c in range(2)]
    for k in range(rows):
        for c in range(2):
            row = _load(b, x, _plus(b, _at(b, i, stride, k), c * LANES))
            new = simd._fused(b, row, columns[c], b.extract_value(tile, 2 * k + c))
            tile = b.insert_value(tile, new, 2 * k + c)
    return tile


def _taps_twin(tile: _Tile, x: int, i: int, stride: int, y: int, j: int) -> _Tile:
    return [
        simd.fma(
            simd.load(x, i + n // 2 * stride + n % 2 * LANES), simd.load(y, j + n % 2 * LANES), v
        )
        for n, v in enumerate(tile)
    ]


#: ``tile_taps(tile, x, i, stride, y, j)``: row k gains ``x[i + k stride:] y[j:]``, image by image;
#: the inside of the kernel gradient of one channel.
tile_taps = _on_tile(5, True, _taps, _taps_twin)


def _sums(b: Any, rows: int, tile: Any, p: Any, i: Any, stride: Any) -> None:
    for k in range(rows):
        pointer = simd._pointer(b, p, _at(b, i, stride, k), simd._F32)
        both = b.fadd(b.extract_value(tile, 2 * k), b.extract_value(tile, 2 * k + 1))
        b.store(b.fadd(b.load(pointer), simd._total(b, both)), pointer)


def _sums_twin(tile: _Tile, p: int, i: int, stride: int) -> None:
    for k in range(len(tile) // 2):
        at = i + k * stride
        both = simd.total(tile[2 * k] + tile[2 * k + 1])
        simd.store_scalar(p, at, simd.load_scalar(p, at) + both)


#: ``tile_sums(tile, p, i, stride)``: add all lanes of row k to ``p[i + k stride]``.
tile_sums = _on_tile(3, False, _sums, _sums_twin)
