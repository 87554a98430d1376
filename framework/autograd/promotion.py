"""Which dtype an op computes in, when integers, bools or Python numbers are among its arrays.

| given                         | computed in                                                      |
|-------------------------------|------------------------------------------------------------------|
| floats                        | the widest of them                                               |
| a Python number beside floats | the floats' dtype                                                |
| integers beside floats        | the floats' dtype                                                |
| integers alone                | float32; by an op registered with ``integers=True``, in integers |

Where an integer becomes a float by this, it is that float exactly, or refused: never rounded.
Integers among themselves are NumPy's: int8 and int8 give int8, which wraps around. A Python
integer is an int64 beside them, so that ``uint8 - 128`` is negative. Arrays without a gradient rule
(labels, positions, masks) stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .operators import Deferred, ToCome, deferred
from .tensor import DEFAULT_FLOAT, Tensor, as_tensor, wrap

_F64, _U64 = np.dtype(np.float64), np.dtype(np.uint64)
#: Below this, every integer is a float of so many bytes.
_EXACT = {4: 2**24, 8: 2**53}


def as_tensors(name: str, args: Sequence[Any], compares: bool = False) -> tuple[Tensor, ...]:
    """The arrays of an op as tensors, Python numbers in the dtype of what is beside them.

    Args:
        name: the op, for messages.
        compares: whether a Python float beside integers is compared, and so not to be rounded.

    Raises:
        ToCome: a tensor to come is among them.
        TypeError: something else than a tensor, an array or a number.
    """
    symbolic = deferred(tuple(args))
    if symbolic is not None:
        raise ToCome(symbolic)
    beside = [a.dtype for a in args if isinstance(a, (Tensor, np.ndarray))]
    wide = _F64 in beside
    weak = _F64 if wide else DEFAULT_FLOAT if any(d.kind == "f" for d in beside) else None
    fraction = _F64 if compares and beside and weak is None else weak
    made = []
    for place, a in enumerate(args):
        if isinstance(a, float):
            a = as_tensor(a, fraction)
        elif isinstance(a, int) and not isinstance(a, bool):
            unsigned = weak is None and _U64 in beside and a >= 0
            a = as_tensor(a, _U64 if unsigned else weak)
        elif not isinstance(a, Tensor):
            a = _array(name, place, a, wide)
        made.append(a)
    return tuple(made)


def _array(name: str, place: int, value: Any, wide: bool) -> Tensor:
    reason = "Expected a tensor, an array or a number."
    if value is not None and not isinstance(value, (str, bytes, dict, set)):
        try:
            made = as_tensor(value)
            if wide and made.dtype.kind == "f" and isinstance(value, (list, tuple)):
                return as_tensor(value, _F64)
            return made
        except (TypeError, ValueError) as error:
            reason = str(error)
    what = f"{type(value).__name__} {value!r:.60}"  # which takes long, so only now
    raise TypeError(f"{name}: received {what} as array {place}. {reason}")


def in_one_kind(
    name: str, tensors: tuple[Tensor, ...], places: Iterable[int], integers: bool
) -> tuple[Tensor, ...]:
    """The tensors, those at these places all floats, or all integers if the op computes in them.

    Raises:
        TypeError: an integer is not a float exactly.
    """
    dtypes = [tensors[i].dtype for i in places]
    floats = [d for d in dtypes if d.kind == "f"]
    if not floats and integers:
        if _U64 not in dtypes or np.result_type(*dtypes).kind != "f":
            return tensors
        common: np.dtype = np.dtype(np.int64)  # NumPy's would be a float
    else:
        common = _F64 if _F64 in floats else DEFAULT_FLOAT
    made = list(tensors)
    for i, dtype in zip(places, dtypes, strict=True):
        if dtype.kind != "f":
            made[i] = wrap(exactly(tensors[i].data, common, name))
    return tuple(made)


def exactly(array: np.ndarray, dtype: Any, name: str) -> np.ndarray:
    """Integers or bools in a dtype of floats or of wider integers.

    Raises:
        TypeError: one of them is not there.
    """
    dtype = np.dtype(dtype)
    limit = _EXACT[dtype.itemsize] if dtype.kind == "f" else np.iinfo(dtype).max
    if array.dtype.itemsize > 2 and array.size and (array.max() > limit or array.min() < -limit):
        size = np.abs(array).astype(np.uint64)  # that of the smallest int64 too
        odd = size // np.maximum(size & (~size + np.uint64(1)), 1)
        lost = array[odd > limit] if dtype.kind == "f" else array[size > limit]
        if lost.size:
            wider = "float64" if dtype == DEFAULT_FLOAT else "int64"
            raise TypeError(
                f"{name}: the integer {lost[0]} cannot be a {dtype} exactly, and is not rounded "
                f"unasked. Convert with astype('{wider}') first if that is what you want."
            )
    return array.astype(dtype)


def total_dtype(x: np.ndarray) -> np.dtype:
    """The dtype in which NumPy adds up such elements: integers are wide in it."""
    return np.zeros(0, x.dtype).sum().dtype


def beside(name: str, x: np.ndarray, *numbers: Any) -> tuple[Any, ...]:
    """An array and the numbers it meets, of one kind: integers only beside whole numbers or None.

    Raises:
        TypeError: the array must become floats, and an integer is none exactly.
    """
    if x.dtype.kind == "f":
        return x, *numbers
    if all(n is None or float(n).is_integer() for n in numbers):
        return x, *(None if n is None else int(n) for n in numbers)
    return exactly(x, DEFAULT_FLOAT, name), *numbers


def as_floats(name: str, value: Any) -> Tensor:
    """An array as a tensor of floats, integers converted exactly."""
    if isinstance(value, Deferred):
        return value.as_tensor(DEFAULT_FLOAT)
    (made,) = as_tensors(name, (value,))
    return in_one_kind(name, (made,), (0,), integers=False)[0]
