"""Functions of tensors that programs take as one op each, although they are none of the registry.

Some read or write variables, or draw, so that their values depend on more than their arguments; the
others are parts of layers. What they compute is made of ops, which are proven.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.registry import Whole
from ..autograd.tensor import Tensor, wrap
from ..autograd.variable import Variable
from .activations import relu, softmax
from .arithmetic import clip, maximum, power
from .axes import axis_index, axis_tuple
from .elementary import exp, log, square
from .indexing import take_along_axis
from .normalization import batch_norm, batch_norm_inference
from .reductions import logsumexp
from .reductions import sum as sum_
from .shape import expand_dims, squeeze

#: The length below which `unit_length` only lets a vector grow so much.
SHORTEST = 1e-12

#: From a shape to an array of it.
Draw = Callable[[tuple[int, ...]], np.ndarray]


@Whole
def drawn(beside: Any, draw: Draw, shape: tuple[int, ...], dtype: str) -> Tensor:
    """Numbers that are drawn anew whenever this is computed.

    Args:
        beside: the tensor that they are for.
        draw: from a shape to an array of it.
        shape: its lengths are those of `beside` or 1.
        dtype: of the array, ``"float32"`` or ``"bool"``.
    """
    return wrap(draw(shape))


@Whole
def prelu(x: Any, alpha: Any) -> Tensor:
    """x above 0, alpha x below, alpha repeated along its axes of length 1 (He et al., 2015)."""
    return relu(x) - alpha * relu(-x)


@Whole
def shares(x: Any, axis: Any) -> Tensor:
    """`softmax` along one axis, or along several as if they were one."""
    if isinstance(axis, int):
        return softmax(x, axis=axis)
    return exp(x - logsumexp(x, axis=axis_tuple(axis, x.ndim), keepdims=True))


@Whole
def share_cross_entropy(x: Any, targets: Any, least: float) -> Tensor:
    """-sum(targets log(x over its sum)) along the last axis.

    Args:
        x: positive numbers, shape (..., classes).
        targets: of the same shape.
        least: how far the shares are kept from 0 and 1.
    """
    return -sum_(targets * log(share_of(x, least)), axis=-1)


@Whole
def sparse_share_cross_entropy(x: Any, labels: Any, least: float) -> Tensor:
    """As `share_cross_entropy`, for class numbers of shape (...)."""
    chosen = take_along_axis(x, expand_dims(labels, -1), axis=-1)
    share = chosen / sum_(x, axis=-1, keepdims=True)
    return -log(squeeze(clip(share, least, 1 - least), -1))


@Whole
def share_of(x: Any, least: float, axis: int = -1) -> Tensor:
    """x over its sum along an axis, kept from 0 and 1."""
    return clip(x / sum_(x, axis=axis, keepdims=True), least, 1 - least)


@Whole
def unit_length(x: Any, axis: Any) -> Tensor:
    """``x / max(|x|, 1e-12)``, with the length along the axes."""
    squares = sum_(square(x), axis=axis, keepdims=True)
    return x * power(maximum(squares, SHORTEST**2), -0.5)


@Whole
def batch_norm_moving(
    x: Any,
    gamma: Any,
    beta: Any,
    mean: Variable,
    variance: Variable,
    axis: int,
    epsilon: float,
    momentum: float,
) -> Tensor:
    """`batch_norm`, which also moves a mean and a variance towards those of the batch.

    Args:
        x, gamma, beta, axis, epsilon: as for `batch_norm`.
        mean, variance: shape (C,); a share ``1 - momentum`` of each becomes that of the batch.
    """
    channels = axis_index(axis, x.ndim)
    others = tuple(i for i in range(x.ndim) if i != channels)
    of_batch = x.data.mean(axis=others, keepdims=True)
    spread = np.square(x.data - of_batch).mean(axis=others)
    for moving, new in ((mean, of_batch.ravel()), (variance, spread)):
        moving.assign(momentum * moving.data + (1 - momentum) * new)
    return batch_norm(x, gamma, beta, axis=axis, epsilon=epsilon)


@Whole
def batch_norm_moved(
    x: Any, gamma: Any, beta: Any, mean: Variable, variance: Variable, axis: int, epsilon: float
) -> Tensor:
    """`batch_norm_inference` by what `batch_norm_moving` has moved."""
    # Copies: they may be moved on before the backward pass.
    moved = (wrap(v.data.copy()) for v in (mean, variance))
    return batch_norm_inference(x, *moved, gamma, beta, axis=axis, epsilon=epsilon)


@Whole
def brought_to_scale(
    x: Any, mean: Variable, variance: Variable, kept: tuple[bool, ...], least: float, invert: bool
) -> Tensor:
    """``(x - mean) / sqrt(variance)``, or with `invert` the way back.

    Args:
        mean, variance: with a number for each place along the axes of x that are `kept`.
        least: the smallest deviation that is divided by.
    """
    shape = tuple(n if k else 1 for n, k in zip(x.shape, kept, strict=True))
    deviation = np.maximum(np.sqrt(variance.data), least).reshape(shape)
    middle = wrap(mean.data.reshape(shape).copy())
    return x * wrap(deviation) + middle if invert else (x - middle) / wrap(deviation)
