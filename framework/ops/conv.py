"""Convolution (cross-correlation, as everywhere in deep learning) of 1-D, 2-D and 3-D images.

An image batch x is (N, *spatial, C), a kernel (*kernel_size, C // groups, c_out). Three maps belong
together; at stride 1, for output position p and tap t, each pixel being a row of channels:

    conv                  y[p] = sum_t x[p + t] w[t]
    conv_input_gradient   x[q] = sum_t g[q - t] w[t]^T     (the transposed convolution)
    conv_kernel_gradient  w[t] = sum_p x[p + t]^T g[p]

Each is linear in both of its arrays, and the gradients of each are the other two: there is nothing
else to derive, at any order. All three are products with the matrix of patches (`unfold`), which is
made and used a block of rows at a time, so that it never leaves the cache. Two cases need no such
matrix: 1x1 kernels, where x is it already, and depthwise convolution, where it would be no product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import kernels
from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import Generator, Sample
from .geometry import (
    AXES,
    Sizes,
    Windows,
    check_rank,
    conv_settings,
    draw,
    extent,
    floats,
    integer,
    per_axis,
    transposed_size,
    volumes,
    windows,
)

Array = np.ndarray

#: Bytes of patches made at a time. They are multiplied while they are still in the cache.
BLOCK = 2**21
#: But not fewer rows than this: each block costs a call, and a sum of the whole kernel gradient.
ROWS = 256


# The matrix of patches, by blocks of rows


def _by_group(array: Array, groups: int) -> Array:
    """(..., columns) as one matrix a group, (groups, rows, columns // groups): a view."""
    rows, columns = math.prod(array.shape[:-1]), array.shape[-1] // groups
    return array.reshape(rows, groups, columns).transpose(1, 0, 2)


def _weights(kernel: Array, groups: int) -> Array:
    """A kernel as the matrices that patches are multiplied with: (groups, taps * C, c_out)."""
    return _by_group(kernel.reshape(math.prod(kernel.shape[:-1]), kernel.shape[-1]), groups)


def _ready(x: Array, at: Windows, groups: int) -> Array | None:
    """The patch matrices of x where they are x itself, seen otherwise; else None."""
    if at.are_pixels:
        return _by_group(x, groups)
    if at.are_images and groups == 1:
        return x.reshape(1, len(x), math.prod(x.shape[1:]))
    return None


def _blocks(x: Array, at: Windows, groups: int) -> Iterator[tuple[slice, Array, Array]]:
    """The patch matrices of x in blocks of rows, empty: (which rows, the room, the part in use).

    The room, (groups, rows, taps * C // groups + slack), is the same every time.
    """
    rows = len(x) * math.prod(at.output_size)
    length = math.prod(at.kernel_size) * x.shape[-1] // groups
    size = min(rows, max(ROWS, BLOCK // (max(1, length * groups) * x.itemsize)))
    room = np.empty((groups, size, length + kernels.patches.SLACK), x.dtype)
    for first in range(0, rows, max(1, size)):
        count = min(size, rows - first)
        yield slice(first, first + count), room, room[:, :count, :length]


def _patches(x: Array, at: Windows, groups: int) -> Iterator[tuple[slice, Array]]:
    """The patch matrices of x by blocks: (which rows, (groups, rows, taps * C // groups))."""
    ready = _ready(x, at, groups)
    if ready is not None:
        yield slice(None), ready
        return
    images = volumes(x)
    for rows, room, patches in _blocks(x, at, groups):
        kernels.patches.unfold(images, room, rows.start, patches.shape[1], *at[1:])
        yield rows, patches


def _is_depthwise(kernel_shape: Sizes, groups: int) -> bool:
    """Whether each channel has a filter of its own, and just one."""
    return kernel_shape[-2] == 1 and kernel_shape[-1] == groups > 1


def _depthwise(into: int, x: Array, kernel: Array, y: Array, at: Windows) -> None:
    """All three maps of a depthwise convolution: add to one array the product of the others."""
    taps = kernel.reshape(*at.kernel_size, kernel.shape[-1])
    geometry = at.strides, at.before, at.dilation
    kernels.depthwise.accumulate(into, volumes(x), taps, volumes(y), *geometry)


# Samples: one geometry is a sample of each of the three maps

Case = tuple[Sizes, Sizes, dict[str, Any]]


def cases(rng: Generator) -> Iterator[Case]:
    """Shapes of x and of a kernel, and the settings: the corners by hand, then 30 at random."""
    yield (2, 4, 1), (3, 1, 2), {}
    yield (1, 1, 1, 1), (1, 1, 1, 1), {}
    yield (2, 3, 2, 3), (1, 1, 3, 2), {}
    yield (2, 3, 3, 2), (3, 3, 2, 2), {}
    yield (2, 3, 3, 4), (3, 3, 2, 2), {"groups": 2}
    yield (1, 2, 2, 4), (1, 1, 2, 6), {"groups": 2}
    yield (1, 5, 4, 1), (2, 3, 1, 2), {"strides": (2, 1)}
    yield (1, 4, 5, 1), (2, 2, 1, 1), {"strides": (1, 3)}
    yield (1, 5, 5, 1), (3, 3, 1, 1), {"strides": 2, "padding": "same"}
    yield (1, 4, 4, 1), (3, 2, 1, 1), {"strides": 2, "padding": "same"}
    yield (1, 3, 4, 2), (2, 2, 2, 1), {"padding": "same"}
    yield (1, 3, 3, 1), (2, 3, 1, 1), {"padding": ((2, 0), (1, 3))}
    yield (1, 3, 3, 1), (3, 3, 1, 1), {"padding": 4}
    yield (1, 2, 3, 2), (1, 1, 2, 2), {"padding": ((1, 0), (0, 2)), "strides": (2, 1)}
    yield (1, 6, 1), (2, 1, 2), {"padding": "causal", "dilation": 2}
    yield (1, 9, 1), (3, 1, 1), {"padding": "causal", "strides": 2}
    yield (1, 5, 5, 1), (2, 2, 1, 1), {"dilation": 3}
    yield (1, 5, 4, 2), (3, 2, 2, 1), {"dilation": (2, 1), "padding": 1}
    yield (1, 7, 3), (2, 1, 3), {"groups": 3, "dilation": 2, "strides": 2}
    yield (1, 3, 3, 5), (2, 2, 1, 5), {"groups": 5}
    yield (1, 3, 2, 3), (2, 2, 1, 6), {"groups": 3, "padding": "same"}
    yield (1, 2, 8), (2, 8, 1), {}
    yield (1, 3, 17), (2, 17, 1), {}
    yield (1, 3, 17), (2, 1, 17), {"groups": 17}
    yield (1, 3, 10), (2, 5, 4), {"groups": 2, "padding": ((1, 0),)}
    yield (1, 12, 1), (9, 1, 1), {"padding": "same"}
    yield (0, 4, 4, 2), (3, 3, 2, 2), {"padding": "same"}
    yield (0, 3, 1), (1, 1, 2), {}
    yield (0, 3, 3, 2), (3, 3, 2, 1), {}
    yield (1, 2, 3, 2, 2), (2, 2, 2, 2, 1), {}
    yield (1, 3, 2, 3, 1), (2, 1, 2, 1, 2), {"strides": (2, 1, 2), "padding": "same"}
    yield (1, 3, 1, 3, 2), (2, 1, 2, 1, 2), {"groups": 2, "dilation": (2, 1, 1)}
    yield (1, 2, 2, 2, 1), (2, 2, 2, 1, 1), {"padding": ((1, 0), (0, 1), (1, 1))}
    for _ in range(30):
        rank = int(rng.choice([1, 2, 2, 3]))
        groups = int(rng.integers(1, 3))
        kernel = rng.integers(1, 4 if rank < 3 else 3, rank)
        dilation = rng.integers(1, 3, rank)
        size = (kernel - 1) * dilation + rng.integers(1, (6, 4, 2)[rank - 1], rank)
        pairs = rng.integers(0, 3, (rank, 2)) * rng.integers(0, 2)
        share, filters = int(rng.integers(1, 3)), groups * int(rng.integers(1, 3))
        settings = {
            "strides": tuple(rng.integers(1, 4, rank).tolist()),
            "padding": tuple(map(tuple, pairs.tolist())),
            "dilation": tuple(dilation.tolist()),
            "groups": groups,
        }
        yield (1, *size.tolist(), share * groups), (*kernel.tolist(), share, filters), settings


def _conv_samples(rng: Generator) -> Iterator[Sample]:
    for x, kernel, settings in cases(rng):
        yield Sample(draw(rng, x), draw(rng, kernel), **settings)


def _input_gradient_samples(rng: Generator) -> Iterator[Sample]:
    for x, kernel, settings in cases(rng):
        y = conv_settings("conv", x, kernel, **settings)[1]
        yield Sample(draw(rng, y), draw(rng, kernel), input_size=x[1:-1], **settings)


def _kernel_gradient_samples(rng: Generator) -> Iterator[Sample]:
    for x, kernel, settings in cases(rng):
        y = conv_settings("conv", x, kernel, **settings)[1]
        yield Sample(draw(rng, x), draw(rng, y), kernel_size=kernel[:-2], **settings)


# The three maps


def _resolve_conv(x: Tensor, kernel: Tensor, **settings: Any) -> dict[str, Any]:
    return conv_settings("conv", x.shape, kernel.shape, **settings)[0]


@op(
    gradients=(
        lambda g, y, x, w, **s: conv_input_gradient(g, w, input_size=x.shape[1:-1], **s),
        lambda g, y, x, w, **s: conv_kernel_gradient(x, g, kernel_size=w.shape[:-2], **s),
    ),
    samples=_conv_samples,
    resolve=_resolve_conv,
    linear=True,
)
def conv(
    x: Array,
    kernel: Array,
    /,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """Cross-correlate images with a kernel; the output has ``floor((n - k + p + s) / s)`` pixels.

    Args:
        x: (N, *spatial, C), 1 to 3 spatial axes.
        kernel: (*kernel_size, C // groups, c_out).
        strides, dilation: an int, or one for each spatial axis.
        padding: zeros around x. "valid": none. "same": ``ceil(n / s)`` outputs, the smaller half in
            front. "causal" (1-D): all in front. Or an int, or a (before, after) for each axis.
        groups: the channels and the filters are split into as many groups, each on its own;
            ``groups=C`` is a depthwise convolution.

    Returns:
        (N, *output_size, c_out).

    Raises:
        ShapeError: ranks or channels do not fit, or the kernel is larger than the padded input.
        ValueError: a setting that fits no shape.
    """
    x, kernel = floats(x, kernel)
    at = windows(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation)
    shape = (len(x), *at.output_size[3 - len(strides) :], kernel.shape[-1])
    if _is_depthwise(kernel.shape, groups):
        y = np.zeros(shape, x.dtype)
        _depthwise(kernels.depthwise.Y, x, kernel, y, at)
        return y
    y = np.empty(shape, x.dtype)
    weights, result = _weights(kernel, groups), _by_group(y, groups)
    for rows, patches in _patches(x, at, groups):
        kernels.blas.matmul(patches, weights, out=result[:, rows])
    return y


def _resolve_input_gradient(
    gradient: Tensor, kernel: Tensor, input_size: Any, groups: Any, **settings: Any
) -> dict[str, Any]:
    where = "conv_input_gradient"
    check_rank(where, gradient.shape, kernel.ndim - 2)
    input_size = per_axis(input_size, kernel.ndim - 2, "input_size", where, least=0)
    channels = kernel.shape[-2] * groups
    x = (len(gradient), *input_size, channels)
    settings, y = conv_settings(where, x, kernel.shape, groups=groups, **settings)
    _check_gradient(where, gradient.shape, y)
    return {"input_size": input_size, **settings}


def _check_gradient(where: str, received: Sizes, expected: Sizes) -> None:
    if received != expected:
        raise ShapeError(
            f"{where} expected a gradient of the convolution's output shape {expected}, received "
            f"{received}."
        )


@op(
    gradients=(
        lambda v, x, g, w, input_size, **s: conv(v, w, **s),
        lambda v, x, g, w, input_size, **s: conv_kernel_gradient(
            v, g, kernel_size=w.shape[:-2], **s
        ),
    ),
    samples=_input_gradient_samples,
    resolve=_resolve_input_gradient,
    linear=True,
)
def conv_input_gradient(
    gradient: Array,
    kernel: Array,
    /,
    input_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """The gradient of `conv` for x: every output's gradient goes back to the pixels it came from.

    Args:
        gradient: (N, *output_size, c_out), of the output of that convolution.
        kernel, strides, padding, dilation, groups: of that convolution.
        input_size: the spatial size of x.

    Returns:
        (N, *input_size, C).

    Raises:
        ShapeError: the gradient is not of that convolution's output shape.
    """
    gradient, kernel = floats(gradient, kernel)
    at = windows(input_size, kernel.shape[:-2], strides, padding, dilation)
    channels = kernel.shape[-2] * groups
    x = np.zeros((len(gradient), *input_size, channels), gradient.dtype)
    if _is_depthwise(kernel.shape, groups):
        _depthwise(kernels.depthwise.X, x, kernel, gradient, at)
        return x
    weights, cotangent = _weights(kernel, groups).transpose(0, 2, 1), _by_group(gradient, groups)
    ready = _ready(x, at, groups)
    if ready is not None:
        kernels.blas.matmul(cotangent, weights, out=ready)
        return x
    images = volumes(x)
    for rows, room, patches in _blocks(x, at, groups):
        kernels.blas.matmul(cotangent[:, rows], weights, out=patches)
        kernels.patches.fold(room, images, rows.start, patches.shape[1], *at[1:])
    return x


def _resolve_kernel_gradient(
    x: Tensor, gradient: Tensor, kernel_size: Any, groups: Any, **settings: Any
) -> dict[str, Any]:
    where = "conv_kernel_gradient"
    check_rank(where, gradient.shape, x.ndim - 2)
    kernel_size = per_axis(kernel_size, x.ndim - 2, "kernel_size", where)
    share = x.shape[-1] // max(1, integer(groups) or 1)
    kernel = (*kernel_size, share, gradient.shape[-1])
    settings, y = conv_settings(where, x.shape, kernel, groups=groups, **settings)
    _check_gradient(where, gradient.shape, y)
    return {"kernel_size": kernel_size, **settings}


@op(
    gradients=(
        lambda v, w, x, g, kernel_size, **s: conv_input_gradient(
            g, v, input_size=x.shape[1:-1], **s
        ),
        lambda v, w, x, g, kernel_size, **s: conv(x, v, **s),
    ),
    samples=_kernel_gradient_samples,
    resolve=_resolve_kernel_gradient,
    linear=True,
)
def conv_kernel_gradient(
    x: Array,
    gradient: Array,
    /,
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
) -> Array:
    """The gradient of `conv` for its kernel: each tap's pixels against the outputs they went into.

    Args:
        x, strides, padding, dilation, groups: of that convolution.
        gradient: (N, *output_size, c_out), of its output.
        kernel_size: the spatial size of its kernel.

    Returns:
        (*kernel_size, C // groups, c_out).

    Raises:
        ShapeError: the gradient is not of that convolution's output shape.
    """
    x, gradient = floats(x, gradient)
    at = windows(x.shape[1:-1], kernel_size, strides, padding, dilation)
    shape = (*kernel_size, x.shape[-1] // groups, gradient.shape[-1])
    kernel = np.zeros(shape, x.dtype)
    if _is_depthwise(shape, groups):
        _depthwise(kernels.depthwise.KERNEL, x, kernel, gradient, at)
        return kernel
    total, cotangent = _weights(kernel, groups), _by_group(gradient, groups)
    for rows, patches in _patches(x, at, groups):
        total += kernels.blas.matmul(patches.transpose(0, 2, 1), cotangent[:, rows])
    return kernel


# Written with them


def _transpose_samples(rng: Generator) -> Iterator[Sample]:
    for x, kernel, settings in cases(rng):
        y = conv_settings("conv", x, kernel, **settings)[1]
        if settings.get("padding", "valid") != "valid":  # explicit ones could leave no output
            settings = {**settings, "padding": "same"}
        yield Sample(draw(rng, y), draw(rng, kernel), **settings)
    for padding in ("valid", "same", 1, ((1, 0), (0, 2))):
        for k in (1, 2, 3):
            given = {"strides": (3, 2), "padding": padding, "output_padding": (2, 1)}
            yield Sample(draw(rng, (1, 2, 3, 1)), draw(rng, (k, 2, 1, 1)), **given)


@composite(samples=_transpose_samples)
def conv_transpose(
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Transposed convolution: `conv_input_gradient` as a layer that enlarges images.

    With n input pixels, stride s, and k the reach of the (dilated) kernel, the output has

        "valid"                         (n - 1) s + max(k, s)
        "same"                          n s
        padding (before, after)         (n - 1) s + k - before - after

    pixels; `output_padding` p makes that, as in Keras, ``(n - 1) s + k - 2 (k // 2) + p`` for
    "same", and ``(n - 1) s + k - before - after + p`` otherwise.

    Args:
        x: (N, *spatial, C).
        kernel: (*kernel_size, c_out // groups, C): the kernel of the convolution this transposes.
        strides, padding, dilation, groups: of that convolution; see `conv`.
        output_padding: None, or how many of the s - 1 other sizes to go up; below the stride.

    Returns:
        (N, *output_size, c_out).

    Raises:
        ShapeError: ranks or channels do not fit, or nothing is left of the output.
        ValueError: a setting that fits no shape.
    """
    where = "conv_transpose"
    x, kernel = as_tensor(x), as_tensor(kernel)
    rank = kernel.ndim - 2
    if rank not in AXES or x.ndim != rank + 2 or x.shape[-1] != kernel.shape[-1]:
        raise ShapeError(
            f"{where} expected x of shape (N, *spatial, C) and a kernel of shape (*kernel_size, "
            f"c_out // groups, C) with 1 to 3 spatial axes, received {x.shape} and {kernel.shape}."
        )
    strides = per_axis(strides, rank, "strides", where)
    dilation = per_axis(dilation, rank, "dilation", where)
    reach = extent(kernel.shape[:-2], dilation)
    size, pairs = transposed_size(x.shape[1:-1], reach, strides, padding, output_padding, where)
    return conv_input_gradient(
        x, kernel, input_size=size, strides=strides, padding=pairs, dilation=dilation, groups=groups
    )
