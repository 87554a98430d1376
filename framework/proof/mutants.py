"""Who checks the checker: break every gradient rule in many ways, and see whether it is noticed.

A mutant is one op with one rule broken in one way. It is killed when the proof of the op fails. One
that never changes any gradient on any sample (swapping the inputs of ``g`` in ``x + y``) is no
mutant and is not counted; every other survivor is a hole in the proof.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

from ..autograd.registry import Composite, Op
from ..autograd.tape import OPS
from ..autograd.tensor import Tensor, wrap
from .gradcheck import GradientError
from .proof import prove

#: Exchanging the arrays of these changes nothing.
COMMUTATIVE = {"add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and"}
#: What a broken inner call returns or is given; see `_broken_call`.
INNER = ("drop first term", "drop second term", "swap operands", "skip function", "flip operand")
OUTER = ("scale by 1.01", "negate", "return nothing", "swap inputs", "forget to un-broadcast")


@dataclass
class Mutant:
    """One broken rule and what became of it.

    Attributes:
        op: name of the op whose rule is broken.
        argument: position of the array whose gradient it is.
        kind: how it is broken.
        call: which inner op call is broken, if one is: "2 (multiply)".
        verdict: "killed", "survived", or "no effect" for one that never changes a gradient.
    """

    op: str
    argument: int
    kind: str
    call: str = ""
    verdict: str = ""

    def __str__(self) -> str:
        where = f", inner call {self.call}" if self.call else ""
        return f"{self.op}, rule {self.argument}: {self.kind}{where}"


class _Calls:
    """Counts the op calls that a rule makes, and breaks one of them."""

    def __init__(self, number: int = -1, kind: str = "") -> None:
        self.number, self.kind = number, kind
        self.names: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.names = []
        original = Op.__call__

        def call(op: Op, *args: Any, **settings: Any) -> Any:
            self.names.append(op.name)
            if len(self.names) - 1 != self.number:
                return original(op, *args, **settings)
            with patch.object(Op, "__call__", original):
                return _broken_call(op, args, settings, self.kind)

        with patch.object(Op, "__call__", call):
            yield


def _broken_call(op: Op, args: tuple[Any, ...], settings: dict[str, Any], kind: str) -> Any:
    out = op(*args, **settings)
    if kind in ("drop first term", "drop second term", "skip function"):
        kept = args[1] if kind == "drop first term" else args[0]
        return OPS["add"](kept, OPS["multiply"](0.0, _finite(out)))  # broadcast as before
    if kind == "swap operands":
        return op(args[1], args[0], *args[2:], **settings)
    flipped = np.flip(args[1].data, axis=tuple(range(max(1, args[1].ndim - 1))))
    return op(args[0], wrap(flipped.copy()), *args[2:], **settings)


def _finite(x: Tensor) -> Tensor:
    return wrap(np.nan_to_num(x.data))


def _applicable(name: str, kind: str) -> bool:
    """Whether an inner call of the op `name` can be broken in this way."""
    op = OPS[name]
    if kind.startswith("drop"):
        return name in ("add", "subtract")
    if kind == "swap operands":
        return op.arity == 2 and name not in COMMUTATIVE
    if kind == "skip function":
        return op.arity == 1 and not op.setting_names and not op.linear
    return name == "matmul" or name.startswith("conv")


class _Broken:
    """A rule, broken; remembers whether that ever made a difference."""

    def __init__(self, rule: Callable[..., Any], mutant: Mutant, number: int = -1) -> None:
        self.rule, self.mutant = rule, mutant
        self.calls = _Calls(number, mutant.kind)
        self.differed = False

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        right = self.rule(*arguments, **settings)
        if right is None:
            return None
        wrong = self._wrong(right, arguments, settings)
        self.differed |= bool(right.size) and not (wrong is not None and _equal(wrong, right))
        return wrong

    def _wrong(self, right: Any, arguments: tuple[Any, ...], settings: dict[str, Any]) -> Any:
        kind = self.mutant.kind
        if kind == "scale by 1.01":
            return right * 1.01
        if kind == "negate":
            return -right
        if kind == "return nothing":
            return None
        if kind == "swap inputs":
            g, out, first, second, *others = arguments
            return self.rule(g, out, second, first, *others, **settings)
        if kind == "forget to un-broadcast":
            shape = arguments[2 + self.mutant.argument].shape
            corner = right
            while corner.ndim > len(shape):
                corner = corner[0] if corner.shape[0] else corner.sum(0)
            for axis, n in enumerate(shape):
                if n == 1 != corner.shape[axis] and corner.size:
                    corner = corner[(slice(None),) * axis + (slice(0, 1),)]
            return corner
        with self.calls.watching():
            return self.rule(*arguments, **settings)


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether two gradients differ by rounding alone, as by a shift that cancels."""
    if one.shape != other.shape:
        return False
    scale = np.abs(other.data[np.isfinite(other.data)]).max(initial=0.0)
    return np.allclose(one.data, other.data, rtol=1e-12, atol=1e-13 * scale, equal_nan=True)


def inner_calls(op: Op, argument: int) -> list[str]:
    """The names of the ops that a rule calls, on the op's first sample with elements."""
    for sample in op.samples(np.random.default_rng(0)):
        tensors = tuple(Tensor(a) for a in sample.arrays)
        if all(t.size for t in tensors):
            inputs, settings = op.bind(tensors, sample.settings)
            out = op(*tensors, **sample.settings)
            watcher = _Calls()
            with watcher.watching(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                op.gradient(argument, wrap(np.ones(out.shape)), out, inputs, settings)
            return watcher.names
    return []


def mutants_of(op: Op) -> Iterator[tuple[Mutant, _Broken]]:
    """Every mutant of an op, with the broken rule to put in place."""
    for argument, rule in enumerate(op.gradients or (op.rule_of_any,)):
        if rule is None:
            continue
        for kind in OUTER:
            if kind == "swap inputs" and op.arity < 2:
                continue
            if kind == "forget to un-broadcast" and not op.broadcasts:
                continue
            mutant = Mutant(op.name, argument, kind)
            yield mutant, _Broken(rule, mutant)
        for number, name in enumerate(inner_calls(op, argument)):
            for kind in INNER:
                if _applicable(name, kind):
                    mutant = Mutant(op.name, argument, kind, f"{number + 1} ({name})")
                    yield mutant, _Broken(rule, mutant, number)


def judge(name: str) -> list[Mutant]:
    """Make every mutant of the op registered as `name`, and see which the proof kills.

    Raises:
        GradientError: the op fails its proof as it is, so that nothing would be said by failing.
    """
    op = OPS[name]
    if isinstance(op, Composite) or not op.differentiable:
        return []
    sound = prove(op, fail_fast=True)
    if not sound.passed:
        why = sound.failure or f"{', '.join(sound.failed)} at {sound.where}"
        raise GradientError(f"Op {name!r} fails its proof before any rule is broken: {why}.")
    judged = []
    for mutant, broken in mutants_of(op):
        with _in_place(op, mutant.argument, broken):  # most are seen in float64, and there first
            killed = not all(
                prove(op, dtypes=dtype, fail_fast=True).passed for dtype in ("float64", "float32")
            )
        mutant.verdict = "killed" if killed else "survived" if broken.differed else "no effect"
        judged.append(mutant)
    return judged


@contextmanager
def _in_place(op: Op, argument: int, rule: Callable[..., Any]) -> Iterator[None]:
    """The op with another rule for one argument, or for all if it has one rule for all."""
    before = op.gradients, op.rule_of_any
    if op.gradients:
        op.gradients = (*op.gradients[:argument], rule, *op.gradients[argument + 1 :])
    else:
        op.rule_of_any = rule
    try:
        yield
    finally:
        op.gradients, op.rule_of_any = before


def summary(mutants: list[Mutant]) -> str:
    """A table by kind, the share killed, and the survivors by name."""
    lines = [f"{'mutation':<26}{'mutants':>8}{'killed':>8}{'survived':>10}"]
    for kind in (*OUTER, *INNER):
        count = Counter(m.verdict for m in mutants if m.kind == kind)
        total = count["killed"] + count["survived"]
        lines.append(f"{kind:<26}{total:>8}{count['killed']:>8}{count['survived']:>10}")
    count = Counter(m.verdict for m in mutants)
    total = count["killed"] + count["survived"]
    share = count["killed"] / total if total else 0.0
    lines.append(
        f"{'all':<26}{total:>8}{count['killed']:>8}{count['survived']:>10}   {share:.1%} killed"
    )
    lines += [f"survived: {m}" for m in mutants if m.verdict == "survived"]
    return "\n".join(lines)
