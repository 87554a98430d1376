"""Patches as an op of their own: `unfold` (im2col), `fold` (col2im), and what is written with them.

The two are adjoint, so each is the gradient of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import kernels
from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import Generator, Sample
from .conv import cases
from .geometry import (
    check_rank,
    conv_settings,
    draw,
    floats,
    per_axis,
    volumes,
    window_settings,
    windows,
)

Array = np.ndarray


def _window_samples(folds: bool) -> Callable[[Generator], Iterator[Sample]]:
    def samples(rng: Generator) -> Iterator[Sample]:
        for x, kernel, settings in cases(rng):
            y = conv_settings("conv", x, kernel, **settings)[1]
            given = {"kernel_size": kernel[:-2], **settings}
            given.pop("groups", None)
            if folds:
                length = math.prod(kernel[:-2]) * x[-1]
                yield Sample(draw(rng, (*y[:-1], length)), input_size=x[1:-1], **given)
            else:
                yield Sample(draw(rng, x), **given)

    return samples


def _resolve_unfold(x: Tensor, kernel_size: Any, **settings: Any) -> dict[str, Any]:
    return window_settings("unfold", x.shape, "kernel_size", kernel_size, **settings)[0]


@op(
    gradients=(lambda g, y, x, **s: fold(g, input_size=x.shape[1:-1], **s),),
    samples=_window_samples(folds=False),
    resolve=_resolve_unfold,
    linear=True,
)
def unfold(
    x: Array,
    /,
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
) -> Array:
    """The patch under every window (im2col): what `conv` multiplies with its kernel.

    Args:
        x: (N, *spatial, C).
        kernel_size: of the window, an int or one for each spatial axis.
        strides, padding, dilation: see `conv`.

    Returns:
        (N, *output_size, taps * C), a patch's taps in row-major order, its channels innermost.

    Raises:
        ShapeError: a rank that does not fit, or a window larger than the padded input.
        ValueError: a setting that fits no shape.
    """
    (x,) = floats(x)
    at = windows(x.shape[1:-1], kernel_size, strides, padding, dilation)
    length = math.prod(kernel_size) * x.shape[-1]
    y = np.empty((len(x), *at.output_size[3 - len(strides) :], length), x.dtype)
    rows = y.size // max(1, length)
    kernels.patches.unfold(volumes(x), y.reshape(1, rows, length), 0, rows, *at[1:])
    return y


def _resolve_fold(
    patches: Tensor, input_size: Any, kernel_size: Any, **settings: Any
) -> dict[str, Any]:
    where = "fold"
    check_rank(where, patches.shape, patches.ndim - 2)
    input_size = per_axis(input_size, patches.ndim - 2, "input_size", where, least=0)
    x = (len(patches), *input_size, 1)
    given, size = window_settings(where, x, "kernel_size", kernel_size, **settings)
    taps = math.prod(given["kernel_size"])
    if patches.shape[1:-1] != size or patches.shape[-1] % taps:
        raise ShapeError(
            f"fold expected patches of shape (N, {', '.join(map(str, size))}, a multiple of {taps} "
            f"taps) for input_size={input_size}, received {patches.shape}."
        )
    return {"input_size": input_size, **given}


@op(
    gradients=(lambda v, x, g, input_size, **s: unfold(v, **s),),
    samples=_window_samples(folds=True),
    resolve=_resolve_fold,
    linear=True,
)
def fold(
    patches: Array,
    /,
    input_size: Any,
    kernel_size: Any,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
) -> Array:
    """Every patch put back where `unfold` found it, summed where patches overlap (col2im).

    Args:
        patches: (N, *output_size, taps * C).
        input_size: the spatial size of the images.
        kernel_size, strides, padding, dilation: of the `unfold`.

    Returns:
        (N, *input_size, C).

    Raises:
        ShapeError: the patches are not those of such images.
    """
    (patches,) = floats(patches)
    at = windows(input_size, kernel_size, strides, padding, dilation)
    length = patches.shape[-1]
    x = np.zeros((len(patches), *input_size, length // math.prod(kernel_size)), patches.dtype)
    rows = patches.size // max(1, length)
    kernels.patches.fold(patches.reshape(1, rows, length), volumes(x), 0, rows, *at[1:])
    return x


def _local_samples(rng: Generator) -> Iterator[Sample]:
    for x, kernel, settings in cases(rng):
        given = {name: v for name, v in settings.items() if name in ("strides", "padding")}
        size = window_settings("local_conv", x, "kernel_size", kernel[:-2], **given)[1]
        own = (math.prod(size), math.prod(kernel[:-2]) * x[-1], kernel[-1])
        yield Sample(draw(rng, x), draw(rng, own), kernel_size=kernel[:-2], **given)


@composite(samples=_local_samples)
def local_conv(
    x: Any, kernel: Any, kernel_size: Any, strides: Any = 1, padding: Any = "valid"
) -> Tensor:
    """Local connection without weight sharing: a convolution with its own kernel at each position.

    Args:
        x: (N, *spatial, C).
        kernel: (positions, taps * C, c_out), positions and taps in row-major order.
        kernel_size, strides, padding: see `unfold`.

    Returns:
        (N, *output_size, c_out).

    Raises:
        ShapeError: the kernel has not one matrix a position and one row a tap and channel.
    """
    x, kernel = as_tensor(x), as_tensor(kernel)
    patches = unfold(x, kernel_size, strides, padding)
    batch, *size, length = patches.shape
    positions = math.prod(size)
    if kernel.ndim != 3 or kernel.shape[:2] != (positions, length):
        raise ShapeError(
            f"local_conv expected a kernel of shape (positions={positions}, taps * channels="
            f"{length}, c_out) for x of shape {x.shape}, received {kernel.shape}."
        )
    rows = patches.reshape(batch, positions, length).transpose(1, 0, 2) @ kernel
    return rows.transpose(1, 0, 2).reshape(batch, *size, kernel.shape[-1])
