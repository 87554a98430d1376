"""`Elements`: an array that is to come, on which NumPy code runs to say what it computes.

    x = Elements(given("x"))
    np.where(x > 0, x, 0.3 * np.expm1(x)).expression

As a NumPy array is, it is changed in place by ``x += y``, ``np.add(x, y, out=x)`` and
``x[...] = y``: an `Elements` is a name for an expression, and comes to name another.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .formula import Expression, NotElementwise, as_floats, as_mask, number, operation

_FLOAT, _BOOL = np.dtype(np.float32), np.dtype(np.bool_)
_INFINITY = math.inf


def _floats(kind: str) -> Callable[..., Expression]:
    return lambda *operands: operation(kind, *map(as_floats, operands))


_add, _sub, _mul, _div = map(_floats, ("add", "sub", "mul", "div"))
_select, _magnitude, _equal = operation, _floats("magnitude"), _floats("equal")
_greater, _greater_equal = _floats("greater"), _floats("greater_equal")


def _not(e: Expression) -> Expression:
    return operation("neither", as_mask(e))


def _both(x: Expression, y: Expression) -> Expression:
    return operation("both", as_mask(x), as_mask(y))


def _either(x: Expression, y: Expression) -> Expression:
    return operation("either", as_mask(x), as_mask(y))


def _unlike(x: Expression, y: Expression) -> Expression:
    return _both(_either(x, y), _not(_both(x, y)))


def where(condition: Expression, x: Expression, y: Expression) -> Expression:
    """x where the condition holds (is not 0), y elsewhere."""
    condition = as_mask(condition)
    if x.is_mask and y.is_mask:
        return _either(_both(condition, x), _both(_not(condition), y))
    return operation("select", condition, as_floats(x), as_floats(y))


def _power_of(x: Expression, n: Expression) -> Expression:
    """x to the power n; by multiplications where n is a small whole number, or by roots."""
    x, n = as_floats(x), as_floats(n)
    value = float(n.value) if n.kind == "number" else math.nan
    if value in (1.0, 2.0, 3.0, 4.0):
        square = _mul(x, x)
        return {1.0: x, 2.0: square, 3.0: _mul(square, x), 4.0: _mul(square, square)}[value]
    if value == -1.0:
        return _div(number(1.0), x)
    return operation("power", x, n)


def _log_add_exp(x: Expression, y: Expression, exp: str, one: float) -> Expression:
    """log(exp(x) + exp(y)) in a base: `one` is the logarithm of 2."""
    x, y = as_floats(x), as_floats(y)
    small = operation(exp, operation("negative", _magnitude(_sub(x, y))))
    rest = operation("log1p", small)
    if exp == "exp2":
        rest = _mul(rest, number(1 / math.log(2)))
    apart = _add(operation("larger", x, y), rest)
    return operation("select", _equal(x, y), _add(x, number(one)), apart)


def _is_negative(x: Expression) -> Expression:
    return _greater(number(0.0), operation("copysign", number(1.0), as_floats(x)))


def _heaviside(x: Expression, y: Expression) -> Expression:
    x = as_floats(x)
    step = where(_equal(x, number(0.0)), y, as_floats(_greater(x, number(0.0))))
    return where(_equal(x, x), step, x)


def _arcsinh(x: Expression) -> Expression:
    """log1p(t + t^2 / (1 + sqrt(1 + t^2))) of t = |x|."""
    t = _magnitude(x)
    near = operation("log1p", _add(t, _mul(t, _div(t, _add(number(1.0), _hypot_1(t))))))
    far = _add(operation("log", t), number(math.log(2)))
    return operation("copysign", where(_greater(t, number(1e10)), far, near), as_floats(x))


def _hypot_1(t: Expression) -> Expression:
    return operation("hypot", t, number(1.0))


def _arccosh(x: Expression) -> Expression:
    """log1p(t + sqrt(t) sqrt(t + 2)) of t = x - 1."""
    t = _sub(x, number(1.0))
    roots = _mul(operation("sqrt", t), operation("sqrt", _add(t, number(2.0))))
    far = _add(operation("log", as_floats(x)), number(math.log(2)))
    return where(_greater(x, number(1e10)), far, operation("log1p", _add(t, roots)))


def _arctanh(x: Expression) -> Expression:
    """log1p(2 t / (1 - t)) / 2 of t = |x|."""
    t = _magnitude(x)
    y = operation("log1p", _div(_add(t, t), _sub(number(1.0), t)))
    return operation("copysign", _mul(y, number(0.5)), as_floats(x))


def _same(x: Expression) -> Expression:
    return x


def _product(x: Expression, y: Expression) -> Expression:
    return _both(x, y) if x.is_mask and y.is_mask else _mul(x, y)


def _sum(x: Expression, y: Expression) -> Expression:
    return _either(x, y) if x.is_mask and y.is_mask else _add(x, y)


_UFUNCS: dict[Any, Callable[..., Expression]] = {
    np.add: _sum,
    np.subtract: _sub,
    np.multiply: _product,
    np.divide: _div,
    np.negative: _floats("negative"),
    np.positive: _same,
    np.conjugate: _same,
    np.square: lambda x: _mul(x, x),
    np.reciprocal: lambda x: _div(number(1.0), x),
    np.power: _power_of,
    np.float_power: _power_of,
    np.absolute: _magnitude,
    np.fabs: _magnitude,
    np.maximum: _floats("larger"),
    np.minimum: _floats("smaller"),
    np.heaviside: _heaviside,
    np.logaddexp: lambda x, y: _log_add_exp(x, y, "exp", math.log(2)),
    np.logaddexp2: lambda x, y: _log_add_exp(x, y, "exp2", 1.0),
    np.arcsinh: _arcsinh,
    np.arccosh: _arccosh,
    np.arctanh: _arctanh,
    np.deg2rad: lambda x: _mul(x, number(math.pi / 180)),
    np.radians: lambda x: _mul(x, number(math.pi / 180)),
    np.rad2deg: lambda x: _mul(x, number(180 / math.pi)),
    np.degrees: lambda x: _mul(x, number(180 / math.pi)),
    np.equal: _equal,
    np.not_equal: lambda x, y: _not(_equal(x, y)),
    np.greater: _greater,
    np.greater_equal: _greater_equal,
    np.less: lambda x, y: _greater(y, x),
    np.less_equal: lambda x, y: _greater_equal(y, x),
    np.logical_and: _both,
    np.logical_or: _either,
    np.logical_xor: _unlike,
    np.logical_not: _not,
    np.isnan: lambda x: _not(_equal(x, x)),
    np.isinf: lambda x: _equal(_magnitude(x), number(_INFINITY)),
    np.isfinite: lambda x: _greater(number(_INFINITY), _magnitude(x)),
    np.signbit: _is_negative,
    **{
        getattr(np, name): _floats(name)
        for name in ("sqrt", "exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "tanh",
                     "sinh", "cosh", "cbrt", "hypot", "copysign", "sign", "rint", "floor", "ceil",
                     "trunc", "fmax", "fmin")
    },
}  # fmt: skip
_OF_BITS: dict[Any, Callable[..., Expression]] = {
    np.bitwise_and: _both,
    np.bitwise_or: _either,
    np.bitwise_xor: _unlike,
    np.invert: _not,
}


class Elements(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of float32, or of bools, whose elements are not known yet.

    Args:
        expression: what they will be.
        of_number: what a number beside it becomes.
    """

    def __init__(
        self, expression: Expression, of_number: Callable[[Any], Expression] = number
    ) -> None:
        self.expression = expression
        self._of_number = of_number

    def __repr__(self) -> str:
        return f"Elements({self.expression!r})"

    @property
    def dtype(self) -> np.dtype:
        return _BOOL if self.expression.is_mask else _FLOAT

    @property
    def ndim(self) -> Any:
        return _SomeAxes()

    def _made(self, expression: Expression) -> Elements:
        return Elements(expression, self._of_number)

    def _of(self, value: Any) -> Expression:
        """An operand as an expression."""
        if isinstance(value, Elements):
            return value.expression
        if type(value) is float:
            return self._of_number(value)
        if isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)) or (
            isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"
        ):
            plain = value.item() if isinstance(value, (np.ndarray, np.generic)) else value
            return number(plain) if isinstance(plain, bool) else self._of_number(plain)
        shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
        raise NotElementwise(f"it takes a {type(value).__name__}{shape} beside an array")

    def _become(self, expression: Expression) -> None:
        if expression.is_mask != self.expression.is_mask:
            if expression.is_mask:
                expression = as_floats(expression)
            else:
                raise NotElementwise("it writes numbers into an array of bools")
        self.expression = expression

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            raise NotElementwise(f"it calls np.{ufunc.__name__}.{method}")
        operands = [self._of(v) for v in inputs]
        function = _UFUNCS.get(ufunc)
        if function is None and all([e.is_mask for e in operands]):
            function = _OF_BITS.get(ufunc)
        if function is None:
            raise NotElementwise(f"np.{ufunc.__name__} has no form for vectors")
        result = function(*operands)
        if not options:
            return Elements(result, self._of_number)
        (out,) = options.pop("out", None) or (None,)
        condition = options.pop("where", True)
        if options.pop("dtype", None) not in (None, np.float32, _FLOAT):
            raise NotElementwise(f"it calls np.{ufunc.__name__} with another dtype")
        if options:
            raise NotElementwise(f"it calls np.{ufunc.__name__} with {', '.join(options)}")
        if condition is not True:
            if out is None:
                raise NotElementwise(f"it calls np.{ufunc.__name__} with where= and no out=")
            result = where(self._of(condition), result, out.expression)
        if out is None:
            return self._made(result)
        if not isinstance(out, Elements):
            raise NotElementwise(f"np.{ufunc.__name__} writes into an array from elsewhere")
        out._become(result)
        return out

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        made = _FUNCTIONS.get(function)
        if made is None:
            raise NotElementwise(f"it calls np.{function.__name__}")
        return made(self, *args, **kwargs)

    def astype(self, dtype: Any, copy: bool = True) -> Elements:
        """A copy in float32 or bool."""
        if np.dtype(dtype) == _FLOAT:
            return self._made(as_floats(self.expression))
        if np.dtype(dtype) == _BOOL:
            return self._made(as_mask(self.expression))
        raise NotElementwise(f"it asks for the dtype {np.dtype(dtype)}")

    def copy(self) -> Elements:
        """An array of the same elements, which may become others."""
        return self._made(self.expression)

    def clip(self, low: Any = None, high: Any = None, out: Any = None) -> Any:
        """The elements held between two bounds."""
        return _clip(self, self, low, high, out)

    def fill(self, value: Any) -> None:
        """Become one number everywhere."""
        self._become(self._of(value))

    def conj(self) -> Elements:
        """The same: the elements are real."""
        return self.copy()

    conjugate = conj

    def __getitem__(self, index: Any) -> Elements:
        if not _everything(index):
            raise NotElementwise("it takes some of the elements")
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        expression = self._of(value)
        if isinstance(index, Elements) and index.expression.is_mask:
            if value is not self and isinstance(value, Elements):
                raise NotElementwise("it assigns elements of its own to some of the elements")
            expression = where(index.expression, expression, self.expression)
        elif not _everything(index):
            raise NotElementwise("it assigns to some of the elements")
        self._become(expression)

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise NotElementwise("it asks for the values of the elements")

    __array__ = __bool__ = __float__ = __int__ = __index__ = __len__ = __iter__ = _refuse
    __complex__ = __contains__ = item = tolist = _refuse

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotElementwise(f"it asks for .{name} of an array")


class _SomeAxes:
    """The number of axes of an array, of which all that is known is that it is no number."""

    def __eq__(self, other: object) -> bool:
        if type(other) is int and other == 0:
            return False
        raise NotElementwise("it asks for .ndim of an array")

    __hash__ = None  # type: ignore[assignment]


def _everything(index: Any) -> bool:
    """Whether an index means all elements, in place."""
    return index is Ellipsis or (isinstance(index, slice) and index == slice(None))


def _where(own: Elements, condition: Any, *choices: Any) -> Elements:
    if len(choices) != 2:
        raise NotElementwise("it calls np.where without the two to choose from")
    return own._made(where(own._of(condition), *map(own._of, choices)))


def _clip(
    own: Elements, x: Any, low: Any = None, high: Any = None, out: Any = None, **options: Any
) -> Any:
    low = options.pop("min", options.pop("a_min", low))
    high = options.pop("max", options.pop("a_max", high))
    if options:
        raise NotElementwise(f"it calls np.clip with {', '.join(options)}")
    e = own._of(x)
    if low is not None:
        e = _floats("larger")(e, own._of(low))
    if high is not None:
        e = _floats("smaller")(e, own._of(high))
    if out is None:
        return own._made(e)
    out._become(e)
    return out


def _like(value: Any) -> Callable[..., Elements]:
    def make(own: Elements, x: Any, *args: Any, **options: Any) -> Elements:
        (chosen,) = args or (options.pop("fill_value", value),)
        dtype = options.pop("dtype", None) or x.dtype
        if options:
            raise NotElementwise(f"it makes an array with {', '.join(options)}")
        return own._made(own._of(chosen)).astype(dtype)

    return make


def _nan_to_num(
    own: Elements,
    x: Any,
    copy: bool = True,
    nan: float = 0.0,
    posinf: Any = None,
    neginf: Any = None,
) -> Elements:
    e, most = x.expression, float(np.finfo(np.float32).max)
    e = where(_UFUNCS[np.isnan](e), own._of(nan), e)
    above, below = (most if posinf is None else posinf), (-most if neginf is None else neginf)
    e = where(_equal(e, number(_INFINITY)), own._of(above), e)
    result = where(_equal(e, number(-_INFINITY)), own._of(below), e)
    if copy:
        return own._made(result)
    x._become(result)
    return x


def _copyto(own: Elements, out: Any, value: Any, where_: Any = True, **options: Any) -> None:
    condition = options.pop("where", where_)
    out._become(where(own._of(condition), own._of(value), out.expression))


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.clip: _clip,
    np.zeros_like: _like(0.0),
    np.ones_like: _like(1.0),
    np.empty_like: _like(0.0),
    np.full_like: _like(None),
    np.nan_to_num: _nan_to_num,
    np.copyto: _copyto,
    np.copy: lambda own, x, **_: x.copy(),
    np.real: lambda own, x: x,
    np.iscomplexobj: lambda own, x: False,
    np.isrealobj: lambda own, x: True,
}
