"""Activation functions, with Keras's defaults.

At a kink the derivative is 0 if one side is flat, as in PyTorch and TensorFlow, else the one from
the left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.promotion import as_floats, beside, exactly
from ..autograd.registry import composite, op
from ..autograd.tensor import DEFAULT_FLOAT, Tensor, as_tensor
from ..errors import ShapeError
from ..samples import KINK_DISTANCE, WITH_TAILS, Generator, Sample, between, calls, unary
from .arithmetic import clip, held, hypot, minimum, where
from .axes import axis_index, nonempty_axis
from .elementary import abs as abs_
from .elementary import erfc, exp, sigmoid, square, tanh
from .indexing import take_along_axis
from .reductions import shifted_log_sum_exp
from .reductions import sum as sum_
from .shape import ravel, reshape

Array = np.ndarray

_kink_at_zero = unary(avoid=(0.0,), scales=(1.0,))
_kinks_at_one = unary(avoid=(-1.0, 1.0))


def _relu_samples(rng: Generator) -> Iterator[Sample]:
    yield from _kink_at_zero(rng)
    for settings in (
        {"negative_slope": 0.3},
        {"max_value": 1.0},
        {"threshold": 0.5},
        {"negative_slope": 0.3, "max_value": 1.0, "threshold": 0.5},
    ):
        for shape in ((5,), (2, 3), (9,), ()):
            yield Sample(between(-2, 2, avoid=(0.0, 0.5, 1.0))(rng, shape), **settings)


def _check_relu(x: Tensor, **settings: Any) -> dict[str, Any]:
    if settings["threshold"] < 0 or (settings["max_value"] or 0) < 0:
        raise ValueError(
            f"relu: threshold and max_value must not be negative, received "
            f"threshold={settings['threshold']}, max_value={settings['max_value']}."
        )
    return settings


def _relu_rule(
    g: Tensor, out: Tensor, x: Tensor, negative_slope: float, max_value: Any, threshold: float
) -> Tensor:
    above = x > threshold
    rising = above if max_value is None else above & (x < max_value)
    return where(rising, g, where(above, 0.0, negative_slope * g) if negative_slope else 0.0)


@op(gradients=(_relu_rule,), samples=_relu_samples, resolve=_check_relu, integers=True)
def relu(
    x: Array, /, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Array:
    """max(x, 0): the rectified linear unit (Nair & Hinton, 2010).

    In general: max_value from max_value on, x above threshold, negative_slope (x - threshold) else.
    """
    if x.dtype.kind != "f":  # integers stay so, but for a slope or a fraction
        x = exactly(x, DEFAULT_FLOAT, "relu") if negative_slope else x
        x, max_value, threshold = beside("relu", x, max_value, threshold)
    if negative_slope or threshold:
        below = negative_slope * np.minimum(x - threshold, 0) if negative_slope else 0
        out = np.where(x <= threshold, below, x)
    else:
        out = np.maximum(x, 0)
    return out if max_value is None else held(out, None, max_value)


@composite(samples=unary(avoid=(0.0,), scales=(1.0,), negative_slope=(0.2, 0.0)))
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """x above 0, negative_slope x below (Maas et al., 2013)."""
    return relu(x, negative_slope=negative_slope)


@composite(samples=unary(-8, 8, avoid=(0.0, 6.0), scales=(1.0,)))
def relu6(x: Any) -> Tensor:
    """relu, held at 6."""
    return relu(x, max_value=6.0)


@op(gradients=(lambda g, out, x: g * sigmoid(x),), samples=unary(-4, 4, scales=WITH_TAILS))
def softplus(x: Array, /) -> Array:
    """log(1 + exp(x)), a smooth relu."""
    return np.logaddexp(x, x.dtype.type(0))


@composite(samples=unary(-4, 4, scales=WITH_TAILS))
def log_sigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)), without underflow."""
    return -softplus(-as_floats("log_sigmoid", x))


@composite(samples=unary(-5, 5, avoid=(-3.0, 3.0), scales=(1.0,)))
def hard_sigmoid(x: Any) -> Tensor:
    """relu6(x + 3) / 6, a piecewise linear sigmoid."""
    return relu6(as_floats("hard_sigmoid", x) + 3.0) / 6.0


@composite(samples=_kinks_at_one)
def sparse_sigmoid(x: Any) -> Tensor:
    """(x + 1) / 2 held between 0 and 1: the sparsemax of (x, 0) (Blondel et al., 2019)."""
    return relu(0.5 * (as_floats("sparse_sigmoid", x) + 1.0), max_value=1.0)


@op(gradients=(lambda g, out, x: g * sparse_sigmoid(x),), samples=_kinks_at_one)
def sparse_plus(x: Array, /) -> Array:
    """0 below -1, (x + 1)^2 / 4 between, x above 1: the integral of sparse_sigmoid."""
    return np.where(np.abs(x) < 1, np.square(x + 1) / 4, np.maximum(x, 0))


@op(
    gradients=(lambda g, out, x, b: g * out / hypot(x, b**0.5),),
    samples=unary(scales=WITH_TAILS, b=(4, 0.5)),
)
def squareplus(x: Array, /, b: float = 4) -> Array:
    """(x + sqrt(x^2 + b)) / 2, a softplus without exp (Barron, 2021); overflows nowhere."""
    far = np.abs(x) / 2 + np.hypot(x, b**0.5) / 2
    return np.where(x >= 0, far, b / 4 / far)


@op(
    gradients=(lambda g, out, x, alpha: where(x > 0, g, g * alpha * exp(minimum(x, 0.0))),),
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
    gradients=(lambda g, out, x, alpha: where(x > 0, g, g * exp(minimum(x, 0.0) / alpha)),),
    samples=unary(avoid=(0.0,), scales=(1.0,), alpha=(1.0, 0.5)),
)
def celu(x: Array, /, alpha: float = 1.0) -> Array:
    """x above 0, alpha (exp(x / alpha) - 1) below: the elu without a kink (Barron, 2017)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


@composite(samples=unary(-4, 4, scales=WITH_TAILS))
def silu(x: Any) -> Tensor:
    """x sigmoid(x), also called swish (Ramachandran et al., 2017)."""
    x = as_floats("silu", x)
    return x * sigmoid(x)


@composite(samples=unary(-5, 5, avoid=(-3.0, 3.0), scales=(1.0,)))
def hard_silu(x: Any) -> Tensor:
    """x hard_sigmoid(x), also called hard swish (Howard et al., 2019)."""
    x = as_floats("hard_silu", x)
    return x * hard_sigmoid(x)


@composite(samples=unary(scales=WITH_TAILS, approximate=(False, True)))
def gelu(x: Any, approximate: bool = False) -> Tensor:
    """x times the normal distribution function at x (Hendrycks & Gimpel, 2016).

    `approximate` uses their formula with tanh instead of erf.
    """
    x = as_floats("gelu", x)
    if approximate:  # (1 + tanh(u)) / 2 is sigmoid(2 u), which does not cancel
        return x * sigmoid(float(np.sqrt(8 / np.pi)) * (x + 0.044715 * x * x * x))
    return 0.5 * x * erfc(x * -float(np.sqrt(0.5)))


@composite(samples=unary(scales=WITH_TAILS))
def mish(x: Any) -> Tensor:
    """x tanh(softplus(x)) (Misra, 2019)."""
    x = as_floats("mish", x)
    return x * tanh(softplus(x))


@op(
    gradients=(lambda g, out, x: g / square(1.0 + abs_(x)),),
    samples=unary(avoid=(0.0,), scales=WITH_TAILS),
)
def softsign(x: Array, /) -> Array:
    """x / (1 + |x|)."""
    return x / (1 + np.abs(x))


@op(
    gradients=(lambda g, out, x: where((x > -1.0) & (x < 1.0), g, 0.0),),
    samples=_kinks_at_one,
    integers=True,
)
def hard_tanh(x: Array, /) -> Array:
    """x held between -1 and 1."""
    return held(x, -1, 1)


@op(gradients=(lambda g, out, x: g * square(tanh(x)),), samples=unary(scales=WITH_TAILS))
def tanh_shrink(x: Array, /) -> Array:
    """x - tanh(x); near 0, where that cancels, by Lambert's continued fraction of tanh.

    tanh(x) = x / (1 + q) with q = x^2 / (3 + x^2 / (5 + x^2 / (7 + ...))).
    """
    near = np.minimum(np.abs(x), 1) ** 2
    q = near / 21
    for odd in range(19, 2, -2):
        q = near / (odd + q)
    return np.where(np.abs(x) < 1, x * (q / (1 + q)), x - np.tanh(x))


@composite(samples=unary(avoid=(-0.5, 0.5, -1.0, 1.0), threshold=(0.5, 1.0), scales=(1.0,)))
def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """x moved towards 0 by threshold, and 0 within threshold of it."""
    x = as_tensor(x)
    return x - clip(x, -threshold, threshold)


@composite(samples=unary(avoid=(-0.5, 0.5, -1.0, 1.0), threshold=(0.5, 1.0), scales=(1.0,)))
def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """0 within threshold of 0, x elsewhere."""
    x = as_tensor(x)
    return where((x >= -threshold) & (x <= threshold), 0, x)


@composite(
    samples=unary(avoid=(-0.5, 1.0), threshold=(-0.5, 1.0), default_value=(2.0,), scales=(1.0,))
)
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    """x above threshold, default_value elsewhere."""
    x = as_tensor(x)
    return where(x <= threshold, default_value, x)


@composite(
    samples=calls(
        *(
            (shape, {"axis": axis})
            for shape, axis in [
                ((2,), -1), ((4,), 0), ((2, 3), 0), ((3, 2), -1), ((2, 4, 1), 1), ((1, 18), 1),
                ((0, 2), -1), ((3, 0), 1), ((2, 2, 2), -2),
            ]
        )
    )
)  # fmt: skip
def glu(x: Any, axis: int = -1) -> Tensor:
    """The first half along an axis times the sigmoid of the second (Dauphin et al., 2017)."""
    x = as_tensor(x)
    axis = axis_index(axis, x.ndim)
    if x.shape[axis] % 2:
        raise ShapeError(
            f"glu: expected an even length to halve along axis {axis}, received shape {x.shape}."
        )
    half = x.shape[axis] // 2
    before = (slice(None),) * axis
    return x[(*before, slice(half))] * sigmoid(x[(*before, slice(half, None))])


_ALONG_AXES = [
    ((3,), -1), ((2, 3), -1), ((2, 3), 0), ((2, 3, 2), 1), ((1,), 0), ((4, 1), -1), ((0, 3), -1),
    ((2, 17), 1), ((1, 9), -1),
]  # fmt: skip


def _softmax_samples(rng: Generator) -> Iterator[Sample]:
    for shape, axis in _ALONG_AXES:
        for scale in (1.0, 5.0):
            for _ in range(3):
                yield Sample(between(-scale, scale)(rng, shape), axis=axis)


def _softmax_rule(g: Tensor, out: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """p (g - sum(p g)), with g counted from that of the largest p: g - p g would cancel there."""
    if axis is None:
        return reshape(_softmax_rule(ravel(g), ravel(out), ravel(x), 0), x.shape)
    g = g - take_along_axis(g, np.argmax(x.data, axis=axis, keepdims=True), axis=axis)
    return out * (g - sum_(g * out, axis=axis, keepdims=True))


@op(
    gradients=(_softmax_rule,),
    samples=_softmax_samples,
    resolve=nonempty_axis("softmax"),
)
def softmax(x: Array, /, axis: int = -1) -> Array:
    """exp(x) / sum(exp(x)) along an axis, without overflow."""
    shifted = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return shifted / np.sum(shifted, axis=axis, keepdims=True)


def _log_softmax_rule(g: Tensor, out: Tensor, x: Tensor, axis: int | None) -> Tensor:
    """g - p sum(g), which sums to 0: for the largest p, where it would cancel, the rest's sum."""
    if axis is None:
        return reshape(_log_softmax_rule(ravel(g), ravel(out), ravel(x), 0), x.shape)
    places = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    top = np.argmax(x.data, axis=axis, keepdims=True) == places
    rest = where(top, 0.0, g - exp(out) * sum_(g, axis=axis, keepdims=True))
    return where(top, -sum_(rest, axis=axis, keepdims=True), rest)


@op(
    gradients=(_log_softmax_rule,),
    samples=_softmax_samples,
    resolve=nonempty_axis("log_softmax"),
)
def log_softmax(x: Array, /, axis: int = -1) -> Array:
    """log(softmax(x)) along an axis, without overflow or underflow."""
    shifted, log_total, _ = shifted_log_sum_exp(x, axis)
    return shifted - log_total


def _support_threshold(x: Array, axis: int) -> Array:
    """The tau for which the parts of x above it sum to 1 (Martins & Astudillo, algorithm 1)."""
    falling = np.moveaxis(-np.sort(-x, axis=axis), axis, -1)
    excess = np.cumsum(falling, axis=-1) - 1
    count = np.arange(1, x.shape[axis] + 1, dtype=excess.dtype)
    size = np.sum(falling * count > excess, axis=-1, keepdims=True)
    return np.moveaxis(np.take_along_axis(excess, size - 1, -1) / size, -1, axis)


def _sparsemax_samples(rng: Generator) -> Iterator[Sample]:
    """Points where no element is about to enter or to leave the support."""
    for shape, axis in _ALONG_AXES:
        for scale in (0.3, 2.0):
            kept = 0
            while kept < 3:
                x = between(-scale, scale)(rng, shape)
                if (np.abs(x - _support_threshold(x, axis)) > KINK_DISTANCE).all():
                    kept += 1
                    yield Sample(x, axis=axis)


def _sparsemax_rule(g: Tensor, out: Tensor, x: Tensor, axis: int) -> Tensor:
    support = (out > 0).astype(g.dtype)
    mean = sum_(g * support, axis=axis, keepdims=True) / sum_(support, axis=axis, keepdims=True)
    return support * (g - mean)


@op(gradients=(_sparsemax_rule,), samples=_sparsemax_samples, resolve=nonempty_axis("sparsemax"))
def sparsemax(x: Array, /, axis: int = -1) -> Array:
    """The nearest point of the probability simplex, along an axis (Martins & Astudillo, 2016).

    Small elements become exactly 0, and get no gradient.
    """
    x = x - np.max(x, axis=axis, keepdims=True)  # changes nothing but the rounding
    return np.maximum(x - _support_threshold(x, axis), 0)
