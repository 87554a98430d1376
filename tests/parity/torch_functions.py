"""PyTorch's functions under our names of settings, where a table entry is not room enough."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_windows import Sizes, Twin, padded, pulled_back


class NotInTorch(Exception):
    """PyTorch refuses this call of a function that it has; the message says why."""


# Axes


def axes(x: Tensor, axis: Any) -> list[int]:
    """One axis, several or (None) all, as PyTorch's ``dim``."""
    if axis is None:
        return list(range(x.ndim))
    return list(axis) if isinstance(axis, (tuple, list)) else [axis]


def reduction(function: Twin) -> Twin:
    """A twin of a reduction, whose axes are PyTorch's ``dim``."""

    def twin(x: Tensor, axis: Any = None, keepdims: bool = False, **settings: Any) -> Tensor:
        return function(x, dim=axes(x, axis), keepdim=keepdims, **settings)

    return twin


def spread(function: Twin) -> Twin:
    """A twin of torch.var or torch.std, which divide by n - 1 unless they are told."""
    reduced = reduction(function)

    def twin(x: Tensor, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
        return reduced(x, axis, keepdims, correction=ddof)

    return twin


def prod(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """torch.prod takes one axis at a time."""
    for one in sorted((a % x.ndim for a in axes(x, axis)), reverse=True):
        x = torch.prod(x, dim=one, keepdim=keepdims)
    return x


def any_of(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    chosen = axes(x, axis)
    return torch.any(x, dim=tuple(chosen), keepdim=keepdims) if chosen else torch.any(x)


def all_of(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    chosen = axes(x, axis)
    return torch.all(x, dim=tuple(chosen), keepdim=keepdims) if chosen else torch.all(x)


def flattened(x: Tensor, axis: int | None) -> tuple[Tensor, int]:
    """For axis=None: along the flattened tensor."""
    return (x.flatten(), 0) if axis is None else (x, axis)


def cumsum(x: Tensor, axis: int | None = None, reverse: bool = False) -> Tensor:
    x, axis = flattened(x, axis)
    return x.flip(axis).cumsum(axis).flip(axis) if reverse else x.cumsum(axis)


def argsort(x: Tensor, axis: int | None = -1) -> Tensor:
    x, axis = flattened(x, axis)
    return torch.argsort(x, dim=axis, stable=True)


def sort(x: Tensor, axis: int | None = -1) -> Tensor:
    x, axis = flattened(x, axis)
    return torch.sort(x, dim=axis, stable=True).values


def expand_dims(x: Tensor, axis: Any) -> Tensor:
    new = axes(x, axis)
    rank = x.ndim + len(new)
    return reduce(torch.unsqueeze, sorted(a % rank for a in new), x)


# Positions


def torch_index(index: Any) -> Any:
    """A NumPy index in PyTorch's terms."""
    if isinstance(index, tuple):
        return tuple(torch_index(part) for part in index)
    return torch.from_numpy(index) if isinstance(index, np.ndarray) else index


def getitem(x: Tensor, index: Any) -> Tensor:
    if isinstance(index, slice) and (index.step or 1) < 0:  # PyTorch has no negative steps
        return x.index_select(0, torch.arange(len(x)).flip(0)[reversed_slice(index, len(x))])
    return x[torch_index(index)]


def reversed_slice(index: slice, length: int) -> slice:
    """A slice with a negative step, as one of the reversed sequence."""
    start, stop, step = index.indices(length)
    return slice(length - 1 - start, length - 1 - stop, -step)


def scatter(x: Tensor, index: Any, shape: Sizes) -> Tensor:
    return pulled_back(lambda zeros: getitem(zeros, index), shape, x)


def take(x: Tensor, indices: Tensor, axis: int | None = None) -> Tensor:
    if axis is None:
        return torch.take(x, indices)
    return x[(slice(None),) * (axis % x.ndim) + (indices,)]


def scatter_slices(x: Tensor, indices: Tensor, axis: int, length: int) -> Tensor:
    before, after = x.shape[:axis], x.shape[axis + indices.ndim :]
    slices = x.reshape(*before, indices.numel(), *after)
    zeros = x.new_zeros(*before, length, *after)
    return zeros.index_add(axis, indices.flatten() % length, slices)


def scatter_along_axis(x: Tensor, indices: Tensor, axis: int, length: int) -> Tensor:
    shape = list(x.shape)
    shape[axis] = length
    return x.new_zeros(shape).scatter_add(axis, indices, x)


def embedding(table: Tensor, indices: Tensor) -> Tensor:
    """F.embedding takes a matrix."""
    rows = F.embedding(indices, table.reshape(len(table), math.prod(table.shape[1:])))
    return rows.reshape(*indices.shape, *table.shape[1:])


# Rearranging


def pad(x: Tensor, pad_width: Any, mode: str = "constant", constant_value: float = 0.0) -> Tensor:
    """One axis at a time: PyTorch's other modes take a few ranks only."""
    widths = np.broadcast_to(pad_width, (x.ndim, 2)).tolist()
    if mode == "constant":
        return padded(x, widths, value=constant_value)
    name = {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}.get(mode)
    if name is None:
        raise NotInTorch(f"PyTorch has no padding {mode!r}.")
    for axis, (before, after) in enumerate(widths):
        length = x.shape[axis]
        if not x.numel():
            raise NotInTorch("PyTorch pads nothing empty but with a constant.")
        if not (before or after):
            continue
        if max(before, after) > {"replicate": math.inf, "reflect": length - 1}.get(name, length):
            raise NotInTorch(f"PyTorch pads no more than once around with {name!r}.")
        moved = x.movedim(axis, -1)
        rows = moved.reshape(1, math.prod(moved.shape[:-1]), length)
        rows = F.pad(rows, (before, after), name)
        x = rows.reshape(*moved.shape[:-1], rows.shape[-1]).movedim(-1, axis)
    return x


def roll(x: Tensor, shift: Any, axis: Any = None) -> Tensor:
    if axis is None:
        return torch.roll(x, int(np.sum(shift)))
    shifts, dims = np.broadcast_arrays(np.atleast_1d(shift), np.atleast_1d(axis))
    return torch.roll(x, tuple(shifts.tolist()), tuple(dims.tolist()))


def repeat(x: Tensor, repeats: Any, axis: int | None = None) -> Tensor:
    x, axis = flattened(x, axis)
    counts = repeats if isinstance(repeats, int) else torch.tensor(repeats)
    return torch.repeat_interleave(x, counts, dim=axis)


def squeeze(x: Tensor, axis: Any = None) -> Tensor:
    return torch.squeeze(x) if axis is None else torch.squeeze(x, tuple(axes(x, axis)))


# Products


def dot(x: Tensor, y: Tensor) -> Tensor:
    if not x.ndim or not y.ndim:
        return x * y
    return torch.tensordot(x, y, dims=([-1], [-2 if y.ndim > 1 else -1]))


def tensordot(x: Tensor, y: Tensor, axes: Any = 2) -> Tensor:
    if not isinstance(axes, int):
        axes = tuple([a] if isinstance(a, int) else list(a) for a in axes)
    return torch.tensordot(x, y, axes)


def trace(x: Tensor, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """torch.trace knows the main diagonal of one matrix only."""
    return torch.diagonal(x, offset, axis1, axis2).sum(-1)


# Activations and losses


def relu(
    x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Tensor:
    """F.relu, and for Keras's further settings its formula."""
    if not negative_slope and max_value is None and not threshold:
        return F.relu(x)
    top = math.inf if max_value is None else max_value
    below = negative_slope * (x - threshold)
    return torch.where(x > threshold, x.clamp(max=top), below)


def hard_sigmoid(x: Tensor) -> Tensor:
    """F.hardsigmoid; in float64 its formula, since PyTorch's gradient has 1/6 in float32 there."""
    return F.relu6(x + 3) / 6 if x.dtype == torch.float64 else F.hardsigmoid(x)


def sparse_plus(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 1, (x + 1) ** 2 / 4, F.relu(x))


def softmax_cross_entropy(logits: Tensor, probabilities: Tensor) -> Tensor:
    return F.cross_entropy(
        logits.movedim(-1, min(1, logits.ndim - 1)),
        probabilities.movedim(-1, min(1, logits.ndim - 1)),
        reduction="none",
    )


def sparse_softmax_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.movedim(-1, min(1, logits.ndim - 1)), labels, reduction="none")


def sigmoid_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    logits, labels = torch.broadcast_tensors(logits, labels)
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


# Normalisation


def batch_norm(
    x: Tensor, gamma: Tensor, beta: Tensor, axis: int = -1, epsilon: float = 1e-3
) -> Tensor:
    x = x.movedim(axis, 1)
    if x.numel() == x.shape[1]:
        raise NotInTorch("PyTorch wants more than one value per channel.")
    return F.batch_norm(x, None, None, gamma, beta, True, eps=epsilon).movedim(1, axis)


def batch_norm_inference(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor,
    beta: Tensor,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> Tensor:
    """The formula, since PyTorch has no gradient for the statistics, held against F.batch_norm."""
    y = (x.movedim(axis, -1) - mean) / torch.sqrt(variance + epsilon) * gamma + beta
    y = y.movedim(-1, axis)
    given = [t.detach() for t in (x.movedim(axis, 1), mean, variance, gamma, beta)]
    theirs = F.batch_norm(*given, training=False, eps=epsilon).movedim(1, axis)
    torch.testing.assert_close(y.detach(), theirs)
    return y


def with_axes_last(function: Twin, x: Tensor, axis: Any) -> Tensor:
    """A function of x and the shape of its last axes, over these axes."""
    chosen = axes(x, axis)
    last = list(range(-len(chosen), 0))
    moved = x.movedim(chosen, last)
    return function(moved, moved.shape[x.ndim - len(chosen) :]).movedim(last, chosen)


def layer_norm(
    x: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    axis: Any = -1,
    epsilon: float = 1e-3,
) -> Tensor:
    return with_axes_last(lambda t, shape: F.layer_norm(t, shape, gamma, beta, epsilon), x, axis)


def rms_norm(x: Tensor, scale: Tensor, axis: Any = -1, epsilon: float = 1e-6) -> Tensor:
    return with_axes_last(lambda t, shape: F.rms_norm(t, shape, scale, epsilon), x, axis)


def group_norm(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> Tensor:
    return F.group_norm(x.movedim(axis, 1), groups, gamma, beta, epsilon).movedim(1, axis)


def local_response_norm(
    x: Tensor, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> Tensor:
    """PyTorch divides alpha by n."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1], 1)
    return F.local_response_norm(rows, n, alpha * n, beta, k).reshape(x.shape)


def window_sum(x: Tensor, radius: int) -> Tensor:
    if not x.shape[-1]:
        raise NotInTorch("PyTorch convolves no empty sequence.")
    rows = x.reshape(math.prod(x.shape[:-1]), 1, x.shape[-1])
    ones = x.new_ones(1, 1, 2 * radius + 1)
    return F.conv1d(rows, ones, padding=radius).reshape(x.shape)
