"""`gradcheck`: the gradient of any function of tensors, a layer or a model, against differences.

It refuses what it cannot check. What it returns says how many numbers were compared, and what it
raises says which entry is wrong and what the likely reason is. See `differences` for the method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ..autograd.precision import in_float64
from ..autograd.tape import no_grad
from ..autograd.tensor import Tensor, wrap
from ..autograd.tree import is_structure, tree_map
from ..errors import unknown_name
from ..samples import STEP
from .diagnosis import bent, check_rules, narrowed, pinned, reason
from .differences import (
    RTOL,
    Block,
    GradientError,
    Line,
    Point,
    UncheckedError,
    argument_names,
    compare,
    orders,
    relative_error,
)

__all__ = ["Checked", "GradientError", "UncheckedError", "gradcheck"]

#: What is left of the step where differences disagree, as a kink may lie within it.
REFINED = (1.0, 0.1, 0.01, 0.001)
#: Two calls of a function on the same numbers may differ by this, relatively.
REPEATED = 1e-11


class Checked(float):
    """The worst relative error that `gradcheck` met, as a number.

    Attributes:
        order: the highest order of derivative that was checked.
        compared: for each input and variable, how many numbers of its derivatives were compared:
            every entry of the Jacobian if it is small, else random projections.
        unreached: those that the function does not depend on, by rules and differences alike.
        states: variables in `wrt` that were left out, being no parameters: made with
            ``trainable=False``, such as moving means.
    """

    order: int
    compared: dict[str, int]
    unreached: list[str]
    states: list[str]

    def __new__(
        cls,
        error: float,
        order: int,
        compared: dict[str, int],
        unreached: list[str],
        states: list[str],
    ) -> Checked:
        self = super().__new__(cls, error)
        self.order, self.compared, self.unreached, self.states = order, compared, unreached, states
        return self

    __str__ = float.__repr__

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} for {name}" for name, n in self.compared.items())
        none = f"; no dependence on {', '.join(self.unreached)}" if self.unreached else ""
        left = f"; left out, as not trainable: {', '.join(self.states)}" if self.states else ""
        return (
            f"<gradients agree to order {self.order}: worst relative error {float(self):.1e}; "
            f"numbers compared: {counts}{none}{left}>"
        )


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any = (),
    *,
    wrt: Any = None,
    order: int = 2,
    step: float = STEP,
    rtol: float = RTOL,
    seed: int = 0,
) -> Checked:
    """Check the gradient of a function against numerical differences, in float64.

    Everything is computed in float64, layers and their weights too; weights are as they were
    afterwards. A function that cannot be checked is refused: one of integers, of nothing, with
    other values at each call, at a kink.

    Args:
        fn: takes tensors, returns a tensor or a nested list, tuple or dict of them; a layer or
            model counts.
        inputs: a list or tuple of its arguments, or its only one: arrays, tensors, numbers, or
            nested lists, tuples and dicts of them.
        wrt: what to differentiate by: names or positions of arguments, or tensors and variables
            that `fn` uses, as in ``model.weights``; one or a list. Default: every input, and the
            trainable weights if `fn` is a layer or a model. Inputs that are labels or indices
            have to be left out here.
        order: the highest order of derivative to check.
        step: the difference step, of the order of the distance to the next kink at most.
        rtol: the largest relative error allowed.
        seed: of the random cotangents and directions.

    Returns:
        The worst relative error, a float that also says what was compared (print its `repr`).

    Raises:
        GradientError: an error above `rtol`; says the order, the entry, both its values and the
            likely reason. Also a rule that raises.
        UncheckedError: there is nothing to compare, or comparing would prove nothing.
        ValueError, TypeError: settings out of range, or what is no tensor or array.
    """
    _check_settings(order, step, rtol)
    if not callable(fn):
        raise TypeError(
            f"gradcheck takes a function, a layer or a model, received {type(fn).__name__}."
        )
    return _Check(fn, inputs, step, rtol, seed).run(wrt, order)


def _check_settings(order: Any, step: Any, rtol: Any) -> None:
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or order < 1:
        raise ValueError(f"order must be an integer of at least 1, received {order!r}.")
    for name, value in (("step", step), ("rtol", rtol)):
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not number or not 0 < value < np.inf:
            raise ValueError(f"{name} must be a positive number, received {value!r}.")


def _named_leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every leaf of a structure with its name, as in ``x['images'][0]``."""
    if not is_structure(value):
        yield name, value
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _named_leaves(item, f"{name}[{key!r}]")


def _array(name: str, leaf: Any) -> np.ndarray:
    """A copy of one input as an array: floats as float64, integers and bools as they are."""
    array = leaf.data if isinstance(leaf, Tensor) else np.asarray(leaf)
    if array.dtype.kind not in "fbiu":
        raise TypeError(
            f"gradcheck takes arrays, tensors and numbers, received {type(leaf).__name__} as "
            f"{name}. Fix settings in a function: gradcheck(lambda x: fn(x, setting), x)."
        )
    return np.array(array, np.float64 if array.dtype.kind == "f" else None)


@contextmanager
def _unchanged(fn: Any) -> Iterator[None]:
    """What a layer keeps (weights, moving means, counters) is put back afterwards."""
    owned = [v for v in getattr(fn, "variables", ()) if isinstance(v, Tensor)]
    before = [v.data.copy() for v in owned]
    try:
        yield
    finally:
        for variable, values in zip(owned, before, strict=True):
            if variable.data.tobytes() != values.tobytes():
                variable.assign(values)


@contextmanager
def _doubled(tensors: Sequence[Tensor]) -> Iterator[None]:
    """These tensors in float64 and requiring a gradient, and afterwards with their own arrays."""
    before = [(t.data, t.requires_grad) for t in tensors]
    try:
        for t in tensors:
            t.data, t.requires_grad = t.data.astype(np.float64), True
        yield
    finally:
        for t, (data, required) in zip(tensors, before, strict=True):
            t.data, t.requires_grad = data, required


class _Check:
    """A function, the flat list of what it is differentiated by, and what has been found so far."""

    def __init__(self, fn: Any, inputs: Any, step: float, rtol: float, seed: int) -> None:
        self.fn, self.step, self.rtol = fn, step, rtol
        self.name = str(getattr(fn, "name", "") or getattr(fn, "__name__", "the function"))
        self.rng = np.random.default_rng(seed)
        self.args = tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs,)
        self.arguments = argument_names(fn, len(self.args))
        leaves = [
            (argument, name, leaf)
            for argument, value in zip(self.arguments, self.args, strict=True)
            for name, leaf in _named_leaves(value, argument)
        ]
        self.owners = [argument for argument, _, _ in leaves]
        self.names = [name for _, name, _ in leaves]
        self.given = [leaf for _, _, leaf in leaves]
        self.arrays = [_array(name, leaf) for _, name, leaf in leaves]
        self.outputs: list[str] = []
        self.error = 0.0
        self.compared: dict[str, int] = {}
        self.reached: set[str] = set()
        self.states: list[str] = []

    def run(self, wrt: Any, order: int) -> Checked:
        """Check at every order up to this one."""
        count = len(self.arrays)
        with ExitStack() as until_the_end, np.errstate(all="ignore"):
            if wrt is None:
                self.refuse_integers(set(range(count)))
            until_the_end.enter_context(_unchanged(self.fn))
            with no_grad():
                self.call([wrap(a.copy()) for a in self.arrays])  # builds what is not built yet
            until_the_end.enter_context(_unchanged(self.fn))
            moving, uses = self.chosen(wrt)
            until_the_end.enter_context(_doubled(uses))
            until_the_end.enter_context(in_float64())
            held = dict(enumerate(uses, count))
            first = Point(
                lambda tensors: self.call(tensors[:count]),
                [*self.arrays, *(t.data for t in uses)],
                [*moving, *held],
                held=held,
                names=self.names,
                outputs=self.outputs,
            )
            self.check_calls(first)
            for number, point in enumerate(orders(first, order, self.rng), 1):
                self.check_order(first, point, number)
                if not self.reached:
                    raise UncheckedError(
                        f"{self.name} depends on none of {', '.join(self.compared)}, neither by "
                        "its rules nor by differences: there is no gradient to check."
                    )
        unreached = [name for name in self.compared if name not in self.reached]
        return Checked(self.error, order, self.compared, unreached, self.states)

    def call(self, tensors: list[Tensor]) -> list[Tensor]:
        """The function on the flat list of its inputs: the flat list of its outputs."""
        following = iter(tensors)
        out = self.fn(*(tree_map(lambda _: next(following), value) for value in self.args))
        leaves = list(_named_leaves(out, "output"))
        if not leaves or any(leaf is None or isinstance(leaf, str) for _, leaf in leaves):
            raise TypeError(
                f"{self.name} returned {out!r}; gradcheck needs a function that returns a tensor, "
                "or a list, tuple or dict of tensors."
            )
        self.outputs = [name for name, _ in leaves]
        outputs = [t if isinstance(t, Tensor) else wrap(np.asarray(t)) for _, t in leaves]
        for name, t in zip(self.outputs, outputs, strict=True):
            if t.dtype.kind != "f":
                raise UncheckedError(
                    f"{name} of {self.name} is of {t.dtype}: only floats have a gradient. Return "
                    "the outputs that do, as in gradcheck(lambda x: fn(x)[0], x)."
                )
        return outputs

    # What is differentiated

    def chosen(self, wrt: Any) -> tuple[list[int], list[Tensor]]:
        """The positions of the inputs to differentiate by, and the tensors that `fn` uses."""
        weights = list(getattr(self.fn, "trainable_weights", ()))
        if wrt is None:
            moving, uses = set(range(len(self.arrays))), weights
        else:
            moving, uses = set(), []
            for item in wrt if isinstance(wrt, (list, tuple)) else [wrt]:
                positions, used = self.named(item, weights)
                moving |= positions
                uses += [t for t in used if not any(t is other for other in uses)]
        self.refuse_integers(moving)
        self.states = [t.path for t in uses if not getattr(t, "_learnable", True)]
        uses = [t for t in uses if getattr(t, "_learnable", True)]
        self.names += [getattr(t, "path", f"wrt[{i}]") for i, t in enumerate(uses)]
        sizes = {self.names[i]: self.arrays[i].size for i in moving}
        sizes |= {self.names[len(self.arrays) + i]: t.size for i, t in enumerate(uses)}
        empty = [name for name, size in sizes.items() if not size]
        if empty or not sizes:
            what = f"{' and '.join(empty)} has no elements" if empty else "no input and no weight"
            raise UncheckedError(
                f"gradcheck of {self.name} would compare nothing: {what}. Pass inputs with "
                "elements, or name the others in wrt. (Weights exist once a layer is built.)"
            )
        return sorted(moving), uses

    def named(self, item: Any, weights: list[Any]) -> tuple[set[int], list[Tensor]]:
        """What one element of `wrt` stands for."""
        if isinstance(item, Tensor):
            positions = {i for i, given in enumerate(self.given) if given is item}
            if not positions and (item.dtype.kind != "f" or not item.is_leaf):
                raise TypeError(
                    f"wrt takes floating tensors and variables that were given, not computed; "
                    f"received one of {item.dtype}"
                    + (f", the result of {item._node.op.name!r}." if item._node else ".")
                )
            return positions, [] if positions else [item]
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            if not -len(self.args) <= item < len(self.args):
                raise ValueError(
                    f"wrt={item} names no argument: {self.name} was given {len(self.args)}."
                )
            item = self.arguments[item]
        if not isinstance(item, str):
            raise TypeError(
                "wrt takes names or positions of arguments, tensors, variables, or a list of "
                f"them; received {item!r}."
            )
        positions = {i for i, owner in enumerate(self.owners) if item in (owner, self.names[i])}
        used = [w for w in weights if item in (w.name, w.path)]
        if not positions and not used:
            known = [*self.owners, *self.names, *(w.path for w in weights)]
            raise unknown_name("name in wrt", item, set(known))
        return positions, used

    def refuse_integers(self, moving: set[int]) -> None:
        """Integers and bools have no derivative, and are not to be passed over in silence."""
        whole = [i for i in sorted(moving) if self.arrays[i].dtype.kind != "f"]
        if not whole:
            return
        name, dtype = self.names[whole[0]], self.arrays[whole[0]].dtype
        instead: Any = [self.names[i] for i in sorted(moving) if i not in whole]
        if hasattr(self.fn, "trainable_weights"):
            instead = f"{self.name}.trainable_weights"
        raise UncheckedError(
            f"{name} is of {dtype}, which cannot be differentiated by. If it is data, pass it as "
            f"floats: {name}.astype(float). If it holds labels, indices or a mask, say what to "
            f"differentiate by instead with wrt{f'={instead}' if instead else ''}."
        )

    # Whether differences mean anything here

    def check_calls(self, point: Point) -> None:
        """Refuse a function that writes into its inputs, changes from call to call, or gives
        nothing or no numbers."""
        before = [a.copy() for a in [point.x, *self.arrays]]
        values, again = point.value(point.x), point.value(point.x)
        for name, old, new in zip(["", *self.names], before, [point.x, *self.arrays], strict=False):
            if not np.array_equal(old, new, equal_nan=True):
                what = name or " or ".join(self.names[i] for i in point.moving)
                raise UncheckedError(
                    f"{self.name} writes into its input {what}, so each call sees other numbers. "
                    "Compute a new tensor instead."
                )
        changed = values.shape != again.shape or np.any(
            np.abs(values - again) > REPEATED * (1 + np.abs(values))
        )
        if changed:
            raise UncheckedError(
                f"{self.name} gives other values when called again on the same input: it draws "
                "random numbers or keeps a state. Draw them outside, fix the seed inside, or call "
                "layers with training=False."
            )
        if not values.size:
            raise UncheckedError(f"{self.name} returned nothing but empty tensors to compare.")
        if not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values)))
            raise UncheckedError(
                f"{point.output_entry(bad)} of {self.name} is {values[bad]} at this point: there "
                "is no derivative to compare. Check it at inputs where every output is finite."
            )

    def check_kinks(self, point: Point, block: Block) -> None:
        """Refuse a point where the derivatives from the left and from the right differ."""
        for direction, line in zip(block.directions, block.lines, strict=True):
            bends = bent(line)
            if not bends.any():
                continue
            jumps = bends & bent(self.fine_line(point, block.k, direction))
            if jumps.any():
                direction = narrowed(
                    direction, lambda d: float(bent(self.fine_line(point, block.k, d)).any())
                )
                several = np.count_nonzero(direction) > 1
                fine = self.fine_line(
                    point, block.k, direction if several else abs(np.sign(direction))
                )
                out = int(np.argmax(bent(fine) * fine.bend))
                left = (fine.centre - fine.left)[out] / fine.step
                right = (fine.right - fine.centre)[out] / fine.step
                where = point.names[point.moving[block.k]]
                if not several:
                    where = point.input_entry(block.k, int(np.flatnonzero(direction)[0]))
                raise UncheckedError(
                    f"{self.name} has a kink or a jump at {where}: the derivative of "
                    f"{point.output_entry(out)} is {left:.6g} from one side and {right:.6g} from "
                    "the other, so there is none to compare with. Check it at a point further "
                    "away, as seen in steps."
                )

    def fine_line(self, point: Point, k: int, direction: np.ndarray) -> Line:
        return point.line(point.inward(k, direction), self.step * REFINED[-1])

    # Comparing

    def check_order(self, first: Point, point: Point, order: int) -> None:
        """Compare rules and differences at one order."""
        check_rules(self.name, *point.tape())
        worst: Block | None = None
        for block in compare(point, self.step, self.rng):
            self.refine(point, block)
            self.check_kinks(point, block)
            i = point.moving[block.k]
            if i < len(first.arrays):
                name = point.names[i]
                self.compared[name] = self.compared.get(name, 0) + block.errors.size
                if block.rule.any() or block.difference.any():
                    self.reached.add(name)
            if worst is None or block.errors.max() > worst.errors.max():
                worst = block
        if worst is None:
            return
        if worst.errors.max() > self.rtol:
            raise GradientError(self.disagreement(first, point, worst, order))
        self.error = max(self.error, float(worst.errors.max()))

    def refine(self, point: Point, block: Block) -> None:
        """Take smaller steps where differences disagree: a kink may lie within the first ones.

        A wrong rule agrees at no step.
        """
        for column, direction in enumerate(block.directions):
            for shrink in REFINED[1:]:
                errors = block.errors[:, column]
                if errors.max() <= self.rtol:
                    break
                line = point.line(point.inward(block.k, direction), self.step * shrink)
                difference = block.cotangents @ line.slope
                better = relative_error(block.rule[:, column], difference) < errors
                block.difference[better, column] = difference[better]

    def disagreement(self, first: Point, point: Point, block: Block, order: int) -> str:
        """The error's text: which entry, its two values, how far apart, and why."""
        row, column = block.worst()
        u, v = block.cotangents[row], block.directions[column]
        if not block.full:
            u, v = pinned(point, block.k, u, v, self.step * REFINED[-1])
        out, at = int(np.argmax(np.abs(u))), int(np.argmax(np.abs(v)))
        u, v = (abs(np.sign(w)) if np.count_nonzero(w) == 1 else w for w in (u, v))
        rule = float((point.pulled(u[None])[0, point.parts[block.k]]) @ v)
        lines = [point.line(point.inward(block.k, v), self.step * s) for s in REFINED]
        differences = [float(u @ line.slope) for line in lines]
        errors = relative_error(rule, np.array(differences))
        errors = np.where(np.isnan(errors), np.inf, errors)
        nearest = int(np.argmin(errors))
        where = f"d {point.output_entry(out)} / d {point.input_entry(block.k, at)}"
        wrong = int((block.errors > self.rtol).sum())
        why = reason(first, point, block.k, rule, differences, order)
        return (
            f"Order-{order} gradient of {self.name} is wrong at {where}: {rule:.6g} by the rule, "
            f"{differences[nearest]:.6g} by differences (relative error {errors[nearest]:.2e}, "
            f"allowed {self.rtol:.0e}; {wrong} of {block.errors.size} numbers compared are wrong "
            f"there). Likely reason: {why}."
        )
