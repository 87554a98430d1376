"""Layers that act while training only, against overfitting: dropout and noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops, random, regularizers
from ..autograd.tensor import Tensor
from ..config.checked import Count, NotNegative, Share
from ..config.serialization import register
from ..ops.stateful import drawn
from .base import Layer
from .input_spec import InputSpec, LayerError

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


class RandomLayer(Layer):
    """Base of the layers that draw numbers: a stream of their own, and a count of calls.

    Key and count are a state that is saved with the model, so a run that is resumed goes on with
    the numbers it would have drawn.

    Args:
        seed: an integer, or None for a stream of its own of the global seed.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = None if seed is None else random.check_seed(seed)
        stream = random.next_stream() if seed is None else 0
        key = random.key("layer", stream, seed=self.seed)
        self._random_state = self.add_state("random_state", np.append(key, np.uint64(0)))

    def next_generator(self) -> np.random.Generator:
        """The generator of this call; counts the call."""
        *key, count = random.remembered(self._counted)
        return np.random.Generator(np.random.Philox(key=key, counter=[0, count, 0, 0]))

    def _counted(self) -> list[int]:
        *key, count = self._random_state.tolist()
        self._random_state.assign(np.array([*key, count + 1], np.uint64))
        return [*key, count]


@register("layers")
class Dropout(RandomLayer):
    """While training, zeros for a random share of the elements, and the others scaled up to keep
    the mean (inverted dropout: Srivastava et al., 2014). Otherwise nothing.

    Args:
        rate: the share that is dropped, from 0 to 1.
        noise_shape: the shape of the mask, where elements share their fate: ``(None, 1, 1, None)``
            drops whole channels. None stands for the length of the input.
        seed: an integer, or None for a stream of its own of the global seed.

    Raises:
        ValueError: a rate outside [0, 1].
    """

    casts_integers = True

    def __init__(
        self,
        rate: Share,
        noise_shape: Sequence[Count | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(seed, **kwargs)
        self.rate = rate
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        shape = inputs.shape
        if self.noise_shape is not None:
            if len(self.noise_shape) != len(shape) or any(
                m not in (None, 1, n) for n, m in zip(shape, self.noise_shape, strict=True)
            ):
                raise LayerError(
                    f"{self._where}: noise_shape {self.noise_shape} does not broadcast to an "
                    f"input {shape}: each number is the length of its axis, 1 or None."
                )
            shape = tuple(
                n if m is None else m for n, m in zip(shape, self.noise_shape, strict=True)
            )
        return self.dropped(inputs, drawn(inputs, self._kept, shape, dtype="bool"))

    def _kept(self, shape: tuple[int, ...]) -> np.ndarray:
        """What is kept, as bools."""
        return self.next_generator().random(shape, np.float32) >= self.rate

    def dropped(self, inputs: Tensor, kept: Tensor) -> Tensor:
        """The inputs without those that are not kept."""
        return ops.dropout(inputs, kept, rate=self.rate)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)


@register("layers")
class AlphaDropout(Dropout):
    """Dropout for SELU: dropped elements become ``-1.758``, and all are scaled and shifted so that
    mean 0 and variance 1 stay what they are (Klambauer et al., 2017).

    Args:
        rate, noise_shape, seed: as for `Dropout`.

    Raises:
        ValueError: a rate outside [0, 1].
    """

    def dropped(self, inputs: Tensor, kept: Tensor) -> Tensor:
        low = -_SELU_SCALE * _SELU_ALPHA
        scale = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5 if self.rate < 1 else 0.0
        return ops.where(kept, inputs, low) * scale - scale * low * self.rate


class SpatialDropout(Dropout):
    """Dropout of whole channels, because neighbouring pixels are alike (Tompson et al., 2015).

    Args:
        rate: the share of the channels that is dropped, from 0 to 1.
        data_format: ``"channels_last"`` for ``(N, ..., C)``, or ``"channels_first"``.
        seed: an integer, or None for a stream of its own of the global seed.

    Raises:
        ValueError: a rate outside [0, 1], or another `data_format`.
    """

    rank: int

    def __init__(
        self,
        rate: Share,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        last = data_format in (None, "channels_last")
        shape = (None, *(1,) * self.rank, None) if last else (None, None, *(1,) * self.rank)
        super().__init__(rate, shape, seed, name=name, dtype=dtype, **kwargs)
        if not last and data_format != "channels_first":
            raise ValueError(
                f"{self._where}: data_format must be 'channels_last' or 'channels_first', received "
                f"{data_format!r}."
            )
        self.data_format = data_format or "channels_last"
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "data_format": self.data_format}
        del config["noise_shape"]
        return config


@register("layers")
class SpatialDropout1D(SpatialDropout):
    rank = 1

    def __init__(
        self,
        rate: Share,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rate, kwargs.pop("data_format", None), seed, name, dtype, **kwargs)


@register("layers")
class SpatialDropout2D(SpatialDropout):
    rank = 2


@register("layers")
class SpatialDropout3D(SpatialDropout):
    rank = 3


@register("layers")
class GaussianNoise(RandomLayer):
    """While training, normal noise of mean 0 added to the inputs. Otherwise nothing.

    Args:
        stddev: its standard deviation, 0 or more.
        seed: an integer, or None for a stream of its own of the global seed.

    Raises:
        ValueError: a negative `stddev`.
    """

    casts_integers = True

    def __init__(self, stddev: NotNegative, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = stddev

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or not self.stddev:
            return inputs
        return inputs + drawn(inputs, self._noise, inputs.shape, dtype="float32")

    def _noise(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.next_generator().standard_normal(shape, np.float32) * np.float32(self.stddev)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)


@register("layers")
class ActivityRegularization(Layer):
    """What goes in comes out, and its size adds to the loss.

    For each sample that is ``l1 * sum(abs(x)) + l2 * sum(x ** 2)``.

    Args:
        l1, l2: factors, 0 or more.

    Raises:
        ValueError: a factor that is negative or not finite.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "l1": self.l1, "l2": self.l2}
        del config["activity_regularizer"]
        return config


@register("layers")
class GaussianDropout(RandomLayer):
    """While training, inputs times normal noise of mean 1 and standard deviation
    ``sqrt(rate / (1 - rate))``, that of dropout (Srivastava et al., 2014). Otherwise nothing.

    Args:
        rate: that of the dropout, from 0 to below 1.
        seed: an integer, or None for a stream of its own of the global seed.

    Raises:
        ValueError: a rate outside [0, 1).
    """

    casts_integers = True

    def __init__(self, rate: Share, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = rate
        if self.rate == 1:
            raise ValueError(f"{self._where}: at rate 1 the noise would have no bounds.")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        return inputs * drawn(inputs, self._factors, inputs.shape, dtype="float32")

    def _factors(self, shape: tuple[int, ...]) -> np.ndarray:
        deviation = np.float32(math.sqrt(self.rate / (1 - self.rate)))
        return 1 + deviation * self.next_generator().standard_normal(shape, np.float32)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)
