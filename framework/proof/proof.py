"""The proof of the registry: every op, on all its samples, in every respect.

| aspect    | what must hold, at each sample                                                      |
|-----------|-------------------------------------------------------------------------------------|
| order 1   | the rule equals numerical differences, in every memory layout, and for ``f(x, x)``   |
| order 2   | the rule's own gradient does                                                         |
| jvp       | pushing forward and pulling back agree: ``<u, J v> = <J^T u, v>``                    |
| adjoint   | linear ops: ``<f(x) - f(0), u> = <x, f^T(u)>``                                       |
| float32   | float32 lies within ``4 sqrt(K) eps`` of float64, for sums of K terms: the result,   |
|           | and apart from it what the rules make of it                                          |

Beside these, an op must leave its inputs alone, keep their dtype, return gradients that share no
memory, and survive infinities, NaN, huge and tiny values.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from ..autograd.functional import jvp
from ..autograd.registry import Composite, Op
from ..autograd.tape import OPS, no_grad
from ..autograd.tensor import Tensor, wrap
from ..errors import unknown_name
from ..samples import Sample, no_samples
from .differences import (
    RTOL,
    Finding,
    Function,
    GradientError,
    Layout,
    Point,
    argument_names,
    check_point,
    contiguous,
    flat,
    pull_back,
    pull_back_of,
    relative_error,
)

#: What a difference of a linear op may be off: rounding alone, since no step is too large for it.
LINEAR_RTOL = 1e-11
ADJOINT_RTOL = 1e-11
JVP_RTOL = 1e-9
#: Jacobians up to this many entries are formed to bound the float32 error.
FLOAT32_JACOBIAN = 4000
EXTREMES = (np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-30, 0.0)
_EPS32 = float(np.finfo(np.float32).eps)
_TINY32 = float(np.finfo(np.float32).tiny)


def strided(array: np.ndarray) -> np.ndarray:
    """Every second element of a larger array."""
    if not array.ndim:
        return array
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def reversed_strides(array: np.ndarray) -> np.ndarray:
    """Negative strides along every axis."""
    return np.flip(np.flip(array).copy())


def fortran_order(array: np.ndarray) -> np.ndarray:
    """The first axis innermost."""
    return np.asarray(array, order="F")


LAYOUTS: dict[str, Layout] = {
    "contiguous": contiguous,
    "strided": strided,
    "negative strides": reversed_strides,
    "Fortran order": fortran_order,
}


@dataclass
class Report:
    """What the proof of one op found: the worst error of each aspect, relative to what is allowed.

    Attributes:
        cases: how many checks were made.
        findings: by aspect.
        bars: the error allowed, by aspect.
        failure: an exception, if one ended the proof.
    """

    name: str
    cases: int = 0
    findings: dict[str, Finding] = field(default_factory=dict)
    bars: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    def aspect(self, name: str, bar: float) -> Finding:
        """The finding to update for an aspect; counts a case."""
        self.cases += 1
        self.bars[name] = bar
        return self.findings.setdefault(name, Finding())

    @property
    def failed(self) -> list[str]:
        """The aspects that exceed what is allowed."""
        return [a for a, f in self.findings.items() if not f.error <= self.bars[a]]

    @property
    def passed(self) -> bool:
        return not self.failure and not self.failed

    @property
    def where(self) -> str:
        """Where the finding closest to, or furthest above, its bar was made."""
        if not self.findings:
            return ""
        worst = max(self.findings, key=lambda a: self.findings[a].error / self.bars[a])
        return f"{worst}: {self.findings[worst].where}" if self.findings[worst].error else ""


class _Case:
    """An op at one sample: what moves, and the call as a function of tensors."""

    def __init__(self, op: Any, sample: Sample) -> None:
        rules = getattr(op, "gradients", ())
        self.op, self.sample, self.arrays = op, sample, sample.arrays
        self.moving = [
            i
            for i, a in enumerate(sample.arrays)
            if a.dtype.kind == "f"
            and i not in sample.constant
            and (not rules or rules[i] is not None)
        ]
        self.names = argument_names(op, len(sample.arrays))
        self.step = 1.0 if op.linear else sample.step
        self.bar = LINEAR_RTOL if op.linear else RTOL

    def __call__(self, tensors: list[Tensor]) -> list[Tensor]:
        out = self.op(*tensors, **self.sample.settings)
        return list(out) if isinstance(out, (list, tuple)) else [out]

    def cast(self, dtype: Any) -> list[np.ndarray]:
        """The sample's arrays in another floating dtype."""
        return [a.astype(dtype) if a.dtype.kind == "f" else a for a in self.arrays]

    def leaves(self, arrays: Iterable[np.ndarray]) -> list[Tensor]:
        """Tensors around these arrays, the moving ones requiring a gradient."""
        tensors = [wrap(a) for a in arrays]
        for i in self.moving:
            tensors[i].requires_grad = True
        return tensors


def _check_conduct(case: _Case, report: Report, rng: np.random.Generator) -> None:
    """Inputs unmutated, dtypes kept, gradients in memory of their own, extreme values survived."""
    before = [a.copy() for a in case.arrays]
    with no_grad():
        case([wrap(a) for a in case.arrays])
    if not all(map(np.array_equal, case.arrays, before)):
        raise GradientError(f"the forward wrote into its input at {case.sample}")
    report.cases += 1
    tensors = case.leaves(case.cast(np.float32))
    outputs = case(tensors)
    if not case.op.differentiable:
        if any(t.requires_grad for t in outputs):
            raise GradientError("declared without gradient, but its result requires one")
        return
    buffers = [t.data for t in tensors]
    for out in outputs:
        widened = out.dtype.kind == "f" and out.dtype != np.float32
        if widened and "dtype" not in case.sample.settings:
            raise GradientError(f"float32 in, {out.dtype} out at {case.sample}")
        if out.requires_grad:
            cotangent = rng.uniform(-1, 1, out.shape).astype(out.dtype)
            out.backward(cotangent, retain_graph=True)
            buffers.append(cotangent)
    for i in case.moving:
        gradient = tensors[i].grad
        if gradient is None:
            continue
        if gradient.dtype != np.float32 or gradient.shape != tensors[i].shape:
            raise GradientError(f"gradient of {gradient.dtype} {gradient.shape} at {case.sample}")
        if any(np.shares_memory(gradient.data, b) for b in buffers):
            raise GradientError(f"a gradient shares memory at {case.sample}")
        buffers.append(gradient.data)
    report.cases += 1


def _check_extremes(case: _Case, report: Report) -> None:
    """No exception, and the same shapes and dtypes, whatever the values."""
    with no_grad():
        shapes = [(t.shape, t.dtype) for t in case([wrap(a) for a in case.arrays])]
    for extreme in EXTREMES:
        arrays = [a.copy() for a in case.arrays]
        for i in case.moving:
            if arrays[i].size:
                arrays[i].flat[arrays[i].size // 2] = extreme
        outputs = case(case.leaves(arrays))
        if [(t.shape, t.dtype) for t in outputs] != shapes:
            raise GradientError(f"another shape or dtype with {extreme} at {case.sample}")
        for out in outputs:
            if out.requires_grad:
                out.backward(np.ones(out.shape), retain_graph=True)
        report.cases += 1


def _check_orders(case: _Case, order: int, report: Report, rng: np.random.Generator) -> None:
    for name, layout in LAYOUTS.items():
        highest = order if layout is contiguous else 1
        if layout is not contiguous and all(case.arrays[i].size < 2 for i in case.moving):
            continue
        findings = {n: report.aspect(f"order {n}", case.bar) for n in range(1, highest + 1)}
        point = Point(case, case.arrays, case.moving, layout, names=case.names)
        check_point(
            point, order=highest, step=case.step, rng=rng, findings=findings,
            what=f"{case.sample}, {name}",
        )  # fmt: skip


def _check_alias(case: _Case, report: Report, rng: np.random.Generator) -> None:
    """``f(x, x)``: the gradients of both uses must add up."""
    shapes = {case.arrays[i].shape for i in case.moving}
    if len(case.moving) < 2 or len(shapes) > 1 or not case.sample.aliasable:
        return
    x = case.arrays[case.moving[0]]

    def aliased(tensors: list[Tensor]) -> list[Tensor]:
        every = [wrap(a) for a in case.arrays]
        for i in case.moving:
            every[i] = tensors[0]
        return case(every)

    if not all(np.isfinite(t.data).all() for t in aliased([wrap(x)])):
        return  # one argument's domain is not the other's
    finding, at = report.aspect("order 1", case.bar), f"{case.sample}, aliased"
    point = Point(aliased, [x], [0], names=["x"])
    check_point(point, order=1, step=case.sample.step, rng=rng, findings={1: finding}, what=at)


def _check_jvp(case: _Case, report: Report, rng: np.random.Generator) -> None:
    def function(*moving: Tensor) -> list[Tensor]:
        every = [wrap(a) for a in case.arrays]
        for i, t in zip(case.moving, moving, strict=True):
            every[i] = t
        return case(every)

    primals = [case.arrays[i] for i in case.moving]
    tangents = [rng.uniform(-1, 1, a.shape) for a in primals]
    outputs, pushed = jvp(function, primals, tangents)
    u = [rng.uniform(-1, 1, t.shape) for t in outputs]
    inputs, taped = Point(case, case.arrays, case.moving).tape()
    pulled = pull_back(inputs, taped, flat(u)) @ flat(tangents)
    forward = flat(u) @ flat([t.data for t in pushed])
    finding = report.aspect("jvp", JVP_RTOL)
    finding.update(np.asarray(relative_error(pulled, forward)), str(case.sample))


def _check_adjoint(case: _Case, report: Report, rng: np.random.Generator) -> None:
    for i in case.moving:
        point = Point(case, case.arrays, [i])
        inputs, outputs = point.tape()
        u = rng.uniform(-1, 1, sum(t.size for t in outputs))
        left = (point.value(point.x) - point.value(np.zeros_like(point.x))) @ u
        right = pull_back(inputs, outputs, u) @ point.x
        finding = report.aspect("adjoint", ADJOINT_RTOL)
        finding.update(np.asarray(relative_error(left, right)), f"{case.sample}, input {i}")


def _check_float32(case: _Case, report: Report) -> None:
    """The error of float32, in the forward and in the pull-back."""
    if "dtype" in case.sample.settings:
        return
    single = case.cast(np.float32)
    with no_grad():
        outputs = case([wrap(a) for a in single])
    finding = report.aspect("float32", 1.0)
    _compare_with_float64(finding, case, single, case.moving, str(case.sample))
    if not all(t.dtype.kind == "f" for t in outputs):
        return
    rng = np.random.default_rng(report.cases)
    back = pull_back_of(case, len(single), case.moving, {})
    cotangents = [rng.uniform(-1, 1, t.shape).astype(np.float32) for t in outputs]
    moving = [*case.moving, *range(len(single), len(single) + len(outputs))]
    finding, at = report.aspect("float32", 1.0), f"{case.sample}, gradient"
    _compare_with_float64(finding, back, [*single, *cotangents], moving, at)


def _compare_with_float64(
    finding: Finding, function: Function, single: list[np.ndarray], moving: list[int], at: str
) -> None:
    """The error of float32 in units of what K roundings allow: 4 sqrt(K) eps (|J| |x| + |y|)."""
    double = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in single]
    point = Point(function, double, moving)
    inputs, outputs = point.tape()
    y = flat([t.data for t in outputs])
    if y.size * point.x.size > FLOAT32_JACOBIAN:
        return
    with no_grad():
        y32 = flat([t.data for t in function([wrap(a) for a in single])])
    jacobian = np.abs([pull_back(inputs, outputs, e) for e in np.eye(y.size)])
    jacobian = jacobian.reshape(y.size, point.x.size)
    terms = np.maximum(np.count_nonzero(jacobian, axis=1), 1)
    allowed = 4 * np.sqrt(terms) * _EPS32 * (jacobian @ np.abs(point.x) + np.abs(y)) + _TINY32
    finding.update(np.abs(y32 - y) / allowed, at)


def prove(
    op: Any,
    order: int = 2,
    dtypes: Sequence[str] = ("float64", "float32"),
    thinning: int = 1,
    fail_fast: bool = False,
) -> Report:
    """Check a registered op on its samples, in every respect listed above.

    Args:
        op: an op, or the name of one.
        order: the highest order of derivative.
        dtypes: "float64" for the numerical checks, "float32" for that of precision.
        thinning: take only one sample in so many.
        fail_fast: stop at the first sample that fails.

    Returns:
        What was found. It did not pass if anything disagreed, or if a rule was never compared.

    Raises:
        ValueError: no op has this name, or a setting is out of range.
        TypeError: what is no op; `gradcheck` checks functions.
    """
    op = _found(op)
    for name, value in (("order", order), ("thinning", thinning)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an integer of at least 1, received {value!r}.")
    dtypes = (dtypes,) if isinstance(dtypes, str) else tuple(dtypes)
    if not dtypes or not set(dtypes) <= {"float64", "float32"}:
        raise ValueError(f"dtypes must be 'float64', 'float32' or both, received {dtypes!r}.")
    report = Report(op.name)
    rng = np.random.default_rng(zlib.crc32(op.name.encode()))
    differentiated: set[int] = set()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            for number, sample in enumerate(islice(op.samples(rng), 0, None, thinning)):
                case = _Case(op, sample)
                _check_conduct(case, report, rng)
                if not case.moving or not op.differentiable:
                    continue
                differentiated.update(i for i in case.moving if case.arrays[i].size)
                if number < 10:
                    _check_extremes(case, report)
                if "float64" in dtypes:
                    _check_orders(case, order, report, rng)
                    _check_alias(case, report, rng)
                    if order > 1:
                        _check_jvp(case, report, rng)
                    if op.linear:
                        _check_adjoint(case, report, rng)
                if "float32" in dtypes:
                    _check_float32(case, report)
                if fail_fast and report.failed:
                    break
    except Exception as error:
        report.failure = f"{type(error).__name__}: {error}"
    report.failure = report.failure or _unproven(op, report, differentiated)
    return report


def _found(op: Any) -> Any:
    """The op itself, given it or its name."""
    if isinstance(op, str):
        if op not in OPS:
            raise unknown_name("op", op, OPS)
        return OPS[op]
    if not isinstance(op, (Op, Composite)):
        raise TypeError(
            f"prove takes an op or the name of one, received {op!r}. gradtape.gradcheck(fn, inputs)"
            " checks a function, a layer or a model."
        )
    return op


def _unproven(op: Any, report: Report, differentiated: set[int]) -> str:
    """What was never compared although there is something to compare, or ""."""
    if op.samples is no_samples:
        return "has no samples: pass samples= where it is made, or try it with gradtape.gradcheck"
    if not report.cases:
        return "its samples yield nothing"
    rules = getattr(op, "gradients", ()) or [op.differentiable]
    never = [i for i, rule in enumerate(rules) if rule and i not in differentiated]
    if never and not report.failed:
        names = argument_names(op, len(rules))
        return f"no sample with elements differentiates by {', '.join(names[i] for i in never)}"
    return ""
