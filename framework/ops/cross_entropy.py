"""Cross-entropies on logits: the loss that classification trains on, in its stable form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import Generator, Sample, between, binary
from .activations import log_softmax, softmax
from .arithmetic import where
from .elementary import expm1, sigmoid
from .reductions import shifted_log_sum_exp
from .reductions import sum as sum_
from .shape import expand_dims

Array = np.ndarray

_any = between(-2, 2)


def _check_labels(logits: Tensor, labels: Tensor) -> dict[str, Any]:
    name = "sparse_softmax_cross_entropy"
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, received dtype {labels.dtype}.")
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"{name}: labels must have the shape of the logits without their last axis, "
            f"{logits.shape[:-1]}, received {labels.shape}."
        )
    classes = logits.shape[-1]
    if labels.size and not (labels.data.min() >= 0 and labels.data.max() < classes):
        bad = labels.data[(labels.data < 0) | (labels.data >= classes)].flat[0]
        raise ValueError(f"{name}: labels must lie in 0..{classes - 1}, received {bad}.")
    return {}


def _label_samples(rng: Generator) -> Iterator[Sample]:
    for shape in [(3,), (2, 3), (1, 1), (4, 2), (2, 2, 3), (0, 3), (2, 17), (5, 10)]:
        for _ in range(7):
            yield Sample(_any(rng, shape), rng.integers(0, shape[-1], shape[:-1]))


@op(
    gradients=(
        lambda g, out, logits, labels: (
            expand_dims(g, -1)
            * where(_is_label(logits, labels), expm1(-expand_dims(out, -1)), softmax(logits))
        ),
        None,
    ),
    samples=_label_samples,
    resolve=_check_labels,
)
def sparse_softmax_cross_entropy(logits: Array, labels: Array, /) -> Array:
    """-log softmax(logits)[label] along the last axis.

    Args:
        logits: shape (..., classes).
        labels: integers in [0, classes), shape (...).

    Raises:
        TypeError, ShapeError, ValueError: labels that are not integers, of another shape, or out
            of range.
    """
    shifted, log_total, _ = shifted_log_sum_exp(logits, -1)
    chosen = np.take_along_axis(shifted, labels[..., None].astype(np.intp), -1)
    return (log_total - chosen)[..., 0]


def _is_label(logits: Tensor, labels: Tensor) -> Array:
    return labels.data[..., None] == np.arange(logits.shape[-1])


def _probabilities(rng: Generator, shape: tuple[int, ...]) -> Array:
    weights = rng.uniform(0.1, 1, shape)
    return weights / weights.sum(axis=-1, keepdims=True)


@composite(
    samples=lambda rng: (
        Sample(_any(rng, shape), _probabilities(rng, shape))
        for shape in [(3,), (2, 3), (1, 1), (4, 2), (2, 2, 3), (2, 17), (5, 4)]
        for _ in range(8)
    )
)
def softmax_cross_entropy(logits: Any, probabilities: Any) -> Tensor:
    """-sum(probabilities log softmax(logits)) along the last axis; both of shape (..., classes)."""
    probabilities = as_tensor(probabilities)
    return -sum_(probabilities * log_softmax(logits), axis=-1)


@op(
    gradients=(
        lambda g, out, logits, labels: (  # sigmoid(logits) - labels, not to cancel at 1
            g * ((1.0 - labels) * sigmoid(logits) - labels * sigmoid(-logits))
        ),
        lambda g, out, logits, labels: -g * logits,
    ),
    samples=binary(between(-4, 4), between(0, 1)),
    broadcasts=True,
)
def sigmoid_cross_entropy(logits: Array, labels: Array, /) -> Array:
    """-labels log(sigmoid(logits)) - (1 - labels) log(1 - sigmoid(logits)), elementwise."""
    # Not logaddexp(logits, 0) - labels * logits: that loses the losses of confident answers.
    return np.maximum(logits, 0) - labels * logits + np.log1p(np.exp(-np.abs(logits)))
