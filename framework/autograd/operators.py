"""What tensors can be asked to do: operators and methods, each an op looked up by its name.

Tensors and tensors to come (`symbolic.py`) share them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..config.tracebacks import shorten
from .tape import OPS

Own = TypeVar("Own", bound="Operators")


def _binary(name: str, swapped: bool = False) -> Callable[[Own, Any], Own]:
    def operator(self: Own, other: Any) -> Own:
        try:
            return OPS[name](other, self) if swapped else OPS[name](self, other)
        except BaseException as error:
            shorten(error)
            raise

    return operator


def _comparison(name: str) -> Callable[[Any, Any], Any]:
    """Elementwise beside an array or a number; what is neither (None, text) is simply unequal."""

    def compare(self: Any, other: Any) -> Any:
        numbers = (Operators, int, float, complex, list, tuple)
        if isinstance(other, numbers) or hasattr(other, "__array__"):
            return OPS[name](self, other)
        return NotImplemented

    return compare


def _augmented(name: str) -> Callable[[Own, Any], Own]:
    return lambda self, other: self._in_place(name, other)


class Operators:
    """The operators and methods of a tensor."""

    __slots__ = ()

    __add__ = _binary("add")
    __radd__ = _binary("add", swapped=True)
    __sub__ = _binary("subtract")
    __rsub__ = _binary("subtract", swapped=True)
    __mul__ = _binary("multiply")
    __rmul__ = _binary("multiply", swapped=True)
    __truediv__ = _binary("divide")
    __rtruediv__ = _binary("divide", swapped=True)
    __pow__ = _binary("power")
    __rpow__ = _binary("power", swapped=True)
    __matmul__ = _binary("matmul")
    __rmatmul__ = _binary("matmul", swapped=True)
    __mod__ = _binary("mod")
    __rmod__ = _binary("mod", swapped=True)
    __floordiv__ = _binary("floor_divide")
    __rfloordiv__ = _binary("floor_divide", swapped=True)
    __lt__ = _binary("less")
    __le__ = _binary("less_equal")
    __gt__ = _binary("greater")
    __ge__ = _binary("greater_equal")
    __and__ = _binary("logical_and")
    __or__ = _binary("logical_or")
    __eq__ = _comparison("equal")
    __ne__ = _comparison("not_equal")
    __hash__ = object.__hash__
    __iadd__ = _augmented("add")
    __isub__ = _augmented("subtract")
    __imul__ = _augmented("multiply")
    __itruediv__ = _augmented("divide")
    __ifloordiv__ = _augmented("floor_divide")
    __imod__ = _augmented("mod")
    __ipow__ = _augmented("power")
    __imatmul__ = _augmented("matmul")
    __iand__ = _augmented("logical_and")
    __ior__ = _augmented("logical_or")

    def _in_place(self: Own, op: str, other: Any) -> Own:
        """``x += y`` names the sum x, as it does with numbers."""
        return OPS[op](self, other)

    def __neg__(self: Own) -> Own:
        return OPS["negative"](self)

    def __pos__(self: Own) -> Own:
        return self

    def __abs__(self: Own) -> Own:
        return OPS["abs"](self)

    def __invert__(self: Own) -> Own:
        return OPS["logical_not"](self)

    def __getitem__(self: Own, index: Any) -> Own:
        return OPS["getitem"](self, index=plain_index(index))

    @property
    def T(self: Own) -> Own:
        return OPS["transpose"](self)

    def astype(self: Own, dtype: Any) -> Own:
        return OPS["astype"](self, dtype=dtype)

    def reshape(self: Own, *shape: Any) -> Own:
        return OPS["reshape"](self, shape=shape[0] if len(shape) == 1 else shape)

    def transpose(self: Own, *axes: Any) -> Own:
        if len(axes) == 1 and not isinstance(axes[0], int):
            axes = axes[0]
        return OPS["transpose"](self, axes=axes or None)

    def flatten(self: Own) -> Own:
        return OPS["reshape"](self, shape=(-1,))

    def sum(self: Own, axis: Any = None, keepdims: bool = False) -> Own:
        return OPS["sum"](self, axis=axis, keepdims=keepdims)

    def mean(self: Own, axis: Any = None, keepdims: bool = False) -> Own:
        return OPS["mean"](self, axis=axis, keepdims=keepdims)

    def var(self: Own, axis: Any = None, keepdims: bool = False) -> Own:
        return OPS["var"](self, axis=axis, keepdims=keepdims)

    def max(self: Own, axis: Any = None, keepdims: bool = False) -> Own:
        return OPS["max"](self, axis=axis, keepdims=keepdims)

    def min(self: Own, axis: Any = None, keepdims: bool = False) -> Own:
        return OPS["min"](self, axis=axis, keepdims=keepdims)

    def argmax(self: Own, axis: int | None = None) -> Own:
        return OPS["argmax"](self, axis=axis)


class Deferred(Operators):
    """Base of tensors to come: an op that meets one is recorded for later instead of computed."""

    __slots__ = ()
    __array_ufunc__ = None  # array + tensor asks the tensor

    def defer(self, op: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        """What `op` will return for these arguments, this tensor among them."""
        raise NotImplementedError

    def called(
        self,
        layer: Any,
        compute: Callable[..., Any],
        args: tuple[Any, ...],
        settings: dict[str, Any],
    ) -> Any:
        """What a layer will return for these arguments, this tensor among them.

        Args:
            layer: that is called.
            compute: what it does on tensors.
            args, settings: of the call.
        """
        return self._not_yet()

    def as_tensor(self, dtype: Any) -> Any:
        """Itself where a function of tensors asks for a tensor (of a dtype, or None)."""
        return self._not_yet()

    def _not_yet(self) -> Any:
        """Refuse to give values out."""
        raise TypeError(
            f"{self!r} has no values yet: it is a tensor to come, out of gt.Input. Make a "
            "gt.Model(inputs, outputs) of it and call the model on data."
        )

    def _asked(self, *_: Any) -> Any:
        return self._not_yet()

    __array__ = __bool__ = __float__ = __int__ = __index__ = __len__ = __iter__ = _asked


class ToCome(Exception):
    """An op cannot be computed now: there is a tensor to come among its arrays."""

    def __init__(self, tensor: Deferred) -> None:
        super().__init__()
        self.tensor = tensor


def deferred(args: tuple[Any, ...]) -> Deferred | None:
    """The first tensor to come among the arguments of an op, or in a list among them."""
    for arg in args:
        if isinstance(arg, Deferred):
            return arg
        if isinstance(arg, (list, tuple)):
            for item in arg:
                if isinstance(item, Deferred):
                    return item
    return None


def plain_index(index: Any) -> Any:
    """An index with the tensors in it replaced by their arrays."""
    if isinstance(index, tuple):
        return tuple(plain_index(i) for i in index)
    if isinstance(index, Deferred):
        return index._not_yet()
    return index.data if isinstance(index, Operators) else index  # type: ignore[attr-defined]
