"""What a layer accepts, and the error for what it does not."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from ..tree import Shape


class LayerError(ShapeError):
    """A `ShapeError` that already says which layer it arose in."""


class InputSpec:
    """The rank and axis lengths that a layer accepts.

    Args:
        ndim: the rank, batch axis included.
        min_ndim: the smallest rank.
        axes: required lengths by axis, as in ``{-1: 16}``.
        layout: what each axis holds, as in ``("batch", "height", "width", "channels")``; for the
            error. With `min_ndim`, only the last axes are named.
    """

    def __init__(
        self,
        ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int] | None = None,
        layout: tuple[str, ...] = (),
    ) -> None:
        self.ndim = ndim
        self.min_ndim = min_ndim
        self.axes = dict(axes or {})
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
        for axis, length in self.axes.items():
            if shape[axis] is not None and shape[axis] != length:
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
            return " Add the batch axis: x[np.newaxis]."
        index = "..., np.newaxis" if channels > 1 else ":, np.newaxis"
        return f" Add the channel axis: x[{index}]."

    def __repr__(self) -> str:
        parts: dict[str, Any] = {"ndim": self.ndim, "min_ndim": self.min_ndim, "axes": self.axes}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in parts.items() if v)})"
