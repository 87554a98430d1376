"""Updates of optimizers as kernels: found from their NumPy code, whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_native_optimizers import _agree, _batches, _model

from gradtape import optimizers, program
from gradtape.kernels.formula import given
from gradtape.program.updating import factors_now, formula_of, rule_of


class _OwnAdam(optimizers.Optimizer):
    """As a user would write it: all numbers computed in `update`."""

    slot_names = ("m", "v")
    beta = 0.9

    def update(
        self, weights: Any, gradient: Any, slots: Any, scratch: Any, learning_rate: float
    ) -> None:
        m, v = slots["m"], slots["v"]
        step = self.iterations + 1
        m *= self.beta
        m += (1 - self.beta) * gradient
        v[:] = 0.999 * v + 0.001 * gradient**2
        corrected = m / (1 - self.beta**step)
        weights -= learning_rate * corrected / (np.sqrt(v / (1 - 0.999**step)) + 1e-7)


class _Counting(optimizers.Optimizer):
    """Keeps count by itself, and does something else every third time."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__(learning_rate)
        self.count = 0

    def update(self, weights: Any, gradient: Any, *_: Any) -> None:
        self.count += 1
        weights -= 0.1 / self.count * gradient
        if self.count % 3 == 0:
            weights *= 0.9


class _Centred(optimizers.SGD):
    """Looks at all elements."""

    def update(self, weights: Any, gradient: Any, *others: Any) -> None:
        super().update(weights, gradient - np.mean(gradient), *others)


class _Clipped(optimizers.SGD):
    """Calls that of the base."""

    def update(self, weights: Any, gradient: Any, *others: Any) -> None:
        np.clip(gradient, -0.01, 0.01, out=gradient)
        super().update(weights, gradient, *others)


def _warmed(top: float) -> Any:
    """From 0 to a rate and back, by 1 and others that are plain numbers."""
    return optimizers.schedules.CosineDecay(0.0, 6, warmup_target=top, warmup_steps=2)


@pytest.mark.parametrize(
    "make",
    [
        lambda: _OwnAdam(0.01),
        lambda: _OwnAdam(lambda: 0.01, gradient_accumulation_steps=2),
        lambda: _OwnAdam(_warmed(0.02)),
        lambda: _Counting(0.1),
        lambda: _Clipped(0.5, momentum=0.9, nesterov=True),
        lambda: _Centred(0.1),
    ],
    ids=["adam", "accumulated", "scheduled", "counting", "clipped", "centred"],
)  # fmt: skip
def test_an_update_of_the_users_replays_as_it_runs(make: Callable[[], Any]) -> None:
    _agree(make)
    assert program.optimizing.has_kernel(make()) == (not isinstance(make(), _Centred))


def test_a_count_of_the_users_own_rises_once_in_a_step() -> None:
    model = _model(_Counting(0.1))
    for number, (x, y) in enumerate(_batches(7)):
        model.train_on_batch(x, y)
        assert model.optimizer.count == number + 1
    assert model._native.reason is None


def test_numbers_that_change_need_no_other_program() -> None:
    rate = _warmed(1.0)
    for make in (_OwnAdam, optimizers.Adam, optimizers.SGD, optimizers.Lion):
        model = _model(make(rate))
        for x, y in _batches(8):
            model.train_on_batch(x, y)
        assert len(model._native._steps) == 1 and model._native.reason is None


def test_a_formula_that_changes_is_compiled_once() -> None:
    model = _model(_Counting(0.1))
    for x, y in _batches(9):
        model.train_on_batch(x, y)
    assert len(model._native._steps) == 2


def test_a_setting_changed_in_place_is_seen_in_the_next_step() -> None:
    for make in (
        lambda: _OwnAdam(0.01), lambda: optimizers.RMSprop(0.01), lambda: optimizers.Lion(0.01)
    ):  # fmt: skip
        a, b = _model(make()), _model(make())
        b._native = False
        for number, (x, y) in enumerate(_batches(8)):
            for model in (a, b):
                if number == 3:
                    names = {"beta", "beta_1", "rho"} & set(dir(model.optimizer))
                    setattr(model.optimizer, names.pop(), 0.3)
                if number == 5:
                    model.optimizer.learning_rate = 0.003
            assert a.train_on_batch(x, y) == pytest.approx(b.train_on_batch(x, y), rel=1e-5)
        for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_allclose(v, w, rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("optimizer", optimizers.usual(), ids=lambda o: repr(o).split()[0][1:])
def test_every_number_of_our_updates_is_a_factor(optimizer: Any) -> None:
    rule = rule_of(optimizer)
    assert rule is not None and rule.factors is None
    assert len(rule.results) == 1 + len(optimizer.slot_names)
    again = rule_of(type(optimizer)(0.5, **{n: getattr(optimizer, n) for n in optimizer.settings}))
    assert again is rule and formula_of(optimizer) is rule.results
    factors = factors_now(optimizer, rule)
    assert len(factors) == rule.count and all(math.isfinite(f) for f in factors)


def test_looking_at_an_update_leaves_the_optimizer_as_it_was() -> None:
    for optimizer in (_Counting(0.1), optimizers.Nadam()):
        before = dict(vars(optimizer))
        assert rule_of(optimizer) is not None and vars(optimizer) == before


def test_what_keeps_arrays_or_needs_old_scratch_stays_numpy() -> None:
    class Keeping(optimizers.SGD):
        def update(self, weights: Any, gradient: Any, *others: Any) -> None:
            self.last = gradient.copy()
            super().update(weights, gradient, *others)

    class Untidy(optimizers.SGD):
        def update(self, weights: Any, gradient: Any, slots: Any, scratch: Any, rate: Any) -> None:
            weights += 0 * scratch[0]

    class Unmoved(optimizers.SGD):
        def update(self, weights: Any, gradient: Any, *others: Any) -> None:
            pass

    assert rule_of(Keeping(0.1)) is None and rule_of(Untidy(0.1)) is None
    unmoved = rule_of(Unmoved(0.1))
    assert unmoved is not None and unmoved.results == (given("kept_0"),)
    _agree(lambda: Keeping(0.1))


def test_a_patched_update_is_the_patch(monkeypatch: pytest.MonkeyPatch) -> None:
    def halve(self: Any, weights: Any, gradient: Any, *_: Any) -> None:
        weights *= 0.5

    monkeypatch.setattr(optimizers.SGD, "update", halve)
    assert rule_of(optimizers.SGD(0.1)) is None
    model = _model(optimizers.SGD(0.1))
    before = model.get_weights()
    model.train_on_batch(*next(_batches(1)))
    for v, w in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(v, w / 2)


def test_a_step_taken_with_another_formula_is_refused() -> None:
    optimizer = _Counting(0.1)
    rule = rule_of(optimizer)
    assert rule is not None
    factors_now(optimizer, rule)
    factors_now(optimizer, rule)
    with pytest.raises(RuntimeError, match="another formula"):
        factors_now(optimizer, rule)
