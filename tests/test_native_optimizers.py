"""Optimizers in programs: every setting is native, equals NumPy, and threads change nothing."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import optimizers, program
from gradtape.program.updating import rule_of

L = gt.layers

RULES: dict[str, Any] = {
    "sgd": functools.partial(optimizers.SGD, 0.1),
    "momentum": functools.partial(optimizers.SGD, 0.1, momentum=0.9),
    "nesterov": functools.partial(optimizers.SGD, 0.1, momentum=0.9, nesterov=True),
    "adam": functools.partial(optimizers.Adam, 0.01),
    "amsgrad": functools.partial(optimizers.AdamW, 0.01, amsgrad=True),
    "nadam": functools.partial(optimizers.Nadam, 0.01),
    "adamax": functools.partial(optimizers.Adamax, 0.01),
    "lion": functools.partial(optimizers.Lion, 0.01),
    "adagrad": functools.partial(optimizers.Adagrad, 0.1),
    "adadelta": functools.partial(optimizers.Adadelta, 1.0),
    "rmsprop": functools.partial(optimizers.RMSprop, 0.01),
    "rmsprop_momentum": functools.partial(optimizers.RMSprop, 0.01, momentum=0.5),
    "rmsprop_centered": functools.partial(optimizers.RMSprop, 0.01, centered=True),
    "rmsprop_centered_momentum": functools.partial(
        optimizers.RMSprop, 0.01, momentum=0.5, centered=True
    ),
}
COMMON: dict[str, dict[str, Any]] = {
    "decay": {"weight_decay": 0.1},
    "clipnorm": {"clipnorm": 0.05},
    "clipvalue": {"clipvalue": 0.01},
    "global_clipnorm": {"global_clipnorm": 0.05},
    "wide": {"global_clipnorm": 1e9, "weight_decay": 0.1},
    "ema": {"use_ema": True, "ema_momentum": 0.5},
    "overwritten": {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    "accumulated": {"gradient_accumulation_steps": 3},
    "all": {"weight_decay": 0.1, "clipnorm": 0.05, "use_ema": True,
            "gradient_accumulation_steps": 2, "ema_overwrite_frequency": 4},
    "scaled": {"loss_scale_factor": 64.0, "clipvalue": 0.01},
}  # fmt: skip


def _model(optimizer: Any, units: int = 33) -> Any:
    gt.utils.set_random_seed(3)
    layers = [L.Dense(units, activation="tanh"), L.Dense(7), L.Dense(5, activation="softmax")]
    model = gt.Sequential([gt.Input((6,)), *layers])
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def _batches(count: int, size: int = 20) -> Any:
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.normal(size=(size, 6)).astype(np.float32), rng.integers(0, 5, size)


def _agree(make: Any, prepare: Any = lambda model: None, steps: int = 7) -> None:
    models = [_model(make()) for _ in range(2)]
    models[1]._native = False
    for model in models:
        prepare(model)
    for x, y in _batches(steps):
        losses = [model.train_on_batch(x, y) for model in models]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert models[0]._native and models[0]._native.reason is None
    assert models[0].optimizer.iterations == models[1].optimizer.iterations > 0
    for v, w in zip(*(m.trainable_variables for m in models), strict=True):
        np.testing.assert_allclose(v.data, w.data, rtol=2e-5, atol=5e-6)
    states = [m.optimizer.get_state() for m in models]
    assert states[0].keys() == states[1].keys()
    for key, values in states[0].items():
        np.testing.assert_allclose(values, states[1][key], rtol=1e-4, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", RULES)
def test_every_optimizer_replays_as_it_runs(name: str) -> None:
    assert program.optimizing.has_kernel(RULES[name]())
    _agree(RULES[name])


def test_every_rule_is_one_of_the_usual_optimizers() -> None:
    rules = {name: rule_of(make()) for name, make in RULES.items()}
    usual = {rule_of(optimizer).results for optimizer in optimizers.usual()}
    assert {rule.results for rule in rules.values()} == usual and len(usual) == len(RULES)
    for name, rule in rules.items():
        assert rule.kernel.name.startswith(type(RULES[name]()).__name__.lower())


@pytest.mark.parametrize("name", COMMON)
def test_what_all_optimizers_take_replays_as_it_runs(name: str) -> None:
    _agree(functools.partial(optimizers.Adam, 0.01, **COMMON[name]))
    _agree(functools.partial(optimizers.SGD, 0.1, momentum=0.9, **COMMON[name]))


@pytest.mark.parametrize("name", ["decay", "ema", "all"])
def test_parts_that_are_frozen_or_spared_replay_as_they_run(name: str) -> None:
    def prepare(model: Any) -> None:
        model.layers[1].trainable = False
        model.optimizer.exclude_from_weight_decay(var_names=["bias"])

    _agree(functools.partial(optimizers.Adam, 0.01, **COMMON[name]), prepare)


@pytest.mark.parametrize("name", ["clipnorm", "global_clipnorm", "all"])
def test_threads_change_no_bit_of_an_update(name: str) -> None:
    results = []
    for workers in (1, 2, 3, 4):
        model = _model(optimizers.Nadam(0.01, **COMMON[name]), units=1500)  # more than one task
        variables = model.trainable_variables
        model.optimizer.build(variables)
        update = program.Update(model.optimizer, variables)
        graph = program.graph_of(model, (6,))
        step = program.Step(graph, 80, np.float32, model._scores.loss, update, workers, guard=64)
        for x, y in _batches(4, 80):
            step.run(x, y)
            step.program.check_canaries()
        results.append([*model.get_weights(), *model.optimizer.get_state().values()])
    for values in results[1:]:
        for a, b in zip(values, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_changed_setting_is_picked_up() -> None:
    a, b = (_model(optimizers.Adam(0.01)) for _ in range(2))
    b._native = False
    for number, (x, y) in enumerate(_batches(8)):
        for model in (a, b):
            if number == 3:
                model.optimizer.weight_decay = 0.5
            if number == 5:
                model.optimizer.clipvalue = 0.001
        assert a.train_on_batch(x, y) == pytest.approx(b.train_on_batch(x, y), rel=1e-5)
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=2e-5, atol=5e-6)


def test_slots_that_a_setting_asks_for_later_are_made() -> None:
    a, b = (_model(optimizers.SGD(0.1)) for _ in range(2))
    b._native = False
    for number, (x, y) in enumerate(_batches(9)):
        for model in (a, b):
            if number == 3:
                model.optimizer.momentum = 0.9
            if number == 6:
                model.optimizer.use_ema = True
        assert a.train_on_batch(x, y) == pytest.approx(b.train_on_batch(x, y), rel=1e-5)
        assert number == 0 or a._native.reason is None
    for key, values in a.optimizer.get_state().items():
        np.testing.assert_allclose(values, b.optimizer.get_state()[key], rtol=1e-4, atol=1e-6)
    assert {"0/momentum", "0/average"} <= a.optimizer.get_state().keys()


def test_fit_ends_with_the_averages() -> None:
    model = _model(optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9))
    x, y = next(_batches(1, 64))
    model.fit(x, y, batch_size=16, epochs=2, verbose=0)
    assert model._native.reason is None
    for v in model.trainable_variables:
        np.testing.assert_array_equal(v.data, model.optimizer.average_of(v))


@pytest.mark.parametrize("name", ["nadam", "adagrad", "rmsprop_centered_momentum"])
def test_a_loaded_model_goes_on_as_if_nothing_had_been(name: str, tmp_path: Path) -> None:
    make = functools.partial(RULES[name], use_ema=True, gradient_accumulation_steps=2)
    model = _model(make())
    batches = list(_batches(9))
    for x, y in batches[:5]:
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.npz")
    again = gt.load_model(tmp_path / "model.npz")
    for x, y in batches[5:]:
        assert model.train_on_batch(x, y) == pytest.approx(again.train_on_batch(x, y), rel=1e-5)
    assert model.optimizer.iterations == again.optimizer.iterations == 4
    for key, values in model.optimizer.get_state().items():
        np.testing.assert_allclose(
            values, again.optimizer.get_state()[key], rtol=1e-4, atol=1e-6, err_msg=key
        )


class _Logged(optimizers.SGD):
    """A step of the user's own."""

    steps = 0

    def apply(self, *given: Any) -> None:
        self.steps += 1
        super().apply(*given)


def test_a_step_of_the_users_own_is_taken() -> None:
    model = _model(_Logged(0.1))
    for x, y in _batches(3):
        model.train_on_batch(x, y)
    assert model.optimizer.steps == 3 and "apply() of its own" in model._native.reason


class _Halving(optimizers.Optimizer):
    """An optimizer of the user's."""

    def update(self, weights: Any, gradient: Any, *_: Any) -> None:
        weights -= 0.1 * np.sign(gradient)
        weights *= 0.5


def test_an_update_of_the_users_own_becomes_a_kernel() -> None:
    _agree(functools.partial(_Halving, 0.1, clipnorm=1.0, gradient_accumulation_steps=2))
    assert program.optimizing.has_kernel(_Halving(0.1))


def test_constraints_hold_after_native_steps() -> None:
    def prepare(model: Any) -> None:
        model.layers[0].kernel.constraint = gt.constraints.MaxNorm(0.5)
        model.layers[2].bias.constraint = lambda w: np.maximum(w, 0.01)

    _agree(functools.partial(optimizers.SGD, 0.5), prepare)
    model = _model(optimizers.SGD(0.5))
    prepare(model)
    for x, y in _batches(3):
        model.train_on_batch(x, y)
    assert model._native.reason is None
    assert np.linalg.norm(model.layers[0].kernel.data, axis=0).max() <= 0.5 + 1e-6
    assert (model.layers[2].bias.data >= 0.01).all()
