"""Convolution and pooling by the book: nested loops over plain indices, slow and beyond doubt.

Nothing here shares a formula with the framework: the loops ask of every output position and every
tap which pixel they meet, and leave out those that do not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
Sizes = Sequence[int]
Pairs = Sequence[tuple[int, int]]


def padded_size(n: int, pair: tuple[int, int], reach: int, stride: int) -> int:
    """How many windows fit: slide one along until it leaves the padded axis."""
    count, start = 0, -pair[0]
    while start + reach <= n + pair[1]:
        count, start = count + 1, start + stride
    return count


def same_padding(n: int, reach: int, stride: int) -> tuple[int, int]:
    """The least padding that gives ``ceil(n / stride)`` windows, the smaller half in front."""
    total = 0
    while padded_size(n, (0, total), reach, stride) < -(-n // stride):
        total += 1
    return total // 2, total - total // 2


def meetings(
    size: Sizes, kernel: Sizes, strides: Sizes, pairs: Pairs, dilation: Sizes
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """Every (output position, tap, pixel) where a tap meets a pixel of the image."""
    for p in np.ndindex(*output_size(size, kernel, strides, pairs, dilation)):
        for t in np.ndindex(*kernel):
            pixel = tuple(
                p[a] * strides[a] - pairs[a][0] + t[a] * dilation[a] for a in range(len(size))
            )
            if all(0 <= q < n for q, n in zip(pixel, size, strict=True)):
                yield p, t, pixel


def output_size(
    size: Sizes, kernel: Sizes, strides: Sizes, pairs: Pairs, dilation: Sizes
) -> tuple[int, ...]:
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    return tuple(map(padded_size, size, pairs, reach, strides))


def conv(
    x: Array, kernel: Array, strides: Sizes, pairs: Pairs, dilation: Sizes, groups: int = 1
) -> Array:
    """y[n, p, f] = sum over taps t and the channels c of f's group of x[n, q, c] w[t, c, f]."""
    spatial = x.shape[1:-1], kernel.shape[:-2], strides, pairs, dilation
    share, filters = kernel.shape[-2:]
    y = np.zeros((len(x), *output_size(*spatial), filters))
    for p, t, q in meetings(*spatial):
        for n, f, c in np.ndindex(len(x), filters, share):
            channel = f // (filters // groups) * share + c
            y[(n, *p, f)] += float(x[(n, *q, channel)]) * float(kernel[(*t, c, f)])
    return y


def conv_gradients(
    x: Array,
    kernel: Array,
    cotangent: Array,
    strides: Sizes,
    pairs: Pairs,
    dilation: Sizes,
    groups: int = 1,
) -> tuple[Array, Array]:
    """The gradients of <conv(x, kernel), cotangent>: each product, given to both of its factors."""
    share, filters = kernel.shape[-2:]
    for_x, for_kernel = np.zeros(x.shape), np.zeros(kernel.shape)
    for p, t, q in meetings(x.shape[1:-1], kernel.shape[:-2], strides, pairs, dilation):
        for n, f, c in np.ndindex(len(x), filters, share):
            channel = f // (filters // groups) * share + c
            g = float(cotangent[(n, *p, f)])
            for_x[(n, *q, channel)] += g * float(kernel[(*t, c, f)])
            for_kernel[(*t, c, f)] += g * float(x[(n, *q, channel)])
    return for_x, for_kernel


def unfold(x: Array, kernel: Sizes, strides: Sizes, pairs: Pairs, dilation: Sizes) -> Array:
    """The patches of every image, (N, *outputs, *kernel, C)."""
    spatial = x.shape[1:-1], kernel, strides, pairs, dilation
    y = np.zeros((len(x), *output_size(*spatial), *kernel, x.shape[-1]))
    for p, t, q in meetings(*spatial):
        for n in range(len(x)):
            y[(n, *p, *t)] = x[(n, *q)]
    return y


def windows(size: Sizes, pool: Sizes, strides: Sizes, pairs: Pairs) -> dict[Any, list[Any]]:
    """The pixels under each window, in row-major order, by output position."""
    found: dict[Any, list[Any]] = {}
    for p, _, q in meetings(size, pool, strides, pairs, [1] * len(size)):
        found.setdefault(p, []).append(q)
    return found


def bins(size: Sizes, outputs: Sizes) -> dict[Any, list[Any]]:
    """The pixels in each bin of adaptive pooling: those that overlap [i n / o, (i + 1) n / o)."""
    found = {}
    for p in np.ndindex(*outputs):
        found[p] = [
            q
            for q in np.ndindex(*size)
            if all(
                (q[a] + 1) * outputs[a] > p[a] * size[a]
                and q[a] * outputs[a] < (p[a] + 1) * size[a]
                for a in range(len(size))
            )
        ]
    return found


def pool(x: Array, under: dict[Any, list[Any]], reduce: Any) -> Array:
    """`reduce` of the list of pixels under each window, for every image and channel."""
    outputs = tuple(max(p[a] for p in under) + 1 for a in range(x.ndim - 2))
    y = np.zeros((len(x), *outputs, x.shape[-1]))
    for p, pixels in under.items():
        for n, c in np.ndindex(len(x), x.shape[-1]):
            y[(n, *p, c)] = reduce([x[(n, *q, c)] for q in pixels])
    return y


def first_maximum(values: list[float]) -> int:
    """The index of the first largest value; a NaN is larger than any other."""
    best = 0
    for i, value in enumerate(values):
        if np.isnan(values[best]):
            return best
        if np.isnan(value) or value > values[best]:
            best = i
    return best
