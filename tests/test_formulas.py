"""Ops as formulas: every elementwise op, forward and back, against itself in float64.

An error is at most 4 ulp of the exact result. Where a formula cancels, no kernel of the same
operations can keep to that: there it is compared with what the eager op makes of float32. Twice
its error is allowed on top, for ops of one array the largest of the 17 numbers around (a single one
may be right by chance); for those in `CANCELLING`, an ulp is one of the largest number among the
arrays, the gradient and the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import gradtape as gt
from gradtape import ops
from gradtape.autograd.registry import Composite, composite, op
from gradtape.autograd.tape import OPS
from gradtape.kernels.formula import NotElementwise
from gradtape.program.formulas import Chain

Array = np.ndarray

ACTIVATIONS = (
    "relu leaky_relu relu6 softplus log_sigmoid hard_sigmoid sparse_sigmoid sparse_plus squareplus "
    "elu selu celu silu hard_silu gelu mish softsign hard_tanh tanh_shrink soft_shrink hard_shrink "
    "threshold"
)
UNARY = (
    "negative copy abs square sqrt cbrt reciprocal exp exp2 expm1 log log2 log10 log1p sinh cosh "
    "tanh sigmoid logistic_density arcsinh arccosh arctanh erf erfc deg2rad rad2deg sign floor "
    "ceil rint trunc clip logical_not isfinite isnan isinf signbit"
)
BINARY = (
    "add subtract multiply divide power float_power maximum minimum fmax fmin logaddexp logaddexp2 "
    "heaviside hypot copysign equal not_equal less less_equal greater greater_equal logical_and "
    "logical_or logical_xor sigmoid_cross_entropy"
)
ELEMENTWISE = (*ACTIVATIONS.split(), *UNARY.split(), *BINARY.split(), "where", "dropout", "astype")
#: Sums of terms of two signs.
CANCELLING = ("logaddexp", "logaddexp2", "sigmoid_cross_entropy")

_SPECIAL = np.array(
    [0, -0.0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 6, -6, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-38,
     -1e-38, 3e38, -3e38, 89, -104, 20, -20, 1e20, -1e20, 2.5, -2.5, 0.25, 8388607.5], np.float32,
)  # fmt: skip


def _whole_vectors(*arrays: Any) -> list[Array]:
    short = -arrays[0].size % 8
    return [np.concatenate([a, np.ones(short)]).astype(np.float32) for a in arrays]


def _points(arity: int, name: str) -> list[Array]:
    rng = np.random.default_rng(0)
    if arity == 1:
        sizes = np.geomspace(1e-40, 3e38, 3000)
        sweep = [sizes, -sizes, np.linspace(-12, 12, 4000), np.linspace(-110, 110, 2000), _SPECIAL]
        return _whole_vectors(np.sort(np.concatenate(sweep).astype(np.float32)))
    x, y = (a.ravel() for a in np.meshgrid(_SPECIAL, _SPECIAL))
    near, sizes = rng.normal(size=(2, 3000)), np.exp(rng.uniform(-60, 60, (2, 3000)))
    pairs = np.concatenate(
        [[x, y], near, sizes * rng.choice([-1, 1], (2, 3000)), rng.uniform(-20, 20, (2, 3000))], -1
    )
    x, y = pairs
    chosen = rng.random(x.size) < 0.5
    return _whole_vectors(*{"where": (chosen, x, y), "dropout": (x, chosen)}.get(name, (x, y)))


def _around(errors: Array) -> Array:
    """The largest of each error and its 16 neighbours."""
    known = np.nan_to_num(errors, nan=0, posinf=0)
    return sliding_window_view(np.pad(known, 8), 17).max(axis=-1)


def _assert_as_exact(got: Array, exact: Array, eager: Array, among: list[Array], name: str) -> None:
    """That a kernel's result is; `among` are the arrays that it was computed from."""
    with np.errstate(all="ignore"):
        exact, eager = exact.astype(np.float64), eager.astype(np.float32)
        rounded = exact.astype(np.float32)
        same = (got == rounded) | (got == eager)
        same |= np.isnan(got) & (np.isnan(rounded) | np.isnan(eager))
        size = np.abs(exact)
        if name in CANCELLING:
            size = np.max([size, *map(np.abs, among)], axis=0)
        ulp = np.spacing(size.astype(np.float32)).astype(np.float64)
        own = np.abs(eager - exact)
        error = np.abs(got - exact)
        one = _arity(OPS[name]) == 1
        wrong = np.flatnonzero(~same & ~(error <= 4 * ulp + 2 * (_around(own) if one else own)))
    at = wrong[:3]
    assert not wrong.size, ([a[at] for a in among], got[at], exact[at], eager[at], error[at])


def _run(formula: Any, arrays: dict[Any, Array]) -> Array:
    out = np.empty_like(arrays[0])
    inputs = [arrays[name].ctypes.data for name in formula.reads]
    formula.kernel(list(formula.arguments([out.ctypes.data], inputs, out.size)))
    return out


def _arity(known: Any) -> int:
    return 2 if known.name == "float_power" else getattr(known, "arity", 1)


def _settings(known: Any) -> list[dict[str, Any]]:
    """The settings of the op's samples, as float32."""
    found = {repr(s.settings): s.settings for s in known.samples(np.random.default_rng(0))}
    rounded = [
        {k: float(np.float32(v)) if isinstance(v, float) else v for k, v in settings.items()}
        for settings in found.values()
    ]
    return [{"dtype": "float32"}] if known.name == "astype" else rounded


def _one_step(known: Any, settings: dict[str, Any]) -> Chain:
    return Chain(((known, tuple(("in", k) for k in range(_arity(known))), settings),))


def _check(known: Any, settings: dict[str, Any]) -> None:
    name = known.name
    chain, points = _one_step(known, settings), _points(_arity(known), known.name)
    masks = {("where", 0), ("dropout", 1)}

    def tensors(dtype: Any) -> list[Any]:
        return [
            gt.Tensor(a.astype(bool)) if (name, k) in masks
            else gt.Tensor(a.astype(dtype), requires_grad=True)
            for k, a in enumerate(points)
        ]  # fmt: skip

    with np.errstate(all="ignore"):
        wide, narrow = tensors(np.float64), tensors(np.float32)
        exact, eager = (known(*inputs, **settings) for inputs in (wide, narrow))
        arrays: dict[Any, Array] = dict(enumerate(points))
        got = _run(chain.forward, arrays)
        _assert_as_exact(got, exact.data, eager.data, points, name)
        if not exact.requires_grad:
            return
        rng, size = np.random.default_rng(1), points[0].size
        g = (rng.uniform(0.5, 1, size) * rng.choice([-1, 1], size)).astype(np.float32)
        exact.backward(gt.Tensor(g.astype(np.float64)))
        eager.backward(gt.Tensor(g))
        for k, (of_wide, of_narrow) in enumerate(zip(wide, narrow, strict=True)):
            if of_wide.grad is not None:
                got = _run(chain.backward(k), arrays | {"g": g})
                pair = of_wide.grad.data, of_narrow.grad.data
                _assert_as_exact(got, *pair, [*points, g], name)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_elementwise_op_is_a_kernel_as_exact_as_the_op(name: str) -> None:
    for settings in _settings(OPS[name]):
        _check(OPS[name], settings)


def test_no_other_op_passes_for_elementwise() -> None:
    """What is traced without a word and is not in the list would not be checked."""
    for name, known in OPS.items():
        if known.__module__.startswith("gradtape") and name not in ELEMENTWISE:
            samples = list(known.samples(np.random.default_rng(0)))
            settings = samples[0].settings if samples else {}
            with pytest.raises(NotElementwise):
                count = len(samples[0].arrays) if samples else 1
                Chain(((known, tuple(("in", k) for k in range(count)), settings),))


@op(gradients=(lambda g, out, x, beta: g * (ops.sigmoid(beta * x) * (1.0 + beta * (x - out))),))
def _user_swish(x: Array, /, beta: float = 1.0) -> Array:
    return x / (1 + np.exp(-beta * x))


@op(
    gradients=(
        lambda g, out, x, power, floor: ops.where(
            x > floor, g * power * ops.maximum(x, floor) ** (power - 1), 0.0
        ),
    )
)
def _user_ramp(x: Array, /, power: float = 2.0, floor: float | None = None) -> Array:
    held = x if floor is None else np.maximum(x, floor)
    out = np.empty_like(held)
    np.power(held, power, out=out)
    if floor:
        out -= floor**power
    return out


@op(
    gradients=(
        lambda g, out, x, y: g * y * ops.exp(-ops.square(x - y)) - 2.0 * g * out * (x - y),
        lambda g, out, x, y: g * x * ops.exp(-ops.square(x - y)) + 2.0 * g * out * (x - y),
    )
)
def _user_affinity(x: Array, y: Array, /) -> Array:
    return x * y * np.exp(-np.square(x - y))


@composite()
def _user_blend(x: Any, share: float = 0.3) -> Any:
    return share * _user_swish(x, beta=2.0) + (1 - share) * ops.tanh(x)


_USERS = [
    (_user_swish, {}), (_user_swish, {"beta": 1.5}), (_user_ramp, {"floor": 0.5}),
    (_user_ramp, {"power": 3.0, "floor": 0.0}), (_user_affinity, {}), (_user_blend, {}),
]  # fmt: skip


for _name in ("_user_swish", "_user_ramp", "_user_affinity", "_user_blend"):
    del OPS[_name]  # other tests are about every op that is registered


@pytest.mark.parametrize(("known", "settings"), _USERS)
def test_an_op_of_the_users_is_compiled_from_its_own_code(
    known: Any, settings: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    arrays = [(3 * rng.normal(size=256)).astype(np.float32) for _ in range(_arity(known))]
    g = rng.normal(size=256).astype(np.float32)
    chain = _one_step(known, settings)
    inputs = [gt.Tensor(a.astype(np.float64), requires_grad=True) for a in arrays]
    exact = known(*inputs, **settings)
    exact.backward(gt.Tensor(g.astype(np.float64)))
    held: dict[Any, Array] = dict(enumerate(arrays))
    np.testing.assert_allclose(_run(chain.forward, held), exact.data, rtol=1e-6, atol=1e-6)
    for k, tensor in enumerate(inputs):
        got = _run(chain.backward(k), held | {"g": g})
        np.testing.assert_allclose(got, tensor.grad.data, rtol=2e-6, atol=2e-6)


def test_a_chain_is_one_kernel_forward_and_one_back() -> None:
    steps = (
        ("multiply", (("in", 0), 0.3), {}),
        ("add", (("step", 0), ("in", 1)), {}),
        ("leaky_relu", (("step", 1),), {"negative_slope": 0.1}),
        ("multiply", (("step", 2), ("step", 0)), {}),
    )
    chain = Chain(steps)
    rng = np.random.default_rng(0)
    x, y, g = rng.normal(size=(3, 64)).astype(np.float32)
    inputs = [gt.Tensor(a, requires_grad=True) for a in (x, y)]
    scaled = inputs[0] * 0.3
    out = ops.leaky_relu(scaled + inputs[1], negative_slope=0.1) * scaled
    out.backward(gt.Tensor(g))
    got = _run(chain.forward, {0: x, 1: y})
    np.testing.assert_allclose(got, out.data, rtol=1e-6, atol=1e-7)
    formula = chain.backward(0, 1)
    assert formula.reads == ("g", 0, 1) and chain.forward.reads == (0, 1)
    outs = [np.empty_like(x) for _ in range(2)]
    addresses = [a.ctypes.data for a in (g, x, y)]
    formula.kernel(list(formula.arguments([o.ctypes.data for o in outs], addresses, x.size)))
    for found, tensor in zip(outs, inputs, strict=True):
        np.testing.assert_allclose(found, tensor.grad.data, rtol=1e-6, atol=1e-7)
    assert chain.backward(1).reads == ("g", 0, 1)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "exp", "sqrt", "reciprocal"])
def test_gradients_known_from_the_output_read_nothing_else(name: str) -> None:
    known, rng = OPS[name], np.random.default_rng(0)
    x = rng.uniform(0.1, 4, 64).astype(np.float32)
    if name != "sqrt":
        x *= rng.choice(np.array([-1, 1], np.float32), 64)
    g = rng.normal(size=64).astype(np.float32)
    formula = _one_step(known, {}).backward_from_output()
    assert formula is not None and formula.reads == ("g", "out")
    tensor = gt.Tensor(x.astype(np.float64), requires_grad=True)
    out = known(tensor)
    out.backward(gt.Tensor(g.astype(np.float64)))
    got = _run(formula, {0: x, "g": g, "out": out.data.astype(np.float32)})
    np.testing.assert_allclose(got, tensor.grad.data, rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize("name", ["softplus", "gelu", "log", "multiply", "sin"])
def test_other_gradients_need_the_input(name: str) -> None:
    if name == "sin":
        with pytest.raises(NotElementwise, match=r"sin: np\.sin has no form"):
            _one_step(OPS[name], {})
    else:
        assert _one_step(OPS[name], {}).backward_from_output() is None
    for settings in ({"negative_slope": 0.1}, {"max_value": 1.0}, {"threshold": 0.5}):
        assert _one_step(OPS["relu"], settings).backward_from_output() is None


def test_settings_are_resolved_and_numbers_are_arguments() -> None:
    low, high = (_one_step(ops.clip, {"low": np.float32(v), "high": 3.0}) for v in (0.2, 0.3))
    assert low.forward.kernel is high.forward.kernel
    assert low.backward(0).kernel is high.backward(0).kernel
    with pytest.raises(NotElementwise, match="must not be negative"):
        _one_step(ops.relu, {"threshold": -1.0})
    with pytest.raises(NotElementwise, match="has no setting"):
        _one_step(ops.relu, {"slope": 1.0})


def test_an_op_that_draws_numbers_or_reads_others_is_refused() -> None:
    rng = np.random.default_rng(0)

    @op(gradients=(lambda g, out, x: g,))
    def _noisy(x: Array, /) -> Array:
        return x * rng.random()

    @op(gradients=(lambda g, out, x: g * ops.sum(x),))
    def _summing(x: Array, /) -> Array:
        return x

    try:
        with pytest.raises(NotElementwise, match="something else each time"):
            _one_step(_noisy, {})
        with pytest.raises(NotElementwise, match="the gradient of _summing: sum"):
            _one_step(_summing, {}).backward(0)
    finally:
        del OPS["_noisy"], OPS["_summing"]


def test_composites_are_made_of_the_ops_in_them() -> None:
    assert isinstance(OPS["silu"], Composite)
    source = _one_step(OPS["silu"], {}).backward(0).source
    assert source.count("exp(") == 1  # what sigmoid and its slope share
