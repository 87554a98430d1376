"""Programs: replay equals eager, threads change nothing, and every change of a model is noticed."""

from __future__ import annotations

import copy
import gc
import os
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradtape as gt
from gradtape import program
from gradtape.kernels import pointwise
from gradtape.kernels.simd import SHARD
from gradtape.program import build, memory, threads

Array = np.ndarray
L = gt.layers


def _data(batch: int, shape: tuple[int, ...] = (28, 28, 1), seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, *shape)).astype(np.float32), rng.integers(0, 10, batch)


def _compiled(model: Any, optimizer: Any = None, loss: Any = None) -> Any:
    model.compile(
        optimizer or gt.optimizers.SGD(0.05, momentum=0.9),
        loss or gt.losses.SparseCategoricalCrossentropy(),
    )
    return model


def _lenet() -> Any:
    gt.utils.set_random_seed(1)
    return _compiled(gt.models.LeNet5())


def _eagerly(model: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(model, "_native", False, raising=False)
    return model


def _native(model: Any) -> Any:
    """The programs of a model that has just run natively."""
    native = model._native
    assert native and native.reason is None, native and native.reason
    return native


def _same_weights(a: Any, b: Any, rtol: float, atol: float) -> None:
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=rtol, atol=atol)


@pytest.mark.parametrize("batch", [1, 17, 32, 50])
def test_replay_equals_eager_for_five_steps(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _lenet(), _eagerly(_lenet(), monkeypatch)
    for seed in range(5):
        x, y = _data(batch, seed=seed)
        assert a.train_on_batch(x, y) == pytest.approx(b.train_on_batch(x, y), rel=2e-5)
    _native(a)
    # five steps of rounding: 1e-5 of the largest weight
    _same_weights(a, b, rtol=0, atol=1e-5)
    x, y = _data(batch, seed=9)
    assert a.test_on_batch(x, y) == pytest.approx(b.test_on_batch(x, y), rel=1e-4)
    np.testing.assert_allclose(a.predict(x), b.predict(x), atol=1e-5)


def _step(model: Any, batch: int, workers: int) -> program.Step:
    variables = model.trainable_variables
    model.optimizer.build(variables)
    update = program.Update(model.optimizer, variables)
    graph = program.graph_of(model, (28, 28, 1))
    return program.Step(graph, batch, np.float32, model._scores.loss, update, workers)


@pytest.mark.parametrize("batch", [33, 128])
def test_results_are_the_same_bits_for_any_number_of_threads(batch: int) -> None:
    results = []
    for workers in (1, 2, 3, 4):
        model = _lenet()
        step = _step(model, batch, workers)
        losses = [step.run(*_data(batch, seed=seed))[0] for seed in range(3)]
        results.append((losses, model.get_weights()))
    for losses, weights in results[1:]:
        assert losses == results[0][0]
        for a, b in zip(weights, results[0][1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_two_runs_agree_bit_for_bit() -> None:
    runs = []
    for _ in range(2):
        model = _lenet()
        x, y = _data(80)
        model.fit(x, y, batch_size=32, epochs=2, verbose=0)
        _native(model)
        runs.append(model.get_weights())
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


# Changes between calls


def test_every_change_between_calls_is_picked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _lenet(), _eagerly(_lenet(), monkeypatch)
    x, y = _data(20)

    def step() -> None:
        assert a.train_on_batch(x, y) == pytest.approx(b.train_on_batch(x, y), rel=2e-5)
        _native(a)
        _same_weights(a, b, rtol=0, atol=2e-5)

    step()
    for model in (a, b):
        model.optimizer.learning_rate = 0.001
    step()
    for model in (a, b):
        model.layers[0].trainable = False
    before = a.layers[0].kernel.numpy().copy()
    step()
    np.testing.assert_array_equal(a.layers[0].kernel.numpy(), before)
    for model in (a, b):
        model.layers[0].trainable = True
        model.layers[-1].kernel.assign(model.layers[-1].kernel.numpy() * 0.5)
    step()
    for model in (a, b):
        model.layers[0].activation = gt.activations.relu
    step()
    for model in (a, b):
        model.optimizer.momentum = 0.5
    step()
    x, y = _data(7, seed=5)
    step()
    for model in (a, b):
        loss = gt.losses.SparseCategoricalCrossentropy(reduction="sum")
        model.compile(gt.optimizers.Adam(1e-4), loss)
    _eagerly(b, monkeypatch)
    step()


def test_weights_of_samples_count(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _lenet(), _eagerly(_lenet(), monkeypatch)
    x, y = _data(20)
    weight = np.linspace(0, 2, 20).astype(np.float32)
    for _ in range(2):
        got, expected = a.train_on_batch(x, y, weight), b.train_on_batch(x, y, weight)
        assert got == pytest.approx(expected, rel=1e-5)
    _native(a)
    _same_weights(a, b, rtol=0, atol=1e-6)


def test_bytes_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _lenet(), _eagerly(_lenet(), monkeypatch)
    x = np.random.default_rng(0).integers(0, 256, (20, 28, 28, 1), np.uint8)
    y = _data(20)[1]
    for _ in range(2):
        assert a.train_on_batch(x, y) == pytest.approx(b.train_on_batch(x, y), rel=1e-4)
    _native(a)


@pytest.mark.parametrize("batch", [3, 16, 21])
@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        (gt.losses.CategoricalCrossentropy(), "softmax"),
        (gt.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1), None),
        (gt.losses.CategoricalCrossentropy(label_smoothing=0.2, reduction="sum"), "softmax"),
        (gt.losses.MeanSquaredError(), "tanh"),
        (gt.losses.MeanSquaredError(), None),
    ],
)
def test_losses_on_arrays_replay_as_they_run(loss: Any, activation: Any, batch: int) -> None:
    models = []
    for _ in range(2):
        gt.utils.set_random_seed(1)
        layers = [gt.Input((6,)), L.Dense(8, activation="relu"), L.Dense(5, activation=activation)]
        models.append(_compiled(gt.Sequential(layers), gt.optimizers.SGD(0.1), loss))
    a, b = models
    b._native = False
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch, 6)).astype(np.float32)
    y = np.eye(5)[rng.integers(0, 5, batch)]
    weight = rng.uniform(0, 2, batch).astype(np.float32)
    for _ in range(3):
        got, expected = a.train_on_batch(x, y, weight), b.train_on_batch(x, y, weight)
        assert got == pytest.approx(expected, rel=1e-5)
    _native(a)
    _same_weights(a, b, rtol=0, atol=1e-5)


# What is not covered


class _Odd(L.Dense):
    """A layer of the user's that looks at values."""

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) * float(inputs.data.size > 0)


def test_what_is_not_covered_runs_eagerly_and_says_why() -> None:
    layers = [_Odd(4), _Odd(4), L.Dense(3, activation="softmax")]
    model = _compiled(gt.Sequential([gt.Input((5,)), *layers]))
    x, y = _data(6, (5,))
    model.train_on_batch(x, y % 3)
    model.train_on_batch(x, y % 3)
    assert "it uses 'data' of a tensor" in model._native.reason
    text = model._native.explain((5,))
    assert "it uses 'data'" in text.splitlines()[0] and text.splitlines()[2].endswith("native")


def test_a_regularizer_is_not_forgotten() -> None:
    model = _compiled(gt.Sequential([gt.Input((5,)), L.Dense(3, activation="softmax")]))
    kernel = model.layers[0].kernel
    kernel.regularizer = lambda v: (v * v).sum()
    x, y = _data(6, (5,))
    losses = [model.train_on_batch(x, y % 3) for _ in range(2)]
    _native(model)
    kernel.regularizer = None
    assert losses[1] < losses[0]
    assert model.test_on_batch(x, y % 3) < losses[1] - float((kernel.data**2).sum()) / 2


def test_wrong_labels_and_shapes_are_refused_before_any_kernel() -> None:
    model = _lenet()
    x, y = _data(10)
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    with pytest.raises(ValueError, match="from 0 to 9"):
        model.train_on_batch(x, y + 100)
    with pytest.raises(ValueError, match="Was the model built for another input"):
        model.train_on_batch(x[:, :20], y)
    step = _step(model, 10, 1)
    with pytest.raises(ValueError, match="This program takes"):
        step.run(x[:5], y[:5])


def test_no_address_leaves_its_buffer() -> None:
    made = build.Build()
    made.begin(per_shard=True)
    buffer = made.buffer(10, "small")
    made.emit(pointwise.fill, buffer, 10, 0)
    for offset, extent in ((-1, 2), (8, 3), (11, None)):
        with pytest.raises(ValueError, match="small"):
            buffer.at(offset, extent)


def test_an_instruction_has_an_argument_for_every_parameter() -> None:
    made = build.Build()
    tasks = made.begin(per_shard=True).tasks
    buffer = made.buffer(10, "small")
    made.emit(pointwise.fill, buffer, value=0, count=10)
    assert tasks[-1][0].arguments == (buffer.at(), 10, 0)
    given: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((buffer, 10), {}),
        ((buffer, 10, 0, 0), {}),
        ((buffer, 10), {"count": 10}),
        ((buffer, 10), {"bits": 0}),
        ((buffer, 10, 0), {"bits": 0}),
    ]
    for row, named in given:
        with pytest.raises(TypeError, match=r"<kernel fill> takes \(out, count, value\)"):
            made.emit(pointwise.fill, *row, **named)
    assert len(tasks[-1]) == 1


# Memory and threads


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 9), st.integers(0, 9)), max_size=12))
@settings(max_examples=100, deadline=None)
def test_buffers_that_live_together_do_not_overlap(buffers: list[tuple[int, int, int]]) -> None:
    made = []
    for size, a, b in buffers:
        buffer = build.Buffer(size, "thread", "b")
        buffer.first, buffer.last = (0, min(a, b)), (0, max(a, b))
        made.append(buffer)
    offsets, size = memory.plan(made)
    for i, a in enumerate(made):
        assert offsets[a] + a.size <= size and offsets[a] % build.ALIGN == 0
        for b in made[:i]:
            together = a.first <= b.last and b.first <= a.last
            apart = offsets[a] + a.size <= offsets[b] or offsets[b] + b.size <= offsets[a]
            assert apart or not together


def test_two_python_threads_may_train_at_once() -> None:
    alone = []
    for seed in range(2):
        model = _lenet()
        model.fit(*_data(64, seed=seed), batch_size=32, epochs=2, shuffle=False, verbose=0)
        alone.append(model.get_weights())
    models = [_lenet(), _lenet()]

    def train(seed: int) -> None:
        x, y = _data(64, seed=seed)
        models[seed].fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0)

    running = [threading.Thread(target=train, args=(seed,)) for seed in range(2)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    for model, expected in zip(models, alone, strict=True):
        for a, b in zip(model.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_can_train() -> None:
    model = _lenet()
    x, y = _data(64)
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    _native(model)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if np.isfinite(model.train_on_batch(x, y)) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_number_of_threads_is_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        program.set_threads(0)
    program.set_threads(1)
    try:
        assert threads.chosen() == 1
    finally:
        program.set_threads(None)


def test_a_copied_model_makes_programs_of_its_own() -> None:
    model = _lenet()
    x, y = _data(SHARD)
    model.train_on_batch(x, y)
    twin = copy.deepcopy(model)
    for _ in range(2):
        assert model.train_on_batch(x, y) == twin.train_on_batch(x, y)
    _native(twin)
    _same_weights(model, twin, 0, 0)


def _branches() -> Any:
    """A functional model with everything that joins, skips, drops and normalises."""
    gt.utils.set_random_seed(4)
    x = gt.Input((8, 9, 3))
    a = L.Conv2D(16, 3, padding="same", use_bias=False)(x)
    a = L.Activation("relu")(L.BatchNormalization()(a))
    b = L.Conv2D(16, 3, padding="same", activation="tanh")(a)
    c = L.Add()([a, L.Dropout(0.3, seed=1)(b)])
    d = L.Concatenate()([L.MaxPooling2D(2)(c), L.AveragePooling2D(2)(L.Subtract()([c, b]))])
    e = L.BatchNormalization()(L.Conv2D(8, 1, strides=2)(d))
    f = L.Dropout(0.5, seed=2)(L.GlobalAveragePooling2D()(e))
    model = gt.Model(x, L.Dense(10, activation="softmax")(f))
    return _compiled(model, gt.optimizers.SGD(0.02, momentum=0.9))


@pytest.mark.parametrize("batch", [2, 16, 37])
def test_branches_dropout_and_moments_replay_as_they_run(batch: int) -> None:
    a, b = _branches(), _branches()
    b._native = False
    x, y = _data(batch, (8, 9, 3))
    for _ in range(5):
        assert a.train_on_batch(x, y) == pytest.approx(b.train_on_batch(x, y), rel=1e-4)
    _native(a)
    _same_weights(a, b, rtol=1e-3, atol=1e-4)
    assert a.test_on_batch(x, y) == pytest.approx(b.test_on_batch(x, y), rel=1e-3)
    np.testing.assert_allclose(a.predict(x), b.predict(x), atol=1e-3)
    assert "no lowering" not in a._native.explain((8, 9, 3))


def test_moments_over_barriers_are_the_same_bits_for_any_number_of_threads() -> None:
    results = []
    for workers in (1, 2, 3, 4):
        model = _branches()
        variables = model.trainable_variables
        model.optimizer.build(variables)
        update = program.Update(model.optimizer, variables)
        graph = program.graph_of(model, (8, 9, 3))
        args = (graph, 75, np.float32, model._scores.loss, update, workers)
        step = program.Step(*args, guard=64)
        for seed in range(3):
            step.run(*_data(75, (8, 9, 3), seed))
            step.program.check_canaries()
        results.append(model.get_weights())
    for weights in results[1:]:
        for a, b in zip(weights, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("LeNet5", {}),
        ("AlexNetSmall", {"input_shape": (32, 32, 3)}),
        ("VGGSmall", {"input_shape": (32, 32, 3)}),
        ("ResNet20", {"input_shape": (32, 32, 3), "classes": 10}),
    ],
)
def test_models_of_the_zoo_replay_as_they_run(name: str, settings: dict[str, Any]) -> None:
    models = []
    for _ in range(2):
        gt.utils.set_random_seed(0)
        models.append(_compiled(getattr(gt.models, name)(**settings), gt.optimizers.SGD(0.01)))
    a, b = models
    b._native = False
    shape = settings.get("input_shape", (28, 28, 1))
    x, y = _data(6, shape)
    for _ in range(2):
        assert a.train_on_batch(x, y) == pytest.approx(b.train_on_batch(x, y), rel=1e-3)
    _native(a)


def test_winograd_can_be_turned_off() -> None:
    gt.utils.set_random_seed(0)
    model = _compiled(gt.Sequential([
        gt.Input((8, 8, 16)), L.Conv2D(16, 3, padding=1), L.Flatten(),
        L.Dense(10, activation="softmax"),
    ]))  # fmt: skip
    x, _ = _data(16, (8, 8, 16))
    names = []
    outputs = []
    for enabled in (True, False):
        program.set_winograd(enabled)
        try:
            step = program.Step(program.graph_of(model, (8, 8, 16)), 16)
        finally:
            program.set_winograd(True)
        tasks = [task for phase in step.program.build.phases for task in phase.tasks]
        names.append({i.kernel.name for task in tasks for i in task})
        outputs.append(step.run(x)[1])
    assert any(n.startswith("winograd") for n in names[0])
    assert not any(n.startswith("winograd") for n in names[1])
    np.testing.assert_allclose(*outputs, atol=1e-4)


def test_programs_die_with_their_model() -> None:
    model = _lenet()
    x, y = _data(8)
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    seen = weakref.ref(model)
    del model
    gc.collect()
    assert seen() is None


def test_warmup_knows_every_kernel_that_a_model_uses() -> None:
    from gradtape.program.warmup import usual_kernels

    known = {k.name for k in usual_kernels(gt.optimizers.usual())}
    step = _step(_lenet(), 40, 1)
    phases = step.program.build.phases
    used = {i.kernel.name for phase in phases for task in phase.tasks for i in task}
    assert used <= known
