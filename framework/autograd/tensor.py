"""`Tensor`: a NumPy array plus the recipe that made it.

The arithmetic lives in `ops/`: a tensor's operators (`operators.py`) look an op up by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..config.tracebacks import filtered
from ..errors import NoTensorError, ShapeError
from .operators import Deferred, Operators, plain_index
from .tape import NUMPY, OPS, PASSES, Memory, Node, grad_mode

DEFAULT_FLOAT = np.dtype(np.float32)
_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

#: Sees the complete gradient of a tensor; what it returns, if not None, replaces it.
Hook = Callable[["Tensor"], Any]


class Tensor(Operators):
    """A NumPy array that remembers how it was computed.

    Args:
        data: anything NumPy can turn into an array; copied. Python floats become float32, NumPy
            arrays keep their dtype. Floats are float32 or float64; integers and bools are allowed
            but carry no gradient.
        dtype: the dtype to convert to.
        requires_grad: whether `backward` accumulates into ``.grad`` of this tensor.

    Attributes:
        data: the array, shape `shape`. Writing into it directly is not noticed: use `assign`.
        grad: gradient accumulated by `backward`, a tensor of the same shape and dtype, or None.
    """

    __slots__ = (
        "__weakref__",
        "_hooks",
        "_memory",
        "_node",
        "_retain",
        "data",
        "grad",
        "requires_grad",
    )

    def __init__(self, data: Any, dtype: Any = None, *, requires_grad: bool = False) -> None:
        if isinstance(data, Tensor):
            data._refuse_to_leave("gt.tensor(x)", "gt.ops.copy(x)")
        array = _to_array(data, dtype)
        if array is data or isinstance(data, (np.ndarray, Tensor)):
            array = array.copy()
        self._set(array)
        if requires_grad:
            if array.dtype.kind != "f":
                raise TypeError(
                    f"Only floating tensors can require a gradient, received dtype {array.dtype}. "
                    "Pass dtype='float32' to convert."
                )
            self.requires_grad = True

    def _set(self, array: np.ndarray) -> None:
        self.data = array
        self.grad: Tensor | None = None
        self.requires_grad = False
        self._node: Node | None = None
        self._memory = Memory()
        self._retain = False
        self._hooks: dict[object, Hook] | None = None

    # What it is

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def is_leaf(self) -> bool:
        """Whether this tensor was given rather than computed on the tape."""
        return self._node is None

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("Cannot iterate over a 0-d tensor.")
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        body = np.array2string(self.data, separator=", ", prefix="Tensor(")
        extra = f", dtype={self.dtype}" if self.dtype != DEFAULT_FLOAT else ""
        if self._node is not None:
            extra += f", op={self._node.op.name!r}"
        elif self.requires_grad:
            extra += ", requires_grad=True"
        return f"Tensor({body}{extra})"

    # Out of the tape

    def _refuse_to_leave(self, how: str, instead: str = "gt.ops") -> None:
        """An error where values would leave a function that is being differentiated.

        What is computed from them would count as constant, and the gradient be wrong unseen.
        """
        if self.requires_grad and grad_mode.differentiating and grad_mode.enabled:
            raise TypeError(
                f"{how} takes values out of a function that is being differentiated: the gradient "
                f"would not flow through them. Stay on the tape with {instead}, or say that they "
                "are constant: x.detach() first, or with gt.no_grad()."
            )

    def numpy(self) -> np.ndarray:
        """The values as an array of its own, detached.

        Raises:
            TypeError: within a function that is being differentiated, as the gradient would be
                lost; `detach` first if that is meant.
        """
        self._refuse_to_leave("x.numpy()")
        return self.data.copy()

    def item(self) -> Any:
        """The single element as a Python number; raises as `numpy` does."""
        self._refuse_to_leave("x.item()")
        return self.data.item()

    def tolist(self) -> Any:
        """The values as nested Python lists; raises as `numpy` does."""
        self._refuse_to_leave("x.tolist()")
        return self.data.tolist()

    def detach(self) -> Tensor:
        """The same values (shared memory) as a leaf without a gradient."""
        return wrap(self.data, self._memory)

    def __float__(self) -> float:
        self._refuse_to_leave("float(x)")
        return float(self.item())

    def __complex__(self) -> complex:
        self._refuse_to_leave("complex(x)")
        return complex(self.item())

    def __int__(self) -> int:
        self._refuse_to_leave("int(x)")
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.data)

    def __index__(self) -> int:
        return self.data.__index__()

    def __round__(self, ndigits: int | None = None) -> Any:
        """``round(x, 2)`` of a tensor of one element, as a Python number."""
        self._refuse_to_leave("round(x)")
        return round(self.item(), ndigits)

    def __format__(self, spec: str) -> str:
        """``f"{x:.3f}"`` of a tensor of one element."""
        if not spec:
            return str(self)
        if self.size != 1:
            raise TypeError(
                f"The format {spec!r} writes one number, received a tensor of shape {self.shape}. "
                "Reduce it first (.sum(), .mean()), or format x.numpy()."
            )
        return format(self.data.item(), spec)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.requires_grad:
            raise TypeError(
                "Turning a tensor that requires a gradient into an array would silently detach "
                "it. Use x.detach() to detach on purpose, or stay on the tape with gt.ops (a list "
                "of tensors: gt.ops.stack)."
            )
        if copy is False:
            array = np.array(self.data, dtype=dtype, copy=False)
            view = array.view()
            view.flags.writeable = False  # a write through it would not be seen
            return view
        return np.array(self.data, dtype=dtype)

    def __copy__(self) -> Tensor:
        return OPS["copy"](self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """For pickle and copy.deepcopy: a leaf as it is; no graph travels along."""
        if self._node is not None:
            raise TypeError(
                f"The result of {self._node.op.name!r} cannot be pickled or deep-copied, as the "
                "graph behind it would have to come along. Do it to the leaves, or to x.detach()."
            )
        self._refuse_to_leave("copy.deepcopy(x)", "gt.ops.copy(x)")
        return super().__reduce_ex__(protocol)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and ufunc in NUMPY:
            return NUMPY[ufunc](*inputs, **kwargs)
        what = f"np.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
        raise TypeError(
            f"{what} is not supported on tensors. Use a function of gt.ops, or "
            "tensor.numpy() to compute without a gradient."
        )

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func in NUMPY:
            return NUMPY[func](*args, **kwargs)
        raise TypeError(
            f"np.{func.__name__} is not supported on tensors. Use a function of gt.ops, or "
            "tensor.numpy() to compute without a gradient."
        )

    # In place, off the tape

    def assign(self, value: Any) -> None:
        """Overwrite the values in place, outside the tape (how an optimizer updates a parameter).

        Raises:
            ValueError: the shapes differ.
            RuntimeError: this tensor is itself the result of a taped op.
        """
        value = value.data if isinstance(value, Tensor) else np.asarray(value)
        if value.shape != self.shape:
            raise ValueError(f"assign() expected shape {self.shape}, received {value.shape}.")
        self[...] = value

    def __setitem__(self, index: Any, value: Any) -> None:
        if self._node is not None:
            raise RuntimeError(
                f"Cannot write into the result of {self._node.op.name!r}: its gradient needs the "
                "old values. Compute a new tensor (gt.ops.where, gt.ops.concatenate), or write "
                "into gt.tensor(x.detach())."
            )
        if self.requires_grad and grad_mode.enabled and index is not Ellipsis:
            raise RuntimeError(
                "Writing into part of a tensor that requires a gradient cannot be taped. Use "
                "gt.ops.where for a differentiable write, or write within gt.no_grad()."
            )
        if isinstance(value, Tensor):
            if value.requires_grad and grad_mode.enabled and index is not Ellipsis:
                raise RuntimeError(
                    "Writing a tensor that requires a gradient into another one would silently "
                    "detach it. Use gt.ops.stack, concatenate or where to build the tensor, or "
                    "write value.detach()."
                )
            value = value.data
        self.data[plain_index(index)] = value
        self._memory.version += 1

    def _in_place(self, op: str, other: Any) -> Tensor:
        """``x += y``: written into a parameter within `no_grad`, else a new tensor ``x + y``."""
        if self._node is not None or not self._written_in_place():
            return OPS[op](self, other)
        if grad_mode.enabled:
            raise RuntimeError(
                f"Cannot {op} in place to a leaf: what was computed from it would not know. "
                "Update parameters within gt.no_grad(), or with assign(), assign_add(), "
                "assign_sub() of a variable; or compute a new tensor, as in y = x + 1."
            )
        result = OPS[op](self, other)
        if result.shape != self.shape:
            raise ShapeError(
                f"{op} in place: a tensor of shape {self.shape} cannot become one of shape "
                f"{result.shape}."
            )
        self[...] = result
        return self

    def _written_in_place(self) -> bool:
        """Whether ``x += y`` means this very tensor, as a name for new values would lose it."""
        return self.requires_grad and not grad_mode.differentiating

    def _own(self) -> None:
        """Move to memory that nobody else can write to: the tape is about to need the values."""
        self.data = self.data.copy()
        self._memory = Memory()

    # Gradients

    @filtered
    def backward(
        self,
        gradient: Any = None,
        *,
        retain_graph: bool | None = None,
        create_graph: bool | None = None,
    ) -> None:
        """Accumulate the gradient of this tensor into ``.grad`` of every leaf that requires one.

        Args:
            gradient: the cotangent, shape of this tensor; ones if this tensor has one element.
            retain_graph: keep the graph for another pass. Default: `create_graph`.
            create_graph: tape the backward pass itself, for gradients of gradients. Default:
                within a function that is being differentiated.

        Raises:
            ValueError: no cotangent for a tensor of many elements, or one of another shape.
            RuntimeError: nothing here requires a gradient, or the graph was freed or overwritten.
        """
        if not self.requires_grad:
            raise RuntimeError(
                "backward() on a tensor that requires no gradient. Create an input with "
                "requires_grad=True, and compute outside gt.no_grad()."
            )
        PASSES["backward"]([self], [gradient], retain_graph=retain_graph, create_graph=create_graph)

    def zero_grad(self) -> None:
        """Forget the accumulated gradient."""
        self.grad = None

    def retain_grad(self) -> None:
        """Let `backward` fill ``.grad`` although this tensor is not a leaf."""
        self._retain = True

    def register_hook(self, hook: Hook) -> Callable[[], None]:
        """Call ``hook(gradient)`` when the complete gradient of this tensor is known.

        What it returns, if not None, replaces the gradient: a tensor of the same shape and dtype.
        Returns a function that removes the hook; at any time, any number of times.
        """
        if not callable(hook):
            raise TypeError(f"A hook is a function of the gradient, received {hook!r}.")
        hooks = self._hooks = {} if self._hooks is None else self._hooks
        key = object()
        hooks[key] = hook

        def remove() -> None:
            hooks.pop(key, None)

        return remove


def _to_array(data: Any, dtype: Any = None) -> np.ndarray:
    """An array of a dtype that tensors hold: float32, float64, integers or bools."""
    if isinstance(data, Tensor):
        data = data.data
    array = np.asarray(data, dtype=dtype)
    if array.dtype.kind in "biu" or array.dtype in _FLOATS:
        python_number = not isinstance(data, (np.ndarray, np.generic)) or type(data) is np.float64
        if array.dtype == np.float64 and dtype is None and python_number:
            return array.astype(DEFAULT_FLOAT)
        return array
    if array.dtype == np.float16 and dtype is None:
        return array.astype(DEFAULT_FLOAT)
    what = f"{type(data).__name__} {data!r:.60}" if array.dtype.kind in "OSU" else array.dtype
    raise NoTensorError(
        f"A tensor holds float32, float64, integers or bools, received {what}. Convert it first, "
        "for example with astype('float32')."
    )


def _holds_tensor(data: Any) -> bool:
    """Whether this is a list, nested or not, with a tensor in it."""
    return isinstance(data, (list, tuple)) and any(
        isinstance(item, Tensor) or _holds_tensor(item) for item in data
    )


def wrap(array: np.ndarray, memory: Memory | None = None) -> Tensor:
    """A leaf tensor around `array` itself, neither copied nor checked.

    Args:
        memory: of the tensor that has these values in the same memory.
    """
    tensor = Tensor.__new__(Tensor)
    tensor._set(array)
    if memory is not None:
        tensor._memory = memory
    return tensor


def tensor(data: Any, dtype: Any = None, *, requires_grad: bool = False) -> Tensor:
    """A new leaf `Tensor` holding a copy of `data`; see there for dtypes and errors."""
    return Tensor(data, dtype, requires_grad=requires_grad)


def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """`data` itself if it is a tensor (of that dtype), else a leaf, sharing memory if it can.

    Lists with tensors among their items are stacked, so that gradients reach the items.
    """
    if _holds_tensor(data):
        data = OPS["stack"]([as_tensor(item) for item in data])
    if isinstance(data, Tensor):
        return data if dtype is None or data.dtype == dtype else OPS["astype"](data, dtype=dtype)
    if isinstance(data, Deferred):
        return data.as_tensor(dtype)
    array = _to_array(data, dtype)
    return wrap(array, Memory(borrowed=True) if array is data or not array.flags.owndata else None)
