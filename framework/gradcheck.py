"""Numerical proof of gradients: what the rules say against differences of the forward.

Order 1 compares the Jacobian of a function, entry by entry while it is small, by random
projections when it is large. Order n + 1 does the same to the function's own pull-back
``(x, u) -> u^T J(x)``, so one comparison serves every order. Differences are five-point central
ones: their error falls with the fourth power of the step, and they are exact for anything
multilinear at any step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .backward import run_backward
from .samples import STEP
from .tape import OPS, enable_grad, no_grad
from .tensor import Tensor, as_tensor, wrap

RTOL = 1e-6
ATOL = 1e-8
#: Jacobians of at most this many entries are compared entry by entry.
FULL_JACOBIAN = 150
PROJECTIONS = 2

#: Tensors in, tensors out: the form in which a function is checked.
Function = Callable[[list[Tensor]], list[Tensor]]
#: Lays the values of an array out in memory in another way.
Layout = Callable[[np.ndarray], np.ndarray]


class GradientError(AssertionError):
    """A gradient rule disagrees with numerical differences."""


@dataclass
class Finding:
    """The worst disagreement met: ``|rule - difference| / (|difference| + ATOL / RTOL)``."""

    error: float = 0.0
    where: str = ""

    def update(self, errors: np.ndarray, where: str) -> None:
        """Take in relative errors; what is not a number counts as infinitely wrong."""
        worst = float(np.max(np.where(np.isnan(errors), np.inf, errors), initial=0.0))
        if worst > self.error:
            self.error, self.where = worst, where


def contiguous(array: np.ndarray) -> np.ndarray:
    """The layout that changes nothing."""
    return array


def relative_error(rule: Any, difference: Any) -> np.ndarray:
    """``|rule - difference| / (|difference| + ATOL / RTOL)``: up to RTOL they agree."""
    return np.abs(rule - difference) / (np.abs(difference) + ATOL / RTOL)


def flat(arrays: Iterable[np.ndarray]) -> np.ndarray:
    parts = [a.reshape(-1) for a in arrays]
    return np.concatenate(parts) if parts else np.zeros(0)


class Point:
    """A function at one point, seen as a map from one flat vector to another.

    Args:
        function: of tensors.
        arrays: its inputs.
        moving: the positions of those that are differentiated; the others stay.
        layout: how the moving ones lie in memory.
    """

    def __init__(
        self,
        function: Function,
        arrays: Sequence[np.ndarray],
        moving: list[int],
        layout: Layout = contiguous,
    ) -> None:
        self.function = function
        self.arrays = list(arrays)
        self.moving = moving
        self.layout = layout
        self.x = flat([self.arrays[i] for i in moving])

    def _tensors(self, x: np.ndarray, requires_grad: bool) -> list[Tensor]:
        tensors = [wrap(a) for a in self.arrays]
        start = 0
        for i in self.moving:
            shape, size = self.arrays[i].shape, self.arrays[i].size
            tensors[i] = wrap(self.layout(x[start : start + size].reshape(shape)))
            tensors[i].requires_grad = requires_grad
            start += size
        return tensors

    def value(self, x: np.ndarray) -> np.ndarray:
        with no_grad():
            return flat([t.data for t in self.function(self._tensors(x, False))])

    def difference(self, direction: np.ndarray, step: float) -> np.ndarray:
        """The derivative along a direction, by a five-point central difference."""
        near = self.value(self.x + step * direction) - self.value(self.x - step * direction)
        far = self.value(self.x + 2 * step * direction) - self.value(self.x - 2 * step * direction)
        return (8 * near - far) / (12 * step)

    def tape(self) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs that move, and the outputs, recorded."""
        tensors = self._tensors(self.x.copy(), True)
        return [tensors[i] for i in self.moving], self.function(tensors)


def pull_back(inputs: list[Tensor], outputs: list[Tensor], cotangent: np.ndarray) -> np.ndarray:
    """``cotangent^T J`` by the rules, flat, zero where an output does not depend on an input."""
    parts, start = [], 0
    for out in outputs:
        parts.append(wrap(cotangent[start : start + out.size].reshape(out.shape)))
        start += out.size
    found = run_backward(outputs, parts, inputs, retain_graph=True)
    return flat(
        [np.zeros(x.shape) if g is None else g.data for x, g in zip(inputs, found, strict=True)]
    )


def compare(point: Point, step: float, rng: np.random.Generator, finding: Finding) -> None:
    """Rules against differences at one point."""
    inputs, outputs = point.tape()
    n, m = point.x.size, sum(t.size for t in outputs)
    if n * m == 0:
        gradient = pull_back(inputs, outputs, np.zeros(m))
        finding.update(np.abs(gradient), "zero-sized")
    elif n * m <= FULL_JACOBIAN:
        numerical = np.stack([point.difference(e, step) for e in np.eye(n)], axis=1)
        by_rule = np.stack([pull_back(inputs, outputs, e) for e in np.eye(m)])
        errors = relative_error(by_rule, numerical)
        row, column = np.unravel_index(int(np.argmax(np.nan_to_num(errors, nan=np.inf))), (m, n))
        finding.update(errors, f"d out[{row}] / d in[{column}]")
    else:
        for _ in range(PROJECTIONS):
            direction = rng.uniform(-1, 1, n)
            cotangent = rng.uniform(-1, 1, m)
            by_rule = pull_back(inputs, outputs, cotangent) @ direction
            numerical = cotangent @ point.difference(direction, step)
            finding.update(np.asarray(relative_error(by_rule, numerical)), "a random projection")


def pull_back_of(function: Function, inputs: int, moving: list[int]) -> Function:
    """``(x..., u...) -> u^T J(x)``, differentiable: its check is one order higher."""

    def pulled_back(tensors: list[Tensor]) -> list[Tensor]:
        # Copies are taped but are no leaves of the caller, and give each input an identity here.
        x = [OPS["copy"](t) if i in moving else t for i, t in enumerate(tensors[:inputs])]
        taped = [x[i] if x[i].requires_grad else _leaf(x[i]) for i in moving]
        for i, t in zip(moving, taped, strict=True):
            x[i] = t
        with enable_grad():
            outputs = function(x)
            found = run_backward(outputs, tensors[inputs:], taped, create_graph=True)
        return [
            wrap(np.zeros(t.shape, t.dtype)) if g is None else g
            for t, g in zip(taped, found, strict=True)
        ]

    return pulled_back


def _leaf(t: Tensor) -> Tensor:
    leaf = t.detach()
    leaf.requires_grad = True
    return leaf


def check_point(
    function: Function,
    arrays: Sequence[np.ndarray],
    moving: list[int],
    *,
    order: int = 2,
    step: float = STEP,
    rng: np.random.Generator,
    findings: dict[int, Finding] | None = None,
    what: str = "",
    layout: Layout = contiguous,
) -> dict[int, Finding]:
    """Check a function at one point at orders 1 to `order`; returns the worst finding of each."""
    findings = {} if findings is None else findings
    for current in range(1, order + 1):
        finding = findings.setdefault(current, Finding())
        before = finding.error
        compare(Point(function, arrays, moving, layout), step, rng, finding)
        if finding.error > before:
            finding.where = f"{what}, {finding.where}" if what else finding.where
        if current < order:
            with no_grad():
                outputs = function([wrap(a) for a in arrays])
            cotangents = [rng.uniform(-1, 1, t.shape) for t in outputs]
            function = pull_back_of(function, len(arrays), moving)
            moving = [*moving, *range(len(arrays), len(arrays) + len(cotangents))]
            arrays = [*arrays, *cotangents]
    return findings


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    order: int = 2,
    step: float = STEP,
    rtol: float = RTOL,
    seed: int = 0,
) -> float:
    """Prove the gradient of a function numerically, in float64.

    Args:
        fn: takes tensors, returns a tensor or a list or tuple of tensors.
        inputs: one array or tensor, or a list or tuple of them; floating ones are differentiated.
        order: the highest order of derivative to check.
        step: the difference step, to be well below the distance to the next kink.
        rtol: the largest relative error allowed.
        seed: of the random cotangents and directions.

    Returns:
        The worst relative error.

    Raises:
        GradientError: an error above `rtol`; says at which order and entry.
    """
    many = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    arrays = [as_tensor(x).data for x in many]
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    moving = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]

    def function(tensors: list[Tensor]) -> list[Tensor]:
        out = fn(*tensors)
        return list(out) if isinstance(out, (list, tuple)) else [out]

    rng = np.random.default_rng(seed)
    findings = check_point(function, arrays, moving, order=order, step=step, rng=rng)
    for current, finding in findings.items():
        if finding.error > rtol:
            raise GradientError(
                f"Order-{current} gradient of {getattr(fn, '__name__', 'the function')} is wrong "
                f"at {finding.where}: relative error {finding.error:.2e}, allowed {rtol:.0e}."
            )
    return max((f.error for f in findings.values()), default=0.0)
