"""Depthwise convolution on batch-innermost arrays ``(H, W, C, SHARD)``: each channel by itself.

There is one product for each number that is loaded, so memory sets the pace and no tiles of
channels would help; the sums of a pixel go straight along the channels. Taps outside the image are
skipped. Filter ``c multiplier + m`` belongs to channel c.
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
    load_scalar,
    maximum,
    store,
    store_scalar,
    total,
)
from .tiles import tile_sums, tile_taps, tile_zero


@inlined
def _taps_inside(start, apart, taps, length):
    """Which taps t have 0 <= start + apart t < length: first, below."""
    first = (-start + apart - 1) // apart if start < 0 else 0
    below = (length - 1 - start) // apart + 1 if start < length else 0
    return first, min(below, taps)


def _channelwise(size: int, back: bool) -> Kernel:
    @kernel
    def channelwise(
        out, x, w, bias,
        height, width, channels, multiplier,
        out_height, out_width, step_h, step_w, top, left,
        taps_h, taps_w, apart_h, apart_w, w_tap_h, w_tap_w,
        out_row, out_pixel, relu,
    ):  # fmt: skip
        pixel = (channels * multiplier if back else channels) * SHARD
        # The way back sums the filters of a channel; the way there has a sum for each.
        sums, parts = (1, multiplier) if back else (multiplier, 1)
        for oh in range(out_height):
            above = oh * step_h + top
            h0, h1 = _taps_inside(above, apart_h, taps_h, height)
            for ow in range(out_width):
                before = ow * step_w + left
                w0, w1 = _taps_inside(before, apart_w, taps_w, width)
                whole = h1 - h0 == size and w1 - w0 == size
                first = (above * width + before) * pixel
                row, step = apart_h * width * pixel, apart_w * pixel
                k = 0
                to = oh * out_row + ow * out_pixel
                for c in range(channels):
                    for _ in range(sums):
                        low = broadcast(load_scalar(bias, k)) if bias != 0 else broadcast(0.0)
                        high = low
                        for _ in range(parts):
                            at = first + (k if back else c) * SHARD
                            if size and whole:
                                for kh in range(size):
                                    j = k + kh * w_tap_h
                                    for kw in range(size):
                                        v = broadcast(load_scalar(w, j + kw * w_tap_w))
                                        i = at + kh * row + kw * step
                                        low = fma(v, load(x, i), low)
                                        high = fma(v, load(x, i + LANES), high)
                            else:
                                for kh in range(h0, h1):
                                    j = k + kh * w_tap_h
                                    for kw in range(w0, w1):
                                        v = broadcast(load_scalar(w, j + kw * w_tap_w))
                                        i = at + kh * row + kw * step
                                        low = fma(v, load(x, i), low)
                                        high = fma(v, load(x, i + LANES), high)
                            k += 1
                        if relu != 0:
                            low = maximum(low, broadcast(0.0))
                            high = maximum(high, broadcast(0.0))
                        store(out, to, low)
                        store(out, to + LANES, high)
                        to += SHARD

    channelwise.name = f"channelwise{'_back' if back else ''}{f'_{size}' if size else ''}"
    return channelwise


@functools.cache
def forward(size: int = 0) -> Kernel:
    """Each channel with its kernels; with a size, for kernels of so many taps each way."""
    return _channelwise(size, back=False)


@functools.cache
def back(size: int = 0) -> Kernel:
    """Each channel the sum over its kernels: the gradient for x."""
    return _channelwise(size, back=True)


@inlined
def _places_inside(start, step, length, count):
    """Which i in 0..count-1 have 0 <= start + i step < length: first, below."""
    first = (-start + step - 1) // step if start < 0 else 0
    below = (length - 1 - start) // step + 1 if start < length else 0
    return first, min(below, count)


@functools.cache
def kernel_gradient(rows: int) -> Kernel:
    """``out[tap, c, m] += sum of x[pixel + tap, c] g[pixel, c, m]`` over pixels and images, for
    `rows` taps of a row, from number `tap` on.

    They are summed together where all of them lie in the image, each by itself at its edges.
    """

    @kernel
    def kernel_gradient(
        out, x, g, tap, height, width, channels, multiplier, out_height, out_width,
        step_h, step_w, top, left, taps_h, taps_w, apart_h, apart_w,
    ):  # fmt: skip
        filters = channels * multiplier
        start, end = left + tap * apart_w, left + (tap + rows - 1) * apart_w
        w0, _ = _places_inside(start, step_w, width, out_width)
        _, w1 = _places_inside(end, step_w, width, out_width)
        w1 = max(w0, w1)
        for kh in range(taps_h):
            above = top + kh * apart_h
            h0, h1 = _places_inside(above, step_h, height, out_height)
            k = 0
            for c in range(channels):
                for _ in range(multiplier):
                    to = (kh * taps_w + tap) * filters + k
                    tile = tile_zero(rows)
                    for oh in range(h0, h1):
                        xi = ((oh * step_h + above) * width + w0 * step_w + start) * channels + c
                        gi = (oh * out_width + w0) * filters + k
                        for _ in range(w0, w1):
                            i, j = xi * SHARD, gi * SHARD
                            tile = tile_taps(tile, x, i, apart_w * channels * SHARD, g, j)
                            xi += step_w * channels
                            gi += filters
                    tile_sums(tile, out, to, filters)
                    for kw in range(rows):
                        before = start + kw * apart_w
                        first, below = _places_inside(before, step_w, width, out_width)
                        if first >= w0 and below <= w1:
                            continue
                        low, high = broadcast(0.0), broadcast(0.0)
                        for oh in range(h0, h1):
                            xi = ((oh * step_h + above) * width + before) * channels + c
                            gi = oh * out_width * filters + k
                            for ow in range(first, below):
                                if w0 <= ow < w1:
                                    continue
                                i = (xi + ow * step_w * channels) * SHARD
                                j = (gi + ow * filters) * SHARD
                                low = fma(load(x, i), load(g, j), low)
                                high = fma(load(x, i + LANES), load(g, j + LANES), high)
                        here = to + kw * filters
                        store_scalar(out, here, load_scalar(out, here) + total(add(low, high)))
                    k += 1

    kernel_gradient.name = f"channelwise_gradient_{rows}"
    return kernel_gradient
