"""Learning-rate schedules: their values, and what optimizers and saved models make of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt

schedules = gt.optimizers.schedules


def test_cosine_decay_goes_down_half_a_cosine() -> None:
    rate = schedules.CosineDecay(0.4, decay_steps=10, alpha=0.1)
    assert rate(0) == pytest.approx(0.4)
    assert rate(5) == pytest.approx(0.4 * (0.9 * 0.5 + 0.1))
    assert rate(2) == pytest.approx(0.4 * (0.9 * (1 + math.cos(math.pi / 5)) / 2 + 0.1))
    assert rate(10) == rate(1000) == pytest.approx(0.04)


def test_cosine_decay_warms_up_in_a_straight_line() -> None:
    rate = schedules.CosineDecay(0.0, 10, warmup_target=0.2, warmup_steps=4)
    assert [rate(step) for step in range(5)] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert rate(9) == pytest.approx(0.1)
    assert rate(14) == pytest.approx(0.0)


@pytest.mark.parametrize(("staircase", "half_way"), [(False, 0.5**0.5), (True, 1.0)])
def test_exponential_decay(staircase: bool, half_way: float) -> None:
    rate = schedules.ExponentialDecay(2.0, 10, 0.5, staircase)
    assert [rate(0), rate(5), rate(10), rate(30)] == pytest.approx([2, 2 * half_way, 1, 0.25])


@pytest.mark.parametrize(("staircase", "half_way"), [(False, 2 / 1.25), (True, 2.0)])
def test_inverse_time_decay(staircase: bool, half_way: float) -> None:
    rate = schedules.InverseTimeDecay(2.0, 10, 0.5, staircase)
    assert [rate(0), rate(5), rate(10), rate(30)] == pytest.approx([2, half_way, 2 / 1.5, 0.8])


def test_polynomial_decay_ends_or_starts_again() -> None:
    rate = schedules.PolynomialDecay(1.0, 10, end_learning_rate=0.2, power=2.0)
    assert [rate(0), rate(5), rate(10), rate(99)] == pytest.approx([1, 0.2 + 0.8 / 4, 0.2, 0.2])
    rate = schedules.PolynomialDecay(1.0, 10, 0.0, cycle=True)
    assert [rate(0), rate(10), rate(11), rate(20)] == pytest.approx([1, 0, 1 - 11 / 20, 0])


def test_cosine_decay_restarts_longer_and_lower() -> None:
    rate = schedules.CosineDecayRestarts(1.0, 4, t_mul=2.0, m_mul=0.5)
    assert [rate(n) for n in (0, 2, 4, 8, 12)] == pytest.approx([1, 0.5, 0.5, 0.25, 0.25])
    rate = schedules.CosineDecayRestarts(1.0, 4, t_mul=1.0, alpha=0.2)
    assert [rate(n) for n in (0, 2, 4, 6)] == pytest.approx([1, 0.6, 1, 0.6])
    rate = schedules.CosineDecayRestarts(1.0, 4, t_mul=0.5, alpha=0.2)
    assert [rate(n) for n in (0, 4, 6, 100)] == pytest.approx([1, 1, 1, 0.2])


def test_piecewise_constant_decay_keeps_a_value_up_to_its_boundary() -> None:
    rate = schedules.PiecewiseConstantDecay([3, 5], [1.0, 0.1, 0.01])
    assert [rate(step) for step in (0, 3, 4, 5, 6)] == [1.0, 1.0, 0.1, 0.1, 0.01]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: schedules.CosineDecay(0.1, 0), "decay_steps must be a positive number"),
        (lambda: schedules.ExponentialDecay(0.1, -1, 0.5), "decay_steps must be a positive number"),
        (lambda: schedules.PolynomialDecay(0.1, 0), "decay_steps must be a positive number"),
        (lambda: schedules.InverseTimeDecay(0.1, 0, 1.0), "decay_steps must be a positive number"),
        (
            lambda: schedules.CosineDecayRestarts(0.1, 0),
            "first_decay_steps must be",
        ),
        (lambda: schedules.PiecewiseConstantDecay([1], [1.0]), "1 boundaries and 1 values"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1, 2, 3]), "must rise"),
    ],
)
def test_what_makes_no_schedule_is_refused(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_a_step_takes_the_rate_of_its_number(name: str) -> None:
    """As one whose rate is set by hand before each step."""
    rate = schedules.PiecewiseConstantDecay([0, 1], [0.5, 0.25, 0.125])
    make = getattr(gt.optimizers, name)
    scheduled, by_hand = make(rate), make(0.5)
    one, other = gt.Variable([1.0, 2.0]), gt.Variable([1.0, 2.0])
    for step in range(4):
        assert scheduled.learning_rate == rate(step)
        by_hand.learning_rate = rate(step)
        scheduled.apply([np.array([1.0, -2.0])], [one])
        by_hand.apply([np.array([1.0, -2.0])], [other])
    assert one.tolist() == other.tolist()


def test_fit_follows_the_schedule() -> None:
    """Also where steps run natively: from a rate of zero on nothing moves any more."""
    x = np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    y = np.arange(64) % 3
    model = gt.Sequential([gt.Input((5,)), gt.layers.Dense(3, "softmax")])
    rate = schedules.PiecewiseConstantDecay([3], [0.1, 0.0])
    model.compile(gt.optimizers.SGD(rate), "sparse_categorical_crossentropy")
    before = model.get_weights()[0]
    model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    after = model.get_weights()[0]
    assert not np.array_equal(before, after)
    model.fit(x, y, batch_size=16, epochs=1, verbose=0)
    assert np.array_equal(model.get_weights()[0], after)


def test_a_number_replaces_a_schedule() -> None:
    optimizer = gt.optimizers.SGD(schedules.ExponentialDecay(1.0, 1, 0.5))
    optimizer.learning_rate = 0.25
    optimizer.iterations = 7
    assert optimizer.learning_rate == 0.25


@pytest.mark.parametrize(
    "rate",
    [
        schedules.CosineDecay(0.1, 20, 0.2, warmup_target=0.3, warmup_steps=2),
        schedules.ExponentialDecay(0.1, 5, 0.9, staircase=True),
        schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.2, 0.3]),
    ],
)
def test_a_saved_model_goes_on_where_its_schedule_was(rate: Any, tmp_path: Path) -> None:
    x, y = np.ones((8, 2), np.float32), np.zeros((8, 1), np.float32)
    model = gt.Sequential([gt.Input((2,)), gt.layers.Dense(1)])
    model.compile(gt.optimizers.Adam(rate), "mse")
    model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    model.save(tmp_path / "model")
    twin = gt.load_model(tmp_path / "model")
    assert twin.optimizer.iterations == 4
    assert twin.optimizer.learning_rate == rate(4)
    twin.optimizer.iterations = 3
    assert twin.optimizer.learning_rate == rate(3)


def test_what_is_no_learning_rate_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a number that is not negative, a schedule"):
        gt.optimizers.SGD("fast")  # type: ignore[arg-type]
