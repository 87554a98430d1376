"""Calls of layers that a file describes with what they return, so that nothing has to be tried."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd.tree import Shape, shape_map
from .base import Layer
from .operation import Operation
from .symbolic import Call, shape_of_tensor, shapes_in

#: What tensors can hold, and no axis is as long as this.
_DTYPES = {np.dtype(c).name for c in np.typecodes["AllInteger"] + "?efd"}
_LONGEST = 2**48


def recalled(layer: Layer, inputs: Any, settings: Any, shapes: Any, dtype: Any) -> Any:
    """The symbolic outputs of a call whose shapes are known.

    Raises:
        ValueError: there are no such shapes or dtypes.
    """

    def possible(shape: Shape) -> Shape:
        if any(n is not None and not 0 <= n < _LONGEST for n in shape):
            raise ValueError(f"{layer.name!r} cannot return the shape {shape}.")
        return shape

    if dtype not in _DTYPES:
        raise ValueError(f"{layer.name!r} cannot return {dtype!r}.")
    call = Call(layer, tuple(inputs), settings)
    if isinstance(layer, Operation):
        layer.made_by(call, dtype)
    else:
        layer._prepare(shapes_in(inputs[0], shape_of_tensor))
    return call.returns(shape_map(possible, shapes), dtype)
