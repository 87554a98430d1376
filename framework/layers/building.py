"""What every `build` has around it, whatever layer defines it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..autograd.tree import shape_map
from ..config.naming import name_scope


def once(build: Callable[..., None]) -> Callable[..., None]:
    """A `build` in the layer's name scope, that remembers the shape and fails without a trace."""

    @functools.wraps(build)
    def wrapped(self: Any, input_shape: Any) -> None:
        if self._building:  # this is super().build()
            build(self, input_shape)
            return
        shape = shape_map(lambda s: s, input_shape)
        if self.built:
            if shape != self._build_shape:
                raise ValueError(
                    f"{self._where} is already built for inputs {self._build_shape}, received "
                    f"build({shape})."
                )
            return
        made = len(self._weights)
        self._building = True
        try:
            with name_scope(self.name):
                build(self, shape)
        except BaseException:
            del self._weights[made:]
            raise
        finally:
            self._building = False
        self.built = True
        self._build_shape = shape

    return wrapped
