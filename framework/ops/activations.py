"""Activation functions. Defaults are Keras's; at a kink the derivative from the left is taken."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..registry import composite, op
from ..samples import Sample, between, unary
from ..tensor import Tensor, as_tensor
from .arithmetic import clip, where
from .axes import one_axis
from .elementary import erf, exp, tanh
from .reductions import sum as sum_

Array = np.ndarray

_kink_at_zero = unary(avoid=(0.0,), scales=(1.0,))


@op(gradients=(lambda g, out, x: where(x > 0, g, 0.0),), samples=_kink_at_zero)
def relu(x: Array, /) -> Array:
    """max(x, 0): the rectified linear unit (Nair & Hinton, 2010)."""
    return np.maximum(x, 0)


@op(gradients=(lambda g, out, x: g * out * (1.0 - out),), samples=unary(-4, 4))
def sigmoid(x: Array, /) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


@op(gradients=(lambda g, out, x: g * sigmoid(x),), samples=unary(-4, 4))
def softplus(x: Array, /) -> Array:
    """log(1 + exp(x)), a smooth relu."""
    return np.logaddexp(x, x.dtype.type(0))


@composite(samples=unary(-4, 4))
def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)), without underflow."""
    return -softplus(-as_tensor(x))


@op(
    gradients=(lambda g, out, x, alpha: where(x > 0, g, g * (out + alpha)),),
    samples=unary(avoid=(0.0,), scales=(1.0,), alpha=(1.0, 0.5)),
)
def elu(x: Array, /, alpha: float = 1.0) -> Array:
    """x above 0, alpha (exp(x) - 1) below (Clevert et al., 2016)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


@composite(samples=_kink_at_zero)
def selu(x: Any) -> Tensor:
    """The scaled elu that keeps mean 0 and variance 1 (Klambauer et al., 2017)."""
    return _SELU_SCALE * elu(x, alpha=_SELU_ALPHA)


@op(
    gradients=(lambda g, out, x, negative_slope: where(x > 0, g, negative_slope * g),),
    samples=unary(avoid=(0.0,), scales=(1.0,), negative_slope=(0.2, 0.0)),
)
def leaky_relu(x: Array, /, negative_slope: float = 0.2) -> Array:
    """x above 0, negative_slope x below (Maas et al., 2013)."""
    return np.where(x > 0, x, negative_slope * x)


@composite(samples=unary(-8, 8, avoid=(0.0, 6.0), scales=(1.0,)))
def relu6(x: Any) -> Tensor:
    """relu, held at 6."""
    return clip(x, 0.0, 6.0)


@composite(samples=unary(-4, 4))
def silu(x: Any) -> Tensor:
    """x sigmoid(x), also called swish (Ramachandran et al., 2017)."""
    x = as_tensor(x)
    return x * sigmoid(x)


@composite(samples=unary(approximate=(False, True)))
def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the normal distribution function at x (Hendrycks & Gimpel, 2016).

    `approximate` uses their formula with tanh instead of erf.
    """
    x = as_tensor(x)
    if approximate:
        return 0.5 * x * (1.0 + tanh(float(np.sqrt(2 / np.pi)) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1.0 + erf(x * float(np.sqrt(0.5))))


@composite(samples=unary(avoid=(0.0,)))
def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    x = as_tensor(x)
    return x / (1.0 + abs(x))


@composite(samples=unary())
def mish(x: Any) -> Tensor:
    """x tanh(softplus(x)) (Misra, 2019)."""
    x = as_tensor(x)
    return x * tanh(softplus(x))


@composite(samples=unary(-5, 5, avoid=(-3.0, 3.0), scales=(1.0,)))
def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6."""
    return relu6(as_tensor(x) + 3.0) / 6.0


def _softmax_samples(rng: np.random.Generator) -> Any:
    for shape, axis in [((3,), -1), ((2, 3), -1), ((2, 3), 0), ((2, 3, 2), 1), ((1,), 0),
                        ((4, 1), -1), ((0, 3), -1), ((2, 17), 1), ((1, 9), -1)]:  # fmt: skip
        for scale in (1.0, 5.0):
            for _ in range(3):
                yield Sample(between(-scale, scale)(rng, shape), axis=axis)


@op(
    gradients=(
        lambda g, out, x, axis: out * (g - sum_(g * out, axis=axis, keepdims=True)),
    ),
    samples=_softmax_samples,
    resolve=one_axis,
)  # fmt: skip
def softmax(x: Array, /, axis: int = -1) -> Array:
    """exp(x) / sum(exp(x)) along an axis, without overflow."""
    shifted = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return shifted / np.sum(shifted, axis=axis, keepdims=True)


@op(
    gradients=(lambda g, out, x, axis: g - exp(out) * sum_(g, axis=axis, keepdims=True),),
    samples=_softmax_samples,
    resolve=one_axis,
)
def log_softmax(x: Array, /, axis: int = -1) -> Array:
    """log(softmax(x)) along an axis, without overflow or underflow."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
