"""Depthwise convolution, one filter a channel: no matrix product, but one multiplication a tap.

Patches would only move numbers about. All three maps of a convolution visit the same triples
(pixel, tap, output) and differ in which of the three arrays they add to.
"""

from __future__ import annotations

import numpy as np

from .jit import njit
from .patches import Triple

Array = np.ndarray

X, KERNEL, Y = 0, 1, 2


@njit
def accumulate(
    into: int,
    x: Array,
    kernel: Array,
    y: Array,
    strides: Triple,
    before: Triple,
    dilation: Triple,
) -> None:
    """Add to one of the arrays, for each output and each tap, the product of the other two.

    Args:
        into: which array is added to: `X`, `KERNEL` or `Y`.
        x: (N, D, H, W, C), contiguous, as are the others.
        kernel: (k_d, k_h, k_w, C).
        y: (N, *output_size, C).
        before: the zero padding before each axis.
    """
    _, depth, height, width, channels = x.shape
    pixels, weights, outputs = x.reshape(-1), kernel.reshape(-1), y.reshape(-1)
    b = 0
    for n in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                for k in range(y.shape[3]):
                    for kd in range(kernel.shape[0]):
                        d = i * strides[0] - before[0] + kd * dilation[0]
                        if not 0 <= d < depth:
                            continue
                        for kh in range(kernel.shape[1]):
                            h = j * strides[1] - before[1] + kh * dilation[1]
                            if not 0 <= h < height:
                                continue
                            for kw in range(kernel.shape[2]):
                                w = k * strides[2] - before[2] + kw * dilation[2]
                                if not 0 <= w < width:
                                    continue
                                a = (((n * depth + d) * height + h) * width + w) * channels
                                t = (kd * kernel.shape[1] + kh) * kernel.shape[2] + kw
                                t *= channels
                                if into == Y:
                                    for c in range(channels):
                                        value = pixels[np.uintp(a + c)] * weights[np.uintp(t + c)]
                                        outputs[np.uintp(b + c)] += value
                                elif into == X:
                                    for c in range(channels):
                                        value = outputs[np.uintp(b + c)] * weights[np.uintp(t + c)]
                                        pixels[np.uintp(a + c)] += value
                                else:
                                    for c in range(channels):
                                        value = pixels[np.uintp(a + c)] * outputs[np.uintp(b + c)]
                                        weights[np.uintp(t + c)] += value
                    b += channels
