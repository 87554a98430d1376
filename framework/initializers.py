"""Initializers: what the weights of a layer start from. Names and defaults are Keras's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import random
from .config.checked import Finite, NotNegative, Numbers, Positive
from .config.configured import Configured
from .config.exports import exporting
from .config.serialization import deserializer, register, resolve, serialize, spellings

Shape = tuple[int, ...]

#: The standard deviation of a unit normal distribution cut off at two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configured):
    """Base class: a function of a shape and a dtype that returns an array."""

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        """Values for a weight.

        Args:
            shape: of the weight.
            dtype: of the weight.
        """
        raise TypeError(f"{type(self).__name__} must define __call__(self, shape, dtype).")


@register("initializers")
class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        return np.zeros(shape, dtype)


@register("initializers")
class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        return np.ones(shape, dtype)


@register("initializers")
class Constant(Initializer):
    """The given value everywhere.

    Args:
        value: a number, or an array that broadcasts to the weight.
    """

    def __init__(self, value: Numbers = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        values = np.asarray(self.value, dtype)
        try:
            return np.broadcast_to(values, shape).copy()
        except ValueError:
            raise ValueError(
                f"Constant: a value of shape {values.shape} does not fit a weight of shape "
                f"{tuple(shape)}."
            ) from None


@register("initializers")
class Identity(Initializer):
    """Ones on the diagonal of a matrix, zeros elsewhere.

    Args:
        gain: what they are multiplied with.
    """

    def __init__(self, gain: Finite = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        if len(shape) != 2:
            raise ValueError(
                f"Identity makes matrices: expected a shape of 2 axes, received {tuple(shape)}. "
                "Take Orthogonal for kernels of convolutions."
            )
        return np.eye(*shape, dtype=dtype) * np.dtype(dtype).type(self.gain)


class RandomInitializer(Initializer):
    """Base of the random ones: every call returns the same values, as in Keras.

    Args:
        seed: an integer, or None for a stream of its own of the global seed.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = None if seed is None else random.check_seed(seed)
        self._stream = random.next_stream() if seed is None else 0

    def _generator(self) -> np.random.Generator:
        return random.generator("initializer", self._stream, seed=self.seed)


@register("initializers")
class RandomNormal(RandomInitializer):
    """Normally distributed values.

    Args:
        mean: of the distribution.
        stddev: its standard deviation.
        seed: an integer, or None for a stream of its own of the global seed.
    """

    def __init__(
        self, mean: Finite = 0.0, stddev: NotNegative = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        return _normal(self._generator(), shape, dtype) * self.stddev + self.mean


@register("initializers")
class TruncatedNormal(RandomNormal):
    """Normally distributed values, drawn anew while two standard deviations or more from the mean.

    Args:
        mean: of the distribution.
        stddev: its standard deviation before the cut.
        seed: an integer, or None for a stream of its own of the global seed.
    """

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        return _truncated(self._generator(), shape, dtype) * self.stddev + self.mean


@register("initializers")
class RandomUniform(RandomInitializer):
    """Uniformly distributed values.

    Args:
        minval: the lower bound, included.
        maxval: the upper bound.
        seed: an integer, or None for a stream of its own of the global seed.
    """

    def __init__(
        self, minval: Finite = -0.05, maxval: Finite = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        return _uniform(self._generator(), shape, dtype, self.minval, self.maxval)


@register("initializers")
class VarianceScaling(RandomInitializer):
    """Random values whose variance is ``scale / fan``, so that signals neither grow nor fade.

    Args:
        scale: a positive number.
        mode: the fan is ``"fan_in"`` (inputs of a unit), ``"fan_out"`` (units an input reaches), or
            their mean ``"fan_avg"``.
        distribution: ``"truncated_normal"``, ``"untruncated_normal"`` or ``"uniform"``.
        seed: an integer, or None for a stream of its own of the global seed.
        input_axes, output_axes: the axes whose lengths multiplied are the inputs of a unit, and the
            units that an input reaches. Default: those of a dense kernel or a convolution.

    Raises:
        ValueError: a scale that is not positive, an unknown mode or distribution, or only one of
            `input_axes` and `output_axes`.
    """

    _modes = ("fan_in", "fan_out", "fan_avg")
    _distributions = ("truncated_normal", "untruncated_normal", "uniform")

    def __init__(
        self,
        scale: Positive = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        mode, distribution = mode.lower(), distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if mode not in self._modes:
            raise ValueError(f"mode must be one of {self._modes}, received {mode!r}.")
        if distribution not in self._distributions:
            raise ValueError(
                f"distribution must be one of {self._distributions}, received {distribution!r}."
            )
        if (input_axes is None) != (output_axes is None):
            raise ValueError(
                "VarianceScaling takes input_axes and output_axes together, received "
                f"input_axes={input_axes}, output_axes={output_axes}."
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = None if input_axes is None else list(input_axes)
        self.output_axes = None if output_axes is None else list(output_axes)

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            bound = math.sqrt(3.0) * stddev
            return _uniform(self._generator(), shape, dtype, -bound, bound)
        if self.distribution == "truncated_normal":
            return _truncated(self._generator(), shape, dtype) * (stddev / _TRUNCATED_STDDEV)
        return _normal(self._generator(), shape, dtype) * stddev


class _Scaled(VarianceScaling):
    """A `VarianceScaling` with its arguments fixed, but for the seed and the axes."""

    fixed: tuple[float, str, str]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.fixed, seed, input_axes, output_axes)


@register("initializers")
class GlorotUniform(_Scaled):
    """Uniform with variance ``2 / (fan_in + fan_out)``, also called Xavier (Glorot & Bengio, 2010).

    Args:
        seed, input_axes, output_axes: as for `VarianceScaling`.
    """

    fixed = (1.0, "fan_avg", "uniform")


@register("initializers")
class GlorotNormal(_Scaled):
    """Truncated normal with variance ``2 / (fan_in + fan_out)`` (Glorot & Bengio, 2010).

    Args:
        seed, input_axes, output_axes: as for `VarianceScaling`.
    """

    fixed = (1.0, "fan_avg", "truncated_normal")


@register("initializers")
class HeUniform(_Scaled):
    """Uniform with variance ``2 / fan_in``, for relu (He et al., 2015).

    Args:
        seed, input_axes, output_axes: as for `VarianceScaling`.
    """

    fixed = (2.0, "fan_in", "uniform")


@register("initializers")
class HeNormal(_Scaled):
    """Truncated normal with variance ``2 / fan_in``, for relu (He et al., 2015).

    Args:
        seed, input_axes, output_axes: as for `VarianceScaling`.
    """

    fixed = (2.0, "fan_in", "truncated_normal")


@register("initializers")
class LecunUniform(_Scaled):
    """Uniform with variance ``1 / fan_in`` (LeCun et al., "Efficient BackProp", 1998).

    Args:
        seed, input_axes, output_axes: as for `VarianceScaling`.
    """

    fixed = (1.0, "fan_in", "uniform")


@register("initializers")
class LecunNormal(_Scaled):
    """Truncated normal with variance ``1 / fan_in`` (LeCun et al., "Efficient BackProp", 1998).

    Args:
        seed, input_axes, output_axes: as for `VarianceScaling`.
    """

    fixed = (1.0, "fan_in", "truncated_normal")


@register("initializers")
class Orthogonal(RandomInitializer):
    """A random orthogonal matrix (Saxe et al., 2014): rows or columns of length 1 at right angles.

    A kernel with more axes is that matrix of its last axis and all others.

    Args:
        gain: what it is multiplied with.
        seed: an integer, or None for a stream of its own of the global seed.
    """

    def __init__(self, gain: Finite = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: Any = "float32") -> np.ndarray:
        if len(shape) < 2:
            raise ValueError(
                f"Orthogonal makes matrices and kernels: expected a shape of 2 axes or more, "
                f"received {tuple(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        size = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(_normal(self._generator(), size, "float64"))
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # or some rotations would be more likely
        q = q.T if rows < columns else q
        return (q * self.gain).astype(dtype).reshape(shape)


def compute_fans(
    shape: Shape,
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Inputs of a unit, and units that an input reaches.

    Args:
        shape: of a kernel: dense ``(inputs, units)``, or convolution ``(k..., c_in, c_out)``.
        input_axes, output_axes: which axes those are, if it is neither.
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if len(shape) < 2:
        fan = shape[0] if shape else 1
        return fan, fan
    taps = math.prod(shape[:-2])
    return shape[-2] * taps, shape[-1] * taps


def _uniform(
    rng: np.random.Generator, shape: Shape, dtype: Any, low: float, high: float
) -> np.ndarray:
    dtype = np.dtype(dtype)
    values = np.asarray(rng.random(shape, dtype))
    values *= dtype.type(high - low)
    values += dtype.type(low)
    return values


def _normal(rng: np.random.Generator, shape: Shape, dtype: Any) -> np.ndarray:
    return np.asarray(rng.standard_normal(shape, np.dtype(dtype)))


def _truncated(rng: np.random.Generator, shape: Shape, dtype: Any) -> np.ndarray:
    values = _normal(rng, shape, dtype)
    outside = np.flatnonzero(np.abs(values) > 2)
    while outside.size:
        values.flat[outside] = _normal(rng, outside.shape, dtype)
        outside = outside[np.abs(values.flat[outside]) > 2]
    return values


_table = spellings(
    (Zeros, Ones, Constant, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling,
     GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Identity,
     Orthogonal)
)  # fmt: skip
IdentityInitializer, OrthogonalInitializer = Identity, Orthogonal
globals().update({name: made for name, made in _table.items() if name.islower()})
__all__ = [
    "IdentityInitializer", "Initializer", "OrthogonalInitializer", "deserialize", "get",
    "serialize", *_table,
]  # fmt: skip
_table |= {"zero": Zeros, "one": Ones, "normal": RandomNormal, "uniform": RandomUniform,
           "IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal}  # fmt: skip


def get(identifier: Any) -> Any:
    """The initializer meant by a name (``"he_normal"``), a configuration, a class or a callable.

    Raises:
        ValueError: an unknown name.
    """
    return resolve(identifier, "initializer", "initializers", _table)


deserialize = deserializer(get)


if not TYPE_CHECKING:  # so that types know every name
    __getattr__, __dir__ = exporting(__name__, __all__, "initializer")
