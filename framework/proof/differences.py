"""Jacobians two ways: by the gradient rules, and by numerical differences of the forward.

A Jacobian is looked at from both sides, ``U J V``: cotangents U pulled back by the rules and
multiplied by directions V, against U times the differences along V. While it is small, U and V are
unit vectors and every entry is compared; when it is large they are random, one set of directions
for each input. Order n + 1 does the same to the pull-back ``(x, u) -> u^T J(x)``, so one comparison
serves every order. Differences are five-point central ones: their error falls with the fourth power
of the step, and they are exact for anything multilinear at any step.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ..autograd.backward import run_backward
from ..autograd.tape import OPS, enable_grad, no_grad
from ..autograd.tensor import Tensor, wrap
from ..samples import STEP

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


class UncheckedError(GradientError, ValueError):
    """A gradient that cannot be checked as asked: nothing is known about it, and so it failed."""


@contextmanager
def pulling_back() -> Iterator[None]:
    """A rule that raises is a wrong rule.

    Raises:
        GradientError: instead of what was raised inside.
    """
    try:
        yield
    except GradientError:
        raise
    except Exception as error:
        raise GradientError(f"A gradient rule raised {type(error).__name__}: {error}") from error


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
    with np.errstate(invalid="ignore"):
        return np.abs(rule - difference) / (np.abs(difference) + ATOL / RTOL)


def flat(arrays: Iterable[np.ndarray]) -> np.ndarray:
    parts = [a.reshape(-1) for a in arrays]
    return np.concatenate(parts) if parts else np.zeros(0)


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random numbers of either sign, 0.5 to 1 in size: none so small that it hides an entry."""
    return rng.uniform(0.5, 1, shape) * rng.choice((-1.0, 1.0), shape)


def entry(name: str, shape: tuple[int, ...], index: int) -> str:
    """What an element is called, as in ``x[1, 2]``: its index in a flat array as one of `shape`."""
    if not shape:
        return name
    return f"{name}[{', '.join(str(int(i)) for i in np.unravel_index(index, shape))}]"


def argument_names(function: Callable[..., Any], count: int) -> list[str]:
    """What a function calls its first `count` positional arguments."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a builtin does not say
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "input")
    return names[:count] + [f"{rest}[{i}]" for i in range(count - len(names))]


class Line:
    """The values of a function along a straight line: at 0, 1 and 2 steps to both sides of a point.

    Attributes:
        slope: the derivative along it, by a five-point central difference.
        bend: twice the jump of the derivative, if it jumps at the point; else of the order of the
            third power of the step.
    """

    def __init__(self, value: Callable[[float], np.ndarray], centre: np.ndarray, step: float):
        self.left, self.right = value(-step), value(step)
        far_left, far_right = value(-2 * step), value(2 * step)
        self.centre, self.step = centre, step
        near, far = self.right - self.left, far_right - far_left
        self.slope = (8 * near - far) / (12 * step)
        self.bend = np.abs(4 * (self.right + self.left) - far_right - far_left - 6 * centre) / step


class Point:
    """A function at one point, seen as a map from one flat vector to another.

    Args:
        function: of tensors.
        arrays: its inputs.
        moving: the positions of those that are differentiated; the others stay.
        layout: how the moving ones lie in memory.
        held: tensors that the function reaches by itself, by their position among the inputs: they
            are given each value in place, instead of being made anew.
        names: of the inputs.
        outputs: names of the outputs. Default: ``output``, numbered if there are several.
    """

    def __init__(
        self,
        function: Function,
        arrays: Sequence[np.ndarray],
        moving: list[int],
        layout: Layout = contiguous,
        held: Mapping[int, Tensor] | None = None,
        names: Sequence[str] = (),
        outputs: Sequence[str] = (),
    ) -> None:
        self.function = function
        self.arrays = list(arrays)
        self.moving = moving
        self.layout = layout
        self.held = held or {}
        self.x = flat([self.arrays[i] for i in moving])
        self.names = names or [f"x{i}" for i in range(len(self.arrays))]
        self._outputs = outputs

    def _tensors(self, x: np.ndarray, requires_grad: bool) -> list[Tensor]:
        tensors = [self.held[i] if i in self.held else wrap(a) for i, a in enumerate(self.arrays)]
        for i, part in zip(self.moving, self.parts, strict=True):
            values = self.layout(x[part].reshape(self.arrays[i].shape))
            if i in self.held:
                tensors[i].data = values.copy()
            else:
                tensors[i] = wrap(values)
                tensors[i].requires_grad = requires_grad
        return tensors

    @cached_property
    def parts(self) -> list[slice]:
        """Where each moving input lies in the flat vector."""
        ends = np.cumsum([0, *(self.arrays[i].size for i in self.moving)]).tolist()
        return [slice(a, b) for a, b in pairwise(ends)]

    def value(self, x: np.ndarray) -> np.ndarray:
        with no_grad():
            return flat([t.data for t in self.function(self._tensors(x, False))])

    @cached_property
    def centre(self) -> np.ndarray:
        """The value at the point itself."""
        return self.value(self.x)

    def line(self, direction: np.ndarray, step: float) -> Line:
        """The values along a direction."""
        return Line(lambda t: self.value(self.x + t * direction), self.centre, step)

    def tape(self) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs that move, and the outputs, recorded."""
        tensors = self._tensors(self.x.copy(), True)
        return [tensors[i] for i in self.moving], self.function(tensors)

    def pulled(self, cotangents: np.ndarray) -> np.ndarray:
        """``U J`` by the rules, a row for each of the cotangents U."""
        inputs, outputs = self.tape()
        return np.stack([pull_back(inputs, outputs, u) for u in cotangents])

    @cached_property
    def outputs(self) -> list[tuple[str, tuple[int, ...]]]:
        """The name and shape of each output."""
        with no_grad():
            shapes = [t.shape for t in self.function(self._tensors(self.x, False))]
        several = [f"output[{i}]" for i in range(len(shapes))] if len(shapes) > 1 else ["output"]
        return list(zip(self._outputs or several, shapes, strict=True))

    def inward(self, k: int, direction: np.ndarray) -> np.ndarray:
        """A direction of the k-th moving input as one of all of them."""
        full = np.zeros(self.x.size)
        full[self.parts[k]] = direction
        return full

    def input_entry(self, k: int, index: int) -> str:
        """The name of an element of the k-th moving input."""
        i = self.moving[k]
        return entry(self.names[i], self.arrays[i].shape, index)

    def output_entry(self, index: int) -> str:
        """The name of an element of the outputs, counted through all of them."""
        for name, shape in self.outputs:
            size = int(np.prod(shape))
            if index < size:
                return entry(name, shape, index)
            index -= size
        raise IndexError(index)


def pull_back(inputs: list[Tensor], outputs: list[Tensor], cotangent: np.ndarray) -> np.ndarray:
    """``cotangent^T J`` by the rules, flat, zero where an output does not depend on an input."""
    parts, start = [], 0
    for out in outputs:
        parts.append(wrap(cotangent[start : start + out.size].reshape(out.shape)))
        start += out.size
    with pulling_back():
        found = run_backward(outputs, parts, inputs, retain_graph=True)
        return flat(
            [np.zeros(x.shape) if g is None else g.data for x, g in zip(inputs, found, strict=True)]
        )


@dataclass
class Block:
    """What was compared of the Jacobian of one input: ``U J V`` by rules and by differences.

    Attributes:
        k: which of the moving inputs.
        cotangents, directions: the rows of U and the columns of V, as rows.
        full: whether these are the unit vectors, so that every entry is compared.
        lines: what the differences come from, one for each direction.
        rule, difference: shape (cotangents, directions).
    """

    k: int
    cotangents: np.ndarray
    directions: np.ndarray
    full: bool
    lines: list[Line]
    rule: np.ndarray
    difference: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Relative errors, those that are not a number being infinite."""
        errors = relative_error(self.rule, self.difference)
        return np.where(np.isnan(errors), np.inf, errors)

    def worst(self) -> tuple[int, int]:
        """The cotangent and the direction with the largest error."""
        row, column = np.unravel_index(int(np.argmax(self.errors)), self.errors.shape)
        return int(row), int(column)

    def where(self, point: Point) -> str:
        """The place of the largest error, as in ``d output[2] / d x[1, 0]``."""
        if not self.full:
            return f"a random projection of {point.names[point.moving[self.k]]}"
        row, column = self.worst()
        return f"d {point.output_entry(row)} / d {point.input_entry(self.k, column)}"


def compare(point: Point, step: float, rng: np.random.Generator) -> Iterator[Block]:
    """Rules against differences at one point: a block for each input that moves.

    All pull-backs come before the first difference, which overwrites what is held. Where nothing
    goes in or comes out the rules are called all the same, and have to give zeros.
    """
    n, m = point.x.size, point.centre.size
    full = 0 < n * m <= FULL_JACOBIAN
    cotangents = np.eye(m) if full else signed(rng, (PROJECTIONS, m)) * bool(n * m)
    pulled = point.pulled(cotangents)
    for k, part in enumerate(point.parts):
        size = part.stop - part.start
        if not size:
            continue
        directions = np.eye(size) if full else signed(rng, (PROJECTIONS, size))
        lines = [point.line(point.inward(k, d), step) for d in directions]
        difference = cotangents @ np.stack([line.slope for line in lines], axis=1)
        rule = pulled[:, part] @ directions.T
        yield Block(k, cotangents, directions, full, lines, rule, difference)


def pull_back_of(
    function: Function, inputs: int, moving: list[int], held: Mapping[int, Tensor]
) -> Function:
    """``(x..., u...) -> u^T J(x)``, differentiable: its check is one order higher."""

    def pulled_back(tensors: list[Tensor]) -> list[Tensor]:
        # Copies are taped but are no leaves of the caller, and give each input an identity here.
        copied = set(moving) - held.keys()
        x = [OPS["copy"](t) if i in copied else t for i, t in enumerate(tensors[:inputs])]
        taped = [x[i] if x[i].requires_grad else _leaf(x[i]) for i in moving]
        for i, t in zip(moving, taped, strict=True):
            x[i] = t
        with enable_grad():
            outputs = function(x)
        with enable_grad(), pulling_back():
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


def orders(point: Point, order: int, rng: np.random.Generator) -> Iterator[Point]:
    """The function at this point, its pull-back, the pull-back of that: one for each order."""
    yield point
    for _ in range(1, order):
        arrays, names = list(point.arrays), list(point.names)
        cotangents = [rng.uniform(-1, 1, shape) for _, shape in point.outputs]
        moving = [*point.moving, *range(len(arrays), len(arrays) + len(cotangents))]
        point = Point(
            pull_back_of(point.function, len(arrays), point.moving, point.held),
            [*arrays, *cotangents],
            moving,
            point.layout,
            point.held,
            [*names, *(f"cotangent({name})" for name, _ in point.outputs)],
            [f"gradient({names[i]})" for i in point.moving],
        )
        yield point


def check_point(
    point: Point,
    *,
    order: int = 2,
    step: float = STEP,
    rng: np.random.Generator,
    findings: dict[int, Finding] | None = None,
    what: str = "",
) -> dict[int, Finding]:
    """Check a function at one point at orders 1 to `order`; returns the worst finding of each."""
    findings = {} if findings is None else findings
    for number, current in enumerate(orders(point, order, rng), 1):
        finding = findings.setdefault(number, Finding())
        for block in compare(current, step, rng):
            where = block.where(current)
            finding.update(block.errors, f"{what}, {where}" if what else where)
    return findings
