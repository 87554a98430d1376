"""Why a gradient check failed: float32 on the path, a path that is cut, a rule that is wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..autograd.tape import Node, is_grad_enabled, no_grad
from ..autograd.tensor import Tensor, as_tensor, wrap
from ..samples import STEP
from .differences import (
    ATOL,
    RTOL,
    GradientError,
    Line,
    Point,
    UncheckedError,
    argument_names,
    compare,
    orders,
    pulling_back,
    signed,
)

#: Longer tapes are not searched for the op whose rule is wrong.
SEARCHED = 200
#: A derivative that jumps by more than this, relatively, has a kink.
KINK = 1e-3
#: What rounding may add to a rule that is linear in the cotangent, relatively.
LINEAR = 1e-9
_DOUBLE = np.dtype(np.float64)


def path(inputs: list[Tensor], outputs: list[Tensor]) -> list[tuple[Tensor, Node]]:
    """What was computed from `inputs` on the way to `outputs`, in order, with its recipe."""
    found: dict[Tensor, Node] = {}
    pending = list(outputs)
    while pending:
        t = pending.pop()
        if t._node is not None and t not in found:
            found[t] = t._node
            pending += t._node.checked_inputs(t)
    reached = set(inputs)
    along = []
    for t, node in sorted(found.items(), key=lambda pair: pair[1].serial):
        if any(source in reached for source in node.checked_inputs(t)):
            reached.add(t)
            along.append((t, node))
    return along


def check_rules(name: str, inputs: list[Tensor], outputs: list[Tensor]) -> None:
    """Refuse what comparing with differences cannot see, or would see as rounding.

    Raises:
        UncheckedError: an op on the path computes in float32.
        GradientError: a rule returns another dtype, is not linear in the cotangent, or raises.
    """
    rng = np.random.default_rng(0)
    for out, node in path(inputs, outputs):
        if out.dtype != _DOUBLE:
            raise UncheckedError(
                f"{name} computes in {out.dtype} from {node.op.name!r} on, too coarse for "
                "numerical differences, which need float64. Leave the conversion out while "
                "checking, or make it depend on the dtype of the input."
            )
        sources = node.checked_inputs(out)
        if node.op.recompute is not None:
            continue
        u, v = signed(rng, out.shape), signed(rng, out.shape)
        for i, source in enumerate(sources):
            if source.requires_grad and source.dtype == _DOUBLE:
                _check_rule(node, i, out, [wrap(u), wrap(v), wrap(u - 2 * v)])


def _check_rule(node: Node, i: int, out: Tensor, cotangents: list[Tensor]) -> None:
    inputs = node.checked_inputs(out)
    with no_grad(), pulling_back():
        found = [node.op.gradient(i, u, out, inputs, node.settings) for u in cotangents]
    if any(g is None for g in found):
        return
    values = [as_tensor(g).data for g in found]
    what = f"The gradient rule of {node.op.name!r} for {_argument(node, i)}"
    if values[0].dtype != _DOUBLE:
        raise GradientError(
            f"{what} returned {values[0].dtype} where the input is float64. A rule is written in "
            "gt.ops, and keeps the dtype of its input."
        )
    first, second, both = values
    scale = max(np.abs(first).max(initial=0.0), np.abs(second).max(initial=0.0))
    if np.abs(both - (first - 2 * second)).max(initial=0.0) > LINEAR * scale:
        raise GradientError(
            f"{what} is not linear in the cotangent: what it returns for u - 2 v is not that for u "
            "less twice that for v. A rule multiplies its cotangent by what does not depend on it."
        )


def bent(line: Line) -> np.ndarray:
    """Where the derivative along a line seems to jump, by more than rounding explains."""
    rounding = 100 * np.finfo(np.float64).eps * np.abs(line.centre).max(initial=0.0) / line.step
    return line.bend > KINK * (np.abs(line.slope) + ATOL / RTOL) + rounding


def narrowed(vector: np.ndarray, size: Callable[[np.ndarray], float]) -> np.ndarray:
    """A vector cut in halves down to one element, keeping the half where `size` is larger."""
    kept = np.flatnonzero(vector)
    while kept.size > 1:
        parts = []
        for half in np.array_split(kept, 2):
            part = np.zeros_like(vector)
            part[half] = vector[half]
            parts.append(part)
        larger = max(parts, key=size)
        if not size(larger):
            break  # neither alone shows it
        vector, kept = larger, np.flatnonzero(larger)
    return vector


def pinned(
    point: Point, k: int, u: np.ndarray, v: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """A random cotangent and direction that disagree, narrowed to one entry each that does."""
    slope = point.line(point.inward(k, v), step).slope

    def by_output(part: np.ndarray) -> float:
        pulled = point.pulled(part[None])[0, point.parts[k]] @ v
        return float(np.nan_to_num(abs(part @ slope - pulled), nan=np.inf))

    u = narrowed(u, by_output)
    pulled = point.pulled(u[None])[0, point.parts[k]]

    def by_input(part: np.ndarray) -> float:
        difference = u @ point.line(point.inward(k, part), step).slope
        return float(np.nan_to_num(abs(difference - pulled @ part), nan=np.inf))

    return u, narrowed(v, by_input)


def reason(
    first: Point, point: Point, k: int, rule: float, differences: list[float], order: int
) -> str:
    """The likely reason of a disagreement.

    Args:
        first: the function where it was checked.
        point: the same, or its pull-back if the derivative is of a higher order.
        k: which of the moving inputs of `point`.
        rule: the derivative by the rules.
        differences: the derivative by differences, at falling steps.
        order: of the derivative.
    """
    if not np.isfinite(differences).all():
        return (
            "the function is not finite within two steps of this point, which is at the edge of "
            "its domain. Check it elsewhere, or pass a smaller step"
        )
    if abs(differences[0] - differences[-1]) > 0.1 * abs(rule - differences[-1]):
        return (
            f"differences do not settle as the step falls ({differences[0]:.3g}, then "
            f"{differences[-1]:.3g}): the function has a kink or a jump near here, or bends much "
            "within a step. Check it elsewhere, or pass a smaller step"
        )
    inputs, outputs = point.tape()
    if order == 1 and not path([inputs[k]], outputs):
        return (
            f"no gradient reaches {point.names[point.moving[k]]}: the path is cut. Look for "
            "numpy(), float(), item(), detach(), stop_gradient, no_grad or integers in between"
        )
    along = path(*first.tape())
    if len(along) > SEARCHED:
        return "a gradient rule on the path is wrong, or a part of the path is cut"
    for out, node in along:
        if wrong := _wrong_argument(out, node, order):
            what = f"the gradient rule of {node.op.name!r} for {wrong}"
            if order == 1:
                return f"{what} is wrong"
            return f"{what} has a wrong derivative itself. Is it written in gt.ops throughout"
    return (
        "every op on the path has a right gradient by itself, so a part of the path is cut. Look "
        "for numpy(), float(), item(), detach() or stop_gradient"
    )


def _wrong_argument(output: Tensor, node: Node, order: int) -> str:
    """The argument for which the op of a node has a wrong rule where it was called, or ""."""
    op, sources = node.op, node.checked_inputs(output)
    moving = [i for i, t in enumerate(sources) if t.dtype == _DOUBLE]
    if op.recompute is not None or not moving:
        return ""

    def call(tensors: list[Tensor]) -> list[Tensor]:
        out = wrap(np.asarray(op.forward(*[t.data for t in tensors], **node.settings)))
        if is_grad_enabled() and any(t.requires_grad for t in tensors):
            op.record(out, tuple(tensors), node.settings)
        return [out]

    def wrong(step: float) -> set[int]:
        point = Point(call, [t.data for t in sources], moving)
        *_, last = orders(point, order, np.random.default_rng(0))
        blocks = compare(last, step, np.random.default_rng(0))
        return {last.moving[b.k] for b in blocks if b.errors.max() > RTOL}

    found = wrong(STEP) and wrong(STEP) & wrong(STEP / 100)
    return _argument(node, min(found)) if found else ""


def _argument(node: Node, i: int) -> str:
    count = len(node.inputs or ())
    return repr(argument_names(node.op, count)[i]) if i < count else "its cotangent"
