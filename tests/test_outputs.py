"""Several inputs and outputs in fit, evaluate and predict: names, sums, weights, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers
from gradtape.training.outputs import OutputScores, names_of, scores_for

RNG = np.random.default_rng(0)
N = 10
A, B = RNG.normal(size=(N, 3)).astype("f"), RNG.normal(size=(N, 2)).astype("f")
P, Q = RNG.normal(size=(N, 2)).astype("f"), RNG.normal(size=(N, 1)).astype("f")


def net(**settings: Any) -> gt.Model:
    gt.utils.set_random_seed(3)
    a, b = gt.Input((3,), name="a"), gt.Input((2,), name="b")
    x = layers.Concatenate()([a, b])
    model = gt.Model([a, b], [layers.Dense(2, name="p")(x), layers.Dense(1, name="q")(x)])
    if settings:
        model.compile(gt.optimizers.SGD(0.01), **settings)
    return model


def mse(y: Any, p: Any) -> float:
    return float(np.mean((y - p) ** 2))


def mae(y: Any, p: Any) -> float:
    return float(np.mean(np.abs(y - p)))


TARGETS: list[Any] = [[P, Q], (P, Q), {"p": P, "q": Q}, {"q": Q, "p": P}]


@pytest.mark.parametrize("y", TARGETS)
@pytest.mark.parametrize("x", [[A, B], (A, B), {"b": B, "a": A}])
def test_losses_and_metrics_of_every_output_by_name(x: Any, y: Any) -> None:
    model = net(loss={"p": "mse", "q": "mae"}, metrics=[["mae"], ["mse", "mae"]])
    logs = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    p, q = (t.numpy() for t in model([A, B]))
    expected = {
        "loss": mse(P, p) + mae(Q, q),
        "p_loss": mse(P, p),
        "q_loss": mae(Q, q),
        "p_mae": mae(P, p),
        "q_mse": mse(Q, q),
        "q_mae": mae(Q, q),
    }
    assert list(logs) == list(expected)
    assert logs == pytest.approx(expected, rel=1e-5)
    assert model.evaluate(x, y, batch_size=4, verbose=0) == pytest.approx(list(expected.values()))
    assert model.metrics_names == list(expected)


@pytest.mark.parametrize("weights", [[0.5, 3], {"q": 3, "p": 0.5}])
def test_loss_weights_are_factors_in_the_sum(weights: Any) -> None:
    model = net(loss="mse", loss_weights=weights)
    p, q = (t.numpy() for t in model([A, B]))
    logs = model.test_on_batch([A, B], [P, Q], return_dict=True)
    assert logs == pytest.approx(
        {"loss": 0.5 * mse(P, p) + 3 * mse(Q, q), "p_loss": mse(P, p), "q_loss": mse(Q, q)}
    )


def test_loss_weights_scale_the_gradients() -> None:
    one, other = net(loss="mse", loss_weights=[1, 0]), net(loss=["mse", None])
    q = one.get_layer("q").get_weights()[0]
    with pytest.warns(UserWarning, match="The loss does not depend on q/kernel"):
        other.fit([A, B], [P, None], verbose=0, shuffle=False)
    one.fit([A, B], [P, Q], verbose=0, shuffle=False)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    np.testing.assert_array_equal(one.get_layer("q").get_weights()[0], q)


def test_a_single_loss_needs_no_name_of_its_own_in_the_logs() -> None:
    model = net(loss={"p": "mse"}, metrics={"q": "mae"})
    logs = model.evaluate([A, B], {"p": P, "q": Q}, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "q_mae"]


def test_an_output_that_nothing_judges_needs_no_targets() -> None:
    model = net(loss={"p": "mse"})
    assert model.evaluate([A, B], {"p": P}, verbose=0) == pytest.approx(
        mse(P, model([A, B])[0].numpy()), rel=1e-5
    )


def test_sample_weights_for_all_outputs_or_for_each() -> None:
    model = net(loss="mse", weighted_metrics=[["mae"], None])
    p, q = (t.numpy() for t in model([A, B]))
    w, v = RNG.uniform(size=N).astype("f"), RNG.uniform(size=N).astype("f")

    def weighted(y: Any, p: Any, w: Any) -> float:
        return float(np.mean(np.mean((y - p) ** 2, axis=-1) * w))

    for given, (first, second) in [(w, (w, w)), ([w, v], (w, v)), ({"q": v}, (np.ones(N), v))]:
        logs = model.evaluate([A, B], [P, Q], sample_weight=given, verbose=0, return_dict=True)
        assert logs["p_loss"] == pytest.approx(weighted(P, p, first), rel=1e-5)
        assert logs["q_loss"] == pytest.approx(weighted(Q, q, second), rel=1e-5)
        absolute = np.abs(P - p).mean(axis=-1)
        assert logs["p_mae"] == pytest.approx(np.average(absolute, weights=first), rel=1e-5)


def test_accuracy_is_chosen_output_by_output() -> None:
    x = gt.Input((3,))
    model = gt.Model(
        x,
        {
            "digit": layers.Dense(4, activation="softmax")(x),
            "even": layers.Dense(1, activation="sigmoid")(x),
        },
    )
    labels = RNG.integers(4, size=N)
    model.compile(
        "sgd",
        {"digit": "sparse_categorical_crossentropy", "even": "binary_crossentropy"},
        metrics={"digit": ["accuracy"], "even": "accuracy"},
    )
    logs = model.evaluate(A, {"digit": labels, "even": labels % 2}, verbose=0, return_dict=True)
    out = {k: t.numpy() for k, t in model(A).items()}
    assert logs["digit_accuracy"] == pytest.approx(np.mean(out["digit"].argmax(1) == labels))
    assert logs["even_accuracy"] == pytest.approx(np.mean((out["even"][:, 0] > 0.5) == labels % 2))


def test_fit_learns_and_validates_and_shuffles_all_arrays_alike() -> None:
    model = net(loss="mse", metrics=[["mae"], None])
    targets = [A[:, :2] + B, A[:, 2:] - 1]
    history = model.fit(
        [A, B], targets, batch_size=3, epochs=400, verbose=0, validation_split=0.2
    ).history
    assert list(history) == [
        "loss", "p_loss", "q_loss", "p_mae",
        "val_loss", "val_p_loss", "val_q_loss", "val_p_mae",
    ]  # fmt: skip
    assert history["loss"][-1] < 0.02 * history["loss"][0]
    validated = model.evaluate([A[8:], B[8:]], [t[8:] for t in targets], verbose=0)
    assert [history[k][-1] for k in list(history)[4:]] == pytest.approx(validated, rel=1e-4)
    again = model.fit(
        {"a": A, "b": B}, targets, verbose=0, validation_data=([A, B], targets)
    ).history
    assert again["val_loss"][0] < 0.1


def test_predictions_come_as_the_model_returns_them() -> None:
    model = net()
    whole = model.predict([A, B], batch_size=4, verbose=0)
    assert isinstance(whole, list) and [p.shape for p in whole] == [(N, 2), (N, 1)]
    for part, tensor in zip(whole, model([A, B]), strict=True):
        np.testing.assert_allclose(part, tensor.numpy(), rtol=1e-6)
    as_dict = gt.Model(model.inputs, dict(zip("uv", model.outputs, strict=True)))
    assert list(as_dict.predict({"a": A, "b": B}, verbose=0)) == ["u", "v"]
    assert [p.shape for p in model.predict_on_batch([A, B])] == [(N, 2), (N, 1)]


def test_several_inputs_and_one_output() -> None:
    a, b = gt.Input((3,)), gt.Input((2,))
    model = gt.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, b])))
    model.compile("sgd", "mse", metrics=["mae"])
    assert list(model.fit([A, B], Q, verbose=0).history) == ["loss", "mae"]
    assert model.predict([A, B], verbose=0).shape == (N, 1)


def test_a_model_with_one_output_takes_lists_and_dicts_of_one() -> None:
    x = gt.Input((3,), name="a")
    model = gt.Model(x, layers.Dense(2, name="p")(x))
    model.compile("sgd", {"p": "mse"}, metrics={"p": "mae"}, loss_weights=[2.0])
    expected = {"loss": 2 * mse(P, model(A).numpy()), "mae": mae(P, model(A).numpy())}
    for inputs, targets in [(A, P), ([A], [P]), ({"a": A}, P)]:
        logs = model.evaluate(inputs, targets, verbose=0, return_dict=True)
        assert logs == pytest.approx(expected, rel=1e-5)
    before = model.get_layer("p").get_weights()[0]
    model.compile(gt.optimizers.SGD(0.1), "mse", loss_weights=2.0)
    model.train_on_batch(A, P)
    step = before - model.get_layer("p").get_weights()[0]
    error = A @ before - P
    np.testing.assert_allclose(step, 0.1 * 2 * 2 * A.T @ error / error.size, rtol=1e-4, atol=1e-6)


def test_one_output_of_a_list_of_samples_is_still_a_batch() -> None:
    x = gt.Input((3,))
    model = gt.Model(x, layers.Dense(2)(x))
    assert model.predict([list(row) for row in A], verbose=0).shape == (N, 2)
    assert model.predict(list(A), verbose=0).shape == (N, 2)


def test_a_subclass_shows_its_outputs_with_the_first_data() -> None:
    class Pair(gt.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x: Any) -> Any:
            y = self.dense(x)
            return [y, y * 2]

    pair = Pair()
    pair.compile("sgd", "mse", metrics=[["mae"], ["mse"]])
    history = pair.fit(A, [P, P], verbose=0).history
    losses = ["loss", "output_1_loss", "output_2_loss"]
    assert list(history) == [*losses, "output_1_mae", "output_2_mse"]
    pair.compile("sgd", "mse")
    pair.train_on_batch(A, [P, P])
    assert pair.metrics_names == losses


def test_configuration_compiles_the_same_again(tmp_path: Any) -> None:
    model = net(loss=["mse", gt.losses.MeanAbsoluteError()], metrics={"q": ["mse"]},
                loss_weights={"p": 2.0})  # fmt: skip
    model.fit([A, B], [P, Q], verbose=0)
    model.save(tmp_path / "m.npz")
    again = gt.load_model(tmp_path / "m.npz")
    judged = model.evaluate([A, B], [P, Q], verbose=0)
    assert again.evaluate([A, B], [P, Q], verbose=0) == pytest.approx(judged)
    assert again.metrics_names == ["loss", "p_loss", "q_loss", "q_mse"]


def test_regularizers_count_once() -> None:
    model = net(loss="mse")
    model.get_layer("p").kernel.regularizer = gt.regularizers.L2(0.5)
    logs = model.evaluate([A, B], [P, Q], verbose=0, return_dict=True)
    penalty = 0.5 * float(np.sum(model.get_layer("p").get_weights()[0] ** 2))
    assert logs["loss"] == pytest.approx(logs["p_loss"] + logs["q_loss"] + penalty, rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": {"r": "mse"}}, "loss names 'r', which is no output.*p, q"),
        ({"loss": ["mse"]}, r"loss of a model with 2 outputs \(p, q\).*received 1"),
        ({"loss": "mse", "metrics": ["mae"]}, "metrics of a model with 2 outputs.*received 1"),
        ({"loss": "mse", "metrics": {"x": "mae"}}, "metrics names 'x'"),
        ({"loss": "mse", "loss_weights": 2.0}, "loss_weights of a model with 2 outputs"),
        ({"loss": ["mse", "msee"]}, "Unknown loss 'msee'"),
    ],
)
def test_what_compile_refuses(settings: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        net(**settings)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([A, B], P, r"2 outputs \(p, q\), so y must be a list.*one array"),
        ([A, B], [P, Q, Q], "received 3 of them"),
        ([A, B], [P, None], "no targets y for output 'q'"),
        ([A, B], {"p": P}, "no targets y for output 'q'"),
        ([A, B], {"p": P, "r": Q}, "y names 'r'"),
        ([A, B], [P, P], r"output 'q' has shape \(10, 1\), the targets have \(10, 2\)"),
        ([A, B], None, r"fit\(\) received no targets y"),
        ([A], [P, Q], "takes 2 inputs"),
        (A, [P, Q], "takes 2 inputs"),
        ([A, B[:5]], [P, Q], r"x\[0\] has 10, x\[1\] has 5"),
        ([A, B], [P, Q[:5]], r"y\[1\] has 5"),
        ([B, A], [P, Q], "input 'a' expected"),
        ([], [P, Q], "x is an empty list"),
        (None, [P, Q], "x is missing"),
    ],
)
def test_what_fit_refuses(x: Any, y: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        net(loss="mse").fit(x, y, verbose=0)


def test_class_weights_are_for_one_output() -> None:
    with pytest.raises(ValueError, match="class_weight is for models with one output"):
        net(loss="mse").fit([A, B], [P, Q], class_weight={0: 1.0}, verbose=0)


def test_values_that_are_not_finite_are_found_in_every_array() -> None:
    bad = Q.copy()
    bad[3] = math.nan
    with pytest.warns(UserWarning, match=r"y\[1\] holds 1 values that are NaN.*index \(3, 0\)"):
        net(loss="mse").evaluate([A, B], [P, bad], verbose=0)


def test_scores_of_one_output_stay_simple() -> None:
    assert not isinstance(scores_for("mse", ["mae"], None, None, ["p"]), OutputScores)
    assert not isinstance(scores_for("mse", ["mae"], None, None, None), OutputScores)
    assert isinstance(scores_for(["mse", "mse"], None, None, None, None), OutputScores)
    config = gt.saving.serialize(gt.losses.MeanSquaredError())
    assert not isinstance(scores_for(config, None, None, None, ["p"]), OutputScores)
    assert names_of({"a": 1, "b": 2}) == ["a", "b"]
    assert names_of([P, Q]) == ["output_1", "output_2"]
    with pytest.raises(ValueError, match="has one output, 'p', received names"):
        scores_for({"q": "mse"}, None, None, None, ["p"])
    with pytest.raises(ValueError, match="has one output, received 2 entries"):
        scores_for(["mse", "mse"], None, None, None, ["p"])
