"""Layers that make one tensor of several: Add, Concatenate and their kin."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..autograd.tensor import Tensor
from ..autograd.tree import Shape, is_shape, shape_map
from ..config.serialization import register
from ..ops.stateful import unit_length
from .base import Layer
from .input_spec import LayerError
from .window import Window


class Merge(Layer):
    """Base of the layers that combine a list of tensors, element by element.

    Axes of length 1 are stretched; a tensor of smaller rank gets axes of length 1 after the batch.
    """

    def check_input(self, shape: Any) -> None:
        """Refuse what is not a list of tensors that fit each other."""
        self._combined(_shapes(self, shape))

    def call(self, inputs: Any) -> Tensor:
        rank = max(x.ndim for x in inputs)
        same = [x if x.ndim == rank else _raised(x, rank) for x in inputs]
        return self.merge(same)

    def merge(self, inputs: list[Tensor]) -> Tensor:
        """The combination of tensors of one rank."""
        raise TypeError(f"{type(self).__name__} must define merge(self, inputs).")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._combined(_shapes(self, input_shape))

    def _combined(self, shapes: list[Shape]) -> Shape:
        rank = max(len(s) for s in shapes)
        full = [(*s[:1], *(1,) * (rank - len(s)), *s[1:]) for s in shapes]
        combined = []
        for axis, lengths in enumerate(zip(*full, strict=True)):
            known = {n for n in lengths if n not in (None, 1)}
            if len(known) > 1:
                raise LayerError(
                    f"{self._where} cannot combine inputs of shapes {_listed(shapes)}: axis {axis} "
                    f"is {' and '.join(map(str, sorted(known)))}. "
                    "Use Concatenate to put them side by side, or a convolution or Dense to make "
                    "them fit."
                )
            combined.append(None if None in lengths else (known.pop() if known else 1))
        return tuple(combined)


@register("layers")
class Add(Merge):
    """The sum of the inputs, ``(N, ...)`` each."""

    def merge(self, inputs: list[Tensor]) -> Tensor:
        total = inputs[0]
        for x in inputs[1:]:
            total = ops.add(total, x)
        return total


@register("layers")
class Subtract(Merge):
    """The first of two inputs minus the second."""

    def check_input(self, shape: Any) -> None:
        """Refuse anything but two tensors."""
        if len(_shapes(self, shape)) != 2:
            raise LayerError(f"{self._where} takes two inputs, received {len(shape)}.")
        super().check_input(shape)

    def merge(self, inputs: list[Tensor]) -> Tensor:
        return ops.subtract(inputs[0], inputs[1])


@register("layers")
class Multiply(Merge):
    """The product of the inputs, element by element."""

    def merge(self, inputs: list[Tensor]) -> Tensor:
        product = inputs[0]
        for x in inputs[1:]:
            product = ops.multiply(product, x)
        return product


@register("layers")
class Average(Add):
    """The mean of the inputs."""

    def merge(self, inputs: list[Tensor]) -> Tensor:
        return ops.divide(super().merge(inputs), float(len(inputs)))


@register("layers")
class Maximum(Merge):
    """The largest of the inputs, element by element."""

    def merge(self, inputs: list[Tensor]) -> Tensor:
        largest = inputs[0]
        for x in inputs[1:]:
            largest = ops.maximum(largest, x)
        return largest


@register("layers")
class Minimum(Merge):
    """The smallest of the inputs, element by element."""

    def merge(self, inputs: list[Tensor]) -> Tensor:
        smallest = inputs[0]
        for x in inputs[1:]:
            smallest = ops.minimum(smallest, x)
        return smallest


@register("layers")
class Concatenate(Layer):
    """The inputs side by side along an axis; all other axes must have one length.

    Args:
        axis: along which to join; -1 are the channels.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def check_input(self, shape: Any) -> None:
        """Refuse what is not a list of tensors that fit each other."""
        self.compute_output_shape(shape)

    def call(self, inputs: Any) -> Tensor:
        return ops.concatenate(list(inputs), axis=self.axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = _shapes(self, input_shape)
        rank = len(shapes[0])
        if any(len(s) != rank for s in shapes) or not -rank <= self.axis < rank:
            raise LayerError(
                f"{self._where} joins inputs of one rank that have an axis {self.axis}, received "
                f"shapes {_listed(shapes)}."
            )
        axis = self.axis % rank
        joined: list[int | None] = []
        for i, lengths in enumerate(zip(*shapes, strict=True)):
            known = {n for n in lengths if n is not None}
            if i != axis and len(known) > 1:
                raise LayerError(
                    f"{self._where} joins along axis {self.axis}, so all other axes must agree: "
                    f"axis {i} of the shapes {_listed(shapes)} is "
                    f"{' and '.join(map(str, sorted(known)))}. Is a padding='same' missing, or a "
                    "stride in only one of the branches?"
                )
            if i == axis:
                joined.append(None if None in lengths else sum(lengths))
            else:
                joined.append(known.pop() if known else None)
        return tuple(joined)


@register("layers")
class Dot(Layer):
    """The products of two inputs, summed along an axis of each, sample by sample.

    ``(N, a, b)`` and ``(N, c, b)`` with ``axes=2`` give ``(N, a, c)``; of vectors, ``(N, 1)``.

    Args:
        axes: the axis of both, or a pair, one for each; the batch (0) cannot be one.
        normalize: scale the inputs to length 1 along their axes, which makes products cosines.

    Raises:
        TypeError, ValueError: axes that are not one or two integers, or inputs that do not fit.
    """

    casts_integers = True

    def __init__(self, axes: int | tuple[int, int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes, self.normalize = axes, normalize
        self._pair = (axes, axes) if isinstance(axes, int) else axes

    def check_input(self, shape: Any) -> None:
        """Refuse anything but two tensors whose axes have one length."""
        self.compute_output_shape(shape)

    def call(self, inputs: Any) -> Tensor:
        moved = []
        for x, axis in zip(inputs, self._pair, strict=True):
            x = ops.moveaxis(x, axis, -1)
            if self.normalize:
                x = unit_length(x, -1)
            moved.append(ops.reshape(x, shape=(len(x), math.prod(x.shape[1:-1]), x.shape[-1])))
        products = ops.matmul(moved[0], ops.swapaxes(moved[1], 1, 2))
        return ops.reshape(products, shape=self.compute_output_shape([x.shape for x in inputs]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        shapes = _shapes(self, input_shape)
        if len(shapes) != 2:
            raise LayerError(f"{self._where} takes two inputs, received {len(shapes)}.")
        rest, lengths = [], []
        for shape, axis in zip(shapes, self._pair, strict=True):
            if not -len(shape) <= axis < len(shape) or axis % len(shape) == 0:
                raise LayerError(
                    f"{self._where} sums along axis {axis}, which an input {shape} has not, or "
                    "which is its batch."
                )
            rest.append([n for i, n in enumerate(shape) if i not in (0, axis % len(shape))])
            lengths.append(shape[axis])
        if None not in lengths and lengths[0] != lengths[1]:
            raise LayerError(
                f"{self._where} sums along axes of one length, received inputs {_listed(shapes)} "
                f"with axes={self.axes}: {lengths[0]} and {lengths[1]}."
            )
        return (shapes[0][0], *(rest[0] + rest[1] or [1]))

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return None


def _shapes(layer: Layer, shape: Any) -> list[Shape]:
    """The shapes of a list of inputs."""
    if is_shape(shape) or not isinstance(shape, (list, tuple)):
        raise LayerError(
            f"{layer._where} takes a list of tensors, as in {type(layer).__name__}()([x, y]), "
            f"received {'a dict' if isinstance(shape, dict) else 'one'}."
        )
    return shape_map(lambda s: s, list(shape))


def _listed(shapes: list[Shape]) -> str:
    return ", ".join(map(str, shapes))


def _raised(x: Tensor, rank: int) -> Tensor:
    return ops.reshape(x, shape=(*x.shape[:1], *(1,) * (rank - x.ndim), *x.shape[1:]))


def add(inputs: Any, **kwargs: Any) -> Any:
    """``Add(**kwargs)(inputs)``."""
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    """``Subtract(**kwargs)(inputs)``."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    """``Multiply(**kwargs)(inputs)``."""
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    """``Average(**kwargs)(inputs)``."""
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    """``Maximum(**kwargs)(inputs)``."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    """``Minimum(**kwargs)(inputs)``."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    """``Concatenate(axis, **kwargs)(inputs)``."""
    return Concatenate(axis, **kwargs)(inputs)


def dot(inputs: Any, axes: Any = -1, **kwargs: Any) -> Any:
    """``Dot(axes, **kwargs)(inputs)``."""
    return Dot(axes, **kwargs)(inputs)
