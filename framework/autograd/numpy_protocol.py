"""NumPy's own functions called on tensors: each becomes a call of the op registered for it.

A call is read by NumPy's signature, not by the op's: what it says by position or by keyword gets
the name that NumPy has for it, and goes to the op's array or setting of that name (or of the name
given where the op is registered). What the op has no counterpart for must say what NumPy does
anyway (``out=None``, ``where=True``); everything else is refused by name. A ``dtype`` converts the
arrays first, as in NumPy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from .promotion import as_floats
from .tensor import Tensor, as_tensor

#: For a parameter of a NumPy function: the op's name for it, or the values that change nothing.
Names = Mapping[str, str | tuple[Any, ...]]

#: Values of NumPy's options that change nothing, beside the defaults in a signature.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "out": (None,), "where": (True,), "subok": (True, False), "casting": ("same_kind",),
    "dtype": (None,),
}  # fmt: skip
_NEUTRAL_OF_UFUNCS = {
    **_NEUTRAL, "order": ("K",), "signature": (None,), "axis": (-1,), "keepdims": (False,),
}  # fmt: skip


class _Answer:
    """What tensors answer for a NumPy function.

    Args:
        function: NumPy's.
        op: what computes it: an op, or another function of tensors.
        names: see `Names`.
    """

    def __init__(self, function: Any, op: Callable[..., Any], names: Names) -> None:
        self.function, self.op, self.names = function, op, names
        module = "np.linalg" if "linalg" in str(getattr(function, "__module__", "")) else "np"
        self.what = f"{module}.{function.__name__}"

    def _refuse(self, name: str, value: Any, *neutral: Any) -> None:
        """Refuse an option that the op does not have, unless it says what NumPy does anyway."""
        plain = isinstance(value, (str, int, float, np.bool_))
        if value is not np._NoValue and not (
            any(value is v for v in neutral) or (plain and value in neutral)
        ):
            raise TypeError(
                f"{self.what} with {name}={_brief(value)} is not supported on tensors. Leave it "
                "out, use a function of gt.ops, or tensor.numpy() to compute without a gradient."
            )

    def _in_dtype(self, result: Any, dtype: np.dtype, of: str) -> Any:
        """The result in the dtype that NumPy's has, which must be of the same kind."""
        if {result.dtype.kind, dtype.kind} not in ({"b"}, {"f"}, {"i"}, {"u"}, {"i", "u"}):
            raise TypeError(
                f"{self.what} of {of} gives {dtype} in NumPy, but {result.dtype} on tensors. "
                "Convert with tensor.astype, or use a function of gt.ops."
            )
        return result if result.dtype == dtype else result.astype(dtype)


class NumpyFunction(_Answer):
    """What tensors answer for a function that dispatches by ``__array_function__``."""

    @cached_property
    def _ours(self) -> inspect.Signature:
        return inspect.signature(self.op)

    @cached_property
    def _theirs(self) -> inspect.Signature:
        try:
            return inspect.signature(self.function)
        except ValueError:  # written in C, before NumPy 2.4: read as what the op knows of it
            one = inspect.Parameter.POSITIONAL_OR_KEYWORD
            return inspect.Signature([p.replace(kind=one) for p in self._ours.parameters.values()])

    @cached_property
    def _pairs(self) -> dict[str, str]:
        """Our name for each of NumPy's parameters that has a counterpart.

        What the op needs and NumPy calls otherwise is what comes first in NumPy's signature.
        """
        ours, theirs = self._ours.parameters, self._theirs.parameters
        named = {name: self.names.get(name, name) for name in (*theirs, *self.names)}
        pairs = {n: o for n, o in named.items() if isinstance(o, str) and o in ours}
        needed = [
            name
            for name, p in ours.items()
            if name not in pairs.values()
            if p.kind is p.VAR_POSITIONAL or (p.default is p.empty and p.kind < p.VAR_POSITIONAL)
        ]
        free = [name for name in theirs if name not in pairs]
        return pairs | dict(zip(free, needed, strict=False))

    def _given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by NumPy's names."""
        try:
            given = self._theirs.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise TypeError(f"{self.what}: {error}.") from None
        for name, p in self._theirs.parameters.items():
            if p.kind is p.VAR_KEYWORD:
                given |= given.pop(name, {})
        return {name: value for name, value in given.items() if value is not np._NoValue}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = self._given(args, kwargs)
        dtype, casting = None, "unsafe"  # reductions convert at any cost
        if given.get("dtype") is not None and "dtype" in {**self._theirs.parameters, **self.names}:
            dtype = np.dtype(given.pop("dtype"))
            if "dtype" not in self._theirs.parameters or "casting" in self._theirs.parameters:
                casting = given.pop("casting", "same_kind")
        ours = self._ours.bind_partial()
        for name, value in given.items():
            counterpart = self._pairs.get(name)
            if counterpart is None:
                self._refuse(name, value, *self._neutral(name))
                continue
            if counterpart in ours.arguments:
                raise TypeError(f"{self.what}: {name} says again what another argument says.")
            several = inspect.Parameter.VAR_POSITIONAL
            if self._ours.parameters[counterpart].kind is several:
                theirs = self._theirs.parameters[name].kind
                value = value if theirs is several else (list(value),)
            ours.arguments[counterpart] = value
        if dtype is None:
            return self.op(*ours.args, **ours.kwargs)
        first, *rest = ours.args
        first = self._converted(first, dtype, casting)
        return self._in_dtype(self.op(first, *rest, **ours.kwargs), dtype, f"dtype={dtype}")

    def _neutral(self, name: str) -> tuple[Any, ...]:
        p = self._theirs.parameters.get(name)
        own = self.names.get(name, ())
        return (*((p.default,) if p is not None else ()), *own, *_NEUTRAL.get(name, ()))

    def _converted(self, value: Any, dtype: np.dtype, casting: Any) -> Any:
        """The array, or list of arrays, in a dtype."""
        if isinstance(value, (list, tuple)):
            return [self._converted(v, dtype, casting) for v in value]
        value = as_tensor(value)
        if not np.can_cast(value.dtype, dtype, casting):
            raise TypeError(
                f"{self.what}: cannot convert {value.dtype} to {dtype} by the rule {casting!r}."
            )
        return value.astype(dtype)


class NumpyUfunc(_Answer):
    """What tensors answer for a ufunc, which dispatches by ``__array_ufunc__``."""

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        dtype, casting = options.pop("dtype", None), options.pop("casting", "same_kind")
        for name, value in options.items():
            self._refuse(name, value, *_NEUTRAL_OF_UFUNCS.get(name, ()))
        told = dtype is not None or casting != "same_kind"
        if not told and any(isinstance(x, Tensor) and x.dtype.kind == "f" for x in inputs):
            return self.op(*inputs)
        signature = (*[None] * len(inputs), None if dtype is None else np.dtype(dtype))
        types = (*map(_type, inputs), None)
        *loop, out = self.function.resolve_dtypes(types, signature=signature, casting=casting)
        if told:
            inputs = tuple(as_tensor(x).astype(t) for x, t in zip(inputs, loop, strict=True))
            return self._in_dtype(self.op(*inputs), out, f"a dtype or casting (loop {out})")
        # Whether integers become floats is said by NumPy; which floats, by `promotion`.
        inputs = tuple(
            as_floats(self.what, x) if t.kind == "f" else x
            for x, t in zip(inputs, loop, strict=True)
        )
        result = self.op(*inputs)
        return result if out.kind == "f" else self._in_dtype(result, out, "integers")


def _brief(value: Any) -> str:
    array = isinstance(value, (Tensor, np.ndarray))
    return f"an array of shape {value.shape}" if array else repr(value)


def _type(value: Any) -> Any:
    """What `numpy.ufunc.resolve_dtypes` takes for an argument."""
    if type(value) in (int, float):
        return type(value)
    return value.dtype if isinstance(value, Tensor) else np.asarray(value).dtype
