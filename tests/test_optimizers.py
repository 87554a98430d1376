"""Optimizers: trajectories against Keras's formulas variable by variable, and the flat vector."""

from __future__ import annotations

import copy
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt

Array = np.ndarray
SHAPES = [(3, 4), (4,), (2, 2, 3), ()]
STEPS = 25
TOLERANCE = {"float32": 5e-6, "float64": 1e-13}


def variables(dtype: str = "float32", shapes: Any = SHAPES) -> list[gt.Variable]:
    rng = np.random.default_rng(1)
    return [gt.Variable(rng.normal(size=s), dtype, name=f"v{i}") for i, s in enumerate(shapes)]


def gradients(
    dtype: str = "float32", shapes: Any = SHAPES, steps: int = STEPS
) -> list[list[Array]]:
    rng = np.random.default_rng(2)
    scales = [3 if t % 3 else 0.1 for t in range(steps)]
    return [[rng.normal(size=s).astype(dtype) * scale for s in shapes] for scale in scales]


Rule = Callable[[Array, Array, dict[str, Array], int, float], Array]


def sgd(momentum: float = 0.0, nesterov: bool = False) -> Rule:
    def rule(w: Array, g: Array, s: dict[str, Array], t: int, lr: float) -> Array:
        s["v"] = momentum * s.get("v", 0 * w) - lr * g
        return w + (momentum * s["v"] - lr * g if nesterov else s["v"])

    return rule


def adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-7, amsgrad: bool = False) -> Rule:
    def rule(w: Array, g: Array, s: dict[str, Array], t: int, lr: float) -> Array:
        s["m"] = b1 * s.get("m", 0 * w) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0 * w) + (1 - b2) * g**2
        s["top"] = np.maximum(s.get("top", 0 * w), s["v"])
        v = s["top"] if amsgrad else s["v"]
        return w - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * s["m"] / (np.sqrt(v) + eps)

    return rule


def rmsprop(
    rho: float = 0.9, momentum: float = 0.0, eps: float = 1e-7, centered: bool = False
) -> Rule:
    def rule(w: Array, g: Array, s: dict[str, Array], t: int, lr: float) -> Array:
        s["v"] = rho * s.get("v", 0 * w) + (1 - rho) * g**2
        s["a"] = rho * s.get("a", 0 * w) + (1 - rho) * g
        s["u"] = momentum * s.get("u", 0 * w) + lr * g / np.sqrt(
            s["v"] - (s["a"] ** 2 if centered else 0) + eps
        )
        return w - s["u"]

    return rule


def nadam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-7) -> Rule:
    def u(t: int) -> float:
        return b1 * (1 - 0.5 * 0.96**t)

    def rule(w: Array, g: Array, s: dict[str, Array], t: int, lr: float) -> Array:
        s["m"] = b1 * s.get("m", 0 * w) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0 * w) + (1 - b2) * g**2
        product = np.prod([u(i) for i in range(1, t + 1)])
        ahead = u(t + 1) * s["m"] / (1 - product * u(t + 1)) + (1 - u(t)) * g / (1 - product)
        return w - lr * ahead / (np.sqrt(s["v"] / (1 - b2**t)) + eps)

    return rule


def adamax(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-7) -> Rule:
    def rule(w: Array, g: Array, s: dict[str, Array], t: int, lr: float) -> Array:
        s["m"] = b1 * s.get("m", 0 * w) + (1 - b1) * g
        s["u"] = np.maximum(b2 * s.get("u", 0 * w), abs(g))
        return w - lr / (1 - b1**t) * s["m"] / (s["u"] + eps)

    return rule


def lion(b1: float = 0.9, b2: float = 0.99) -> Rule:
    def rule(w: Array, g: Array, s: dict[str, Array], t: int, lr: float) -> Array:
        m = s.get("m", 0 * w)
        s["m"] = b2 * m + (1 - b2) * g
        return w - lr * np.sign(b1 * m + (1 - b1) * g)

    return rule


def adagrad(first: float = 0.1, eps: float = 1e-7) -> Rule:
    def rule(w: Array, g: Array, s: dict[str, Array], t: int, lr: float) -> Array:
        s["a"] = s.get("a", 0 * w + first) + g**2
        return w - lr * g / np.sqrt(s["a"] + eps)

    return rule


def adadelta(rho: float = 0.95, eps: float = 1e-7) -> Rule:
    def rule(w: Array, g: Array, s: dict[str, Array], t: int, lr: float) -> Array:
        s["a"] = rho * s.get("a", 0 * w) + (1 - rho) * g**2
        step = np.sqrt(s.get("d", 0 * w) + eps) / np.sqrt(s["a"] + eps) * g
        s["d"] = rho * s.get("d", 0 * w) + (1 - rho) * step**2
        return w - lr * step

    return rule


def clip_norm(limit: float) -> Callable[[list[Array]], list[Array]]:
    return lambda gs: [g * limit / max(np.sqrt((g**2).sum()), limit) for g in gs]


def clip_global(limit: float) -> Callable[[list[Array]], list[Array]]:
    def clip(gs: list[Array]) -> list[Array]:
        norm = np.sqrt(sum((g**2).sum() for g in gs))
        return [g * min(1.0, limit / norm) for g in gs]

    return clip


CASES: dict[str, tuple[gt.optimizers.Optimizer, Rule, Any, float]] = {
    "sgd": (gt.optimizers.SGD(), sgd(), None, 0),
    "momentum": (gt.optimizers.SGD(0.1, momentum=0.9), sgd(0.9), None, 0),
    "nesterov": (gt.optimizers.SGD(0.1, 0.9, nesterov=True), sgd(0.9, True), None, 0),
    "decay": (gt.optimizers.SGD(0.1, weight_decay=0.1), sgd(), None, 0.1),
    "clipnorm": (gt.optimizers.SGD(0.1, clipnorm=1.0), sgd(), clip_norm(1.0), 0),
    "clipvalue": (gt.optimizers.SGD(0.1, clipvalue=0.5), sgd(),
                  lambda gs: [np.clip(g, -0.5, 0.5) for g in gs], 0),
    "global_clipnorm": (gt.optimizers.SGD(0.1, global_clipnorm=2.0), sgd(), clip_global(2.0), 0),
    "adam": (gt.optimizers.Adam(), adam(), None, 0),
    "amsgrad": (gt.optimizers.Adam(0.01, amsgrad=True), adam(amsgrad=True), None, 0),
    "adam-decay": (gt.optimizers.Adam(0.1, 0.8, 0.9, 1e-3, weight_decay=0.01),
                   adam(0.8, 0.9, 1e-3), None, 0.01),
    "rmsprop": (gt.optimizers.RMSprop(), rmsprop(), None, 0),
    "centered": (gt.optimizers.RMSprop(0.01, momentum=0.9, centered=True),
                 rmsprop(momentum=0.9, centered=True), None, 0),
    "adamw": (gt.optimizers.AdamW(0.01), adam(), None, 0.004),
    "nadam": (gt.optimizers.Nadam(0.01), nadam(), None, 0),
    "adamax": (gt.optimizers.Adamax(0.01, 0.8, 0.9), adamax(0.8, 0.9), None, 0),
    "lion": (gt.optimizers.Lion(0.01), lion(), None, 0),
    "adagrad": (gt.optimizers.Adagrad(0.1, 0.2), adagrad(0.2), None, 0),
    "adadelta": (gt.optimizers.Adadelta(1.0, 0.9, 1e-3), adadelta(0.9, 1e-3), None, 0),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_trajectory_is_that_of_the_formula(name: str, dtype: str) -> None:
    template, rule, clip, decay = CASES[name]
    optimizer = type(template).from_config(template.get_config())
    vs = variables(dtype)
    expected = [v.data.astype(np.float64) for v in vs]
    states: list[dict[str, Array]] = [{} for _ in vs]
    for t, gs in enumerate(gradients(dtype), start=1):
        if t == 12:  # between two steps, the learning rate may change
            optimizer.learning_rate *= 0.5
        lr = optimizer.learning_rate
        optimizer.apply(gs, vs)
        exact = [g.astype(np.float64) for g in gs]
        exact = clip(exact) if clip else exact
        expected = [
            rule(w - decay * lr * w, g, s, t, lr)
            for w, g, s in zip(expected, exact, states, strict=True)
        ]
    for v, w in zip(vs, expected, strict=True):
        assert v.dtype == dtype
        np.testing.assert_allclose(v.data, w, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    assert optimizer.iterations == STEPS


def test_variables_become_views_of_one_vector_per_dtype() -> None:
    vs = [*variables("float32"), *variables("float64", [(5,), (2, 2)])]
    before = [v.data.copy() for v in vs]
    optimizer = gt.optimizers.Adam()
    optimizer.build(vs)
    assert len({id(v.data.base) for v in vs}) == 2
    for v, values in zip(vs, before, strict=True):
        np.testing.assert_array_equal(v.data, values)
    vector = vs[0].data.base
    assert vector.size == sum(v.size for v in vs[:4]) and vector.flags.c_contiguous
    vs[1].assign(np.full(4, 7.0))
    np.testing.assert_array_equal(vector[12:16], 7)
    optimizer.apply([np.zeros(v.shape) for v in vs], vs)
    np.testing.assert_array_equal(vs[1].data, 7)


def test_step_allocates_no_vector() -> None:
    vs = variables(shapes=[(500, 200), (200,)])
    gs = gradients(shapes=[(500, 200), (200,)], steps=1)[0]
    for optimizer in (
        gt.optimizers.SGD(momentum=0.9, nesterov=True, weight_decay=0.1, clipnorm=1.0),
        gt.optimizers.Adam(amsgrad=True, clipvalue=1.0),
        gt.optimizers.RMSprop(momentum=0.5, centered=True, global_clipnorm=1.0),
        gt.optimizers.Nadam(use_ema=True, gradient_accumulation_steps=2),
        gt.optimizers.Adamax(),
        gt.optimizers.Lion(),
        gt.optimizers.Adagrad(),
        gt.optimizers.Adadelta(),
    ):
        optimizer.apply(gs, vs)
        tracemalloc.start()
        optimizer.apply(gs, vs)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < vs[0].data.nbytes / 20, type(optimizer).__name__


def test_missing_gradient_is_said_once_and_changes_nothing() -> None:
    vs = variables()
    gs: list[Any] = [*gradients(steps=1)[0]]
    optimizer = gt.optimizers.Adam(0.1, weight_decay=0.1)
    optimizer.apply(gs, vs)
    kept, state = vs[1].data.copy(), optimizer.get_state()
    gs[1] = None
    with pytest.warns(UserWarning, match="does not depend on v1"):
        optimizer.apply(gs, vs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.apply(gs, vs)
    np.testing.assert_array_equal(vs[1].data, kept)
    np.testing.assert_array_equal(optimizer.get_state()["1/momentum"], state["1/momentum"])
    assert not np.array_equal(optimizer.get_state()["2/momentum"], state["2/momentum"])
    with pytest.raises(ValueError, match="No variable has a gradient"):
        optimizer.apply([None] * 4, vs)
    assert optimizer.iterations == 3


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0], [3, 1, 0]])
def test_part_of_the_variables_is_updated_as_if_alone(order: list[int]) -> None:
    """Freezing and unfreezing layers: the others stay, and slots outlive the pause."""
    together, alone = variables(), variables()
    optimizer = gt.optimizers.SGD(0.1, momentum=0.9)
    single = [gt.optimizers.SGD(0.1, momentum=0.9) for _ in alone]
    for t, gs in enumerate(gradients(steps=9)):
        chosen = order if 3 <= t < 6 else range(4)
        optimizer.apply([gs[i] for i in chosen], [together[i] for i in chosen])
        for i in chosen:
            single[i].apply([gs[i]], [alone[i]])
    for v, w in zip(together, alone, strict=True):
        np.testing.assert_array_equal(v.data, w.data)


def test_new_variables_join_and_old_slots_stay() -> None:
    vs, alone = variables(), variables()
    optimizer, other = gt.optimizers.Adam(0.1), gt.optimizers.Adam(0.1)
    late = gt.Variable(np.ones(3, np.float32), name="late")
    for t, gs in enumerate(gradients(steps=6)):
        other.apply(gs, alone)
        if t < 3:
            optimizer.apply(gs, vs)
        else:
            optimizer.apply([np.ones(3), *gs], [late, *vs])
    for v, w in zip(vs, alone, strict=True):
        np.testing.assert_array_equal(v.data, w.data)
    assert late.data.base is vs[0].data.base and (late.data < 1).all()


def test_state_resumes_bit_for_bit_also_before_the_variables_are_known() -> None:
    for make in (
        lambda: gt.optimizers.Adam(0.1, amsgrad=True),
        lambda: gt.optimizers.SGD(0.1, 0.9),
        lambda: gt.optimizers.RMSprop(0.1, centered=True),
        lambda: gt.optimizers.Nadam(0.1, use_ema=True, gradient_accumulation_steps=3),
        lambda: gt.optimizers.Adagrad(0.1),
    ):
        optimizer, vs, gs = make(), variables(), gradients(steps=10)
        for t in range(5):
            optimizer.apply(gs[t], vs)
        optimizer.learning_rate = 0.05
        state, values = optimizer.get_state(), [v.data.copy() for v in vs]
        for t in range(5, 10):
            optimizer.apply(gs[t], vs)
        for build_first in (False, True):
            again, ws = make(), variables()
            for w, value in zip(ws, values, strict=True):
                w.assign(value)
            if build_first:
                again.build(ws)
            again.set_state(state)
            assert again.get_state()["iterations"] == 5 and again.learning_rate == 0.05
            assert again.get_state().keys() == state.keys()
            for t in range(5, 10):
                again.apply(gs[t], ws)
            for v, w in zip(vs, ws, strict=True):
                np.testing.assert_array_equal(v.data, w.data)


def test_state_of_something_else_is_refused() -> None:
    optimizer = gt.optimizers.Adam()
    optimizer.build(variables())
    with pytest.raises(ValueError, match=r"does not fit Adam with 4 variables: .*velocity"):
        optimizer.set_state(gt.optimizers.SGD().get_state() | {"0/momentum": np.zeros((3, 4))})
    state = optimizer.get_state()
    state["1/velocity"] = np.zeros(5)
    with pytest.raises(ValueError, match=r"'1/velocity' of Adam has shape \(5,\), expected \(4,\)"):
        optimizer.set_state(state)
    optimizer.set_state(gt.optimizers.Adam(0.5).get_state())  # of one that has seen nothing yet
    assert optimizer.learning_rate == 0.5 and not optimizer.get_state()["0/velocity"].any()


def test_values_put_elsewhere_are_taken_back() -> None:
    """Another optimizer, a loaded file or a deep copy may have moved the values."""
    vs = variables()
    first, second = gt.optimizers.SGD(1.0), gt.optimizers.SGD(1.0)
    gs = [np.ones(v.shape) for v in vs]
    start = vs[0].data.copy()
    for optimizer in (first, second, first, second):
        optimizer.apply(gs, vs)
    np.testing.assert_allclose(vs[0].data, start - 4, atol=1e-6)
    vs[0].data = np.zeros((3, 4), np.float32)
    second.apply(gs, vs)
    np.testing.assert_array_equal(vs[0].data, -1)
    copied, ws = copy.deepcopy((second, vs))
    copied.apply(gs, ws)
    np.testing.assert_array_equal(ws[0].data, -2)
    np.testing.assert_array_equal(vs[0].data, -1)


def test_graph_of_old_values_is_not_walked_after_a_step() -> None:
    v = gt.Variable(np.array([2.0, 3.0]), name="v")
    loss = (v * v).sum()
    loss.backward(retain_graph=True)
    gt.optimizers.SGD().apply([v.grad], [v])
    with pytest.raises(RuntimeError, match="overwritten"):
        loss.backward()


def test_gradients_may_be_tensors_and_pairs() -> None:
    v = gt.Variable(np.array([2.0, 3.0]), name="v")
    (v * v).sum().backward()
    optimizer = gt.optimizers.SGD(0.5)
    assert optimizer.apply_gradients([(v.grad, v)]) == 1
    np.testing.assert_array_equal(v.data, 0)
    optimizer.apply([np.ones(2)])  # the variables it knows
    np.testing.assert_array_equal(v.data, -0.5)


def test_gradients_that_do_not_fit_are_refused() -> None:
    vs = variables()
    with pytest.raises(gt.errors.ShapeError, match=r"'v0' must have its shape \(3, 4\).*\(4,\)"):
        gt.optimizers.SGD().apply([np.zeros(4)] * 4, vs)
    with pytest.raises(ValueError, match="received 1 gradients for 4 variables"):
        gt.optimizers.SGD().apply([np.zeros(4)], vs)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: gt.optimizers.SGD(-1.0),
            "learning_rate must be .*received -1",
        ),
        (lambda: gt.optimizers.SGD(float("nan")), "learning_rate must be .*nan"),
        (lambda: gt.optimizers.SGD(clipnorm=1.0, clipvalue=1.0), "Only one way of clipping"),
        (lambda: gt.optimizers.SGD(clipnorm=0.0), "clipnorm must be a positive number or None"),
        (lambda: gt.optimizers.SGD(momentum=1.5), "momentum must be a number from 0 to 1"),
        (lambda: gt.optimizers.Adam(beta_2=1.0), "beta_2 must be below 1"),
        (lambda: gt.optimizers.AdamW(weight_decay=None), "AdamW needs a weight_decay"),
        (
            lambda: gt.optimizers.Adagrad(initial_accumulator_value=-1.0),
            "value must be a number that is not negative",
        ),
        (lambda: gt.optimizers.SGD(gradient_accumulation_steps=1), "must be 2 or more"),
        (
            lambda: gt.optimizers.SGD(use_ema=True, ema_overwrite_frequency=0),
            "a positive integer",
        ),
        (
            lambda: gt.optimizers.SGD(use_ema=True, ema_momentum=1.5),
            "ema_momentum must be",
        ),
        (
            lambda: gt.optimizers.SGD(loss_scale_factor=0.0),
            "loss_scale_factor must be",
        ),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_learning_rate_may_be_any_number_and_nothing_else() -> None:
    optimizer = gt.optimizers.SGD(1)
    optimizer.learning_rate = np.float32(0.5)
    assert optimizer.learning_rate == 0.5 and type(optimizer.learning_rate) is float
    with pytest.raises(TypeError, match="'fast'"):
        optimizer.learning_rate = "fast"  # type: ignore[assignment]


def test_names_and_configurations() -> None:
    assert isinstance(gt.optimizers.get("adam"), gt.optimizers.Adam)
    assert isinstance(gt.optimizers.get("RMSprop"), gt.optimizers.RMSprop)
    assert gt.optimizers.get(None) is None
    optimizer = gt.optimizers.SGD(0.3, momentum=0.5, nesterov=True, clipnorm=2.0, name="mine")
    assert gt.optimizers.get(optimizer) is optimizer
    again = gt.optimizers.get(gt.saving.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    with pytest.raises(ValueError, match=r"Unknown optimizer 'adm'\. Did you mean 'adam'"):
        gt.optimizers.get("adm")
    with pytest.raises(TypeError, match=r"received 0\.1 of type float"):
        gt.optimizers.get(0.1)
