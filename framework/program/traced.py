"""What stands for a tensor while a program is made, and the arguments of what is asked of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..autograd.operators import Deferred
from ..autograd.tape import OPS
from ..autograd.tensor import Tensor
from ..autograd.tree import rebuilt
from .graph import Shape

if TYPE_CHECKING:
    from .trace import Trace

_F32 = np.dtype(np.float32)
#: How the names of the modules of this package begin.
_OWN = __name__.partition(".")[0] + "."


class Traced(Deferred):
    """A tensor of a graph: for each sample of the batch a value.

    Attributes:
        trace: that it belongs to.
        value: its number in the graph.
        shape: with the batch axis.
        dtype: float32; what is kept as such floats may be bool, uint8 or a label.
    """

    __slots__ = ("dtype", "shape", "trace", "value")

    def __init__(self, trace: Trace, value: int, shape: Shape, dtype: np.dtype = _F32) -> None:
        self.trace, self.value, self.dtype = trace, value, dtype
        self.shape = (trace.batch, *shape)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What `isinstance` takes it for outside of this package: the tensor it stands for."""
        asked = sys._getframe(1).f_globals.get("__name__") or ""
        return Traced if asked.startswith(_OWN) else Tensor

    @property
    def sample(self) -> Shape:
        """The shape of a sample."""
        return self.shape[1:]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<a tensor of shape {self.shape} while a program is made>"

    def as_tensor(self, dtype: Any) -> Any:
        return self if dtype in (None, self.dtype) else OPS["astype"](self, dtype=dtype)

    def defer(self, op: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        return self.trace.applied(op, args, settings)

    def called(
        self,
        layer: Any,
        compute: Callable[..., Any],
        args: tuple[Any, ...],
        settings: dict[str, Any],
    ) -> Any:
        return self.trace.called(layer, compute, args, settings)

    def detach(self) -> Traced:
        """The same values, through which no gradient flows."""
        return self.trace.stopped(self)

    def _not_yet(self) -> Any:
        raise self.trace.refusal("it looks at the values of a tensor")

    __str__ = __format__ = Deferred._asked  # which show them

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.trace.refusal(f"it uses {name!r} of a tensor")


class View(NamedTuple):
    """A variable under another shape."""

    variable: Any
    shape: Shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        return self.variable.dtype


class Slot(NamedTuple):
    """The place of a tensor among the arguments of a call that runs on the tape."""

    number: int


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The same structure of lists, tuples and dicts with `function` applied to what is in it."""
    kind = type(value)
    if kind is Traced:  # most are, and asking further takes long
        return function(value)
    if issubclass(kind, dict):
        return {k: mapped(function, v) for k, v in value.items()}
    if kind is tuple:
        return tuple([mapped(function, v) for v in value])
    if issubclass(kind, (list, tuple)) and kind not in (View, Slot):
        return rebuilt(value, [mapped(function, v) for v in value])
    return function(value)


def alike(a: Any, b: Any) -> bool:
    """Whether two arguments ask for the same."""
    if a is b:
        return True
    kind = type(a)
    if kind is tuple is type(b) and len(a) == len(b):
        return all([v is w or alike(v, w) for v, w in zip(a, b, strict=True)])
    if kind is not type(b) or kind is Traced or issubclass(kind, Tensor):
        return False
    if kind in (bool, int, str):
        return bool(a == b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all([v is b[k] or alike(v, b[k]) for k, v in a.items()])
    if isinstance(a, View):
        return a.variable is b.variable and a.shape == b.shape
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all([alike(v, w) for v, w in zip(a, b, strict=True)])
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return repr(a) == repr(b)  # NaN is NaN, and -0.0 is not 0.0
    return bool(a == b)
