"""What convolution and pooling share: windows on the axes between batch and channels."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..autograd.tensor import Tensor
from ..autograd.tree import Shape
from ..errors import ShapeError
from ..ops.geometry import Pairs, resolve_padding, window_settings
from .base import Layer
from .input_spec import InputSpec, LayerError

#: The settings of windows, as `gradtape.ops` understands them.
Padding = str | Pairs

_AXES = {1: ("steps",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_OPEN = 1 << 30  # stands for an axis of any length: every window fits


class SpatialLayer(Layer):
    """Base of the layers over `rank` spatial axes.

    Args:
        data_format: ``"channels_last"`` (default), or ``"channels_first"``.

    Raises:
        ValueError: another `data_format`.
    """

    casts_integers = True
    rank: int

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if data_format not in (None, "channels_last", "channels_first"):
            raise ValueError(
                f"{self._where}: data_format must be 'channels_last' or 'channels_first', received "
                f"{data_format!r}."
            )
        self.data_format = data_format or "channels_last"
        self.input_spec = self._spec()

    @property
    def channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def _spec(self, channels: int | None = None) -> InputSpec:
        """The spec of an input, of that many channels if that matters."""
        spatial = _AXES[self.rank]
        layout = ("batch", *spatial, "channels")
        if self.data_format == "channels_first":
            layout = ("batch", "channels", *spatial)
        axes = {} if channels is None else {self.channel_axis: channels}
        return InputSpec(ndim=self.rank + 2, axes=axes, layout=layout)

    def call(self, inputs: Tensor) -> Tensor:
        if self.data_format == "channels_last":
            return self.move(inputs)
        outputs = self.move(ops.transpose(inputs, axes=(0, *range(2, self.rank + 2), 1)))
        return ops.transpose(outputs, axes=(0, self.rank + 1, *range(1, self.rank + 1)))

    def move(self, inputs: Tensor) -> Tensor:
        """The computation on ``(N, ..., C)``."""
        raise TypeError(f"{type(self).__name__} must define move(self, inputs).")

    def spatial(self, shape: Shape) -> Any:
        """The spatial axes of a shape in the layer's data format."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(shape[first : first + self.rank])

    def windows(self, input_shape: Shape, name: str, **settings: Any) -> Shape:
        """How many windows fit along each spatial axis, None where any length will do.

        Args:
            name: what the window is, as in ``"kernel"``.
            settings: ``size, strides, padding, dilation``, as in `gradtape.ops`.

        Raises:
            LayerError: not even one fits.
        """
        lengths = self.spatial(input_shape)
        sizes = tuple(_OPEN if n is None else n for n in lengths)
        try:
            _, counts = window_settings(self._where, (1, *sizes, 1), name, **settings)
        except ShapeError as error:
            raise LayerError(str(error)) from error
        return tuple(None if n is None else m for n, m in zip(lengths, counts, strict=True))

    def output_of(self, input_shape: Shape, lengths: Shape, channels: int | None) -> Shape:
        """An output shape in the layer's data format."""
        if self.data_format == "channels_last":
            return (input_shape[0], *lengths, channels)
        return (input_shape[0], channels, *lengths)


def read_padding(padding: Any, rank: int, where: str) -> Padding:
    """``"valid"``, ``"same"`` or ``"causal"`` as it is, anything else as a pair for each axis.

    Raises:
        ValueError: nothing that `gradtape.ops.conv` understands at that rank.
    """
    ones = (1,) * rank
    pairs = resolve_padding(padding, ones, ones, ones, where)
    return padding.lower() if isinstance(padding, str) else pairs
