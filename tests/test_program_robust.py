"""Programs under what users do: flags that change, Python that looks at data, threads, caches."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import program
from gradtape.program import native

Array = np.ndarray
L = gt.layers


def data(batch: int = 20, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, 5, 4, 2)).astype(np.float32), rng.integers(0, 3, batch)


def net(*more: Any) -> Any:
    gt.utils.set_random_seed(1)
    layers = [L.Conv2D(4, 3, activation="relu"), L.BatchNormalization(), L.Dropout(0.5, seed=2)]
    layers += [*more, L.Flatten(), L.Dense(3, activation="softmax")]
    return compiled(gt.Sequential([gt.Input((5, 4, 2)), *layers]))


def compiled(model: Any) -> Any:
    optimizer = gt.optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    return model


def eagerly(model: Any) -> Any:
    model._native = False
    return model


def same(a: Any, b: Any, batch: int = 20) -> None:
    """A step of training, one of testing, predictions: natively in `a`, eagerly in `b`."""
    x, y = data(batch)
    for method in ("train_on_batch", "test_on_batch"):
        found, expected = (getattr(m, method)(x, y) for m in (a, b))
        assert found == pytest.approx(expected, rel=2e-5)
        assert a._native and a._native.reason is None
    np.testing.assert_allclose(a.predict(x, verbose=0), b.predict(x, verbose=0), atol=1e-5)
    for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-4, atol=1e-5)


def test_training_testing_and_predicting_take_turns() -> None:
    a, b = net(), eagerly(net())
    x, _ = data()
    for _ in range(3):
        same(a, b)
    first, second = (a(x, training=True).data for _ in range(2))
    assert not np.array_equal(first, second)  # dropout
    before = a.layers[1].moving_mean.numpy().copy()
    a.predict(x, verbose=0)
    np.testing.assert_array_equal(a.layers[1].moving_mean.numpy(), before)


def test_frozen_layers_settings_and_new_layers_are_picked_up() -> None:
    a, b = net(), eagerly(net())
    same(a, b)
    for model in (a, b):
        model.layers[1].trainable = False  # so that it normalises as in inference
    same(a, b)
    for model in (a, b):
        model.layers[2].rate = 0.25
    same(a, b)
    for model in (a, b):
        model.trainable = True
        model.layers[1].momentum = 0.5
    same(a, b, batch=7)
    for model in (a, b):
        model.layers[-1].kernel.assign(model.layers[-1].kernel.numpy() * 2)
        model.optimizer.learning_rate = 0.01
    same(a, b)
    for model in (a, b):
        model.add(L.Dense(3, activation="softmax", kernel_initializer="ones"))
        compiled(model)
    same(a, b)
    for model in (a, b):
        model.pop()
        model.compile("sgd", gt.losses.SparseCategoricalCrossentropy(reduction="sum"))
    same(a, b)


class Branches(gt.Model):
    """A model that looks at its input in Python."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.one, self.other = L.Flatten(), L.Dense(3), L.Dense(3)

    def call(self, x: Any) -> Any:
        x = self.flatten(x)
        return self.one(x) if float(x.data.mean()) > 0 else self.other(x)


@pytest.mark.filterwarnings("ignore:The loss does not depend on")
def test_python_in_a_model_is_never_frozen() -> None:
    gt.utils.set_random_seed(1)
    model = Branches()
    for layer in (model.one, model.other):
        layer.build((None, 40))
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(gt.optimizers.SGD(0.1), loss)
    x, y = data()
    x = np.abs(x)
    model.fit(np.concatenate([x, -x]), np.concatenate([y, y]), 20, shuffle=False, verbose=0)
    assert "it uses 'data' of a tensor" in model._native.reason
    weights = [layer.kernel.numpy().copy() for layer in (model.one, model.other)]
    model.train_on_batch(x, y)
    assert not np.array_equal(model.one.kernel.numpy(), weights[0])
    np.testing.assert_array_equal(model.other.kernel.numpy(), weights[1])
    weights[0] = model.one.kernel.numpy().copy()
    model.train_on_batch(-x, y)
    np.testing.assert_array_equal(model.one.kernel.numpy(), weights[0])
    assert not np.array_equal(model.other.kernel.numpy(), weights[1])


def test_one_model_trained_by_two_python_threads_at_once() -> None:
    model, failed = net(), []
    x, y = data(33)
    model.train_on_batch(x, y)

    def train() -> None:
        try:
            for _ in range(20):
                model.train_step((x, y))
        except BaseException as error:
            failed.append(error)

    running = [threading.Thread(target=train) for _ in range(2)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert not failed and model.optimizer.iterations == 41
    assert all(np.isfinite(w).all() for w in model.get_weights())
    expected = eagerly(net())
    for _ in range(41):
        expected.train_on_batch(x, y)
    for v, w in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-2, atol=2e-3)  # forty steps of rounding


def test_normalisation_of_one_sample_stays_in_its_buffers() -> None:
    gt.utils.set_random_seed(1)
    layers = [L.Conv2D(5, 3), L.BatchNormalization(), L.Flatten(), L.BatchNormalization()]
    model = compiled(gt.Sequential([gt.Input((5, 4, 2)), *layers, L.Dense(3, "softmax")]))
    variables = model.trainable_variables
    model.optimizer.build(variables)
    update = program.Update(model.optimizer, variables)
    graph = program.graph_of(model, (5, 4, 2))
    step = program.Step(graph, 1, np.float32, model._scores.loss, update, guard=64)
    for seed in range(3):
        loss, predictions = step.run(*data(1, seed))
        step.program.check_canaries()
        assert np.isfinite(loss) and np.isfinite(predictions).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())


_TRAINS = """
import hashlib
import numpy as np
import gradtape as gt

def trained():
    L = gt.layers
    gt.utils.set_random_seed(1)
    layers = [
        L.Conv2D(16, 3, padding="same", activation="relu", kernel_regularizer="l2"),
        L.Conv2D(16, 3, padding="same"),  # by Winograd's form
        L.BatchNormalization(), L.PReLU(shared_axes=(1, 2)), L.MaxPooling2D(2),
        L.DepthwiseConv2D((1, 7), padding="same"), L.LayerNormalization(),
        L.Conv2D(26, 2, strides=2), L.Dropout(0.3, seed=2), L.Flatten(),
        L.Dense(29, activation="tanh"), L.Dense(3, activation="softmax"),
    ]
    model = gt.Sequential([gt.Input((11, 13, 3)), *layers])
    optimizer = gt.optimizers.Adam(0.01, global_clipnorm=0.5)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 11, 13, 3)).astype("float32"), rng.integers(0, 3, 300)
    digest = hashlib.sha256()
    for batch in (300, 77, 5):
        digest.update(np.float64(model.train_on_batch(x[:batch], y[:batch])).tobytes())
        assert model._native.reason is None
    found = [*model.get_weights(), model.predict(x, verbose=0)]
    digest.update(b"".join(w.tobytes() for w in found))
    return digest.hexdigest()
"""


def test_results_are_the_same_bits_for_any_cores_threads_and_width_of_vectors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: dict[str, Any] = {}
    exec(_TRAINS, names)
    found = {}
    for cores in (1, 2, 3, 4, 8, 16):
        monkeypatch.setattr(program.threads, "cores", lambda cores=cores: cores)
        found[f"{cores} cores"] = names["trained"]()
    for threads in ("1", "3", "16"):
        monkeypatch.setenv("GRADTAPE_THREADS", threads)
        found[f"{threads} threads"] = names["trained"]()
    done = subprocess.run(
        [sys.executable, "-c", f"{_TRAINS}\nprint(trained())"],
        env={**os.environ, "GRADTAPE_VECTOR_BITS": "512"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found["512 bits"] = done.stdout.strip()
    assert len(set(found.values())) == 1, found


def test_a_model_is_used_by_several_threads_as_by_one() -> None:
    """While one trains, others predict and evaluate: what training does and says stays the same."""
    x, y = data(60)

    def make() -> Any:
        model = net()
        model.compile(
            gt.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        return model

    def train(model: Any) -> Any:
        return model.fit(x, y, 7, epochs=2, shuffle=False, verbose=0).history

    alone = make()
    expected = train(alone), alone.evaluate(x, y, verbose=0), alone.get_weights()
    for _ in range(5):
        model, failed, over = make(), [], threading.Event()

        def repeat(what: Any, failed: Any = failed, over: Any = over) -> None:
            try:
                while not over.is_set():
                    what()
            except BaseException as error:
                failed.append(error)

        others = [
            lambda model=model: model.predict(x[:9], verbose=0),
            lambda model=model: model.evaluate(x[:20], y[:20], verbose=0),
            lambda model=model: model.predict_on_batch(x[:3]),
        ]
        running = [threading.Thread(target=repeat, args=(what,)) for what in others]
        for thread in running:
            thread.start()
        history = train(model)
        over.set()
        for thread in running:
            thread.join()
        assert not failed, failed
        assert history == expected[0] and model.optimizer.iterations == 18
        assert model.evaluate(x, y, verbose=0) == expected[1]
        for v, w in zip(model.get_weights(), expected[2], strict=True):
            np.testing.assert_array_equal(v, w)


def test_programs_of_ever_new_sizes_are_forgotten() -> None:
    model = gt.Sequential([gt.Input((None, None, 2)), L.Conv2D(3, 3), L.GlobalMaxPooling2D()])
    for size in range(4, 4 + 2 * native.KEPT):
        image = np.ones((1, size, size, 2), np.float32)
        np.testing.assert_allclose(
            model.predict(image, verbose=0), model(image).numpy(), rtol=1e-5, atol=1e-6
        )
    programs = model._native
    assert len(programs._steps) == len(programs._graphs) == native.KEPT
    assert programs.reason is None


def test_programs_take_a_bounded_amount_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = gt.Sequential([gt.Input((None, None, 2)), L.Conv2D(3, 3), L.GlobalMaxPooling2D()])
    model.predict(np.ones((1, 9, 9, 2), np.float32), verbose=0)
    (entry,) = model._native._steps.values()
    monkeypatch.setattr(native, "KEPT_BYTES", 3 * entry.size)
    for size in range(10, 20):
        model.predict(np.ones((1, size, size, 2), np.float32), verbose=0)
        held = sum(e.size for e in model._native._steps.values())
        assert held <= max(native.KEPT_BYTES, *(e.size for e in model._native._steps.values()))


def fully_convolutional() -> Any:
    gt.utils.set_random_seed(1)
    layers = [L.Conv2D(4, 3, padding="same", activation="relu"), L.Conv2D(3, 1)]
    model = gt.Sequential([gt.Input((None, None, 2)), *layers, L.Softmax()])
    model.compile(gt.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def images_of_sizes(count: int = 6) -> Any:
    for number in range(count):
        rng = np.random.default_rng(number)
        shape = (3 + number % 2, 5 + number % 3, 6 + number)
        yield rng.normal(size=(*shape, 2)).astype(np.float32), rng.integers(0, 3, shape)


@pytest.mark.parametrize("eager", [False, True])
def test_batches_of_any_sizes_are_trained_on_and_judged(eager: bool) -> None:
    model, expected = fully_convolutional(), fully_convolutional()
    if eager:
        eagerly(model)
    history = model.fit(list(images_of_sizes()), epochs=2, verbose=0).history
    seen = 0.0
    for _ in range(2):
        losses = [(expected.train_on_batch(x, y)[0], len(x)) for x, y in images_of_sizes()]
        seen = sum(loss * n for loss, n in losses) / sum(n for _, n in losses)
    assert history["loss"][-1] == pytest.approx(seen, rel=1e-4)
    for v, w in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(v, w, rtol=1e-4, atol=1e-5)
    judged = [(expected.test_on_batch(x, y)[0], len(x)) for x, y in images_of_sizes()]
    mean = sum(loss * n for loss, n in judged) / sum(n for _, n in judged)
    assert model.evaluate(images_of_sizes(), verbose=0)[0] == pytest.approx(mean, rel=1e-4)


def test_targets_that_do_not_fit_their_own_batch_are_refused() -> None:
    x, y = next(images_of_sizes())
    with pytest.raises(ValueError, match=r"\(3, 5, 5\)"):
        fully_convolutional().fit(iter([(x, y), (x, y[:, :, :5])]), verbose=0)
    with pytest.raises(ValueError, match="no targets y"):
        fully_convolutional().fit(iter([(x, y), (x,)]), verbose=0)
