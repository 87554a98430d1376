"""Layers that only rearrange: Flatten, Reshape, Permute, RepeatVector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..autograd.tensor import Tensor
from ..autograd.tree import Shape
from ..config.checked import Count
from ..config.serialization import register
from .base import Layer
from .input_spec import InputSpec, LayerError
from .window import Window


@register("layers")
class Flatten(Layer):
    """All axes but the batch in one: ``(N, H, W, C)`` to ``(N, H * W * C)``.

    Args:
        data_format: with ``"channels_first"``, the channels are moved last before flattening, so
            that the order is that of ``"channels_last"`` (default).
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if data_format not in (None, "channels_last", "channels_first"):
            raise ValueError(
                f"{self._where}: data_format must be 'channels_last' or 'channels_first', received "
                f"{data_format!r}."
            )
        self.data_format = data_format or "channels_last"
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Tensor) -> Tensor:
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = ops.transpose(inputs, axes=(0, *range(2, inputs.ndim), 1))
        # The length is spelled out: an empty batch leaves -1 open.
        return ops.reshape(inputs, shape=(inputs.shape[0], math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: Any) -> Any:
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        return Window.disorder(input_shape)


@register("layers")
class Reshape(Layer):
    """Every sample under another shape.

    Args:
        target_shape: of one sample; one axis may be -1 (inferred).

    Raises:
        ValueError: more than one -1, or the elements do not fit.
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(int(n) for n in target_shape)
        if self.target_shape.count(-1) > 1 or min(self.target_shape, default=1) < -1:
            raise ValueError(
                f"{self._where}: target_shape takes lengths, one of which may be -1, received "
                f"{target_shape!r}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        return ops.reshape(inputs, shape=self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        rest: Shape = tuple(input_shape[1:])
        if None in rest:
            return (input_shape[0], *(None if n == -1 else n for n in self.target_shape))
        size = math.prod(rest)  # type: ignore[arg-type]
        known = math.prod(n for n in self.target_shape if n != -1)
        fits = size == known if -1 not in self.target_shape else known and size % known == 0
        if not fits:
            raise LayerError(
                f"{self._where} cannot arrange the {size} elements of a sample {rest} as "
                f"{self.target_shape}."
            )
        return (input_shape[0], *(size // known if n == -1 else n for n in self.target_shape))


@register("layers")
class Permute(Layer):
    """The axes of a sample in another order.

    Args:
        dims: the axes, counted from 1, in their new order: ``(2, 1)`` swaps the first two.

    Raises:
        ValueError: they are not the numbers from 1 on, each once.
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(int(d) for d in dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"{self._where}: dims are the axes of a sample from 1 on, each once, received "
                f"{dims!r}."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.transpose(inputs, axes=(0, *self.dims))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape[axis] for axis in (0, *self.dims))

    def window(self, input_shape: Any, output_shape: Any) -> Window | None:
        kept = self.dims == tuple(sorted(self.dims))
        return Window.point(input_shape) if kept else None


@register("layers")
class RepeatVector(Layer):
    """Every sample n times along a new axis: ``(N, C)`` to ``(N, n, C)``.

    Args:
        n: how often.

    Raises:
        ValueError: it is not a positive integer.
    """

    def __init__(self, n: Count, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.n, input_shape[1])
