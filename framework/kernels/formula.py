"""Formulas: elementwise expressions, and the kernels made of them.

An `Expression` is a node of a graph without cycles: an input, a number, or an operation on others.
What is built alike is the same object, so a common part is computed once. `compiled` writes the
loop over whole vectors that computes some of them, as Python source that Numba compiles:

    x = given("x")
    formula = compiled((operation("mul", operation("exp", x), number(0.3)),))
    print(formula.source)

Numbers are arguments of the kernel, but for a few as plain as 0 and 1, so that another factor needs
no other kernel. A kernel's name holds a digest of its source, by which it is found on disk.
"""

from __future__ import annotations

import functools
import hashlib
import math
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import doubles, simd, vector_math
from .native import Kernel

#: Numbers that are part of a formula's structure; all others are arguments.
PLAIN = (0.0, 1.0, -1.0, 2.0, 0.5)
_F32 = np.float32


class NotElementwise(TypeError):
    """Code that is no formula of single elements."""


class Expression:
    """A node of a formula. Do not make one: `given`, `number`, `factor` and `operation` do.

    Attributes:
        kind: ``"given"``, ``"number"``, ``"factor"``, or a name in `OPERATIONS`.
        operands: what an operation is applied to.
        value: the name of an input, the value of a number, the place of a factor.
        is_mask: whether its elements are true or false.
    """

    __slots__ = ("__weakref__", "is_mask", "kind", "operands", "value")

    def __init__(
        self, kind: str, operands: tuple[Expression, ...], value: Any, is_mask: bool
    ) -> None:
        self.kind = kind
        self.operands = operands
        self.value = value
        self.is_mask = is_mask

    def __repr__(self) -> str:
        inside = ", ".join(map(repr, self.operands)) if self.operands else str(self.value)
        return f"{self.kind}({inside})"


_known: weakref.WeakValueDictionary[Any, Expression] = weakref.WeakValueDictionary()


def _interned(
    kind: str, operands: tuple[Expression, ...] = (), value: Any = None, is_mask: bool = False
) -> Expression:
    key = kind, operands, value.tobytes() if isinstance(value, np.generic) else value, is_mask
    found = _known.get(key)
    if found is None:
        found = _known[key] = Expression(kind, operands, value, is_mask)
    return found


def given(name: Hashable) -> Expression:
    """An input: an array of float32."""
    return _interned("given", value=name)


def number(value: Any) -> Expression:
    """A number (as float32), or a truth value."""
    if isinstance(value, (bool, np.bool_)):
        return _interned("number", value=np.bool_(value), is_mask=True)
    with np.errstate(over="ignore"):
        return _interned("number", value=_F32(value))


def factor(place: int) -> Expression:
    """A number that is known when the kernel runs: the one at this place of its settings."""
    return _interned("factor", value=place)


@dataclass(frozen=True)
class _Operation:
    """What an operation is.

    Attributes:
        vector: on vectors.
        numbers: on numbers.
        makes_mask: whether its results are truth values.
    """

    vector: Callable[..., Any]
    numbers: Callable[..., Any]
    makes_mask: bool = False


OPERATIONS: dict[str, _Operation] = {
    **{
        name: _Operation(vector, numbers)
        for name, vector, numbers in (
            ("add", simd.add, np.add),
            ("sub", simd.sub, np.subtract),
            ("mul", simd.mul, np.multiply),
            ("div", simd.div, np.divide),
            ("negative", simd.negative, np.negative),
            ("sqrt", simd.sqrt, np.sqrt),
            ("select", simd.select, np.where),
            ("maximum", simd.maximum, np.maximum),
            ("minimum", simd.minimum, np.minimum),
            ("larger", vector_math.larger, np.maximum),
            ("smaller", vector_math.smaller, np.minimum),
            ("fmax", vector_math.fmax, np.fmax),
            ("fmin", vector_math.fmin, np.fmin),
            ("magnitude", vector_math.magnitude, np.abs),
            ("copysign", vector_math.copysign, np.copysign),
            ("sign", vector_math.sign, np.sign),
            ("rint", vector_math.rint, np.rint),
            ("floor", vector_math.floor, np.floor),
            ("ceil", vector_math.ceil, np.ceil),
            ("trunc", vector_math.trunc, np.trunc),
            ("exp", vector_math.exp, np.exp),
            ("expm1", vector_math.expm1, np.expm1),
            ("log", vector_math.log, np.log),
            ("log1p", vector_math.log1p, np.log1p),
            ("tanh", vector_math.tanh, np.tanh),
            ("erf", vector_math.erf, np.vectorize(math.erf)),
            ("erfc", vector_math.erfc, np.vectorize(math.erfc)),
            ("exp2", doubles.exp2, np.exp2),
            ("log2", doubles.log2, np.log2),
            ("log10", doubles.log10, np.log10),
            ("sinh", doubles.sinh, np.sinh),
            ("cosh", doubles.cosh, np.cosh),
            ("cbrt", doubles.cbrt, np.cbrt),
            ("hypot", doubles.hypot, np.hypot),
            ("power", doubles.power, np.power),
        )
    },
    **{
        name: _Operation(vector, numbers, makes_mask=True)
        for name, vector, numbers in (
            ("greater", simd.greater, np.greater),
            ("greater_equal", simd.greater_equal, np.greater_equal),
            ("equal", simd.equal, np.equal),
            ("both", simd.both, np.logical_and),
            ("either", simd.either, np.logical_or),
            ("neither", simd.neither, np.logical_not),
        )
    },
}


def operation(kind: str, *operands: Expression) -> Expression:
    """An operation on expressions, or what is the same and plainer."""
    made = OPERATIONS[kind]
    if all([e.kind == "number" for e in operands]):
        with np.errstate(all="ignore"):
            value = made.numbers(*(e.value for e in operands))
        return number(bool(value) if made.makes_mask else value)
    return _plainer(kind, operands) or _interned(kind, operands, is_mask=made.makes_mask)


def _is(e: Expression, value: float) -> bool:
    """Whether an expression is this number, of this sign."""
    return e.kind == "number" and not e.is_mask and e.value.tobytes() == _F32(value).tobytes()


def _plainer(kind: str, operands: tuple[Expression, ...]) -> Expression | None:
    """The same without an operation that does nothing, to the bit; None: there is no such."""
    first, last = operands[0], operands[-1]
    if kind == "mul":
        for e, other in ((first, last), (last, first)):
            if _is(e, 1.0):
                return other
            if _is(e, -1.0):
                return operation("negative", other)
    elif kind == "div":
        if _is(last, 1.0):
            return first
        if _is(last, 2.0) or _is(last, 0.5):
            return operation("mul", first, number(1 / last.value))
    elif kind == "sub" and _is(last, 0.0):
        return first
    elif kind == "sub" and last.kind == "negative":
        return operation("add", first, last.operands[0])
    elif kind == "add" and last.kind == "negative":
        return operation("sub", first, last.operands[0])
    elif kind in ("negative", "neither") and first.kind == kind:
        return first.operands[0]
    elif kind == "magnitude" and first.kind in ("magnitude", "negative"):
        return operation("magnitude", first.operands[0]) if first.kind != kind else first
    elif kind == "select":
        condition, yes, no = operands
        if yes is no:
            return yes
        if condition.kind == "number":
            return yes if condition.value else no
        if condition.kind == "neither":
            return operation("select", condition.operands[0], no, yes)
    elif kind in ("both", "either"):
        for e, other in ((first, last), (last, first)):
            if e is other:
                return e
            if e.kind == "number":
                return other if bool(e.value) == (kind == "both") else e
    elif kind in ("larger", "smaller"):
        # NaN in the first operand stays as it is, and a number is none
        for e, other in ((last, first), (first, last)):
            if e.kind == "number" and e.value == e.value:
                return operation("maximum" if kind == "larger" else "minimum", other, e)
    return None


def in_order(results: Iterable[Expression]) -> list[Expression]:
    """What some expressions are made of, operands first."""
    seen: dict[Expression, None] = {}
    stack = [(e, False) for e in reversed(list(results))]
    while stack:
        e, ready = stack.pop()
        if ready:
            seen[e] = None
        elif e not in seen:
            stack.append((e, True))
            stack += [(o, False) for o in reversed(e.operands)]
    return list(seen)


class Code:
    """Some expressions as lines of source, one for each operation.

    Args:
        results: what to compute.

    Attributes:
        inputs: the inputs that are read, in the order in which they are met.
        parameters: the numbers that are no part of the structure, likewise.
        factors: the places of the factors that are read, rising.
        lines: the operations.
        results: the names of the results.
    """

    def __init__(self, results: Sequence[Expression]) -> None:
        results = [as_floats(e) for e in results]
        order = in_order(results)
        self.inputs = [e.value for e in order if e.kind == "given"]
        numbers = [e for e in order if e.kind == "number" and not _plain(e)]
        self.parameters = [float(e.value) for e in numbers]
        self.factors = sorted(e.value for e in order if e.kind == "factor")
        self._names: dict[Expression, str] = {e: f"p{i}" for i, e in enumerate(numbers)}
        uses: dict[Expression, int] = dict.fromkeys(results, 1)
        for e in order:
            for o in e.operands:
                uses[o] = uses.get(o, 0) + 1
        products = [(_product_in(e), e) for e in order]
        self._fused = {p: e for p, e in products if p is not None and uses[p] == 1}
        self.lines: list[str] = []
        for e in order:
            if e.operands and e not in self._fused:
                text = self._text(e)
                self._names[e] = name = f"v{len(self.lines)}"
                self.lines.append(f"{name} = {text}")
        self.results = [self._name(e) for e in results]

    def _name(self, e: Expression) -> str:
        if e in self._names:
            return self._names[e]
        if e.kind == "given":
            return name_of(e.value)
        if e.kind == "factor":
            return f"f{e.value}"
        return f"broadcast({e.value})" if np.isfinite(e.value) else f'broadcast(float("{e.value}"))'

    def _text(self, e: Expression) -> str:
        product = _product_in(e)
        if product is None or self._fused.get(product) is not e:
            return f"{e.kind}({', '.join(map(self._name, e.operands))})"
        x, y = map(self._name, product.operands)
        if e.kind == "add":
            other = e.operands[1] if product is e.operands[0] else e.operands[0]
            return f"fma({x}, {y}, {self._name(other)})"
        if product is e.operands[0]:
            return f"fma({x}, {y}, negative({self._name(e.operands[1])}))"
        return f"fma(negative({x}), {y}, {self._name(e.operands[0])})"


def _plain(e: Expression) -> bool:
    return e.is_mask or not np.isfinite(e.value) or any(_is(e, v) for v in (*PLAIN, -0.0))


def _product_in(e: Expression) -> Expression | None:
    """The product that a sum or difference is of."""
    if e.kind in ("add", "sub"):
        for o in e.operands:
            if o.kind == "mul" and e.operands[0] is not e.operands[1]:
                return o
    return None


def name_of(name: Hashable) -> str:
    """An input as a name in source."""
    return f"x{name}" if isinstance(name, int) else str(name)


def as_floats(e: Expression) -> Expression:
    """Truth values as 1 and 0."""
    return operation("select", e, number(1.0), number(0.0)) if e.is_mask else e


def as_mask(e: Expression) -> Expression:
    """Numbers as whether they are not 0."""
    if e.is_mask:
        return e
    return operation("neither", operation("equal", e, number(0.0)))


@dataclass(frozen=True)
class Formula:
    """A kernel that computes expressions of whole vectors.

    Row: addresses of the results, addresses of the inputs, count, bits of the parameters. A result
    may be written over an input.

    Attributes:
        kernel: the kernel.
        source: what it was compiled from.
        reads: the names of the inputs, in the order of the row.
        parameters: the numbers that it takes now.
    """

    kernel: Kernel
    source: str
    reads: tuple[Hashable, ...]
    parameters: tuple[float, ...]

    def arguments(self, results: Sequence[Any], inputs: Sequence[Any], count: int) -> Iterator[Any]:
        """The row, of addresses (or of what a program takes for them).

        Raises:
            ValueError: not as many inputs as `reads`.
        """
        if len(inputs) != len(self.reads):
            raise ValueError(f"The formula reads {self.reads}, received {len(inputs)} inputs.")
        yield from results
        yield from inputs
        yield count
        yield from map(simd.bits_of, self.parameters)


def compiled(
    results: Sequence[Expression], order: Sequence[Hashable] = (), label: str = "formula"
) -> Formula:
    """The formula of some expressions.

    Args:
        results: what to compute; at least one.
        order: names of inputs in the order in which the row is to have those that are read; others
            follow as they are met.
        label: what programs list the kernel as, before its digest.
    """
    code = Code(results)
    reads = [n for n in order if n in code.inputs] + [n for n in code.inputs if n not in order]
    row = [f"to_{i}" for i in range(len(results))] + [f"at_{name_of(n)}" for n in reads] + ["count"]
    row += [f"n{i}: float" for i in range(len(code.parameters))]
    lines = [f"def formula({', '.join(row)}):"]
    lines += [f"    p{i} = broadcast(n{i})" for i in range(len(code.parameters))]
    lines += ["    for i in range(0, count, LANES):"]
    lines += [f"        {name_of(n)} = load(at_{name_of(n)}, i)" for n in reads]
    lines += [f"        {line}" for line in code.lines]
    lines += [f"        store(to_{i}, i, {name})" for i, name in enumerate(code.results)]
    source = "\n".join(lines) + "\n"
    return Formula(kernel_of(source, label), source, tuple(reads), tuple(code.parameters))


_NAMES: dict[str, Any] = {
    **{name: made.vector for name, made in OPERATIONS.items()},
    **{
        name: getattr(simd, name)
        for name in ("LANES", "broadcast", "fma", "load", "load_first", "load_scalar",
                     "store", "store_first")
    },
}  # fmt: skip


@functools.cache
def kernel_of(source: str, label: str, **helpers: Any) -> Kernel:
    """The kernel of a function ``formula`` in the names of formulas, and of some helpers."""
    names = {**_NAMES, **helpers, "__name__": __name__}
    exec(source, names)  # written by this package, of names and numbers only
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    return Kernel(names["formula"], f"{label}_{digest}", made=True)
