"""Reductions over one axis, several or all (``axis=None``), and running sums along one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from ..autograd.registry import answers, composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..samples import Draw, Generator, Sample, Samples, between, calls, distinct
from .arithmetic import where
from .axes import axis_tuple, many_axes, one_axis
from .elementary import abs as abs_
from .elementary import exp, sign
from .shape import broadcast_to, concatenate, reshape, transpose

Array = np.ndarray
Axes = tuple[int, ...]


def reductions(draw: Draw | None = None, empty: bool = True, **fixed: Any) -> Samples:
    """Samples of a reduction: every kind of axis, kept and dropped; `empty` if it may be empty."""
    draw = draw or between(-2, 2)
    cases: list[tuple[tuple[int, ...], Any]] = [
        ((), None), ((3,), None), ((3,), 0), ((1,), -1), ((2, 3), None), ((2, 3), 0), ((2, 3), 1),
        ((2, 3), (0, 1)), ((2, 3, 2), 1), ((2, 3, 2), (0, 2)), ((2, 1, 3), -2), ((9,), None),
        ((17,), 0), ((0, 3), 1), ((2, 2, 2, 2), (1, 2)),
    ]  # fmt: skip
    if empty:
        cases += [((0, 3), 0), ((0,), None)]

    def samples(rng: Generator) -> Iterator[Sample]:
        for shape, axis in cases:
            for keepdims in (False, True):
                for _ in range(2):
                    yield Sample(draw(rng, shape), axis=axis, keepdims=keepdims, **fixed)
        yield Sample(draw(rng, (3, 2)).T, axis=0, keepdims=False, **fixed)
        yield Sample(draw(rng, (2, 6))[:, ::-2], axis=1, keepdims=False, **fixed)

    return samples


def kept(x: Tensor, like: Tensor, axis: Axes) -> Tensor:
    """A reduced tensor with the reduced axes of `like` back as unit axes, ready to broadcast."""
    return reshape(x, tuple(1 if i in axis else n for i, n in enumerate(like.shape)))


def _count(x: Any, axis: Axes) -> int:
    return math.prod(x.shape[i] for i in axis)


def nonempty_axes(name: str) -> Callable[..., dict[str, Any]]:
    """Resolve axes, refusing to reduce nothing where there is no identity element."""

    def resolve(x: Tensor, **settings: Any) -> dict[str, Any]:
        settings = many_axes(x, **settings)
        count = _count(x, settings["axis"])
        if not count:
            raise ValueError(f"{name}: nothing to reduce along {settings['axis']} of {x.shape}.")
        if count <= settings.get("ddof", 0):
            raise ValueError(
                f"{name}: ddof={settings['ddof']} needs more than the {count} elements there are "
                f"along {settings['axis']} of {x.shape}."
            )
        return settings

    return resolve


@op(
    gradients=(lambda g, out, x, axis, keepdims: broadcast_to(kept(g, x, axis), x.shape),),
    samples=reductions(),
    resolve=many_axes,
    linear=True,
    integers=True,
    numpy=np.sum,
)
def sum(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """The sum of the elements."""
    return np.sum(x, axis=axis, keepdims=keepdims)


@op(
    gradients=(
        lambda g, out, x, axis, keepdims: broadcast_to(
            kept(g, x, axis) / float(_count(x, axis)), x.shape
        ),
    ),
    samples=reductions(empty=False),
    resolve=nonempty_axes("mean"),
    linear=True,
    numpy=np.mean,
)
def mean(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """The arithmetic mean."""
    return np.mean(x, axis=axis, keepdims=keepdims)


def centred(x: Array, axis: Any) -> Array:
    """x less its mean, and less what the rounding of that mean left over."""
    x = x - np.mean(x, axis=axis, keepdims=True)
    return x - np.mean(x, axis=axis, keepdims=True)


@op(
    gradients=(lambda g, out, x, axis: centre(g, axis=axis),),
    samples=lambda rng: (
        Sample(sample.arrays[0], axis=sample.settings["axis"])
        for sample in reductions(empty=False)(rng)
    ),
    resolve=nonempty_axes("centre"),
    linear=True,
)
def centre(x: Array, /, axis: Any = None) -> Array:
    """x less its mean along the axes, to the last bit: differences of close values are exact."""
    return centred(x, axis)


@op(
    gradients=(
        lambda g, out, x, axis, keepdims, ddof: (
            kept(g, x, axis) * centre(x, axis=axis) * (2.0 / (_count(x, axis) - ddof))
        ),
    ),
    samples=lambda rng: _spread_samples(rng, between(-2, 2)),
    resolve=nonempty_axes("var"),
    numpy={np.var: {"correction": "ddof"}},
)
def var(x: Array, /, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Array:
    """The variance: mean squared deviation, over n - ddof."""
    left = np.mean(x - np.mean(x, axis=axis, keepdims=True), axis=axis, keepdims=keepdims)
    over = np.square(left) * (_count(x, axis) / (_count(x, axis) - ddof))  # by a mean rounded
    return np.maximum(np.var(x, axis=axis, keepdims=keepdims, ddof=ddof) - over, 0)


def _spread_samples(rng: Generator, draw: Draw) -> Iterator[Sample]:
    for number, sample in enumerate(reductions(draw, empty=False)(rng)):
        x, axis = sample.arrays[0], sample.settings["axis"]
        ddof = number % 2 if _count(x, axis_tuple(axis, x.ndim)) > 1 else 0
        yield Sample(x, ddof=ddof, **sample.settings)


def _norm_rule(g: Tensor, out: Tensor, x: Tensor, ord: Any, axis: Axes, keepdims: bool) -> Tensor:
    out = kept(out, x, axis)
    if ord == 1:
        return kept(g, x, axis) * sign(x)
    if ord == 2:
        return kept(g, x, axis) * where(out == 0, 0.0, x / where(out == 0, 1.0, out))
    return sign(x) * _shared_among_ties(g, out, abs_(x), axis, keepdims)


def _resolve_norm(x: Tensor, *, ord: Any, **settings: Any) -> dict[str, Any]:
    if ord not in (None, 1, 2, np.inf):
        raise ValueError(f"norm: ord must be 1, 2 or inf, the vector norms, received {ord!r}.")
    return {"ord": 2 if ord is None else ord, **many_axes(x, **settings)}


def _norm_samples(rng: Generator) -> Iterator[Sample]:
    yield from reductions(between(-2, 2, avoid=(0.0,)), ord=1)(rng)
    yield from reductions(between(-2, 2, avoid=(0.0,)), ord=2)(rng)
    yield from reductions(distinct, empty=False, ord=np.inf)(rng)


@op(
    gradients=(_norm_rule,),
    samples=_norm_samples,
    resolve=_resolve_norm,
    numpy=np.linalg.vector_norm,
)
def norm(x: Array, /, ord: Any = 2, axis: Any = None, keepdims: bool = False) -> Array:
    """The length of x as a vector: sum of sizes (1), Euclidean (2) or largest size (inf).

    Where it is 0 the gradient is taken as 0; for inf, equal largest sizes share it evenly. Never a
    matrix norm: several axes are read as one long vector.
    """
    size = np.abs(x)
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    top = np.max(size, axis=axis, keepdims=True, initial=0)
    if ord == 2:  # scaled, against overflow and underflow of the squares
        scale = np.where((top > 0) & np.isfinite(top), top, 1)
        top = np.sqrt(np.sum(np.square(x / scale), axis=axis, keepdims=True)) * scale
    return top if keepdims else np.squeeze(top, axis=axis)


@answers({np.linalg.norm: {}})
def _numpy_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """np.linalg.norm, which means a matrix norm when it is given an order and two axes."""
    vector = ord is None or (as_tensor(x).ndim if axis is None else np.size(axis)) == 1
    if not vector:
        raise TypeError(
            f"np.linalg.norm with ord={ord!r} over two axes is a matrix norm, which is not "
            "supported on tensors. gt.ops.norm reads several axes as one vector."
        )
    return norm(x, ord, axis, keepdims)


@composite(
    samples=lambda rng: _spread_samples(rng, lambda rng, shape: 5 * distinct(rng, shape)),
    numpy={np.std: {"correction": "ddof"}},
)
def std(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Tensor:
    """The standard deviation, over n - ddof; its gradient is taken as 0 where it is 0."""
    x = as_tensor(x)
    settings = nonempty_axes("std")(x, axis=axis, ddof=ddof)
    length = norm(centre(x, axis=settings["axis"]), 2, axis, keepdims)
    return length * float(_count(x, settings["axis"]) - ddof) ** -0.5


def _shared_among_ties(g: Tensor, out: Tensor, x: Tensor, axis: Axes, keepdims: bool) -> Tensor:
    chosen = (x == kept(out, x, axis)).astype(x.dtype)
    return chosen * (kept(g, x, axis) / sum(chosen, axis=axis, keepdims=True))


@op(
    gradients=(_shared_among_ties,),
    samples=reductions(distinct, empty=False),
    resolve=nonempty_axes("max"),
    integers=True,
    numpy=(np.max, np.amax),
)
def max(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """The maximum, NaN if any is; equal maxima share the gradient evenly."""
    return np.max(x, axis=axis, keepdims=keepdims)


@op(
    gradients=(_shared_among_ties,),
    samples=reductions(distinct, empty=False),
    resolve=nonempty_axes("min"),
    integers=True,
    numpy=(np.min, np.amin),
)
def min(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """The minimum, NaN if any is; equal minima share the gradient evenly."""
    return np.min(x, axis=axis, keepdims=keepdims)


def shifted_log_sum_exp(x: Array, axis: Any) -> tuple[Array, Array, Array]:
    """x minus its maximum along axes, log(sum(exp)) of that, and the maximum, unit axes in place.

    The maximum contributes exactly 1 to the sum: log1p of the rest is accurate even where one
    element outweighs all others.
    """
    axes = axis_tuple(axis, x.ndim)
    rest = [i for i in range(x.ndim) if i not in axes]
    rows = x.transpose(*rest, *axes).reshape(*(x.shape[i] for i in rest), _count(x, axes))
    units = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    top = np.argmax(rows, axis=-1, keepdims=True)
    largest = np.take_along_axis(rows, top, -1)
    others = np.exp(rows - largest)
    np.put_along_axis(others, top, 0, -1)
    log_total = np.log1p(np.sum(others, axis=-1, keepdims=True))
    largest = largest.reshape(units)
    return x - largest, log_total.reshape(units), largest


def _logsumexp_rule(g: Tensor, out: Tensor, x: Tensor, axis: Axes, keepdims: bool) -> Tensor:
    """The softmax of x, from x less its maximum: the logarithm may be large, and rounded so."""
    top = np.max(x.data, axis=axis, keepdims=True)
    near = x - np.where(np.isfinite(top), top, x.dtype.type(0))
    total = logsumexp(near, axis=axis, keepdims=True)
    return kept(g, x, axis) * exp(near - where(total == -np.inf, 0.0, total))


@op(
    gradients=(_logsumexp_rule,),
    samples=lambda rng: chain(
        reductions(empty=False)(rng),
        reductions(between(40, 60), empty=False)(rng),  # one number decides, and is large
    ),
    resolve=nonempty_axes("logsumexp"),
)
def logsumexp(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))), without overflow; gradient 0 where every x is -inf."""
    with np.errstate(invalid="ignore"):
        _, log_total, top = shifted_log_sum_exp(x, axis)
    out = np.where(np.isfinite(top), top + log_total, top)
    return out if keepdims else out.reshape([n for i, n in enumerate(x.shape) if i not in axis])


def _with_zeros(rng: Generator, shape: tuple[int, ...]) -> Array:
    return between(-2, 2)(rng, shape) * (rng.random(shape) < 0.6)


def _prod_samples(rng: Generator) -> Iterator[Sample]:
    yield from reductions(_with_zeros)(rng)
    for zeros in range(4):
        yield Sample(np.where(np.arange(4) < zeros, 0.0, between(-2, 2)(rng, (4,))), axis=None)


@composite(samples=_prod_samples, numpy=np.prod)
def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The product of the elements; right at zeros, at every order.

    A tree of products, each half of the elements times the other, never a division by an element.
    """
    x = as_tensor(x)
    axes = axis_tuple(axis, x.ndim)
    rest = [i for i in range(x.ndim) if i not in axes]
    shape = tuple(x.shape[i] for i in rest)
    unit_axes = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    count = _count(x, axes)
    if x.dtype.kind != "f":  # the wide integers in which NumPy multiplies
        x = x.astype(np.prod(np.ones(1, x.dtype)).dtype)
    x = reshape(transpose(x, (*axes, *rest)), (count, *shape))
    if not count:
        x, count = concatenate([x, np.ones((1, *shape), x.dtype)]), 1
    while count > 1:
        half = count // 2
        pairs = x[:half] * x[half : 2 * half]
        x = concatenate([pairs, x[2 * half :]]) if count % 2 else pairs
        count -= half
    return reshape(x, unit_axes if keepdims else shape)


@op(
    gradients=(
        lambda g, out, x, axis, reverse: reshape(
            cumsum(g, axis=axis, reverse=not reverse), x.shape
        ),
    ),
    samples=calls(
        *(
            (shape, {"axis": axis, "reverse": reverse})
            for shape, axis in [
                ((), None), ((3,), 0), ((2, 3), None), ((2, 3), 0), ((2, 3), -1), ((2, 3, 2), 1),
                ((0, 3), 0), ((0, 3), 1), ((1, 4), 1), ((9,), None), ((17,), 0), ((2, 1, 2), 1),
            ]
            for reverse in (False, True)
        ),
        repeats=4,
    ),
    resolve=one_axis,
    linear=True,
    integers=True,
    numpy=np.cumsum,
)  # fmt: skip
def cumsum(x: Array, /, axis: int | None = None, reverse: bool = False) -> Array:
    """Running sums along an axis or (None) through the flattened array; `reverse`: from the end."""
    if axis is None:
        x, axis = x.reshape(-1), 0
    return np.flip(np.cumsum(np.flip(x, axis), axis), axis) if reverse else np.cumsum(x, axis)


_some_zero = reductions(lambda rng, shape: np.round(between(-1, 1)(rng, shape)))


@op(gradients=(None,), samples=_some_zero, resolve=many_axes, numpy=np.any)
def any(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """Whether some element is non-zero."""
    return np.any(x, axis=axis, keepdims=keepdims)


@op(gradients=(None,), samples=_some_zero, resolve=many_axes, numpy=np.all)
def all(x: Array, /, axis: Any = None, keepdims: bool = False) -> Array:
    """Whether every element is non-zero."""
    return np.all(x, axis=axis, keepdims=keepdims)
