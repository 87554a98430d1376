"""Losses of how far two regions, or two kinds of embeddings, overlap."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..autograd.tensor import Tensor, as_tensor
from ..config.checked import Axes, Finite, NotNegative, Positive
from ..config.serialization import register
from .base import EPSILON
from .checks import groups, same_shape
from .wrapping import FunctionLoss, loss_function

#: Stands for minus infinity in a logarithm of a sum, where gradients should stay numbers.
_NOTHING = -1e30


@loss_function(same_shape)
def dice(y_true: Tensor, y_pred: Tensor, axis: Axes | None = None) -> Tensor:
    """1 - 2 |A and B| / (|A| + |B|), the areas being sums over `axis` (None: everything).

    Milletari et al., "V-Net", 2016, without the squares.
    """
    shared = ops.sum(y_true * y_pred, axis=axis)
    areas = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis)
    return 1.0 - 2.0 * shared / (areas + EPSILON)


@loss_function(same_shape)
def tversky(
    y_true: Tensor,
    y_pred: Tensor,
    alpha: NotNegative = 0.5,
    beta: NotNegative = 0.5,
    axis: Axes | None = None,
) -> Tensor:
    """1 - |A and B| / (|A and B| + alpha |A without B| + beta |B without A|).

    A is what is true, B what is predicted; areas are sums over `axis` (None: everything).
    Salehi et al., "Tversky loss function for image segmentation", 2017.
    """
    shared = ops.sum(y_true * y_pred, axis=axis)
    missed = ops.sum(y_true * (1.0 - y_pred), axis=axis)
    surplus = ops.sum(y_pred * (1.0 - y_true), axis=axis)
    return 1.0 - shared / (shared + alpha * missed + beta * surplus + EPSILON)


@loss_function(groups, takes_labels=True, mask=lambda y_true, values, settings: values.data > 0)
def circle(
    y_true: Tensor,
    y_pred: Tensor,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: Positive = 80,
    margin: Finite = 0.4,
) -> Tensor:
    """Circle loss: embeddings of one class near each other, those of others far away.

    Args:
        y_true: class numbers, shape (N,).
        y_pred: embeddings of length 1, shape (N, features).
        ref_labels, ref_embeddings: what to compare with. Default: each other.
        remove_diagonal: an embedding is not compared with itself.
        gamma: the scale of the losses.
        margin: how far within its class an embedding should be.

    Sun et al., "Circle Loss", 2020, equation 6, with distances for similarities.
    """
    keys = y_pred if ref_embeddings is None else as_tensor(ref_embeddings, y_pred.dtype)
    own = y_true.data.reshape(-1, 1)
    other = own if ref_labels is None else as_tensor(ref_labels).data.reshape(-1, 1)
    same = own == other.T
    different = ~same
    if remove_diagonal:
        same[range(min(same.shape)), range(min(same.shape))] = False
    distance = ops.maximum(1.0 - ops.matmul(y_pred, ops.transpose(keys)), 0.0)

    near = -gamma * (margin + distance) * (margin - distance)
    far = gamma * ops.maximum(1 + margin - distance, 0.0) * (1 - margin - distance)
    pulls = ops.logsumexp(ops.where(same, near, _NOTHING), axis=1)
    pushes = ops.logsumexp(ops.where(different, far, _NOTHING), axis=1)
    return ops.softplus(pulls + pushes)


@register("losses")
class Dice(FunctionLoss, of=dice, arguments=("reduction", "name", "axis", "dtype")):
    """1 - 2 |A and B| / (|A| + |B|): how far predicted regions miss the true ones.

    Over `axis`; None takes the whole batch as one region.
    """


@register("losses")
class Tversky(
    FunctionLoss,
    of=tversky,
    arguments=("alpha", "beta", "reduction", "name", "axis", "dtype"),
):
    """`Dice` with weights: `alpha` for what was missed, `beta` for what is too much."""


@register("losses")
class Circle(
    FunctionLoss,
    of=circle,
    arguments=("gamma", "margin", "remove_diagonal", "reduction", "name", "dtype"),
):
    """Embeddings of length 1 of one class near each other, those of others far away.

    Targets are class numbers (N,), predictions (N, features). Samples whose loss is 0 do not count
    in the mean. Sun et al., "Circle Loss", 2020.
    """
