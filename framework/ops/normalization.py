"""Normalisation: to mean 0 and variance 1 along some axes, or by the size of the neighbours.

Batch, layer and group normalisation are the one op `normalize` over different axes, followed by a
scale gamma and a shift beta; either may be None.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..autograd.promotion import as_floats, total_dtype
from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import Draw, Generator, Sample, Samples, between, calls, distinct
from .axes import axis_index, axis_tuple
from .elementary import sqrt, square
from .reductions import centred, mean, nonempty_axes, var
from .shape import reshape

Array = np.ndarray
Axes = tuple[int, ...]

_any = between(-2, 2)
_positive = between(0.5, 2)


def _spread(rng: Generator, shape: tuple[int, ...]) -> Array:
    """Values whose variance is large beside any epsilon."""
    return 8 * distinct(rng, shape)


def _normalize_rule(g: Tensor, out: Tensor, x: Tensor, axis: Axes, epsilon: float) -> Tensor:
    deviation = sqrt(var(x, axis=axis, keepdims=True) + epsilon)
    centred = g - mean(g, axis=axis, keepdims=True)
    return (centred - out * mean(g * out, axis=axis, keepdims=True)) / deviation


@op(
    gradients=(_normalize_rule,),
    samples=calls(
        *(
            (shape, {"axis": axis, "epsilon": epsilon})
            for shape, axis in [
                ((4,), 0), ((3, 2), 0), ((2, 3), -1), ((2, 3), None), ((2, 3, 2), (0, 1)),
                ((1, 3), 0), ((0, 3), 1), ((2, 9), 1), ((17,), None),
            ]
            for epsilon in (1e-3, 0.1)
        ),
        draw=_spread,
        repeats=3,
    ),
    resolve=nonempty_axes("normalize"),
)  # fmt: skip
def normalize(x: Array, /, axis: Any = -1, epsilon: float = 1e-3) -> Array:
    """(x - mean) / sqrt(variance + epsilon), both taken along the axes."""
    x = centred(x, axis)
    return x / np.sqrt(np.mean(np.square(x), axis=axis, keepdims=True) + epsilon)


def _along(parameter: Any, x: Tensor, axis: Axes, name: str) -> Tensor | None:
    """A parameter with one element for each position along the axes, ready to broadcast with x."""
    if parameter is None:
        return None
    parameter = as_tensor(parameter)
    expected = tuple(x.shape[i] for i in axis)
    if parameter.shape != expected:
        raise ShapeError(
            f"{name} of shape {expected}, one for each position along axis "
            f"{', '.join(map(str, axis))} of the input of shape {x.shape}, received "
            f"{parameter.shape}. Was it made for another input?"
        )
    return reshape(parameter, tuple(n if i in axis else 1 for i, n in enumerate(x.shape)))


def _affine(x: Tensor, gamma: Any, beta: Any, axis: Axes, name: str) -> Tensor:
    gamma = _along(gamma, x, axis, f"{name}: expected gamma")
    beta = _along(beta, x, axis, f"{name}: expected beta")
    x = x if gamma is None else x * gamma
    return x if beta is None else x + beta


def _channel_samples(*others: Draw) -> Samples:
    """Samples ``(x, *others, gamma, beta)``, all but x one number a channel."""

    def samples(rng: Generator) -> Iterator[Sample]:
        for shape, axis in [((3, 2), -1), ((2, 2, 3), -1), ((2, 3, 2), 1), ((4, 1), 1),
                            ((1, 3), -1), ((2, 1, 2, 2), -1), ((9, 1), -1)]:  # fmt: skip
            for epsilon in (1e-3, 0.1):
                for _ in range(4):
                    parameters = (draw(rng, (shape[axis],)) for draw in (*others, _any, _any))
                    yield Sample(_spread(rng, shape), *parameters, axis=axis, epsilon=epsilon)

    return samples


@composite(samples=_channel_samples())
def batch_norm(
    x: Any, gamma: Any = None, beta: Any = None, axis: int = -1, epsilon: float = 1e-3
) -> Tensor:
    """Batch normalisation in training, by the statistics of the batch (Ioffe & Szegedy, 2015).

    Args:
        x: shape (N, ..., C).
        gamma, beta: scale and shift of each channel, shape (C,).
        axis: of the channels; mean and variance are taken over all others.
        epsilon: added to the variance.

    Raises:
        ShapeError: gamma or beta do not fit the channels.
    """
    x = as_floats("batch_norm", x)
    channels = (axis_index(axis, x.ndim),)
    others = tuple(i for i in range(x.ndim) if i not in channels)
    return _affine(normalize(x, others, epsilon), gamma, beta, channels, "batch_norm")


@composite(samples=_channel_samples(_any, _positive))
def batch_norm_inference(
    x: Any,
    mean: Any,
    variance: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> Tensor:
    """Batch normalisation by given statistics: gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Args:
        x: shape (N, ..., C).
        mean, variance, gamma, beta: of each channel, shape (C,).
        axis: of the channels.
        epsilon: added to the variance.

    Raises:
        ShapeError: a parameter does not fit the channels.
    """
    name = "batch_norm_inference"
    x = as_floats(name, x)
    channels = (axis_index(axis, x.ndim),)
    mean = _along(mean, x, channels, f"{name}: expected mean")
    variance = _along(variance, x, channels, f"{name}: expected variance")
    gamma = _along(gamma, x, channels, f"{name}: expected gamma")
    scale = (1.0 if gamma is None else gamma) / sqrt(variance + epsilon)
    return _affine((x - mean) * scale, None, beta, channels, name)


def _layer_samples(rng: Generator) -> Iterator[Sample]:
    for shape, axis in [((2, 3), -1), ((3, 4), (1,)), ((2, 3, 2), (1, 2)), ((2, 3, 2), 1),
                        ((2, 1), -1), ((0, 3), -1), ((1, 9), -1)]:  # fmt: skip
        each = tuple(shape[i] for i in axis_tuple(axis, len(shape)))
        for _ in range(8):
            yield Sample(_spread(rng, shape), _any(rng, each), _any(rng, each), axis=axis)


@composite(samples=_layer_samples)
def layer_norm(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float = 1e-3
) -> Tensor:
    """Layer normalisation, each example by its own statistics (Ba et al., 2016).

    Args:
        x: any shape.
        gamma, beta: scale and shift, of the lengths of the axes, as in (C,) for the last.
        axis: the axes, one or several, along which mean and variance are taken.
        epsilon: added to the variance.

    Raises:
        ShapeError: gamma or beta do not fit the axes.
    """
    x = as_floats("layer_norm", x)
    axes = axis_tuple(axis, x.ndim)
    return _affine(normalize(x, axes, epsilon), gamma, beta, axes, "layer_norm")


def _group_samples(rng: Generator) -> Iterator[Sample]:
    for shape, groups, axis in [((2, 4), 2, -1), ((1, 2, 6), 3, -1), ((2, 3, 2), 1, -1),
                                ((2, 4, 2), 2, 1), ((2, 2, 2), 2, -1), ((0, 2, 2), 1, -1),
                                ((1, 2, 1, 4), 2, -1)]:  # fmt: skip
        channels = (shape[axis],)
        settings: dict[str, Any] = {"groups": groups, "axis": axis}
        if _of_few(math.prod(shape[1:]) // groups):
            settings["epsilon"] = 8.0
        for _ in range(8):
            x, gamma, beta = _spread(rng, shape), _any(rng, channels), _any(rng, channels)
            yield Sample(x, gamma, beta, **settings)


@composite(samples=_group_samples)
def group_norm(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    groups: int = 32,
    axis: int = -1,
    epsilon: float = 1e-3,
) -> Tensor:
    """Group normalisation: each example's channels in groups, by their statistics (Wu & He, 2018).

    Args:
        x: shape (N, ..., C).
        gamma, beta: scale and shift of each channel, shape (C,).
        groups: how many; 1 normalises the whole example, C each channel of it.
        axis: of the channels.
        epsilon: added to the variance.

    Raises:
        ShapeError: the channels do not divide into the groups, or gamma or beta do not fit them.
    """
    x = as_floats("group_norm", x)
    axis = axis_index(axis, x.ndim)
    channels = x.shape[axis]
    if groups < 1 or channels % groups:
        raise ShapeError(
            f"group_norm: expected groups to divide the {channels} channels (axis {axis} of shape "
            f"{x.shape}), received groups={groups}."
        )
    grouped = reshape(x, (*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :]))
    within = tuple(i for i in range(1, grouped.ndim) if i != axis)
    out = reshape(normalize(grouped, within, epsilon), x.shape)
    return _affine(out, gamma, beta, (axis,), "group_norm")


def _of_few(count: int) -> bool:
    """Whether so few numbers are normalised that epsilon alone makes their gradient other than 0.

    It is then what two terms leave, each larger by their square over epsilon: proven for a large
    epsilon only.
    """
    return count <= 2


def _rms_samples(rng: Generator) -> Iterator[Sample]:
    for sample in _layer_samples(rng):
        x, scale, _ = sample.arrays
        if x.size and _of_few(scale.size):
            sample.settings["epsilon"] = 1.0
        yield Sample(_positive(rng, x.shape) * np.sign(x), scale, **sample.settings)


@composite(samples=_rms_samples)
def rms_norm(x: Any, scale: Any = None, axis: Any = -1, epsilon: float = 1e-6) -> Tensor:
    """x / sqrt(mean(x^2) + epsilon) along the axes, times scale (Zhang & Sennrich, 2019).

    Args:
        x: any shape.
        scale: of the lengths of the axes, as in (C,) for the last.
        axis: the axes, one or several, along which the mean is taken.
        epsilon: added to the mean square.

    Raises:
        ShapeError: scale does not fit the axes.
    """
    x = as_floats("rms_norm", x)
    axes = axis_tuple(axis, x.ndim)
    out = x / sqrt(mean(square(x), axis=axes, keepdims=True) + epsilon)
    scale = _along(scale, x, axes, "rms_norm: expected scale")
    return out if scale is None else out * scale


@op(
    gradients=(lambda g, out, x, radius: window_sum(g, radius=radius),),
    samples=calls(
        *(
            (shape, {"radius": radius})
            for shape in [(1,), (3,), (2, 5), (0, 3), (2, 0), (1, 2, 4), (1, 9), (17,)]
            for radius in (0, 1, 2, 6)
        ),
        repeats=2,
    ),
    linear=True,
    integers=True,
)
def window_sum(x: Array, /, radius: int) -> Array:
    """For each position of the last axis, the sum of the elements at most `radius` away."""
    out = x.astype(total_dtype(x))
    for distance in range(1, min(radius, x.shape[-1] - 1) + 1):
        out[..., distance:] += x[..., :-distance]
        out[..., :-distance] += x[..., distance:]
    return out


@composite(
    samples=calls(
        *(
            (shape, settings)
            for shape in [(6,), (2, 3), (1, 2, 9), (2, 1), (0, 4), (1, 1, 1, 17)]
            for settings in [{}, {"n": 3, "k": 1.0, "alpha": 0.5, "beta": 0.5}]
        ),
        repeats=5,
    )
)
def local_response_norm(
    x: Any, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> Tensor:
    """Each channel divided by the size of its neighbours (Krizhevsky et al., 2012, section 3.3).

    ``b_i = a_i / (k + alpha * sum_j a_j^2)^beta``, j from max(0, i - n/2) to min(C - 1, i + n/2)
    with n/2 rounded down. The parameters are the paper's; PyTorch divides alpha by n, and
    TensorFlow gives n as a depth_radius of n/2.

    Args:
        x: shape (..., C).
        n: how many neighbouring channels count, the channel itself among them.
        k, alpha, beta: as in the formula.
    """
    x = as_floats("local_response_norm", x)
    if n < 1:
        raise ValueError(f"local_response_norm: n must be at least 1, received {n}.")
    return x * (alpha * window_sum(square(x), n // 2) + k) ** -beta
