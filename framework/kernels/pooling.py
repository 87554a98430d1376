"""Pooling kernels: over windows of (N, D, H, W, C) images that lie anywhere.

Windows are the products of one range an axis: row i of ``depths`` is the range ``start, stop`` of
the pixels that output i sees, all of them inside the image. Sliding windows, padded ones (which end
where the image does) and adaptive bins are then the same thing. Positions count the pixels of one
image in row-major order.
"""

from __future__ import annotations

import numpy as np

from .jit import njit

Array = np.ndarray


@njit
def argmax(x: Array, index: Array, depths: Array, heights: Array, widths: Array) -> None:
    """Write the position of the first maximum, or of the first NaN, under every window.

    A line of outputs at a time, and for each tap of their windows in turn: the pixels that the line
    meets there are collected, so that they can be compared in one long loop without a branch. A
    window that ends early meets its last pixel again, which changes nothing.

    Args:
        x: (N, D, H, W, C), contiguous.
        index: (N, len(depths), len(heights), len(widths), C), contiguous; overwritten.
        depths, heights, widths: (outputs, 2) ranges, none empty.
    """
    _, depth, height, width, channels = x.shape
    source, target = x.reshape(-1), index.reshape(-1)
    taps = 0
    for k in range(len(widths)):
        taps = max(taps, widths[k, 1] - widths[k, 0])
    size = len(widths) * channels
    best, values = np.empty(size, x.dtype), np.empty(size, x.dtype)
    columns = np.empty((taps, size), index.dtype)
    for tap in range(taps):
        for k in range(len(widths)):
            column = min(widths[k, 0] + tap, widths[k, 1] - 1)
            for c in range(channels):
                columns[tap, k * channels + c] = column
    to = 0
    for n in range(x.shape[0]):
        for i in range(len(depths)):
            for j in range(len(heights)):
                first = True
                for d in range(depths[i, 0], depths[i, 1]):
                    for h in range(heights[j, 0], heights[j, 1]):
                        row = (d * height + h) * width
                        for tap in range(taps):
                            for k in range(len(widths)):
                                column = min(widths[k, 0] + tap, widths[k, 1] - 1)
                                at = (n * depth * height * width + row + column) * channels
                                for c in range(channels):
                                    a = k * channels + c
                                    values[np.uintp(a)] = source[np.uintp(at + c)]
                            met = columns[tap]
                            if first:
                                for o in range(size):
                                    best[np.uintp(o)] = values[np.uintp(o)]
                                    target[np.uintp(to + o)] = row + met[np.uintp(o)]
                                first = False
                                continue
                            for o in range(size):
                                value, held = values[np.uintp(o)], best[np.uintp(o)]
                                where = target[np.uintp(to + o)]
                                take = (value > held) | ((value != value) & (held == held))
                                best[np.uintp(o)] = value if take else held
                                target[np.uintp(to + o)] = row + met[np.uintp(o)] if take else where
                to += size


@njit
def gather(x: Array, index: Array, out: Array) -> bool:
    """``out[n, o, c] = x[n, index[n, o, c], c]``; False where a position is not in the image.

    Args:
        x: (N, pixels, C), contiguous.
        index, out: (N, outputs, C), contiguous.
    """
    batch, pixels, channels = x.shape
    source, positions, target = x.reshape(-1), index.reshape(-1), out.reshape(-1)
    valid = True
    for n in range(batch):
        image = n * pixels * channels
        for o in range(n * index.shape[1], (n + 1) * index.shape[1]):
            for c in range(channels):
                position = np.int64(positions[np.uintp(o * channels + c)])
                if 0 <= position < pixels:
                    value = source[np.uintp(image + position * channels + c)]
                    target[np.uintp(o * channels + c)] = value
                else:
                    valid = False
    return valid


@njit
def scatter(values: Array, index: Array, x: Array) -> bool:
    """``x[n, index[n, o, c], c] += values[n, o, c]``: the adjoint of `gather`.

    Args:
        values, index: (N, outputs, C), contiguous.
        x: (N, pixels, C), contiguous; added to.
    """
    batch, pixels, channels = x.shape
    source, positions, target = values.reshape(-1), index.reshape(-1), x.reshape(-1)
    valid = True
    for n in range(batch):
        image = n * pixels * channels
        for o in range(n * index.shape[1], (n + 1) * index.shape[1]):
            for c in range(channels):
                position = np.int64(positions[np.uintp(o * channels + c)])
                if 0 <= position < pixels:
                    value = source[np.uintp(o * channels + c)]
                    target[np.uintp(image + position * channels + c)] += value
                else:
                    valid = False
    return valid


@njit
def average(x: Array, out: Array, depths: Array, heights: Array, widths: Array) -> None:
    """Write the mean under every window.

    Args:
        x: (N, D, H, W, C), contiguous.
        out: (N, len(depths), len(heights), len(widths), C), contiguous; overwritten.
        depths, heights, widths: (outputs, 2) ranges, none empty.
    """
    _, depth, height, width, channels = x.shape
    source, target = x.reshape(-1), out.reshape(-1)
    to = 0
    for n in range(x.shape[0]):
        for i in range(len(depths)):
            for j in range(len(heights)):
                for k in range(len(widths)):
                    for c in range(channels):
                        target[np.uintp(to + c)] = 0
                    for d in range(depths[i, 0], depths[i, 1]):
                        for h in range(heights[j, 0], heights[j, 1]):
                            for w in range(widths[k, 0], widths[k, 1]):
                                at = (((n * depth + d) * height + h) * width + w) * channels
                                for c in range(channels):
                                    target[np.uintp(to + c)] += source[np.uintp(at + c)]
                    count = depths[i, 1] - depths[i, 0]
                    count *= (heights[j, 1] - heights[j, 0]) * (widths[k, 1] - widths[k, 0])
                    for c in range(channels):
                        target[np.uintp(to + c)] /= count
                    to += channels


@njit
def spread(values: Array, x: Array, depths: Array, heights: Array, widths: Array) -> None:
    """Add to every pixel its share of the windows it lies under: the adjoint of `average`.

    Args:
        values: (N, len(depths), len(heights), len(widths), C), contiguous.
        x: (N, D, H, W, C), contiguous; added to.
        depths, heights, widths: (outputs, 2) ranges, none empty.
    """
    _, depth, height, width, channels = x.shape
    source, target = values.reshape(-1), x.reshape(-1)
    at = 0
    for n in range(x.shape[0]):
        for i in range(len(depths)):
            for j in range(len(heights)):
                for k in range(len(widths)):
                    count = depths[i, 1] - depths[i, 0]
                    count *= (heights[j, 1] - heights[j, 0]) * (widths[k, 1] - widths[k, 0])
                    for d in range(depths[i, 0], depths[i, 1]):
                        for h in range(heights[j, 0], heights[j, 1]):
                            for w in range(widths[k, 0], widths[k, 1]):
                                to = (((n * depth + d) * height + h) * width + w) * channels
                                for c in range(channels):
                                    share = source[np.uintp(at + c)] / count
                                    target[np.uintp(to + c)] += share
                    at += channels
