"""Images seen through an affine map: every output pixel reads four input pixels around one point.

An image is first continued by one pixel all around, so that none needs a question of its own: what
lies further outside is folded back to where the border or the image shows the same. The gradient
visits the same pairs of pixels and writes the other way.
"""

from __future__ import annotations

import math

import numpy as np

from .jit import njit

Array = np.ndarray
Shares = tuple[Array, Array]

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
def _continue(image: Array, border: Array, mode: int) -> None:
    """Put an image (H, W, C) into one with a pixel around it, which is there with `CONSTANT`."""
    height, width, channels = image.shape
    source, target = image.reshape(-1), border.reshape(-1)
    row, wide = width * channels, (width + 2) * channels
    before, after = (row - channels, 0) if mode == WRAP else (0, row - channels)
    for i in range(height):
        s, t = np.uintp(i * row), np.uintp((i + 1) * wide + channels)
        for k in range(row):
            target[t + np.uintp(k)] = source[s + np.uintp(k)]
        if mode != CONSTANT:
            for c in range(channels):
                target[t + np.uintp(c) - np.uintp(channels)] = source[s + np.uintp(before + c)]
                target[t + np.uintp(row + c)] = source[s + np.uintp(after + c)]
    if mode != CONSTANT:
        top, bottom = (height, 1) if mode == WRAP else (1, height)
        last = np.uintp((height + 1) * wide)
        for k in range(wide):
            target[np.uintp(k)] = target[np.uintp(top * wide + k)]
            target[last + np.uintp(k)] = target[np.uintp(bottom * wide + k)]


@njit
def _add_back(image: Array, border: Array, mode: int) -> None:
    """The gradient of `_continue`: every pixel of the border belongs to one of the image."""
    height, width, channels = image.shape
    for i in range(-1, height + 1):
        u = _place(i, height, mode)
        for j in range(-1, width + 1):
            v = _place(j, width, mode)
            if u >= 0 and v >= 0:
                for c in range(channels):
                    image[u, v, c] += border[i + 1, j + 1, c]


@njit(reorder=True)
def _floor(x: float) -> float:
    """The floor of a number that fits into 32 bits, in its own precision: this one vectorises."""
    whole = np.int32(x)
    return whole - np.int32(whole > x)  # type: ignore[return-value]


@njit(reorder=True)
def _points(
    x: Array, y: Array, a: float, b: float, start: float, length: int, mode: int, nearest: bool,
    at: Array, pixel: Array, shares: Shares,
) -> None:  # fmt: skip
    """Where pixels read along an axis: the pixel of the border, and the shares of it and the next.

    Points outside the border are folded to those within that show the same.

    Args:
        x, y: column and row of each pixel, float64, as all places are.
        a, b, start: pixel (x, y) reads at ``a * x + b * y + start``.
        nearest: whether to round that.
        at: float64, to work in.
        pixel, shares: the results; the two shares of a pixel add up to 1, and the smaller one is
            as precise as the larger.
    """
    own, other = shares
    kind = own.dtype.type
    last = float(length + 1)
    period = float(2 * length if mode == REFLECT else length)
    share = 1 / period
    # Whole periods are taken off before precision is lost.
    s = start - period * math.floor(start / period) if mode >= REFLECT else start
    for k in range(len(x)):
        at[k] = a * x[k] + b * y[k] + s
    if nearest:
        for k in range(len(x)):
            at[k] = _floor(at[k] + 0.5)
    if mode == REFLECT:
        for k in range(len(x)):
            z = at[k] + 0.5
            z -= period * _floor(z * share)
            w = period - z
            at[k] = (z if z < w else w) - 0.5
    elif mode == WRAP:
        for k in range(len(x)):
            z = at[k]
            at[k] = z - period * _floor(z * share)
    for k in range(len(x)):
        z = at[k] + 1.0
        z = z if z > 0.0 else 0.0  # so that not even NaN is outside
        z = z if z < last else last
        whole = np.int32(z)
        whole = whole if nearest or whole <= length else np.int32(length)
        pixel[k] = whole
        own[k], other[k] = kind(1.0 - (z - whole)), kind(z - whole)


@njit(reorder=True)
def _read(pixels: Array, places: Array, across: Shares, down: Shares, row: int, out: Array) -> None:
    """Pixels (count, C) of the result, between four pixels each."""
    count, channels = out.shape
    right, below = np.uintp(channels), np.uintp(row)
    for c in range(channels):
        for k in range(count):
            a = np.uintp(places[k] + c)
            b = a + below
            above = pixels[a] * across[0][k] + pixels[a + right] * across[1][k]
            under = pixels[b] * across[0][k] + pixels[b + right] * across[1][k]
            out[k, c] = above * down[0][k] + under * down[1][k]


@njit(reorder=True)
def _read_upright(
    pixels: Array, left: Array, across: Shares, top: Array, down: Shares, line: Array, out: Array
) -> None:
    """An image of the result whose rows are rows of the image: `_read` an axis at a time.

    Args:
        left, across: of each column of the result; `top, down`: of each row.
        line: a row of the bordered image, to work in.
    """
    columns, row, channels = len(left), len(line), out.shape[1]
    for i in range(len(top)):
        start, own, share = np.uintp(top[i] * row), down[0][i], down[1][i]
        below = start + np.uintp(row)
        for k in range(row):
            line[k] = pixels[start + np.uintp(k)] * own + pixels[below + np.uintp(k)] * share
        for c in range(channels):
            for j in range(columns):
                a = np.uintp(left[j] * np.int32(channels) + np.int32(c))
                right = line[a + np.uintp(channels)]
                out[i * columns + j, c] = line[a] * across[0][j] + right * across[1][j]


@njit
def _take(pixels: Array, places: Array, out: Array) -> None:
    """Pixels (count, C) of the result, one pixel each."""
    count, channels = out.shape
    for c in range(channels):
        for k in range(count):
            out[k, c] = pixels[np.uintp(places[k] + c)]


@njit
def _add(pixels: Array, places: Array, across: Shares, down: Shares, row: int, g: Array) -> None:
    """The gradient of `_read`."""
    count, channels = g.shape
    for k in range(count):
        for c in range(channels):
            a = places[k] + c
            above, below = g[k, c] * down[0][k], g[k, c] * down[1][k]
            pixels[a] += above * across[0][k]
            pixels[a + channels] += above * across[1][k]
            pixels[a + row] += below * across[0][k]
            pixels[a + row + channels] += below * across[1][k]


@njit
def _put(pixels: Array, places: Array, g: Array) -> None:
    """The gradient of `_take`."""
    count, channels = g.shape
    for k in range(count):
        for c in range(channels):
            pixels[places[k] + c] += g[k, c]


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
    count, rows, columns, _ = seen.shape
    results = seen.reshape(count, rows * columns, channels)
    border = np.full((height + 2, width + 2, channels), fill, images.dtype)
    pixels, row = border.reshape(-1), (width + 2) * channels
    place = np.arange(rows * columns)
    x, y = (place % columns).astype(np.float64), (place // columns).astype(np.float64)
    left, top = np.empty(len(x), np.int32), np.empty(len(x), np.int32)
    shares = [np.empty(len(x), images.dtype) for _ in range(4)]
    at = np.empty(len(x), np.float64)
    line, steps = np.empty(row, images.dtype), np.arange(rows).astype(np.float64)
    for n in range(count):
        m = maps[n]
        # Moved and scaled, but not turned: a column is read from columns, a row from rows.
        upright = bilinear and not back and m[1] == 0 and m[3] == 0
        k, r = (columns, rows) if upright else (len(x), len(x))
        xs, ys = (steps, steps) if upright else (x, y)
        u, v = left[:k], top[:r]
        across, down = (shares[0][:k], shares[1][:k]), (shares[2][:r], shares[3][:r])
        _points(x[:k], y[:k], m[0], m[1], m[2], width, mode, not bilinear, at, u, across)
        _points(xs, ys, m[3], m[4], m[5], height, mode, not bilinear, at, v, down)
        if not back:
            _continue(images[n], border, mode)
        if upright:
            _read_upright(pixels, u, across, v, down, line, results[n])
            continue
        for i in range(len(x)):
            left[i] = left[i] * np.int32(channels) + top[i] * np.int32(row)
        if back:
            border[:] = 0
            if bilinear:
                _add(pixels, left, across, down, row, results[n])
            else:
                _put(pixels, left, results[n])
            _add_back(images[n], border, mode)
        elif bilinear:
            _read(pixels, left, across, down, row, results[n])
        else:
            _take(pixels, left, results[n])
