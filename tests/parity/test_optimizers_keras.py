"""Optimizers and schedules under Keras's names go the way that Keras's go."""

from __future__ import annotations

import inspect
import json
import os
from typing import Any

import numpy as np
import pytest

import gradtape as gt

os.environ["KERAS_BACKEND"] = "torch"
import keras

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Array = np.ndarray
#: Of float32 weights of size 1 after 50 steps, each of which rounds.
RTOL, ATOL = 1e-5, 1e-5

OWN: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        {},
        {"learning_rate": 0.1, "momentum": 0.9},
        {"learning_rate": 0.03, "momentum": 0.7, "nesterov": True},
    ],
    "Adam": [
        {},
        {"learning_rate": 0.1, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
        {"learning_rate": 0.05, "amsgrad": True},
    ],
    "AdamW": [{}, {"learning_rate": 0.1, "weight_decay": 0.1}, {"amsgrad": True, "beta_1": 0.5}],
    "Adagrad": [{}, {"learning_rate": 0.5}, {"initial_accumulator_value": 1.0, "epsilon": 0.01}],
    "Adadelta": [{}, {"learning_rate": 1.0, "epsilon": 1e-3}, {"learning_rate": 5.0, "rho": 0.8}],
    "Adamax": [{}, {"learning_rate": 0.1}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01}],
    "Nadam": [{}, {"learning_rate": 0.1}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.01}],
    "Lion": [{}, {"learning_rate": 0.01}, {"beta_1": 0.5, "beta_2": 0.7}],
    "RMSprop": [
        {},
        {"learning_rate": 0.01, "momentum": 0.5},
        {"rho": 0.8, "epsilon": 1e-3, "centered": True},
        {"rho": 0.8, "momentum": 0.5, "centered": True},
    ],
}
COMMON: list[dict[str, Any]] = [
    {"weight_decay": 0.1},
    {"clipnorm": 0.5},
    {"clipvalue": 0.3},
    {"global_clipnorm": 1.0},
    {"use_ema": True, "ema_momentum": 0.8},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    {"gradient_accumulation_steps": 3},
    {"loss_scale_factor": 8.0},
    {"gradient_accumulation_steps": 4, "clipnorm": 0.2, "weight_decay": 0.05, "use_ema": True},
]
CASES = [
    *((name, given) for name, choices in OWN.items() for given in choices),
    *((name, {"learning_rate": 0.01, **given}) for name in OWN for given in COMMON),
]


def label(value: Any) -> str:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def signature(function: Any) -> list[tuple[str, Any]]:
    """Names and defaults of the arguments, in order."""
    parameters = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [(p.name, p.default) for p in parameters if p.kind not in kinds]


@pytest.mark.parametrize("name", OWN)
def test_arguments_are_those_of_keras(name: str) -> None:
    ours, theirs = getattr(gt.optimizers, name), getattr(keras.optimizers, name)
    assert signature(ours) == signature(theirs)
    assert gt.optimizers.get(name.lower()).learning_rate == pytest.approx(
        float(keras.optimizers.get(name.lower()).learning_rate)
    )
    mine, other = ours().get_config(), theirs().get_config()
    assert mine.keys() == other.keys()
    for key in mine.keys() - {"name"}:
        assert mine[key] == (pytest.approx(other[key]) if other[key] else other[key]), key


def _pairs(start: list[Array], constraint: str | None = None) -> tuple[list[Any], list[Any]]:
    mine = [gt.Variable(x, name=f"v{i}") for i, x in enumerate(start)]
    other = [keras.Variable(x, name=f"v{i}") for i, x in enumerate(start)]
    if constraint is not None:
        mine[0].constraint = gt.constraints.get(constraint)
        other[0].constraint = keras.constraints.get(constraint)
    return mine, other


def _walk(ours: Any, theirs: Any, mine: list[Any], other: list[Any], steps: int = 50) -> None:
    rng = np.random.default_rng(7)
    for _ in range(steps):
        noise = [rng.uniform(-1, 1, v.shape).astype(np.float32) for v in mine]
        ours.apply([2 * v.numpy() + n for v, n in zip(mine, noise, strict=True)], mine)
        gradients = [
            2 * v.value.detach() + keras.ops.convert_to_tensor(n)
            for v, n in zip(other, noise, strict=True)
        ]
        theirs.apply(gradients, other)


def _same(mine: list[Any], other: list[Any]) -> None:
    for v, w in zip(mine, other, strict=True):
        np.testing.assert_allclose(v.numpy(), keras.ops.convert_to_numpy(w), RTOL, ATOL)


@pytest.mark.parametrize(("name", "given"), CASES, ids=label)
def test_optimizer_goes_the_same_way_for_50_steps(name: str, given: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    start = [rng.uniform(-1, 1, shape).astype(np.float32) for shape in ((3, 4), (5,))]
    ours, theirs = (getattr(m.optimizers, name)(**given) for m in (gt, keras))
    mine, other = _pairs(start)
    _walk(ours, theirs, mine, other)
    _same(mine, other)
    assert max(np.abs(v.numpy() - x).max() for v, x in zip(mine, start, strict=True)) > 1e-6
    assert ours.iterations == int(theirs.iterations) > 0
    for optimizer, variables in ((ours, mine), (theirs, other)):
        optimizer.finalize_variable_values(variables)
    _same(mine, other)


@pytest.mark.parametrize("constraint", ["max_norm", "non_neg", "unit_norm", "min_max_norm"])
def test_constraints_hold_after_every_step_as_keras_s_do(constraint: str) -> None:
    rng = np.random.default_rng(1)
    start = [rng.uniform(-3, 3, shape).astype(np.float32) for shape in ((3, 4), (5,))]
    mine, other = _pairs(start, constraint)
    given = {"learning_rate": 0.1, "use_ema": True, "ema_overwrite_frequency": 5}
    _walk(gt.optimizers.SGD(**given), keras.optimizers.SGD(**given), mine, other)
    _same(mine, other)


def test_variables_spared_the_decay_are_those_of_keras() -> None:
    start = [np.ones((3,), np.float32), np.ones((2,), np.float32), np.ones((4,), np.float32)]
    mine, other = _pairs(start)
    optimizers = [m.optimizers.AdamW(0.01, weight_decay=0.5) for m in (gt, keras)]
    for optimizer, variables in zip(optimizers, (mine, other), strict=True):
        optimizer.exclude_from_weight_decay(var_list=[variables[0]], var_names=["v1"])
    _walk(*optimizers, mine, other)
    _same(mine, other)


SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("ExponentialDecay", {"decay_steps": 7, "decay_rate": 0.8}),
    ("ExponentialDecay", {"decay_steps": 7, "decay_rate": 0.8, "staircase": True}),
    ("InverseTimeDecay", {"decay_steps": 7, "decay_rate": 0.8}),
    ("InverseTimeDecay", {"decay_steps": 7, "decay_rate": 0.8, "staircase": True}),
    ("PolynomialDecay", {"decay_steps": 30}),
    ("PolynomialDecay", {"decay_steps": 30, "power": 2.0, "end_learning_rate": 0.01}),
    ("PolynomialDecay", {"decay_steps": 11, "power": 0.5, "cycle": True}),
    ("CosineDecay", {"decay_steps": 30}),
    ("CosineDecay", {"decay_steps": 30, "alpha": 0.1, "warmup_target": 0.4, "warmup_steps": 9}),
    ("CosineDecayRestarts", {"first_decay_steps": 9}),
    ("CosineDecayRestarts", {"first_decay_steps": 9, "t_mul": 1.0, "m_mul": 0.8, "alpha": 0.1}),
    ("CosineDecayRestarts", {"first_decay_steps": 5, "t_mul": 1.5, "m_mul": 0.9}),
]


@pytest.mark.parametrize(("name", "given"), SCHEDULES, ids=label)
def test_schedule_has_the_same_rates(name: str, given: dict[str, Any]) -> None:
    ours, theirs = (
        getattr(m.optimizers.schedules, name)(initial_learning_rate=0.2, **given)
        for m in (gt, keras)
    )
    for step in range(100):
        expected = float(keras.ops.convert_to_numpy(theirs(step)))
        # float32 of numbers of size 0.2; Keras computes the power of t_mul in float32, too
        assert ours(step) == pytest.approx(expected, rel=1e-5, abs=2e-7), step
    cls = type(ours)
    assert signature(cls) == signature(type(theirs))
    assert ours.get_config() == pytest.approx(theirs.get_config())
    assert cls.from_config(json.loads(json.dumps(ours.get_config()))).get_config() == (
        ours.get_config()
    )


def test_piecewise_constant_decay_changes_at_the_same_steps() -> None:
    ours, theirs = (
        m.optimizers.schedules.PiecewiseConstantDecay([3, 10], [1.0, 0.5, 0.1]) for m in (gt, keras)
    )
    for step in range(15):
        assert ours(step) == pytest.approx(float(keras.ops.convert_to_numpy(theirs(step))))
    assert ours.get_config() == theirs.get_config()


@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_a_schedule_is_followed_as_in_keras(name: str) -> None:
    start = [np.ones((3, 2), np.float32)]
    ours, theirs = (
        getattr(m.optimizers, name)(m.optimizers.schedules.CosineDecay(0.1, 30), clipvalue=1.0)
        for m in (gt, keras)
    )
    mine, other = _pairs(start)
    _walk(ours, theirs, mine, other)
    _same(mine, other)
