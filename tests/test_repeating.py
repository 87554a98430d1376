"""Repeating: the same numbers as when every step asks whether its program holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt

pytest.importorskip("numba", reason="programs are compiled with Numba")

RNG = np.random.default_rng(4)
X = RNG.normal(size=(50, 3))  # float64: converted batch by batch
Y = RNG.integers(0, 2, 50)
W = RNG.uniform(0, 2, 50)


def network(cls: type[gt.Sequential] = gt.Sequential, weighted: bool = True) -> gt.Sequential:
    gt.utils.set_random_seed(0)
    model = cls(
        [gt.Input((3,)), gt.layers.Dense(4, activation="relu"), gt.layers.Dropout(0.2),
         gt.layers.Dense(2, activation="softmax")]
    )  # fmt: skip
    accuracy = gt.metrics.SparseCategoricalAccuracy("weighted")
    model.compile(
        gt.optimizers.SGD(gt.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9), momentum=0.9),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighted_metrics=[accuracy] if weighted else None,
    )
    return model


@pytest.mark.parametrize("weighted", [True, False])  # without, metrics see some batches at once
def test_numbers_are_those_of_steps_that_are_watched(weighted: bool) -> None:
    watch = gt.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_: None, on_test_batch_end=lambda *_: None,
        on_predict_batch_end=lambda *_: None,
    )  # fmt: skip
    results = []
    for callbacks in ([], [watch]):
        model = network(weighted=weighted)
        given: dict[str, Any] = {"batch_size": 3, "verbose": 0, "callbacks": callbacks}
        history = model.fit(
            X, Y, sample_weight=W, epochs=3, validation_split=0.3, **given
        ).history  # fmt: skip
        judged = model.evaluate(X, Y, sample_weight=W, **given)
        results.append((history, judged, model.predict(X, **given), model.get_weights()))
    (a, b, c, d), (e, f, g, h) = results
    assert a == e and b == f
    for ours, theirs in zip([c, *d], [g, *h], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_changes_between_epochs_is_picked_up() -> None:
    def freeze(epoch: int, logs: Any) -> None:
        model.layers[0].trainable = epoch % 2 == 0

    model, kernels = network(), []
    keep = gt.callbacks.LambdaCallback(
        on_epoch_begin=freeze,
        on_epoch_end=lambda *_: kernels.append(model.layers[0].get_weights()[0]),
    )
    model.fit(X, Y, 8, epochs=3, verbose=0, callbacks=[keep])
    assert np.array_equal(kernels[0], kernels[1]) and not np.array_equal(kernels[1], kernels[2])


def test_steps_of_ones_own_are_never_left_out() -> None:
    class Own(gt.Sequential):
        trained = tested = 0

        def train_step(self, data: Any) -> Any:
            Own.trained += 1
            return super().train_step(data)

        def test_step(self, data: Any) -> Any:
            Own.tested += 1
            return super().test_step(data)

    network(Own).fit(X, Y, 10, epochs=2, validation_data=(X, Y), verbose=0)
    assert (Own.trained, Own.tested) == (10, 10)
    model, seen = network(), []
    step = model.train_step
    model.train_step = lambda data: (seen.append(1), step(data))[1]  # type: ignore[method-assign]
    model.fit(X, Y, 10, verbose=0)
    assert len(seen) == 5


def test_questions_are_asked_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    if model._programs() is None:
        pytest.skip("programs are switched off")
    asked: list[str] = []
    for kind in ("train", "test"):
        original = getattr(model._native, kind)

        def ask(*given: Any, kind: str = kind, original: Any = original, **more: Any) -> Any:
            asked.append(kind)
            return original(*given, **more)

        monkeypatch.setattr(model._native, kind, ask)
    model.fit(X, Y, 8, epochs=2, validation_data=(X, Y), verbose=0)
    # The first batch of each size.
    assert asked == ["train", "train", "test", "test"] * 2
