"""From ops to formulas: an op's own forward and its own gradient rule, run once on symbols.

    chain = Chain((("multiply", (("in", 0), 0.5), {}), ("tanh", (("step", 0),), {})))
    chain.forward.kernel, chain.backward(0).reads

The forward runs on `Elements`, the rules on tensors to come (`Symbol`) that compute other ops in
the same way, so an op that a user registered is compiled like one of ours. Code that is no formula
of single elements raises `NotElementwise`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.operators import Deferred
from ..autograd.registry import Op, Whole
from ..autograd.tape import OPS
from ..autograd.tensor import DEFAULT_FLOAT, Tensor
from ..config.naming import is_own
from ..kernels.elements import Elements
from ..kernels.formula import (
    Expression,
    Formula,
    NotElementwise,
    as_floats,
    compiled,
    given,
    number,
    operation,
)
from .readings import Readings

#: ``("in", k)`` is array k, ``("step", j)`` the result of an earlier step; else a plain number.
Operand = tuple[str, int] | float
#: An op or its name, its operands, its settings.
Step = tuple[Any, tuple[Operand, ...], dict[str, Any]]

#: The ops whose forward is no NumPy code, and what they are in formulas.
PRIMITIVES: dict[str, Callable[[Expression], Expression]] = {
    "copy": lambda x: x,
    "erf": lambda x: operation("erf", as_floats(x)),
    "erfc": lambda x: operation("erfc", as_floats(x)),
}

#: Rules that read nothing but the output: as exact as its rounding lets them be, which near the
#: ends of tanh and sigmoid is less than the rules of the ops, but the input need not be kept.
FROM_OUTPUT: dict[str, Callable[[Any, Any], Any]] = {
    "tanh": lambda g, out: g * (1.0 - out * out),
    "sigmoid": lambda g, out: g * (out * (1.0 - out)),
}

_serial = itertools.count()


class Symbol(Deferred):
    """A tensor that a kernel will compute, element by element.

    Args:
        expression: its elements.
        made_by: the op, its arrays and its settings, as on a tape.
    """

    __slots__ = ("expression", "made_by", "serial")

    def __init__(
        self,
        expression: Expression,
        made_by: tuple[Op, tuple[Symbol, ...], dict[str, Any]] | None = None,
    ) -> None:
        self.expression = expression
        self.made_by = made_by
        self.serial = next(_serial)

    def __repr__(self) -> str:
        return f"Symbol({self.expression!r})"

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.bool_) if self.expression.is_mask else DEFAULT_FLOAT

    def as_tensor(self, dtype: Any) -> Symbol:
        return self if dtype is None or self.dtype == dtype else OPS["astype"](self, dtype=dtype)

    def defer(self, op: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Symbol:
        return _applied(op, args, settings)

    def _not_yet(self) -> Any:
        raise NotElementwise("it asks for the values of the elements")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotElementwise(f"it asks for .{name} of an array")


def _symbol(value: Any) -> Symbol:
    """An array among the arguments of an op."""
    if isinstance(value, Symbol):
        return value
    if isinstance(value, Tensor):
        value = value.data
    if np.ndim(value) or not isinstance(value, (bool, int, float, np.ndarray, np.generic)):
        raise NotElementwise(f"it takes a {type(value).__name__} beside an array")
    return Symbol(number(value.item() if isinstance(value, (np.ndarray, np.generic)) else value))


def _applied(op: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Symbol:
    """What an op makes of symbols and numbers.

    Raises:
        NotElementwise: it is no formula of single elements.
    """
    try:
        if isinstance(op, Whole):
            return _symbol(op.function(*args, **settings))
        if op.variadic:
            raise NotElementwise("it takes any number of arrays")
        inputs = tuple(map(_symbol, args[: op.arity]))
        settings = op.settled(args[op.arity :], settings)
        if op.resolve is not None:
            settings = op.resolve(*inputs, **settings)
        made = _forward(op, inputs, settings)
        if not is_own(op) and _forward(op, inputs, settings) is not made:
            raise NotElementwise("it computes something else each time")
        return Symbol(made, (op, inputs, settings))
    except NotElementwise as error:
        raise _about(op, error) from error.__cause__
    except Exception as error:
        raise _about(op, error) from error


def _about(op: Any, error: Exception) -> NotElementwise:
    text = str(error)
    return NotElementwise(text if text.startswith(f"{op.name}: ") else f"{op.name}: {text}")


def _forward(op: Op, inputs: tuple[Symbol, ...], settings: dict[str, Any]) -> Expression:
    if op.name in PRIMITIVES and OPS.get(op.name) is op:
        return PRIMITIVES[op.name](inputs[0].expression)
    with np.errstate(all="ignore"):
        out = op.forward(*(_array(s.expression) for s in inputs), **settings)
    return out.expression if isinstance(out, Elements) else _symbol(out).expression


def _array(e: Expression) -> Any:
    """What a forward runs on; a number is what it is among the arrays of an op."""
    return np.array(e.value) if e.kind == "number" else Elements(e)


def _walked_back(last: Symbol, gradient: Symbol, wanted: list[Symbol]) -> list[Expression]:
    """The gradients of some symbols, given that of `last`: reverse mode over what made it."""
    reached = _leading_to(last, wanted)
    gradients: dict[Symbol, Any] = {last: gradient}
    ends = set(wanted)
    for symbol in sorted(reached, key=lambda s: s.serial, reverse=True):
        g = gradients.get(symbol)
        if symbol.made_by is None or g is None or symbol in ends:
            continue
        op, inputs, settings = symbol.made_by
        wants = [s in reached for s in inputs]
        if not op.differentiable:
            continue
        try:
            for i, part in op.pull_back(wants, g, symbol, inputs, settings):  # type: ignore[arg-type]
                if part is not None:
                    before = gradients.get(inputs[i])
                    gradients[inputs[i]] = part if before is None else before + part
        except Exception as error:
            raise NotElementwise(f"the gradient of {op.name}: {error}") from error
    zero = Symbol(number(0.0))
    return [as_floats(_symbol(gradients.get(s, zero)).expression) for s in wanted]


def _leading_to(last: Symbol, wanted: list[Symbol]) -> set[Symbol]:
    """The symbols between some and the last."""
    found: dict[Symbol, bool] = {s: True for s in wanted}

    def leads(s: Symbol) -> bool:
        if s not in found:
            inputs = s.made_by[1] if s.made_by is not None else ()
            found[s] = any([leads(i) for i in inputs])
        return found[s]

    leads(last)
    return {s for s, yes in found.items() if yes}


@dataclass(frozen=True)
class Meant:
    """An op as it is now: its code may read what changes.

    Attributes:
        op: the op.
        meaning: what it and its rules compute.
    """

    op: Op
    meaning: tuple[Expression, ...]

    @property
    def name(self) -> str:
        return self.op.name


#: By op and settings: what it meant, its functions then, and what these read.
_meant: dict[Any, tuple[Meant, tuple[Any, ...], Readings]] = {}


def meant(op: Op, settings: dict[str, Any]) -> Meant:
    """An op with these settings, as it is now.

    Raises:
        NotElementwise: it is no formula of single elements.
    """
    functions = (op.forward, op.resolve, op.rule_of_any, *op.gradients)
    key = op, repr(settings)
    known = _meant.get(key)
    if known is not None and known[1] == functions and known[2].same():
        return known[0]
    inputs = [Symbol(given(i)) for i in range(op.arity)]
    last = _applied(op, tuple(inputs), settings)
    gradients = _walked_back(last, Symbol(given("g")), inputs)
    found = Meant(op, (last.expression, *gradients))
    plain = all([isinstance(v, (bool, int, float, str)) for v in settings.values()])
    if plain:  # or their text does not say all
        if len(_meant) > 1000:
            _meant.clear()
        _meant[key] = found, functions, Readings([f for f in functions if f is not None])
    return found


class Chain:
    """Elementwise ops, each on arrays of one shape and on results of those before it.

    Args:
        steps: the ops, their operands and settings.

    Raises:
        NotElementwise: an op is no formula of single elements.
    """

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._names = [op if isinstance(op, str) else op.name for op, _, _ in steps]
        self._inputs: dict[int, Symbol] = {}
        self._results: list[Symbol] = []
        for op, operands, settings in steps:
            known = OPS[op] if isinstance(op, str) else op.op if isinstance(op, Meant) else op
            self._results.append(_applied(known, tuple(map(self._operand, operands)), settings))
        self._gradient = Symbol(given("g"))

    def _operand(self, operand: Operand) -> Any:
        if not isinstance(operand, tuple):
            return operand
        kind, place = operand
        if kind == "step":
            return self._results[place]
        return self._inputs.setdefault(place, Symbol(given(place)))

    @property
    def _order(self) -> list[Hashable]:
        return ["g", "out", *sorted(self._inputs)]

    @property
    def _label(self) -> str:
        return "_".join(self._names[:3])

    @property
    def makes_mask(self) -> bool:
        """Whether the last step makes truth values; `forward` writes them as 1 and 0."""
        return self._results[-1].expression.is_mask

    def passes_on(self, *inputs: int) -> bool:
        """Whether the gradients of these inputs are that of the output itself."""
        wanted = [self._inputs[k] for k in inputs]
        found = _walked_back(self._results[-1], self._gradient, wanted)
        return all([e is given("g") for e in found])

    @functools.cached_property
    def forward(self) -> Formula:
        """The value of the last step; reads inputs, by their numbers."""
        return compiled([self._results[-1].expression], self._order, self._label)

    def backward(self, *inputs: int) -> Formula:
        """The gradients of inputs, one result each; reads ``"g"``, and inputs by their numbers.

        What else the rules need is computed again from the inputs.

        Raises:
            NotElementwise: a rule is no formula of single elements.
        """
        wanted = [self._inputs[k] for k in inputs]
        results = _walked_back(self._results[-1], self._gradient, wanted)
        return compiled(results, self._order, f"{self._label}_back")

    def backward_from_output(self) -> Formula | None:
        """The gradient of the only input, read from ``"g"`` and ``"out"``; None: there is none."""
        last = self._results[-1]
        if len(self._results) > 1 or len(self._inputs) > 1 or last.made_by is None:
            return None
        op, inputs, settings = last.made_by
        if len(inputs) > 1:
            return None
        out = Symbol(given("out"))
        if op.name in FROM_OUTPUT and OPS.get(op.name) is op:
            result = FROM_OUTPUT[op.name](self._gradient, out)
        elif op is OPS["relu"] and settings == op.defaults:
            # the output is above 0 where the input is
            result = op.gradient(0, self._gradient, out, (out,), settings)
        else:
            result = op.gradient(0, self._gradient, out, inputs, settings)  # type: ignore[arg-type]
        if result is None:
            return None
        made = compiled([result.expression], self._order, f"{self._label}_from_output")
        return made if set(made.reads) <= {"g", "out"} else None
