"""Winograd's minimal filtering F(4x4, 3x3) on batch-innermost arrays (Lavin & Gray, 2016).

A 3x3 convolution at stride 1 in tiles of 4x4 outputs, each from 6x6 inputs d and the kernel g:

    y = A^T [ (G g G^T) * (B^T d B) ] A        36 products in place of 144

The transforms work on one channel at a time, lanes running over images; between them stand 36
matrix products over the channels, one for each place (i, j) of the transformed tile. Everything is
done for a few tiles at a time, so that it stays in the cache: V holds transformed inputs
(36, tiles, C, SHARD), M products (36, tiles, F, SHARD). `pitch`, the elements from one place to the
next, is a little more than a matrix: equal steps of a power of two would all fall on the same lines
of the cache.

The gradient for x is the same convolution with flipped kernels. The gradient for the kernel is
G^T [ sum over tiles of (B^T d B) * (A g A^T) ] G.
"""

from __future__ import annotations

import functools

from .native import Kernel, inlined, kernel
from .simd import (
    LANES,
    SHARD,
    add,
    broadcast,
    fma,
    load,
    load_first,
    load_scalar,
    maximum,
    mul,
    store,
    store_first,
    sub,
)
from .tiles import (
    tile_fma,
    tile_load,
    tile_load_first,
    tile_store,
    tile_store_first,
    tile_zero,
)

PLACES = 36


@inlined
def _bt(a, b, c, d, e, f):
    """B^T of a column of 6."""
    two, four, five = broadcast(2.0), broadcast(4.0), broadcast(-5.0)
    minus_two, minus_four = broadcast(-2.0), broadcast(-4.0)
    far, near = sub(e, c), sub(d, b)
    return (
        fma(four, a, fma(five, c, e)),
        fma(minus_four, add(b, c), add(d, e)),
        fma(four, sub(b, c), sub(e, d)),
        fma(two, near, far),
        fma(minus_two, near, far),
        fma(four, b, fma(five, d, f)),
    )


@inlined
def _at(a, b, c, d, e, f):
    """A^T of a column of 6: 4."""
    plus, minus, plus_2, minus_2 = add(b, c), sub(b, c), add(d, e), sub(d, e)
    return (
        add(add(a, plus), plus_2),
        fma(broadcast(2.0), minus_2, minus),
        fma(broadcast(4.0), plus_2, plus),
        add(fma(broadcast(8.0), minus_2, minus), f),
    )


@inlined
def _a(a, b, c, d):
    """A of a column of 4: 6."""
    even, odd = add(a, c), add(b, d)
    even_2, odd_2 = fma(broadcast(4.0), c, a), mul(broadcast(2.0), fma(broadcast(4.0), d, b))
    return a, add(even, odd), sub(even, odd), add(even_2, odd_2), sub(even_2, odd_2), d


@inlined
def _g(a, b, c):
    """G of a column of 3: 6."""
    sixth, half = broadcast(1 / 6), broadcast(0.5)
    ends = mul(broadcast(-1 / 6), add(a, c))
    middle = mul(sixth, b)
    far = mul(sixth, fma(broadcast(0.25), a, c))
    return (
        mul(broadcast(0.25), a),
        sub(ends, middle),
        add(ends, middle),
        fma(half, middle, far),
        fma(broadcast(-0.5), middle, far),
        c,
    )


@inlined
def _gt(a, b, c, d, e, f):
    """G^T of a column of 6: 3."""
    sixth, plus, minus = broadcast(1 / 6), add(b, c), sub(c, b)
    plus_2, minus_2 = add(d, e), sub(d, e)
    return (
        fma(
            broadcast(0.25), a, mul(sixth, fma(broadcast(0.25), plus_2, sub(broadcast(0.0), plus)))
        ),
        mul(sixth, fma(broadcast(0.5), minus_2, minus)),
        fma(sixth, sub(plus_2, plus), f),
    )


# Weights


@kernel
def transform_weights(out, w, scratch, rows, columns, first, below, flip):
    """``out[place, r, s] = (G w[:, :, r, s] G^T)[place]``.

    out is (36, rows, columns), w (3, 3, rows, columns), scratch 18 LANES. Rows `first` up to
    `below` are done, with the taps in reverse order if `flip`.
    """
    matrix = rows * columns
    for at in range(first * columns, below * columns, LANES):
        left = below * columns - at
        for j in range(3):
            t0, t1, t2 = j, 3 + j, 6 + j
            if flip != 0:
                t0, t1, t2 = 8 - t0, 8 - t1, 8 - t2
            column = _g(
                load_first(w, t0 * matrix + at, left),
                load_first(w, t1 * matrix + at, left),
                load_first(w, t2 * matrix + at, left),
            )
            store(scratch, (0 + j) * LANES, column[0])
            store(scratch, (3 + j) * LANES, column[1])
            store(scratch, (6 + j) * LANES, column[2])
            store(scratch, (9 + j) * LANES, column[3])
            store(scratch, (12 + j) * LANES, column[4])
            store(scratch, (15 + j) * LANES, column[5])
        for i in range(6):
            s = 3 * i * LANES
            row = _g(load(scratch, s), load(scratch, s + LANES), load(scratch, s + 2 * LANES))
            to = 6 * i * matrix + at
            store_first(out, to, left, row[0])
            store_first(out, to + matrix, left, row[1])
            store_first(out, to + 2 * matrix, left, row[2])
            store_first(out, to + 3 * matrix, left, row[3])
            store_first(out, to + 4 * matrix, left, row[4])
            store_first(out, to + 5 * matrix, left, row[5])


@kernel
def restore_weights(out, u, scratch, matrix):
    """``out[:, :, r, s] += G^T u[place, r, s] G``.

    out is (3, 3, matrix), u (36, matrix), scratch 18 LANES; a matrix has so many elements.
    """
    for at in range(0, matrix, LANES):
        left = matrix - at
        for j in range(6):
            column = _gt(
                load_first(u, j * matrix + at, left),
                load_first(u, (6 + j) * matrix + at, left),
                load_first(u, (12 + j) * matrix + at, left),
                load_first(u, (18 + j) * matrix + at, left),
                load_first(u, (24 + j) * matrix + at, left),
                load_first(u, (30 + j) * matrix + at, left),
            )
            store(scratch, j * LANES, column[0])
            store(scratch, (6 + j) * LANES, column[1])
            store(scratch, (12 + j) * LANES, column[2])
        for i in range(3):
            s = 6 * i * LANES
            row = _gt(
                load(scratch, s),
                load(scratch, s + LANES),
                load(scratch, s + 2 * LANES),
                load(scratch, s + 3 * LANES),
                load(scratch, s + 4 * LANES),
                load(scratch, s + 5 * LANES),
            )
            to = 3 * i * matrix + at
            store_first(out, to, left, add(load_first(out, to, left), row[0]))
            to += matrix
            store_first(out, to, left, add(load_first(out, to, left), row[1]))
            to += matrix
            store_first(out, to, left, add(load_first(out, to, left), row[2]))


# Tiles of images


@inlined
def _inside(x, h, w, height, width, pixel, i):
    """A vector of pixel (h, w), zero outside of the image."""
    if h < 0 or h >= height or w < 0 or w >= width:
        return broadcast(0.0)
    return load(x, (h * width + w) * pixel + i)


@inlined
def _put_row(out, to, pitch, scratch, i):
    """B^T along row i of the scratch, to six places."""
    s = 6 * i * LANES
    row = _bt(
        load(scratch, s),
        load(scratch, s + LANES),
        load(scratch, s + 2 * LANES),
        load(scratch, s + 3 * LANES),
        load(scratch, s + 4 * LANES),
        load(scratch, s + 5 * LANES),
    )
    store(out, to, row[0])
    store(out, to + pitch, row[1])
    store(out, to + 2 * pitch, row[2])
    store(out, to + 3 * pitch, row[3])
    store(out, to + 4 * pitch, row[4])
    store(out, to + 5 * pitch, row[5])


@kernel
def transform_input(
    out, pitch, x, scratch, height, width, channels, top, left, columns, first, below
):
    """B^T d B of some tiles.

    out is V, x (height, width, channels, SHARD), scratch 36 LANES. The first tap of the first
    output lies at (top, left), a row has so many `columns` of tiles, and the tiles from `first` up
    to `below` are done.
    """
    pixel = channels * SHARD
    for tile in range(first, below):
        h, w = tile // columns * 4 + top, tile % columns * 4 + left
        whole = h >= 0 and w >= 0 and h + 6 <= height and w + 6 <= width
        for i in range(0, pixel, LANES):
            for j in range(6):
                if whole:
                    at, down = (h * width + w + j) * pixel + i, width * pixel
                    column = _bt(
                        load(x, at),
                        load(x, at + down),
                        load(x, at + 2 * down),
                        load(x, at + 3 * down),
                        load(x, at + 4 * down),
                        load(x, at + 5 * down),
                    )
                else:
                    column = _bt(
                        _inside(x, h, w + j, height, width, pixel, i),
                        _inside(x, h + 1, w + j, height, width, pixel, i),
                        _inside(x, h + 2, w + j, height, width, pixel, i),
                        _inside(x, h + 3, w + j, height, width, pixel, i),
                        _inside(x, h + 4, w + j, height, width, pixel, i),
                        _inside(x, h + 5, w + j, height, width, pixel, i),
                    )
                store(scratch, (0 + j) * LANES, column[0])
                store(scratch, (6 + j) * LANES, column[1])
                store(scratch, (12 + j) * LANES, column[2])
                store(scratch, (18 + j) * LANES, column[3])
                store(scratch, (24 + j) * LANES, column[4])
                store(scratch, (30 + j) * LANES, column[5])
            to = (tile - first) * pixel + i
            for k in range(6):
                _put_row(out, to + 6 * k * pitch, pitch, scratch, k)


@functools.cache
def multiply(rows: int) -> Kernel:
    """M = U V at every place, in tiles of so many filters.

    out is M, u is U (36, filters, channels); the filters are `blocks` of `rows`, from `first` on.
    """

    @kernel
    def multiply(out, out_pitch, v, v_pitch, u, filters, channels, first, blocks, tiles):
        for place in range(36):
            for t in range(tiles):
                xi = place * v_pitch + t * channels * SHARD
                for block in range(blocks):
                    f = first + block * rows
                    wi = (place * filters + f) * channels
                    tile = tile_zero(rows)
                    for c in range(channels):
                        tile = tile_fma(tile, u, wi + c, channels, v, xi + c * SHARD)
                    tile_store(tile, out, place * out_pitch + (t * filters + f) * SHARD, SHARD)

    multiply.name = f"winograd_multiply_{rows}"
    return multiply


@kernel
def transform_output(
    out, m, pitch, bias, scratch, height, width, channels, columns, first, below, relu
):
    """A^T m A of some tiles, plus a bias, perhaps rectified; what is beyond the image is dropped.

    out is (height, width, channels, SHARD), m is M, bias may be 0: none, scratch 24 LANES.
    """
    pixel = channels * SHARD
    for tile in range(first, below):
        h, w = tile // columns * 4, tile % columns * 4
        for i in range(0, pixel, LANES):
            offset = broadcast(0.0)
            if bias != 0:
                offset = broadcast(load_scalar(bias, i // SHARD))
            at = (tile - first) * pixel + i
            for j in range(6):
                column = _at(
                    load(m, at + j * pitch),
                    load(m, at + (6 + j) * pitch),
                    load(m, at + (12 + j) * pitch),
                    load(m, at + (18 + j) * pitch),
                    load(m, at + (24 + j) * pitch),
                    load(m, at + (30 + j) * pitch),
                )
                store(scratch, (0 + j) * LANES, column[0])
                store(scratch, (6 + j) * LANES, column[1])
                store(scratch, (12 + j) * LANES, column[2])
                store(scratch, (18 + j) * LANES, column[3])
            for k in range(min(4, height - h)):
                s = 6 * k * LANES
                row = _at(
                    load(scratch, s),
                    load(scratch, s + LANES),
                    load(scratch, s + 2 * LANES),
                    load(scratch, s + 3 * LANES),
                    load(scratch, s + 4 * LANES),
                    load(scratch, s + 5 * LANES),
                )
                to = ((h + k) * width + w) * pixel + i
                for n in range(4):
                    if w + n < width:
                        y = row[0] if n == 0 else row[1] if n == 1 else row[2] if n == 2 else row[3]
                        y = add(y, offset)
                        if relu != 0:
                            y = maximum(y, broadcast(0.0))
                        store(out, to + n * pixel, y)


# The gradient for the kernel


@kernel
def transform_gradient(out, pitch, g, scratch, height, width, filters, columns, first, below):
    """A g A^T of some tiles, lanes running over filters.

    out is Z (36, tiles, SHARD, filters), g (height, width, SHARD, filters), scratch 24 LANES;
    filters are a whole number of vectors.
    """
    pixel = filters * SHARD
    for tile in range(first, below):
        h, w = tile // columns * 4, tile % columns * 4
        for i in range(0, pixel, LANES):
            for j in range(4):
                column = _a(
                    _inside(g, h, w + j, height, width, pixel, i),
                    _inside(g, h + 1, w + j, height, width, pixel, i),
                    _inside(g, h + 2, w + j, height, width, pixel, i),
                    _inside(g, h + 3, w + j, height, width, pixel, i),
                )
                store(scratch, (0 + j) * LANES, column[0])
                store(scratch, (4 + j) * LANES, column[1])
                store(scratch, (8 + j) * LANES, column[2])
                store(scratch, (12 + j) * LANES, column[3])
                store(scratch, (16 + j) * LANES, column[4])
                store(scratch, (20 + j) * LANES, column[5])
            for k in range(6):
                s = 4 * k * LANES
                row = _a(
                    load(scratch, s),
                    load(scratch, s + LANES),
                    load(scratch, s + 2 * LANES),
                    load(scratch, s + 3 * LANES),
                )
                to = (tile - first) * pixel + i + 6 * k * pitch
                store(out, to, row[0])
                store(out, to + pitch, row[1])
                store(out, to + 2 * pitch, row[2])
                store(out, to + 3 * pitch, row[3])
                store(out, to + 4 * pitch, row[4])
                store(out, to + 5 * pitch, row[5])


@functools.cache
def multiply_gradient(rows: int) -> Kernel:
    """``out[place, c, f] += sum over tiles and images V[place, t, c, n] Z[place, t, n, f]``.

    out is (36, channels, filters), overwritten if `fresh`; the channels are `blocks` of `rows`,
    from `first` on, and filters a whole number of vectors.
    """

    @kernel
    def multiply_gradient(
        out, v, v_pitch, z, z_pitch, channels, filters, first, blocks, tiles, fresh
    ):
        for place in range(36):
            for f in range(0, filters, 2 * LANES):
                left = filters - f
                for block in range(blocks):
                    c = first + block * rows
                    to = (place * channels + c) * filters + f
                    if fresh != 0:
                        tile = tile_zero(rows)
                    elif left >= 2 * LANES:
                        tile = tile_load(rows, out, to, filters)
                    else:
                        tile = tile_load_first(rows, out, to, filters, left)
                    for t in range(tiles):
                        vi = place * v_pitch + (t * channels + c) * SHARD
                        zi = place * z_pitch + t * SHARD * filters + f
                        for n in range(SHARD):
                            tile = tile_fma(tile, v, vi + n, SHARD, z, zi + n * filters)
                    if left >= 2 * LANES:
                        tile_store(tile, out, to, filters)
                    else:
                        tile_store_first(tile, out, to, filters, left)

    multiply_gradient.name = f"winograd_multiply_gradient_{rows}"
    return multiply_gradient
