"""Products that sum: matmul, and what is written in it: einsum, tensordot and their relatives."""

from __future__ import annotations

import math
import string
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from .. import kernels
from ..autograd.registry import composite, op
from ..autograd.tensor import Tensor, as_tensor
from ..errors import ShapeError
from ..samples import Generator, Sample, between, calls
from .axes import shape_tuple
from .rearranging import diagonal
from .reductions import sum as sum_
from .shape import expand_dims, ravel, reshape, squeeze, transpose

Array = np.ndarray
#: What names an axis in a product: a letter, or its distance from the right within an ellipsis.
Label = str | int
Labels = list[Label]

_any = between(-2, 2)


def _swap(x: Tensor) -> Tensor:
    """The last two axes exchanged."""
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _left(g: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    if y.ndim == 1:
        return expand_dims(g, -1) * y
    if x.ndim == 1:
        return squeeze(matmul(y, expand_dims(g, -1)), -1)
    return matmul(g, _swap(y))


def _right(g: Tensor, out: Tensor, x: Tensor, y: Tensor) -> Tensor:
    if x.ndim == 1:
        return expand_dims(x, -1) * expand_dims(g, -2) if y.ndim > 1 else g * x
    if y.ndim == 1:
        return squeeze(matmul(_swap(x), expand_dims(g, -1)), -1)
    return matmul(_swap(x), g)


def _check_matmul(x: Tensor, y: Tensor) -> dict[str, Any]:
    if not x.ndim or not y.ndim:
        raise ShapeError(
            f"matmul: expected tensors of rank 1 or more, received shapes {x.shape} and {y.shape}. "
            "Multiply by a scalar with *."
        )
    inner = y.shape[-2] if y.ndim > 1 else y.shape[0]
    if x.shape[-1] != inner:
        raise ShapeError(
            f"matmul: the last axis of the left tensor ({x.shape[-1]}) must equal the first of the "
            f"right matrix ({inner}), received shapes {x.shape} and {y.shape}."
        )
    return {}


_MATMULS = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 2)), ((1, 1), (1, 1)),
    ((4, 2, 3), (3, 2)), ((2, 3), (4, 3, 2)), ((2, 2, 3), (2, 3, 1)), ((2, 1, 2, 3), (2, 3, 2)),
    ((3,), (2, 3, 2)), ((2, 2, 3), (3,)), ((0, 3), (3, 2)), ((2, 0), (0, 3)), ((1, 17), (17, 1)),
    ((5, 9), (9, 2)),
]  # fmt: skip


def _matmul_samples(rng: Generator) -> Iterator[Sample]:
    for left, right in _MATMULS:
        for _ in range(4):
            yield Sample(_any(rng, left), _any(rng, right))
    yield Sample(_any(rng, (3, 2)).T, _any(rng, (2, 3)).T)
    yield Sample(_any(rng, (2, 6))[:, ::-2], _any(rng, (6, 2))[::2])


@op(
    gradients=(_left, _right),
    samples=_matmul_samples,
    resolve=_check_matmul,
    broadcasts=True,
    linear=True,
    integers=True,
    numpy=np.matmul,
)
def matmul(x: Array, y: Array, /) -> Array:
    """The matrix product over the last two axes, vectors and batch axes treated as in NumPy."""
    return kernels.blas.matmul(x, y)


def _ordered(x: Tensor, labels: Labels, order: Sequence[Label]) -> Tensor:
    """The axes of x in the order of their labels in `order`."""
    axes = [labels.index(label) for label in order]
    return x if axes == sorted(axes) else transpose(x, axes)


def _summed(x: Tensor, labels: Labels, wanted: Collection[Label]) -> tuple[Tensor, Labels]:
    """x without the axes whose labels nobody wants: summed over."""
    gone = tuple(i for i, label in enumerate(labels) if label not in wanted)
    return (sum_(x, axis=gone) if gone else x), [label for label in labels if label in wanted]


def _multiply(
    x: Tensor, lx: Labels, y: Tensor, ly: Labels, wanted: Collection[Label]
) -> tuple[Tensor, Labels]:
    """The product of two labelled tensors, summed over the labels that are not wanted.

    Any such product is one matmul: what both have and is wanted is the batch, what both have and is
    not wanted is the inner axis, and what only one has are its rows or the other's columns.
    """
    x, lx = _summed(x, lx, {*wanted, *ly})
    y, ly = _summed(y, ly, {*wanted, *lx})
    batch = [label for label in lx if label in ly and label in wanted]
    inner = [label for label in lx if label in ly and label not in wanted]
    rows = [label for label in lx if label not in ly]
    columns = [label for label in ly if label not in lx]
    size = dict(zip([*lx, *ly], [*x.shape, *y.shape], strict=True))

    def flattened(t: Tensor, labels: Labels, *groups: Labels) -> Tensor:
        t = _ordered(t, labels, [label for group in groups for label in group])
        return reshape(t, tuple(math.prod(size[label] for label in group) for group in groups))

    x = flattened(x, lx, batch, rows, inner)
    y = flattened(y, ly, batch, inner, columns)
    labels = [*batch, *rows, *columns]
    product = matmul(x, y) if inner else x * y
    return reshape(product, tuple(size[label] for label in labels)), labels


def _labels(term: str, rank: int, subscripts: str) -> Labels:
    """The labels of the axes of one operand of einsum."""
    head, dots, tail = term.partition("...")
    free = rank - len(head) - len(tail)
    if head + tail and not (head + tail).isalpha():
        raise ValueError(
            f"einsum: {term!r} in {subscripts!r} is not letters and at most one '...'."
        )
    if free < 0 or (free and not dots):
        hint = " Let '...' stand for the axes without a name." if free > 0 else ""
        raise ShapeError(
            f"einsum: {term!r} in {subscripts!r} names {len(head + tail)} axes, received an "
            f"operand of rank {rank}.{hint}"
        )
    return [*head, *range(free - 1, -1, -1), *tail]


def _parse(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[Labels], Labels]:
    """The labels of each operand, and of the output."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum: {subscripts!r} describes {len(terms)} operands, received {len(shapes)}."
        )
    inputs = [_labels(t, len(shape), subscripts) for t, shape in zip(terms, shapes, strict=True)]
    widest = max(sum(isinstance(label, int) for label in labels) for labels in inputs)
    if not arrow:  # NumPy's rule: the letters that occur once, in alphabetical order
        letters = left.replace(",", "").replace(".", "")
        right = ("..." if widest else "") + "".join(
            sorted(c for c in letters if letters.count(c) == 1)
        )
    named = len(right.replace("...", ""))
    output = _labels(right, named + (widest if "..." in right else 0), subscripts)
    known = {label for labels in inputs for label in labels}
    if len(set(output)) < len(output) or not known >= set(output):
        raise ValueError(
            f"einsum: the output of {subscripts!r} must name axes of the operands, each once."
        )
    if widest and "..." not in right:
        raise ValueError(f"einsum: the '...' of {subscripts!r} must also be in its output.")
    return inputs, output


def _sizes(subscripts: str, operands: list[Tensor], inputs: list[Labels]) -> dict[Label, int]:
    """The length of the axes of each label; those of length 1 broadcast."""
    sizes: dict[Label, int] = {}
    for x, labels in zip(operands, inputs, strict=True):
        for label, n in zip(labels, x.shape, strict=True):
            if sizes.setdefault(label, n) == 1:
                sizes[label] = n
            if n not in (1, sizes[label]):
                raise ShapeError(
                    f"einsum: the axes {label!r} in {subscripts!r} have lengths {sizes[label]} and "
                    f"{n}, received shapes {', '.join(str(t.shape) for t in operands)}."
                )
    return sizes


def _single(x: Tensor, labels: Labels, sizes: dict[Label, int]) -> tuple[Tensor, Labels]:
    """An operand without the axes that broadcast, and with the diagonal of those that repeat."""
    axes = [i for i, label in enumerate(labels) if x.shape[i] == sizes[label]]
    if len(axes) < x.ndim:
        x, labels = reshape(x, tuple(x.shape[i] for i in axes)), [labels[i] for i in axes]
    for label in labels:
        if labels.count(label) > 1:
            first = labels.index(label)
            second = labels.index(label, first + 1)
            x = diagonal(x, 0, first, second)
            rest = [other for i, other in enumerate(labels) if i not in (first, second)]
            return _single(x, [*rest, label], sizes)
    return x, labels


def _spelled(operands: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Tensors and lists of numbers by turns as subscripts with letters, and the tensors."""
    *pairs, last = [*operands, None][: len(operands) | 1]
    terms = [*pairs[1::2], *([] if last is None else [last])]
    text = []
    for term in terms:
        if not isinstance(term, (list, tuple)):
            raise TypeError(
                "einsum: expected subscripts such as 'ij,jk->ik' before the tensors, or a list of "
                f"numbers after each, received {type(term).__name__} in the place of a list."
            )
        text.append("".join("..." if n is Ellipsis else _letter(n) for n in term))
    output = "" if last is None else f"->{text.pop()}"
    return ",".join(text) + output, tuple(pairs[::2])


def _letter(number: Any) -> str:
    """The letter of an axis, in an order that is alphabetical as well."""
    letters = string.ascii_uppercase + string.ascii_lowercase
    if shape_tuple(number)[0] not in range(len(letters)):
        raise ValueError(f"einsum: axes are numbered 0 to {len(letters) - 1}, received {number}.")
    return letters[number]


_EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 2)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("ij->j", (3, 1)),
    ("ii->i", (3, 3)), ("ii->", (3, 3)), ("iij->ji", (2, 2, 3)), ("iji,j->i", (2, 3, 2), (3,)),
    ("ijkij->k", (2, 1, 3, 2, 1)), ("i,i->", (4,), (4,)), ("i,j->ij", (2,), (3,)),
    ("i,i->i", (9,), (9,)), ("bij,bjk->bik", (2, 1, 3), (2, 3, 2)), (",i->i", (), (3,)),
    ("ij,j->i", (2, 17), (17,)), ("ij,jk,kl->il", (2, 2), (2, 3), (3, 1)),
    ("ij,ij,i->j", (2, 3), (2, 3), (2,)), ("...ij,...jk->...ik", (2, 2, 3), (3, 2)),
    ("...i,...i->...", (2, 1, 3), (4, 3)), ("i...->...i", (2, 3, 2)), ("ij,ij->ij", (1, 3), (2, 3)),
    ("ij,jk->ik", (2, 1), (3, 2)), ("ij,jk->k", (2, 3), (3, 2)), ("ij,kl->il", (2, 2), (2, 3)),
    ("ij,jk->ik", (0, 3), (3, 2)), ("ij,jk->ik", (2, 0), (0, 3)), ("ij,jk", (2, 3), (3, 2)),
    ("ba", (2, 3)), ("nhwc,klcd->nhwd", (1, 2, 1, 2), (1, 2, 2, 2)), ("i,i,i,i->i", *[(2,)] * 4),
]  # fmt: skip


@composite(
    samples=calls(*((*shapes, {"subscripts": text}) for text, *shapes in _EINSUMS), repeats=2),
    numpy={np.einsum: {"optimize": (True, "greedy", "optimal")}},
)
def einsum(*operands: Any, subscripts: str = "") -> Tensor:
    """Einstein's summation: ``einsum("ij,jk->ik", x, y)``.

    Args:
        operands: first the subscripts, a letter for each axis of each tensor, then the tensors. A
            letter that the output leaves out is summed over; a letter twice in a tensor takes the
            diagonal; ``...`` stands for all other axes; axes of length 1 broadcast. Several tensors
            are multiplied from left to right. Or each tensor with a list of numbers for letters,
            the output's last if at all: ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.

    Raises:
        ValueError, ShapeError: subscripts that make no sense, or do not fit the tensors.
    """
    if operands and isinstance(operands[0], str):
        subscripts, *operands = operands  # type: ignore[assignment]
    elif not subscripts:
        subscripts, operands = _spelled(operands)
    tensors = [as_tensor(x) for x in operands]
    inputs, output = _parse(subscripts, [x.shape for x in tensors])
    sizes = _sizes(subscripts, tensors, inputs)
    parts = [_single(x, labels, sizes) for x, labels in zip(tensors, inputs, strict=True)]
    x, labels = parts[0]
    for n, (y, ly) in enumerate(parts[1:], 2):
        later = {label for _, others in parts[n:] for label in others}
        x, labels = _multiply(x, labels, y, ly, later | set(output))
    x, labels = _summed(x, labels, output)
    return _ordered(x, labels, output)


@composite(
    samples=calls(
        *(
            (left, right, {"axes": axes})
            for left, right, axes in [
                ((3,), (3,), 1), ((2,), (3,), 0), ((2, 3), (3, 2), 1), ((2, 3), (2, 3), 2),
                ((2, 3, 2), (3, 2, 2), 2), ((2, 3), (2, 3), (0, 0)), ((2, 3), (3, 2), (1, 0)),
                ((2, 3, 1), (3, 1, 2), ((1, 0), (0, 2))), ((0, 2), (2, 3), 1), ((), (2,), 0),
                ((2, 0), (0, 3), 1), ((1, 9), (9, 1), ((-1,), (0,))),
            ]
        ),
        repeats=5,
    ),
    numpy=np.tensordot,
)  # fmt: skip
def tensordot(x: Any, y: Any, axes: Any = 2) -> Tensor:
    """The product summed over pairs of axes: these of x with those of y.

    Args:
        axes: ``(axes of x, axes of y)``, or how many: the last of x with the first of y.
    """
    x, y = as_tensor(x), as_tensor(y)
    if isinstance(axes, (tuple, list)):
        left, right = (list(a) if isinstance(a, (tuple, list)) else [a] for a in axes)
    else:
        left, right = list(range(-axes, 0)), list(range(axes))
    mismatch = ShapeError(
        f"tensordot: axes={axes} must pair axes of equal length, received shapes {x.shape} and "
        f"{y.shape}."
    )
    lx: Labels = [f"x{i}" for i in range(x.ndim)]
    ly: Labels = [f"y{i}" for i in range(y.ndim)]
    try:
        for i, j in zip(left, right, strict=True):
            ly[j] = lx[i]
            if x.shape[i] != y.shape[j]:
                raise mismatch
    except (IndexError, ValueError):
        raise mismatch from None
    paired = {lx[i] for i in left}
    product, _ = _multiply(x, lx, y, ly, {*lx, *ly} - paired)
    return product


def _scalar_or(x: Tensor, y: Tensor, axes: tuple[int, int]) -> Tensor:
    return tensordot(x, y, axes) if x.ndim and y.ndim else x * y


@composite(
    samples=calls(
        ((), (), {}), ((3,), (), {}), ((3,), (3,), {}), ((2, 3), (3,), {}), ((3,), (3, 2), {}),
        ((2, 3), (3, 2), {}), ((2, 2, 3), (2, 3, 1), {}), ((2, 2, 2), (2,), {}),
        ((0, 3), (3, 2), {}), ((1, 17), (17,), {}),
    ),
    numpy=np.dot,
)  # fmt: skip
def dot(x: Any, y: Any) -> Tensor:
    """Summed over the last axis of x and the second to last of y (a vector's only one)."""
    x, y = as_tensor(x), as_tensor(y)
    return _scalar_or(x, y, (-1, -2 if y.ndim > 1 else -1))


@composite(
    samples=calls(
        ((), (), {}), ((3,), (), {}), ((3,), (3,), {}), ((2, 3), (3,), {}), ((3,), (2, 3), {}),
        ((2, 3), (4, 3), {}), ((2, 1, 3), (2, 3), {}), ((0, 2), (3, 2), {}), ((1, 9), (1, 9), {}),
    ),
    numpy=np.inner,
)  # fmt: skip
def inner(x: Any, y: Any) -> Tensor:
    """Summed over the last axis of both."""
    return _scalar_or(as_tensor(x), as_tensor(y), (-1, -1))


_two_of_any_shape = calls(
    ((), (), {}), ((3,), (2,), {}), ((2, 3), (2,), {}), ((1,), (4,), {}), ((2, 2), (1, 3), {}),
    ((0,), (3,), {}), ((9,), (1,), {}), ((2,), (2, 1, 2), {}), ((1, 2, 1), (3, 1), {}),
)  # fmt: skip


@composite(samples=_two_of_any_shape, numpy=np.outer)
def outer(x: Any, y: Any) -> Tensor:
    """Every element of x times every element of y, a matrix; both are flattened."""
    return expand_dims(ravel(x), 1) * ravel(y)


@composite(
    samples=calls(
        ((), (), {}), ((3,), (3,), {}), ((2, 3), (6,), {}), ((2, 2), (2, 2), {}), ((1,), (1,), {}),
        ((0,), (0,), {}), ((17,), (17,), {}), ((2, 1, 3), (3, 2), {}), ((9,), (3, 3), {}),
    ),
    numpy=np.vdot,
)  # fmt: skip
def vdot(x: Any, y: Any) -> Tensor:
    """The sum of the products of all elements, flattened."""
    return matmul(ravel(x), ravel(y))


@composite(
    samples=calls(
        ((3,), (3,), {}), ((2, 3), (2, 3), {}), ((2, 3), (3,), {}), ((2, 1, 3), (4, 3), {}),
        ((1,), (1,), {}), ((0, 3), (0, 3), {}), ((2, 0), (2, 0), {}), ((2, 9), (1, 9), {}),
        ((17,), (17,), {}),
    ),
    numpy=np.vecdot,
)  # fmt: skip
def vecdot(x: Any, y: Any) -> Tensor:
    """Summed over the last axis of both, the other axes broadcast."""
    return einsum("...i,...i->...", x, y)


@composite(samples=_two_of_any_shape, numpy=np.kron)
def kron(x: Any, y: Any) -> Tensor:
    """The Kronecker product: a copy of y times each element of x, in blocks."""
    x, y = as_tensor(x), as_tensor(y)
    rank = max(x.ndim, y.ndim)
    left = (1,) * (rank - x.ndim) + x.shape
    right = (1,) * (rank - y.ndim) + y.shape
    blocks = reshape(x, tuple(n for size in left for n in (size, 1)))
    product = blocks * reshape(y, tuple(n for size in right for n in (1, size)))
    return reshape(product, tuple(a * b for a, b in zip(left, right, strict=True)))


@composite(
    samples=calls(
        *(
            (shape, {"offset": offset, "axis1": first, "axis2": second})
            for shape, first, second in [
                ((3, 3), 0, 1), ((2, 3), 0, 1), ((2, 3, 2), 2, 0), ((1, 4), 0, 1), ((0, 2), 0, 1),
            ]
            for offset in (0, 1, -1)
        ),
        repeats=4,
    ),
    numpy=np.trace,
)  # fmt: skip
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The sum of a diagonal of the matrices on two axes."""
    return sum_(diagonal(x, offset, axis1, axis2), axis=-1)
