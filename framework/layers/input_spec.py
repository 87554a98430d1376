"""What a layer accepts, and the error for what it does not."""

from __future__ import annotations

from typing import Any

from ..autograd.tree import Shape
from ..config.checked import Checked, Natural
from ..errors import ShapeError


class LayerError(ShapeError):
    """A `ShapeError` that already says which layer it arose in."""


def batch_hint(shape: Shape) -> str:
    """The likely fix of an input that lacks an axis, perhaps that of the batch."""
    if len(shape) == 1:
        return " One sample is x[np.newaxis], samples of one number each are x[:, np.newaxis]."
    return " Add the batch axis: x[np.newaxis]."


class InputSpec(Checked):
    """The rank and axis lengths that a layer accepts.

    Args:
        dtype: not checked: layers convert what they are given.
        shape: the whole shape, batch axis included, None where any length will do.
        ndim: the rank, batch axis included.
        max_ndim, min_ndim: the largest and the smallest rank.
        axes: required lengths by axis, as in ``{-1: 16}``.
        layout: what each axis holds, as in ``("batch", "height", "width", "channels")``; for the
            error. With `min_ndim`, only the last axes are named.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Shape | None = None,
        ndim: Natural | None = None,
        max_ndim: Natural | None = None,
        min_ndim: Natural | None = None,
        axes: dict[int, Any] | None = None,
        layout: tuple[str, ...] = (),
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(axis): n for axis, n in (axes or dict(enumerate(shape or ()))).items()}
        self.layout = layout

    def check(self, where: str, shape: Shape) -> None:
        """Accept `shape`, or say what is wrong with it.

        Args:
            where: the layer, as in ``"Conv2D 'conv2'"``.

        Raises:
            LayerError: the rank or the length of an axis differs.
        """
        rank = len(shape)
        if self.ndim is not None and rank != self.ndim:
            named = f" ({', '.join(self.layout)})" if self.layout else ""
            raise LayerError(
                f"{where} expected an input of rank {self.ndim}{named}, received {shape}."
                f"{self._hint(shape)}"
            )
        if self.min_ndim is not None and rank < self.min_ndim:
            raise LayerError(
                f"{where} expected an input of rank {self.min_ndim} or more, received {shape}."
                f"{self._hint(shape)}"
            )
        if self.max_ndim is not None and rank > self.max_ndim:
            raise LayerError(
                f"{where} expected an input of rank {self.max_ndim} or less, received {shape}."
            )
        for axis, length in self.axes.items():
            if axis >= rank or axis < -rank:
                raise LayerError(
                    f"{where} expected an input with an axis {axis}, received {shape}."
                )
            if length is not None and shape[axis] is not None and shape[axis] != length:
                noun = f"input {self.layout[axis]}" if self.layout else "elements"
                raise LayerError(
                    f"{where} expected {length} {noun} (axis {axis}), received {shape}. "
                    "Was the model built for another input?"
                )

    def _hint(self, shape: Shape) -> str:
        """The likely fix of a rank that is one too small."""
        wanted = self.ndim or self.min_ndim or 0
        if len(shape) + 1 != wanted:
            return ""
        image = "channels" in self.layout
        channels = self.layout.index("channels") if image else -1
        if not image or (shape and shape[-1 if channels > 1 else 0] in (1, 3, 4)):
            return batch_hint(shape)
        index = "..., np.newaxis" if channels > 1 else ":, np.newaxis"
        return f" Add the channel axis: x[{index}]."

    def __repr__(self) -> str:
        parts: dict[str, Any] = {"ndim": self.ndim, "min_ndim": self.min_ndim, "axes": self.axes}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in parts.items() if v)})"
