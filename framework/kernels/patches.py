"""Between images and the matrix of their patches: `unfold` (im2col) and `fold` (col2im).

Row r of the patch matrix holds what a kernel sees at output position r, ordered (tap, channel), so
that convolution is one matrix product; with groups there is one such matrix a group. Images are
(N, D, H, W, C); 1-D and 2-D ones come with unit axes in front of W. Positions are numbered through
batch and space and each call handles a range of them, so nobody ever needs the whole matrix.

Why it is written this way:
- Neighbouring taps along W see neighbouring pixels. With dilation 1 and one group a whole row of
  taps is one contiguous run of k_w * C numbers; else a run is the channels of one tap.
- A run below 8 numbers (C = 1) is copied as 8, a vector instead of a loop. What that writes too
  much belongs to the next run of the row, which is written later, or to the `SLACK` behind it.
- Indices are made unsigned where it matters: Numba's wraparound of negative ones prevents vectors.
"""

from __future__ import annotations

import numpy as np

from .jit import njit

Array = np.ndarray
Triple = tuple[int, int, int]

LANES = 8
#: Spare columns behind each row of a patch matrix, without which short runs are copied slowly.
SLACK = LANES
#: Shorter runs are summed tap by tap, as each run's sums would wait for those of the run before.
SHORT = 12


@njit
def _inside(
    output: int, taps: int, span: int, stride: int, before: int, dilation: int, width: int
) -> Array:
    """For each tap, the output positions lo:hi whose `span` pixels all lie within the width."""
    bounds = np.empty((taps, 2), np.int64)
    for tap in range(taps):
        offset = tap * dilation - before
        lo = min(max(0, -(offset // stride)), output)
        bounds[tap, 0] = lo
        bounds[tap, 1] = min(max(lo, (width - span - offset) // stride + 1), output)
    return bounds


@njit
def _copy8(source: Array, at: int, target: Array, to: int) -> None:
    """Copy 8 numbers. All are read before one is written, so that it becomes one vector."""
    v0 = source[np.uintp(at)]
    v1 = source[np.uintp(at + 1)]
    v2 = source[np.uintp(at + 2)]
    v3 = source[np.uintp(at + 3)]
    v4 = source[np.uintp(at + 4)]
    v5 = source[np.uintp(at + 5)]
    v6 = source[np.uintp(at + 6)]
    v7 = source[np.uintp(at + 7)]
    target[np.uintp(to)] = v0
    target[np.uintp(to + 1)] = v1
    target[np.uintp(to + 2)] = v2
    target[np.uintp(to + 3)] = v3
    target[np.uintp(to + 4)] = v4
    target[np.uintp(to + 5)] = v5
    target[np.uintp(to + 6)] = v6
    target[np.uintp(to + 7)] = v7


@njit
def unfold(
    x: Array,
    patches: Array,
    first: int,
    count: int,
    output_size: Triple,
    kernel_size: Triple,
    strides: Triple,
    before: Triple,
    dilation: Triple,
) -> None:
    """Write the patches at positions first:first+count into rows 0:count.

    Args:
        x: (N, D, H, W, C), contiguous.
        patches: (groups, rows, taps * C // groups, or `SLACK` more), contiguous; overwritten.
        before: the zero padding before each axis; the one behind follows from the output size.
    """
    _, depth, height, width, channels = x.shape
    groups, rows, pitch = patches.shape
    source, target = x.reshape(-1), patches.reshape(-1)
    share = channels // groups
    taps, span = kernel_size[2], 1
    if groups == 1 and dilation[2] == 1:
        taps, span = 1, kernel_size[2]
    run = span * share
    length = kernel_size[0] * kernel_size[1] * kernel_size[2] * share
    wide = run <= LANES and length - run + LANES <= pitch
    step = strides[2] * channels
    inside = _inside(output_size[2], taps, span, strides[2], before[2], dilation[2], width)
    done = 0
    while done < count:
        line, w = divmod(first + done, output_size[2])
        plane, row = divmod(line, output_size[1])
        image, slab = divmod(plane, output_size[0])
        many = min(output_size[2] - w, count - done)
        for group in range(groups):
            to = (group * rows + done) * pitch
            for kd in range(kernel_size[0]):
                d = slab * strides[0] - before[0] + kd * dilation[0]
                for kh in range(kernel_size[1]):
                    h = row * strides[1] - before[1] + kh * dilation[1]
                    begin = ((image * depth + d) * height + h) * width * channels
                    exists = 0 <= d < depth and 0 <= h < height
                    end = begin + width * channels if exists else begin
                    at = begin + (w * strides[2] - before[2]) * channels + group * share
                    for tap in range(taps):
                        lo, hi = 0, 0
                        if exists:
                            lo = min(max(inside[tap, 0] - w, 0), many)
                            hi = min(max(inside[tap, 1] - w, lo), many)
                        if wide and at + (hi - 1) * step + LANES <= source.size:
                            for i in range(lo, hi):
                                _copy8(source, at + i * step, target, to + i * pitch)
                        else:
                            for i in range(lo, hi):
                                a, b = at + i * step, to + i * pitch
                                for j in range(run):
                                    target[np.uintp(b + j)] = source[np.uintp(a + j)]
                        for edge in range(many - (hi - lo)):
                            i = edge if edge < lo else edge + hi - lo
                            a, b = at + i * step, to + i * pitch
                            enter = min(max(begin - a, 0), run)
                            leave = max(min(end - a, run), enter)
                            for j in range(enter):
                                target[np.uintp(b + j)] = 0
                            for j in range(enter, leave):
                                target[np.uintp(b + j)] = source[np.uintp(a + j)]
                            for j in range(leave, run):
                                target[np.uintp(b + j)] = 0
                        at += dilation[2] * channels
                        to += run
        done += many


@njit
def fold(
    patches: Array,
    x: Array,
    first: int,
    count: int,
    output_size: Triple,
    kernel_size: Triple,
    strides: Triple,
    before: Triple,
    dilation: Triple,
) -> None:
    """Add rows 0:count onto the pixels they were taken from: the adjoint of `unfold`.

    Args:
        patches: (groups, rows, taps * C // groups, or more), contiguous.
        x: (N, D, H, W, C), contiguous; added to.
    """
    _, depth, height, width, channels = x.shape
    groups, rows, pitch = patches.shape
    target, source = x.reshape(-1), patches.reshape(-1)
    share = channels // groups
    taps, span = kernel_size[2], 1
    if groups == 1 and dilation[2] == 1 and kernel_size[2] * share >= SHORT:
        taps, span = 1, kernel_size[2]
    run = span * share
    step = strides[2] * channels
    inside = _inside(output_size[2], taps, span, strides[2], before[2], dilation[2], width)
    done = 0
    while done < count:
        line, w = divmod(first + done, output_size[2])
        plane, row = divmod(line, output_size[1])
        image, slab = divmod(plane, output_size[0])
        many = min(output_size[2] - w, count - done)
        for group in range(groups):
            for kd in range(kernel_size[0]):
                d = slab * strides[0] - before[0] + kd * dilation[0]
                for kh in range(kernel_size[1]):
                    h = row * strides[1] - before[1] + kh * dilation[1]
                    if not (0 <= d < depth and 0 <= h < height):
                        continue
                    begin = ((image * depth + d) * height + h) * width * channels
                    end = begin + width * channels
                    to = begin + (w * strides[2] - before[2]) * channels + group * share
                    at = (group * rows + done) * pitch
                    at += (kd * kernel_size[1] + kh) * kernel_size[2] * share
                    for tap in range(taps):
                        lo = min(max(inside[tap, 0] - w, 0), many)
                        hi = min(max(inside[tap, 1] - w, lo), many)
                        if run < SHORT:
                            for j in range(run):
                                for i in range(lo, hi):
                                    a, b = at + i * pitch + j, to + i * step + j
                                    target[np.uintp(b)] += source[np.uintp(a)]
                        else:
                            for i in range(lo, hi):
                                a, b = at + i * pitch, to + i * step
                                for j in range(run):
                                    target[np.uintp(b + j)] += source[np.uintp(a + j)]
                        for edge in range(many - (hi - lo) if span > 1 else 0):
                            i = edge if edge < lo else edge + hi - lo
                            a, b = at + i * pitch, to + i * step
                            enter = min(max(begin - b, 0), run)
                            leave = max(min(end - b, run), enter)
                            for j in range(enter, leave):
                                target[np.uintp(b + j)] += source[np.uintp(a + j)]
                        at += run
                        to += dilation[2] * channels
        done += many
