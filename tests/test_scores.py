"""Scores: names of metrics, weights, and what is refused at `compile`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.training.scores import Scores, flat, numbers_of

Y, P = np.array([[0.0], [1.0]]), np.array([[0.4], [0.4]])


def test_loss_counts_with_its_samples() -> None:
    scores = Scores("mse", None, None)
    scores.track(gt.tensor(2.0), 30)
    scores.track(gt.tensor(8.0, requires_grad=True), 10)
    assert scores.result() == {"loss": pytest.approx(3.5)}
    scores.reset()
    assert scores.result() == {"loss": 0.0}


def test_metrics_are_named_as_given_and_never_twice() -> None:
    scores = Scores("mse", ["accuracy", "mse", "mse"], ["accuracy", "mae", "mae"])
    scores.update(Y, P, np.array([1.0, 3.0]))
    assert list(scores.result()) == [
        "loss", "accuracy", "mse", "mse_1", "weighted_accuracy", "mae", "weighted_mae",
    ]  # fmt: skip
    assert scores.result()["accuracy"] == 0.5 and scores.result()["weighted_accuracy"] == 0.25
    assert scores.result()["mae"] == pytest.approx((0.4 + 3 * 0.6) / 4)
    assert [m.name for m in scores.metrics][:3] == ["loss", "accuracy", "mse"]


def test_metric_may_return_several_numbers() -> None:
    class Two(gt.metrics.Mean):
        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
            super().update_state(y_pred)

        def result(self) -> Any:
            return {"low": super().result(), "high": 2 * super().result()}

    scores = Scores(None, [Two()], None)
    scores.update(Y, P)
    assert scores.result() == {"loss": 0.0, "low": pytest.approx(0.4), "high": pytest.approx(0.8)}


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("mse", "accuracy", None), TypeError, r"must be a list, as in \['accuracy'\]"),
        (("msee", None, None), ValueError, "Unknown loss 'msee'"),
        (("mse", ["acuracy"], None), ValueError, "Unknown metric 'acuracy'"),
        ((gt.losses.MeanSquaredError(None), None, None), ValueError, "reduction=None: one number"),
    ],
)
def test_bad_arguments_are_refused(arguments: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        Scores(*arguments)


def test_logs_become_plain_numbers() -> None:
    logs = numbers_of({"a": gt.tensor(1.5), "b": np.float32(2), "c": 3, "d": 0.5}, "train_step")
    assert logs == {"a": 1.5, "b": 2.0, "c": 3.0, "d": 0.5}
    assert all(type(v) is float for v in logs.values())
    assert flat({"loss": 1.0}) == 1.0 and flat({"loss": 1.0, "acc": 2.0}) == [1.0, 2.0]
    with pytest.raises(TypeError, match=r"train_step\(\) must return a dict of logs"):
        numbers_of(None, "train_step")


@pytest.mark.parametrize(
    ("true", "predicted", "expected"),
    [
        ((4,), (4, 1), gt.losses.BinaryCrossentropy),
        ((4,), (4, 3), gt.losses.SparseCategoricalCrossentropy),
        ((4, 3), (4, 3), gt.losses.CategoricalCrossentropy),
        ((4, 2), (4, 2, 3), gt.losses.SparseCategoricalCrossentropy),
    ],
)
def test_crossentropy_is_chosen_by_the_shapes(
    true: tuple[int, ...], predicted: tuple[int, ...], expected: type[gt.losses.Loss]
) -> None:
    y, p = np.zeros(true, int), gt.tensor(np.full(predicted, 1 / predicted[-1]))
    for name in ("crossentropy", "ce"):
        scores = Scores(name, [name], None)
        before = scores.loss(y, p).item()
        scores.check(y, p, len(y), "the predictions")
        assert type(scores.loss) is expected
        assert scores.loss.name == name
        assert scores.loss(y, p).item() == before
        scores.update(y, p.numpy())
        assert scores.result()[name] == pytest.approx(before, rel=1e-6)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("metric", ["F1Score", "FBetaScore", "R2Score"])
def test_metrics_of_columns_take_a_single_column(metric: str, eager: bool) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    y = (x.sum(axis=1, keepdims=True) > 0).astype(np.float32)
    model = gt.Sequential([gt.Input((3,)), gt.layers.Dense(1, activation="sigmoid")])
    kept = [getattr(gt.metrics, metric)(name="one")]
    if metric == "R2Score":
        kept.append(gt.metrics.R2Score(None, name="each"))
    model.compile("sgd", "binary_crossentropy", metrics=kept, run_eagerly=eager)
    history = model.fit(x, y, validation_data=(x, y), epochs=2, verbose=0).history
    assert all(type(v) is float for values in history.values() for v in values)
    values = np.asarray(getattr(gt.metrics, metric)()(y, model.predict(x, verbose=0)))
    assert model.evaluate(x, y, verbose=0)[1] == pytest.approx(values.item(), abs=1e-6)


def test_logs_do_not_change_when_a_metric_goes_on_in_its_array() -> None:
    counts = np.zeros(3)
    logs = numbers_of({"counts": counts}, "test_step")
    counts += 1
    assert not logs["counts"].any()
