"""Losses that layers add while they compute: kept until the next call, outside of the layers.

They are results of a call, not parts of a layer: what looks at, copies or saves a layer should not
find them in it.
"""

from __future__ import annotations

import weakref
from typing import Any

from ..autograd.tensor import Tensor

#: What each layer added in its last call, and which call (of a model or layer by the user) it was.
_losses: weakref.WeakKeyDictionary[Any, tuple[object, list[Tensor]]] = weakref.WeakKeyDictionary()
#: Which layers added something in the last call of each model or layer by the user.
_layers: weakref.WeakKeyDictionary[Any, weakref.WeakSet[Any]] = weakref.WeakKeyDictionary()


class OuterCall:
    """A call by the user, rather than by another layer. It forgets what the one before added.

    Args:
        layer: that is called; None for a trial, in which nothing is added.
    """

    def __init__(self, layer: Any) -> None:
        # Weakly: the call is kept under the layer, which would then never be gone.
        self.layer = None if layer is None else weakref.ref(layer)
        for other in _layers.pop(layer, ()) if layer is not None else ():
            _losses.pop(other, None)

    def add(self, layer: Any, loss: Tensor) -> None:
        """Take note of a loss that a layer adds."""
        outer = self.layer and self.layer()
        if outer is None:
            return
        call, losses = _losses.get(layer, (None, []))
        if call is not self:
            _losses[layer] = (self, losses := [])
        losses.append(loss)
        _layers.setdefault(outer, weakref.WeakSet()).add(layer)


def losses_of(layer: Any) -> list[Tensor]:
    """What a layer itself added when it was last called."""
    return list(_losses.get(layer, (None, []))[1])


def any_added() -> bool:
    """Whether any layer at all has added losses."""
    return bool(_losses)
