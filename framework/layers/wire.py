"""Arguments of layer calls as plain data: structures that hold tensors, arrays, slices and dtypes.

What JSON has itself stays as it is; everything else is a dict of one key that says what it is. The
state of a training is written down in the same way, but for its arrays (see `resuming`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from .symbolic import SymbolicTensor

#: The dtypes that arrays may have, by their names.
_KINDS = {np.dtype(code).name for code in np.typecodes["AllInteger"] + "?efd"}


def to_plain(
    value: Any,
    number: Callable[[SymbolicTensor], Any],
    keep: Callable[[np.ndarray], Any] | None = None,
) -> Any:
    """`value` as data that JSON can hold.

    Args:
        value: what a layer was called with.
        number: what stands for a symbolic tensor.
        keep: puts an array elsewhere and returns what it can be had for. Default: none is.

    Raises:
        TypeError: there is no way to write it down.
    """

    def plain(v: Any) -> Any:
        if v is None or isinstance(v, (bool, int, float, str)):
            return v
        if isinstance(v, SymbolicTensor):
            return {"tensor": number(v)}
        if isinstance(v, list):
            return [plain(item) for item in v]
        if isinstance(v, tuple):
            return {"tuple": [plain(item) for item in v]}
        if isinstance(v, dict):
            return {"dict": {key: plain(item) for key, item in v.items()}}
        if isinstance(v, slice):
            return {"slice": [plain(v.start), plain(v.stop), plain(v.step)]}
        if v is Ellipsis:
            return {"slice": "..."}
        if isinstance(v, np.dtype) or (isinstance(v, type) and issubclass(v, np.generic)):
            return {"dtype": np.dtype(v).name}
        if isinstance(v, (np.ndarray, np.generic, Tensor)):
            array = v.data if isinstance(v, Tensor) else np.asarray(v)
            if keep is not None:
                return {"kept": keep(array)}
            return {
                "array": array.ravel().tolist(),
                "shape": array.shape,
                "dtype": array.dtype.name,
            }
        raise TypeError(f"{v!r} cannot be saved: it is no number, text, array or list of them.")

    return plain(value)


def from_plain(
    value: Any,
    tensor: Callable[[Any], Any],
    kept: Callable[[Any], np.ndarray] | None = None,
) -> Any:
    """What `to_plain` wrote down.

    Args:
        tensor: what a number stands for.
        kept: the array for what `keep` returned.

    Raises:
        ValueError: it wrote nothing like this.
    """

    def real(v: Any) -> Any:
        if isinstance(v, list):
            return [real(item) for item in v]
        if not isinstance(v, dict):
            return v
        if "array" in v:
            return np.array(v["array"], _kind(v["dtype"])).reshape(v["shape"])
        if "kept" in v and kept is not None:
            return kept(v["kept"])
        if "tensor" in v:
            return tensor(v["tensor"])
        if "tuple" in v:
            return tuple(real(item) for item in v["tuple"])
        if "dict" in v:
            return {key: real(item) for key, item in v["dict"].items()}
        if "slice" in v:
            return Ellipsis if v["slice"] == "..." else slice(*map(real, v["slice"]))
        if "dtype" in v:
            return _kind(v["dtype"])
        raise ValueError(f"an argument of a layer call is {v!r}, which nothing stands for")

    return real(value)


def _kind(name: Any) -> np.dtype:
    """A dtype of numbers or bools by its name; texts and structures can be of any size.

    Raises:
        ValueError: there is none of that name.
    """
    if not isinstance(name, str) or name not in _KINDS:
        raise ValueError(f"{name!r} is no dtype of numbers: {', '.join(sorted(_KINDS))}")
    return np.dtype(name)
