"""Pooling on batch-innermost arrays ``(H, W, C, SHARD)``.

Windows may overlap and may hang over the edge: places outside the image do not count, neither for
the maximum nor for the number that an average divides by (as in Keras). Where they do neither, and
they are small, a kernel made for their size has no inner loops left: pass that size; pass 0 for
the kernel of all others.
"""

from __future__ import annotations

import functools

from .native import Kernel, inlined, kernel
from .simd import LANES, SHARD, add, broadcast, div, equal, greater, load, mul, same, select, store


@inlined
def _inside(i, step, start, size, length):
    """The part of window i that lies in the image: first, below."""
    first = i * step + start
    return max(first, 0), min(first + size, length)


def _named(made: Kernel, name: str, size: int) -> Kernel:
    made.name = f"{name}_{size}" if size else name
    return made


@functools.cache
def average(size: int = 0) -> Kernel:
    """The mean of each window."""

    @kernel
    def average(
        out, x, height, width, channels, out_height, out_width,
        size_h, size_w, step_h, step_w, top, left,
    ):  # fmt: skip
        pixel = channels * SHARD
        for oh in range(out_height):
            h0, h1 = _inside(oh, step_h, top, size_h, height)
            for ow in range(out_width):
                w0, w1 = _inside(ow, step_w, left, size_w, width)
                factor = broadcast(1.0 / ((h1 - h0) * (w1 - w0)))
                at, to = (h0 * width + w0) * pixel, (oh * out_width + ow) * pixel
                for i in range(0, pixel, LANES):
                    total = broadcast(0.0)
                    for h in range(size if size else h1 - h0):
                        for w in range(size if size else w1 - w0):
                            total = add(total, load(x, at + (h * width + w) * pixel + i))
                    store(out, to + i, mul(total, factor))

    return _named(average, "average", size)


@functools.cache
def average_back(size: int = 0) -> Kernel:
    """The gradient of `average`.

    With a size, windows must not overlap and out is overwritten where they lie; with 0, out is
    added to.
    """

    @kernel
    def average_back(
        out, g, height, width, channels, out_height, out_width,
        size_h, size_w, step_h, step_w, top, left,
    ):  # fmt: skip
        pixel = channels * SHARD
        for oh in range(out_height):
            h0, h1 = _inside(oh, step_h, top, size_h, height)
            for ow in range(out_width):
                w0, w1 = _inside(ow, step_w, left, size_w, width)
                factor = broadcast(1.0 / ((h1 - h0) * (w1 - w0)))
                to, at = (h0 * width + w0) * pixel, (oh * out_width + ow) * pixel
                for i in range(0, pixel, LANES):
                    share = mul(load(g, at + i), factor)
                    for h in range(size if size else h1 - h0):
                        for w in range(size if size else w1 - w0):
                            there = to + (h * width + w) * pixel + i
                            if size:
                                store(out, there, share)
                            else:
                                store(out, there, add(load(out, there), share))

    return _named(average_back, "average_back", size)


@functools.cache
def maximum(size: int = 0) -> Kernel:
    """The maximum of each window; a NaN is the largest."""

    @kernel
    def maximum(
        out, x, height, width, channels, out_height, out_width,
        size_h, size_w, step_h, step_w, top, left,
    ):  # fmt: skip
        pixel = channels * SHARD
        for oh in range(out_height):
            h0, h1 = _inside(oh, step_h, top, size_h, height)
            for ow in range(out_width):
                w0, w1 = _inside(ow, step_w, left, size_w, width)
                at, to = (h0 * width + w0) * pixel, (oh * out_width + ow) * pixel
                for i in range(0, pixel, LANES):
                    best = load(x, at + i)
                    for h in range(size if size else h1 - h0):
                        for w in range(size if size else w1 - w0):
                            v = load(x, at + (h * width + w) * pixel + i)
                            keep = select(greater(v, best), v, best)
                            best = select(equal(v, v), keep, v)
                    store(out, to + i, best)

    return _named(maximum, "maximum", size)


@functools.cache
def maximum_back(size: int = 0) -> Kernel:
    """The gradient of `maximum`, to the first maximum.

    With a size, windows must not overlap and out is overwritten where they lie; with 0, out is
    added to.
    """

    @kernel
    def maximum_back(
        out, g, x, y, height, width, channels, out_height, out_width,
        size_h, size_w, step_h, step_w, top, left,
    ):  # fmt: skip
        pixel = channels * SHARD
        for oh in range(out_height):
            h0, h1 = _inside(oh, step_h, top, size_h, height)
            for ow in range(out_width):
                w0, w1 = _inside(ow, step_w, left, size_w, width)
                to, at = (h0 * width + w0) * pixel, (oh * out_width + ow) * pixel
                for i in range(0, pixel, LANES):
                    best, left_over = load(y, at + i), load(g, at + i)
                    for h in range(size if size else h1 - h0):
                        for w in range(size if size else w1 - w0):
                            there = to + (h * width + w) * pixel + i
                            here = same(load(x, there), best)
                            share = select(here, left_over, broadcast(0.0))
                            left_over = select(here, broadcast(0.0), left_over)
                            if size:
                                store(out, there, share)
                            else:
                                store(out, there, add(load(out, there), share))

    return _named(maximum_back, "maximum_back", size)


@kernel
def global_average(out, x, pixels, channels):
    """out[c] = mean of x[pixel, c]."""
    factor = broadcast(1.0 / pixels)
    for i in range(0, channels * SHARD, LANES):
        total = broadcast(0.0)
        for p in range(pixels):
            total = add(total, load(x, p * channels * SHARD + i))
        store(out, i, mul(total, factor))


@kernel
def global_average_back(out, g, pixels, channels):
    """out[pixel, c] = g[c] / pixels."""
    factor = broadcast(1.0 / pixels)
    for i in range(0, channels * SHARD, LANES):
        share = mul(load(g, i), factor)
        for p in range(pixels):
            store(out, p * channels * SHARD + i, share)


@kernel
def global_maximum(out, x, pixels, channels):
    """out[c] = maximum of x[pixel, c]; a NaN is the largest."""
    for i in range(0, channels * SHARD, LANES):
        best = load(x, i)
        for p in range(1, pixels):
            v = load(x, p * channels * SHARD + i)
            keep = select(greater(v, best), v, best)
            best = select(equal(best, best), select(equal(v, v), keep, v), best)
        store(out, i, best)


@kernel
def global_maximum_back(out, g, x, y, pixels, channels):
    """The gradient of `global_maximum`, shared by equal maxima."""
    one, zero = broadcast(1.0), broadcast(0.0)
    for i in range(0, channels * SHARD, LANES):
        best, count = load(y, i), zero
        rest = select(equal(best, best), zero, best)  # NaN makes all NaN
        for p in range(pixels):
            here = equal(load(x, p * channels * SHARD + i), best)
            count = add(count, select(here, one, zero))
        share = div(load(g, i), count)
        for p in range(pixels):
            at = p * channels * SHARD + i
            store(out, at, select(equal(load(x, at), best), share, rest))
