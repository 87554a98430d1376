"""Layers that bring inputs to scale: Rescaling, Normalization."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import ops
from ..autograd.tensor import Tensor, wrap
from ..config.checked import Axes, Numbers
from ..config.serialization import register, serialize
from ..data.data import as_array
from ..data.feeding import once, yields_batches
from ..ops.axes import axis_tuple
from ..ops.stateful import brought_to_scale
from .activation import Elementwise
from .arguments import known_length
from .input_spec import InputSpec, LayerError

_SMALLEST = 1e-7  # of a standard deviation, so that constant features stay finite


@register("layers")
class Rescaling(Elementwise):
    """``scale * x + offset``: ``Rescaling(1 / 255)`` brings pixels to 0..1.

    Args:
        scale: a number, or one per channel.
        offset: likewise.
    """

    def __init__(self, scale: Numbers, offset: Numbers = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = _numbers(scale), _numbers(offset)

    def call(self, inputs: Tensor) -> Tensor:
        scale, offset = (np.asarray(v, inputs.dtype) for v in (self.scale, self.offset))
        scaled = ops.multiply(inputs, wrap(scale))
        return ops.add(scaled, wrap(offset)) if offset.any() else scaled


@register("layers")
class Normalization(Elementwise):
    """``(x - mean) / sqrt(variance)``, by numbers that are given or that `adapt` takes from data.

    Before `adapt`, mean 0 and variance 1 change nothing.

    Args:
        axis: one axis or several, each position of which has a mean and variance of its own (-1:
            the channels); None has one of each for everything.
        mean, variance: given numbers, of the lengths of the axes.
        invert: turn normalised values back instead.

    Raises:
        ValueError: a mean without a variance or the other way round, or a negative variance.
    """

    def __init__(
        self,
        axis: Axes | None = -1,
        mean: Numbers | None = None,
        variance: Numbers | None = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError(
                f"{self._where} takes both mean and variance, or neither (and then adapt(data)); "
                f"received mean={mean!r}, variance={variance!r}."
            )
        if axis is None:
            self.axis: tuple[int, ...] = ()
        else:
            self.axis = (axis,) if isinstance(axis, int) else tuple(axis)
        self.given = None if mean is None else (_numbers(mean), _numbers(variance))
        if variance is not None and np.min(variance) < 0:
            raise ValueError(f"{self._where}: a variance is not negative, received {variance!r}.")
        self.invert = bool(invert)

    def build(self, input_shape: Any) -> None:
        axes = axis_tuple(self.axis, len(input_shape)) if self.axis else ()
        if 0 in axes:
            raise ValueError(f"{self._where}: axis 0 is the batch.")
        lengths = {a: known_length(input_shape, a, "features", self._where) for a in axes}
        self._axes = axes
        shape = tuple(lengths[a] for a in sorted(axes))
        given = [0.0, 1.0] if self.given is None else self.given
        self.mean, self.variance = (
            self.add_weight(shape, self._filling(name, values), trainable=False, name=name)
            for name, values in zip(("mean", "variance"), given, strict=True)
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes=lengths)

    def _filling(self, name: str, given: Any) -> Any:
        """An initializer that makes a weight of given numbers: one, or those of the axes."""
        values = np.asarray(given, self.dtype)

        def fill(shape: Any, dtype: Any = None) -> np.ndarray:
            if values.size == math.prod(shape):
                return values.reshape(shape)
            if values.ndim and values.shape != shape[-values.ndim :]:
                raise LayerError(
                    f"{self._where} was given a {name} of shape {values.shape}, but the input has "
                    f"the lengths {shape} at axis {self.axis}."
                )
            return np.broadcast_to(values, shape)

        return fill

    def adapt(self, data: Any) -> None:
        """Take mean and variance from data, replacing what was there.

        Args:
            data: an array of samples, shape (N, ...), of any numeric dtype; or batches of them: a
                `gradtape.utils.PyDataset`, a generator or any other iterable. Of a batch that is a
                tuple, as in ``(x, y)``, the first counts.

        Raises:
            ValueError: mean and variance were given, or there are no samples, or no end of them.
            TypeError: samples that are no numbers.
        """
        if self.given is not None:
            raise ValueError(f"{self._where} was given its mean and variance: it cannot adapt.")
        count, mean, squares = 0, np.zeros(()), np.zeros(())
        for batch in _batches(data):
            if not batch.size or not batch.ndim:
                raise ValueError(f"{self._where} cannot adapt to no samples: {batch.shape}.")
            self._prepare(batch.shape)
            others = tuple(i for i in range(batch.ndim) if i not in self._axes)
            own = batch.mean(axis=others, dtype=np.float64, keepdims=True)
            new = batch.size // own.size
            # Two sets of samples as one (Chan, Golub and LeVeque, 1979).
            off, count = own - mean, count + new
            squares = squares + np.square(batch - own).sum(axis=others, keepdims=True)
            squares = squares + np.square(off) * (new * (count - new) / count)
            mean = mean + off * (new / count)
        if not count:
            raise ValueError(f"{self._where} cannot adapt to no samples: there is no batch.")
        self.mean.assign(mean.reshape(self.mean.shape))
        self.variance.assign((squares / count).reshape(self.variance.shape))

    def call(self, inputs: Tensor) -> Tensor:
        kept = tuple(i in self._axes for i in range(inputs.ndim))
        return brought_to_scale(
            inputs, self.mean, self.variance, kept=kept, least=_SMALLEST, invert=self.invert
        )

    def get_config(self) -> dict[str, Any]:
        mean, variance = self.given or (None, None)
        return {
            **super().get_config(),
            "axis": serialize(self.axis) or None,
            "mean": mean,
            "variance": variance,
            "invert": self.invert,
        }


def _batches(data: Any) -> Iterator[np.ndarray]:
    """Samples in batches: those of an array in some, so that no copy of all of it is made."""
    if isinstance(data, (list, tuple)):
        if any(hasattr(_first(batch), "shape") for batch in data):
            yield from (as_array(_first(batch), "data") for batch in data)
            return
    elif yields_batches(data):
        yield from (as_array(_first(batch), "data") for batch in once(data))
        return
    array = as_array(data, "data")
    for start in range(0, len(array) or 1, 1024):
        yield array[start : start + 1024]


def _first(batch: Any) -> Any:
    """The samples of a batch."""
    return batch[0] if isinstance(batch, tuple) and batch else batch


def _numbers(value: Any) -> Any:
    """A number, or nested lists of them, as plain Python values."""
    return np.asarray(value, np.float64).tolist()
