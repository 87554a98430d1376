"""From an optimizer's `update` to a kernel: NumPy code, run once on arrays to come.

An update of this package takes all its numbers from `Optimizer.factors`, so its formula is known as
long as its settings stay. A user's may compute numbers as it likes: it is run anew in each step,
which finds the numbers of that step; only if the formula is another, another kernel is needed. What
is no formula of single elements stays NumPy on the flat vector.
"""

from __future__ import annotations

import copy
import functools
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..config.naming import is_own
from ..kernels import updates
from ..kernels.elements import Elements
from ..kernels.formula import Expression, factor, given, in_order
from ..kernels.native import Kernel
from .watching import patched


@dataclass(frozen=True)
class Rule:
    """What an update makes of the weights, and of what is kept of them.

    Attributes:
        results: the new weights, then the kept vectors in the order of `slot_names`.
        label: what to call the kernel.
        count: how many factors it takes.
        factors: those of this step; None: `Optimizer.factors` says.
        after: what the attributes of the optimizer are after it.
    """

    results: tuple[Expression, ...]
    label: str
    count: int
    factors: list[float] | None = None
    after: dict[str, Any] | None = None

    @property
    def kernel(self) -> Kernel:
        """The kernel, one for each formula."""
        return updates.rule(self.results, self.label)


#: The rules of optimizers of this package, by their classes and settings; so many at most.
_known: dict[tuple[Any, ...], Rule] = {}
_MOST = 64
#: What the users' updates were found to be for the step to come.
_found: weakref.WeakKeyDictionary[Any, Rule | None] = weakref.WeakKeyDictionary()


def rule_of(optimizer: Any) -> Rule | None:
    """The rule of an optimizer now; None: there is none, or it was patched."""
    if patched(optimizer):
        return None
    return _own(optimizer) if is_own(type(optimizer)) else _traced(optimizer, [])


def formula_of(optimizer: Any) -> Any:
    """What, if it changes, makes another kernel of the update; to be asked before each step."""
    if is_own(type(optimizer)):
        return _own(optimizer).results
    _found[optimizer] = found = _traced(optimizer, []) if optimizer._updates else None
    return found.results if found is not None else None


def factors_now(optimizer: Any, rule: Rule) -> list[float]:
    """The factors of the step that is taken now, which moves the optimizer on.

    Raises:
        RuntimeError: the update is another formula than that of the rule.
    """
    if rule.factors is None:
        optimizer.advance()
        return list(optimizer.factors(optimizer.learning_rate))
    now = _found.pop(optimizer, None) or rule_of(optimizer)
    if now is None or now.results != rule.results or now.factors is None or now.after is None:
        raise RuntimeError(f"{type(optimizer).__name__}.update() is another formula than before.")
    vars(optimizer).update(now.after)
    return now.factors


def _own(optimizer: Any) -> Rule:
    """The rule of an optimizer of this package, which depends on its settings only."""
    kind = type(optimizer)
    key = kind, *[getattr(optimizer, name) for name in kind.settings]
    rule = _known.get(key)
    if rule is None:
        twin = copy.copy(optimizer)
        twin.advance()  # Nadam divides by how far it is
        count = len(twin.factors(twin.learning_rate))
        traced = _traced(twin, [0.0] * count)
        assert traced is not None and traced.count == count  # every number is a factor
        if len(_known) == _MOST:
            _known.clear()
        rule = _known[key] = Rule(traced.results, kind.__name__.lower(), count)
    return rule


def _traced(optimizer: Any, numbers: list[float]) -> Rule | None:
    """The rule of an update, from a run of a copy on arrays to come.

    Args:
        numbers: stand for what `factors` returns; empty: it returns what it does. What else the
            update meets arrays with is appended.
    """

    def of_number(value: Any) -> Expression:
        numbers.append(float(value))
        return factor(len(numbers) - 1)

    def array(name: str) -> Elements:
        return Elements(given(name), of_number)

    twin = copy.copy(optimizer)
    before = dict(vars(twin))
    if numbers:
        symbols = tuple(Elements(factor(i), of_number) for i in range(len(numbers)))
        vars(twin)["factors"] = lambda learning_rate: symbols
    else:
        twin.advance()
    vectors = [array(updates.vector(i)) for i in range(1 + len(optimizer.slot_names))]
    slots = dict(zip(optimizer.slot_names, vectors[1:], strict=True))
    scratch = array("scratch_0"), array("scratch_1")
    try:
        with np.errstate(all="ignore"):
            twin.update(vectors[0], array("g"), slots, scratch, twin.learning_rate)
    except Exception:  # whatever it cannot do to these it may still do to arrays of NumPy
        return None
    results = tuple(v.expression for v in vectors)
    changed = {k: v for k, v in vars(twin).items() if k not in before or v is not before[k]}
    kept = any([isinstance(v, Elements) for v in changed.values()])
    if kept or not _is_whole(results):
        return None
    return Rule(results, "update", len(numbers), numbers, changed)


@functools.lru_cache(_MOST)  # which keeps the expressions for the next step, too
def _is_whole(results: tuple[Expression, ...]) -> bool:
    """Whether these are made of nothing that was in the scratch vectors before."""
    inputs = [e.value for e in in_order(results) if e.kind == "given"]
    return not any([name.startswith("scratch") for name in inputs])
