"""Sums of products on batch-innermost arrays ``(H, W, C, SHARD)``: convolution and dense layers.

One tile computes `rows` channels of one pixel for all images of the shard:

    tile[f] += weight(tap, c, f) * x[pixel + tap, c]      over all taps and channels

Nothing is padded: taps that fall outside the image are skipped. Channels of a pixel, and pixels of
a row, are contiguous, so a tap (or, where the weights allow, a row of taps) is one straight run.

`correlate` is the forward pass (weights `(k_h, k_w, c, f)` as the user sees them, tiles over f);
`correlate_back` is its gradient for x, the same sum with weights read the other way (tiles over c).
A dense layer is the case of one pixel and one tap.
"""

from __future__ import annotations

import functools

from .native import Kernel, inlined, kernel
from .simd import LANES, SHARD, add, broadcast, load, load_scalar, store_scalar, total, transpose
from .tiles import (
    tile_fma,
    tile_load,
    tile_load_first,
    tile_outer,
    tile_relu,
    tile_splat,
    tile_store,
    tile_store_first,
    tile_totals,
    tile_zero,
)


def _correlate(rows: int, back: bool) -> Kernel:
    # The matrix of a tap is (c, f): a run goes down its rows and the tile lies along one; `back`,
    # a run goes along a row and the tile lies across.
    @kernel
    def correlate(
        out, x, w, bias,  # addresses; bias 0: none
        blocks,  # tiles over the output channels, each of `rows`
        height, width, x_pixel,  # of x: pixels, and elements from one pixel to the next
        channels,  # those of a pixel to sum over
        out_height, out_width,  # pixels to compute
        step_h, step_w,  # pixels of x from one output to the next
        top, left,  # where the first tap of the first output lies in x (negative: outside)
        taps_h, taps_w, apart_h, apart_w,  # taps, and pixels of x between them
        w_tap_h, w_tap_w, w_pitch,  # elements between taps, and between rows of the matrix
        out_row, out_pixel,  # elements from one output to the next
        merged,  # whether a row of taps is one run, in x and in the weights
        adds,  # whether the sum begins with what is in out (and not with the bias)
        relu,
    ):  # fmt: skip
        for oh in range(out_height):
            for block in range(blocks):
                across = block * rows * (w_pitch if back else 1)
                for ow in range(out_width):
                    to = oh * out_row + ow * out_pixel + block * rows * SHARD
                    if adds != 0:
                        tile = tile_load(rows, out, to, SHARD)
                    elif bias != 0:
                        tile = tile_splat(rows, bias, block * rows, 1)
                    else:
                        tile = tile_zero(rows)
                    w0 = ow * step_w + left
                    first, last = 0, taps_w
                    while w0 + first * apart_w < 0:
                        first += 1
                    while last > first and w0 + (last - 1) * apart_w >= width:
                        last -= 1
                    taps, run = last - first, channels
                    if merged != 0:
                        taps, run = 1, (last - first) * channels
                    for kh in range(taps_h):
                        h = oh * step_h + top + kh * apart_h
                        if h < 0 or h >= height:
                            continue
                        for kw in range(first, first + taps):
                            xi = (h * width + w0 + kw * apart_w) * x_pixel
                            wi = across + kh * w_tap_h + kw * w_tap_w
                            for i in range(run):
                                if back:
                                    tile = tile_fma(tile, w, wi + i, w_pitch, x, xi + i * SHARD)
                                else:
                                    tile = tile_fma(tile, w, wi + i * w_pitch, 1, x, xi + i * SHARD)
                    if relu != 0:
                        tile = tile_relu(tile)
                    tile_store(tile, out, to, SHARD)

    correlate.name = f"correlate{'_back' if back else ''}_{rows}"
    return correlate


@functools.cache
def correlate(rows: int) -> Kernel:
    """The forward pass in tiles of so many filters."""
    return _correlate(rows, back=False)


@functools.cache
def correlate_back(rows: int) -> Kernel:
    """The gradient for x in tiles of so many channels."""
    return _correlate(rows, back=True)


@inlined
def _range_inside(start, step, length, count):
    """Which i in 0..count-1 have 0 <= start + i step < length: first, below."""
    first = (-start + step - 1) // step if start < 0 else 0
    below = (length - 1 - start) // step + 1 if start < length else 0
    return first, min(below, count)


@functools.cache
def kernel_gradient(rows: int) -> Kernel:
    """The gradient for the kernel: ``out[tap, c, f] += sum x[pixel + tap, c] g[pixel, f]``.

    A tile holds `rows` channels and two filters; its lanes are added up at the end. Where no tap
    falls outside the image, a caller may pass a row of taps as one tap of ``taps_w channels``
    (`taps_w` 1, with more rows than channels): they are contiguous.
    """

    @kernel
    def kernel_gradient(
        out, x, g,  # addresses; out (taps_h, taps_w, channels, filters) is added to
        row, blocks,  # the first row of a tap's matrix (c, f), and how many tiles of `rows`
        height, width,  # of x
        x_pixel, g_pixel,  # channels from one pixel of x, or of g, to the next
        filters,  # those of a pixel of g that this is for; rows of out are `g_pixel` apart
        first_row, rows_below,  # the rows of g to sum over: from, below
        out_width,  # of g
        step_h, step_w, top, left, taps_h, taps_w, apart_h, apart_w,
        matrix,  # rows of a tap's matrix, from one tap to the next
    ):  # fmt: skip
        for kh in range(taps_h):
            h0 = top + kh * apart_h
            oh0, oh1 = _range_inside(h0, step_h, height, rows_below)
            oh0 = max(oh0, first_row)
            for kw in range(taps_w):
                w0 = left + kw * apart_w
                ow0, ow1 = _range_inside(w0, step_w, width, out_width)
                for block in range(blocks):
                    r = row + block * rows
                    for f in range(0, filters, 2):
                        second = SHARD if f + 1 < filters else 0
                        tile = tile_zero(rows)
                        for oh in range(oh0, oh1):
                            xi = ((oh * step_h + h0) * width + w0 + ow0 * step_w) * x_pixel + r
                            gi = (oh * out_width + ow0) * g_pixel + f
                            for _ in range(ow0, ow1):
                                tile = tile_outer(tile, x, xi * SHARD, g, gi * SHARD, second)
                                xi += step_w * x_pixel
                                gi += g_pixel
                        to = ((kh * taps_w + kw) * matrix + r) * g_pixel + f
                        tile_totals(tile, out, to, g_pixel, filters - f)

    kernel_gradient.name = f"kernel_gradient_{rows}"
    return kernel_gradient


@functools.cache
def dense_gradient(rows: int) -> Kernel:
    """The gradient for a matrix: ``out[i, o] += sum over images x[i, n] g[n, o]``.

    out is (inputs, outputs), x (inputs, SHARD), g (SHARD, pitch); a block are `rows` inputs. Here
    the lanes run along o; `g` is transposed (`transpose_shard`), its rows padded to whole tiles.
    """

    @kernel
    def dense_gradient(out, x, g, blocks, outputs, pitch):
        for block in range(blocks):
            i = block * rows
            for o in range(0, outputs, 2 * LANES):
                to, left = i * outputs + o, outputs - o
                if left >= 2 * LANES:
                    tile = tile_load(rows, out, to, outputs)
                else:
                    tile = tile_load_first(rows, out, to, outputs, left)
                for n in range(SHARD):
                    tile = tile_fma(tile, x, i * SHARD + n, SHARD, g, n * pitch + o)
                if left >= 2 * LANES:
                    tile_store(tile, out, to, outputs)
                else:
                    tile_store_first(tile, out, to, outputs, left)

    dense_gradient.name = f"dense_gradient_{rows}"
    return dense_gradient


@kernel
def transpose_shard(out, x, count, pitch, pixels):
    """Each pixel (count, SHARD) to (SHARD, pitch), zeros from count on."""
    whole = count - count % LANES
    for p in range(pixels):
        at, to = p * count * SHARD, p * SHARD * pitch
        for i in range(0, whole, LANES):
            for n in range(0, SHARD, LANES):
                transpose(x, at + i * SHARD + n, SHARD, out, to + n * pitch + i, pitch)
        for n in range(SHARD):
            for i in range(whole, count):
                store_scalar(out, to + n * pitch + i, load_scalar(x, at + i * SHARD + n))
            for i in range(count, pitch):
                store_scalar(out, to + n * pitch + i, 0.0)


@kernel
def bias_gradient(out, g, pixels, filters):
    """``out[f] += sum of g[pixel, f]`` over pixels and images."""
    for f in range(filters):
        low, high = broadcast(0.0), broadcast(0.0)
        for p in range(pixels):
            at = (p * filters + f) * SHARD
            low, high = add(low, load(g, at)), add(high, load(g, at + LANES))
        store_scalar(out, f, load_scalar(out, f) + total(add(low, high)))


@kernel
def transpose_taps(out, w, taps, rows, columns, flip):
    """Each tap's matrix (rows, columns) transposed, the taps in reverse order if `flip`."""
    whole_r, whole_c = rows - rows % LANES, columns - columns % LANES
    for t in range(taps):
        to = (taps - 1 - t if flip != 0 else t) * rows * columns
        at = t * rows * columns
        for r in range(0, whole_r, LANES):
            for c in range(0, whole_c, LANES):
                transpose(w, at + r * columns + c, columns, out, to + c * rows + r, rows)
        for r in range(rows):
            for c in range(whole_c if r < whole_r else 0, columns):
                store_scalar(out, to + c * rows + r, load_scalar(w, at + r * columns + c))
