"""PyTorch's convolution and pooling under our names, layout and settings.

Ours is channels last, PyTorch's channels first: images and kernels change their layout on the way
in and out. Named and one-sided padding becomes explicit zeros, since PyTorch pads both sides alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Twin = Callable[..., Any]
Sizes = Sequence[int]


# Layouts


def channels_first(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def channels_last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def torch_kernel(kernel: Tensor) -> Tensor:
    """(*kernel_size, a, b) as (b, a, *kernel_size)."""
    return kernel.movedim((-1, -2), (0, 1)).contiguous()


def by_rank(x: Tensor, *functions: Twin) -> Twin:
    """The function for as many spatial axes as x, with a batch and a channel axis, has."""
    return functions[x.ndim - 3]


# Sliding windows


def each(setting: Any, rank: int) -> list[int]:
    return [setting] * rank if isinstance(setting, int) else list(setting)


def reach(kernel_size: Sizes, dilation: Any) -> list[int]:
    steps = each(dilation, len(kernel_size))
    return [(k - 1) * d + 1 for k, d in zip(kernel_size, steps, strict=True)]


def same_pairs(size: Sizes, outputs: Sizes, kernel: Sizes, strides: Sizes) -> list[tuple[int, int]]:
    """Keras's "same": just enough for that many outputs, the smaller half in front."""
    totals = [
        max((o - 1) * s + k - n, 0)
        for n, o, k, s in zip(size, outputs, kernel, strides, strict=True)
    ]
    return [(total // 2, total - total // 2) for total in totals]


def pairs(padding: Any, size: Sizes, kernel: Sizes, strides: Sizes) -> list[tuple[int, int]]:
    """Padding of any form as (before, after) for each spatial axis."""
    if padding == "valid":
        return [(0, 0)] * len(size)
    if padding == "causal":
        return [(kernel[0] - 1, 0)]
    if padding == "same":
        outputs = [-(-n // s) for n, s in zip(size, strides, strict=True)]
        return same_pairs(size, outputs, kernel, strides)
    if isinstance(padding, int):
        return [(padding, padding)] * len(size)
    return [tuple(pair) for pair in padding]


def padded(x: Tensor, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Channels-first images with these borders; negative ones are cut off."""
    return F.pad(x, [n for pair in reversed(widths) for n in pair], value=value)


def conv(
    x: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: Any = "valid",
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    x, rank = channels_first(x), x.ndim - 2
    strides, dilation = each(strides, rank), each(dilation, rank)
    widths = pairs(padding, x.shape[2:], reach(kernel.shape[:-2], dilation), strides)
    function = by_rank(x, F.conv1d, F.conv2d, F.conv3d)
    weight = torch_kernel(kernel)
    return channels_last(
        function(padded(x, widths), weight, stride=strides, dilation=dilation, groups=groups)
    )


def pulled_back(function: Twin, shape: Sizes, cotangent: Tensor) -> Tensor:
    """The gradient of a linear function for its input, itself differentiable."""
    x = cotangent.new_zeros(tuple(shape)).requires_grad_()
    with torch.enable_grad():
        y = function(x)
    return torch.autograd.grad(y, x, cotangent, create_graph=True)[0]


def conv_input_gradient(
    gradient: Tensor, kernel: Tensor, input_size: Sizes, groups: int = 1, **settings: Any
) -> Tensor:
    shape = (len(gradient), *input_size, kernel.shape[-2] * groups)
    return pulled_back(lambda x: conv(x, kernel, groups=groups, **settings), shape, gradient)


def conv_kernel_gradient(
    x: Tensor, gradient: Tensor, kernel_size: Sizes, groups: int = 1, **settings: Any
) -> Tensor:
    shape = (*kernel_size, x.shape[-1] // groups, gradient.shape[-1])
    return pulled_back(lambda w: conv(x, w, groups=groups, **settings), shape, gradient)


def conv_transpose(
    x: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: Any = "valid",
    output_padding: Any = None,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """PyTorch's with no padding, cut to the size that Keras's settings stand for."""
    x, rank = channels_first(x), x.ndim - 2
    strides, dilation = each(strides, rank), each(dilation, rank)
    function = by_rank(x, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
    weight = torch_kernel(kernel)
    whole = function(x, weight, stride=strides, dilation=dilation, groups=groups)
    size, kernel_reach = x.shape[2:], reach(kernel.shape[:-2], dilation)
    extra = each(0 if output_padding is None else output_padding, rank)
    axes = list(zip(size, kernel_reach, strides, extra, strict=True))
    if padding == "same":
        if output_padding is None:
            outputs = [n * s for n, _, s, _ in axes]
        else:
            outputs = [(n - 1) * s + k - 2 * (k // 2) + e for n, k, s, e in axes]
        before = [pair[0] for pair in same_pairs(outputs, size, kernel_reach, strides)]
    elif padding == "valid" and output_padding is None:
        outputs, before = [(n - 1) * s + max(k, s) for n, k, s, _ in axes], [0] * rank
    else:
        widths = pairs(padding, size, kernel_reach, strides)
        before = [pair[0] for pair in widths]
        outputs = [
            (n - 1) * s + k - sum(pair) + e for (n, k, s, e), pair in zip(axes, widths, strict=True)
        ]
    cut = [(-b, o + b - w) for o, b, w in zip(outputs, before, whole.shape[2:], strict=True)]
    return channels_last(padded(whole, cut))


def unfold(
    x: Tensor, kernel_size: Sizes, strides: Any = 1, padding: Any = "valid", dilation: Any = 1
) -> Tensor:
    """Tensor.unfold along one spatial axis after another: F.unfold knows two axes only."""
    x, rank = channels_first(x), x.ndim - 2
    strides, dilation = each(strides, rank), each(dilation, rank)
    sizes = reach(kernel_size, dilation)
    x = padded(x, pairs(padding, x.shape[2:], sizes, strides))
    for axis in range(rank):
        x = x.unfold(axis + 2, sizes[axis], strides[axis])[..., :: dilation[axis]]
    x = x.movedim(1, -1)  # (N, *output_size, *kernel_size, C)
    return x.reshape(*x.shape[: rank + 1], math.prod(x.shape[rank + 1 :]))


def fold(patches: Tensor, input_size: Sizes, kernel_size: Sizes, **settings: Any) -> Tensor:
    channels = patches.shape[-1] // math.prod(kernel_size)
    shape = (len(patches), *input_size, channels)
    return pulled_back(lambda x: unfold(x, kernel_size, **settings), shape, patches)


def local_conv(x: Tensor, kernel: Tensor, kernel_size: Sizes, **settings: Any) -> Tensor:
    patches = unfold(x, kernel_size, **settings)
    y = torch.einsum("npk,pkc->npc", patches.flatten(1, -2), kernel)
    return y.reshape(*patches.shape[:-1], kernel.shape[-1])


# Pooling


def pool_windows(
    x: Tensor, pool_size: Any, strides: Any, padding: Any
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Sizes, strides and padding of the windows over channels-first images."""
    rank = x.ndim - 2
    size = each(pool_size, rank)
    steps = size if strides is None else each(strides, rank)
    return size, steps, pairs(padding, x.shape[2:], size, steps)


def max_pool(x: Tensor, pool_size: Any = 2, strides: Any = None, padding: Any = "valid") -> Tensor:
    x = channels_first(x)
    size, steps, widths = pool_windows(x, pool_size, strides, padding)
    function = by_rank(x, F.max_pool1d, F.max_pool2d, F.max_pool3d)
    return channels_last(function(padded(x, widths, value=-math.inf), size, steps))


def max_pool_index(
    x: Tensor, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> Tensor:
    """PyTorch counts the pixels of the padded image; a table leads back to those of x."""
    x = channels_first(x)
    size, steps, widths = pool_windows(x, pool_size, strides, padding)
    function = by_rank(x, F.max_pool1d, F.max_pool2d, F.max_pool3d)
    filled = padded(x, widths, value=-math.inf)
    index = function(filled, size, steps, return_indices=True)[1]
    pixels = torch.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])
    return channels_last(padded(pixels, widths, value=-1).flatten()[index])


def average_pool(
    x: Tensor, pool_size: Any = 2, strides: Any = None, padding: Any = "valid"
) -> Tensor:
    """Over the pixels that are not padding: the padded mean by the share that pixels have in it."""
    x = channels_first(x)
    size, steps, widths = pool_windows(x, pool_size, strides, padding)
    function = by_rank(x, F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
    share = function(padded(x.new_ones(1, 1, *x.shape[2:]), widths), size, steps)
    return channels_last(function(padded(x, widths), size, steps) / share)


def average_pool_gradient(gradient: Tensor, input_size: Sizes, **settings: Any) -> Tensor:
    shape = (len(gradient), *input_size, gradient.shape[-1])
    return pulled_back(lambda x: average_pool(x, **settings), shape, gradient)


def adaptive_max_pool(x: Tensor, output_size: Any) -> Tensor:
    return channels_last(adaptive_max_pool_and_index(x, output_size)[0])


def adaptive_max_pool_index(x: Tensor, output_size: Any) -> Tensor:
    return channels_last(adaptive_max_pool_and_index(x, output_size)[1])


def adaptive_max_pool_and_index(x: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    x = channels_first(x)
    function = by_rank(x, F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)
    return function(x, output_size, return_indices=True)


def adaptive_average_pool(x: Tensor, output_size: Any) -> Tensor:
    x = channels_first(x)
    function = by_rank(x, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)
    return channels_last(function(x, output_size))


def adaptive_average_pool_gradient(gradient: Tensor, input_size: Sizes) -> Tensor:
    shape = (len(gradient), *input_size, gradient.shape[-1])
    outputs = tuple(gradient.shape[1:-1])
    return pulled_back(lambda x: adaptive_average_pool(x, outputs), shape, gradient)


def global_pool(adaptive: Twin) -> Twin:
    def twin(x: Tensor, keepdims: bool = False) -> Tensor:
        y = adaptive(x, 1)
        return y if keepdims else y.reshape(len(x), x.shape[-1])

    return twin


def gather_positions(x: Tensor, index: Tensor) -> Tensor:
    y = torch.gather(x.flatten(1, -2), 1, index.long().flatten(1, -2))
    return y.reshape(index.shape)


def scatter_positions(values: Tensor, index: Tensor, input_size: Sizes) -> Tensor:
    flat = values.new_zeros(len(values), math.prod(input_size), values.shape[-1])
    flat = flat.scatter_add(1, index.long().flatten(1, -2), values.flatten(1, -2))
    return flat.reshape(len(values), *input_size, values.shape[-1])


# Resizing


def resize(
    x: Tensor, size: Any, interpolation: str = "bilinear", antialias: bool = False
) -> Tensor:
    """Keras's "nearest" takes the pixel under the new one's centre, PyTorch's "nearest-exact".

    With `antialias` PyTorch 2.13 takes all rows of an image one pixel wide from the first, so it
    gets that pixel three times.
    """
    if x.ndim == 3:
        return resize(x[None], size, interpolation, antialias)[0]
    mode: dict[str, Any] = {"mode": interpolation, "antialias": antialias}
    if interpolation == "nearest":
        mode = {"mode": "nearest-exact"}
    height, width = size
    if antialias and x.shape[2] == 1:
        return resize(x.repeat(1, 1, 3, 1), (height, 3 * width), interpolation, True)[:, :, :width]
    return channels_last(F.interpolate(channels_first(x), (height, width), **mode))


def upsample(x: Tensor, size: Any = 2, interpolation: str = "nearest") -> Tensor:
    down, across = each(size, 2)
    return resize(x, (x.shape[-3] * down, x.shape[-2] * across), interpolation)
