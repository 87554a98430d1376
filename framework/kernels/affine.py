"""Images seen through an affine map: every output pixel reads a few input pixels near one point.

The gradient visits the same pairs of pixels and writes the other way, so one loop does both.
"""

from __future__ import annotations

import math

import numpy as np

from .jit import njit

Array = np.ndarray

CONSTANT, NEAREST, REFLECT, WRAP = 0, 1, 2, 3


@njit
def _place(i: int, length: int, mode: int) -> int:
    """Which pixel stands for position i of an axis that is continued; -1 for none."""
    if 0 <= i < length:
        return i
    if mode == NEAREST:
        return 0 if i < 0 else length - 1
    if mode == WRAP:
        return i % length
    if mode == REFLECT:  # d c b a | a b c d | d c b a
        i %= 2 * length
        return i if i < length else 2 * length - 1 - i
    return -1


@njit
def move(
    back: bool, images: Array, seen: Array, maps: Array, mode: int, bilinear: bool, fill: float
) -> None:
    """Let every pixel of `seen` read from `images`, or (back) add to what it would read from.

    Args:
        back: False fills `seen`, True adds to `images`.
        images: (N, H, W, C), contiguous.
        seen: (N, height, width, C), contiguous.
        maps: (N, 6), float64: pixel (x, y) reads at (m0 x + m1 y + m2, m3 x + m4 y + m5).
        mode: how the images continue: `CONSTANT`, `NEAREST`, `REFLECT` or `WRAP`.
        bilinear: weigh the four pixels around a point, or take the nearest.
        fill: what lies outside with `CONSTANT`.
    """
    _, height, width, channels = images.shape
    pixels, results = images.reshape(-1), seen.reshape(-1)
    taps = 2 if bilinear else 1
    half = 0.0 if bilinear else 0.5
    to = -channels
    for n in range(seen.shape[0]):
        first = n * height * width
        m0, m1, m2, m3, m4, m5 = (
            maps[n, 0], maps[n, 1], maps[n, 2], maps[n, 3], maps[n, 4], maps[n, 5]
        )  # fmt: skip
        for i in range(seen.shape[1]):
            for j in range(seen.shape[2]):
                to += channels
                y, x = m3 * j + m4 * i + m5 + half, m0 * j + m1 * i + m2 + half
                top, left = math.floor(y), math.floor(x)
                down, across = y - top, x - left
                inside = 0 <= top < height - 1 and 0 <= left < width - 1
                if bilinear and inside and not back:  # by far the most
                    a = (first + top * width + left) * channels
                    b = a + width * channels
                    for c in range(channels):
                        above = pixels[a + c] * (1 - across) + pixels[a + channels + c] * across
                        below = pixels[b + c] * (1 - across) + pixels[b + channels + c] * across
                        results[to + c] = above * (1 - down) + below * down
                    continue
                if not back:
                    for c in range(channels):
                        results[to + c] = 0
                for p in range(taps):
                    u = _place(top + p, height, mode)
                    wu = (down if p else 1 - down) if bilinear else 1.0
                    for q in range(taps):
                        v = _place(left + q, width, mode)
                        w = wu * ((across if q else 1 - across) if bilinear else 1.0)
                        a = (first + u * width + v) * channels
                        if w == 0:
                            continue
                        if u < 0 or v < 0:
                            if not back:
                                for c in range(channels):
                                    results[to + c] += w * fill
                        elif back:
                            for c in range(channels):
                                pixels[a + c] += w * results[to + c]
                        else:
                            for c in range(channels):
                                results[to + c] += w * pixels[a + c]
