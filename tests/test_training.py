"""Training: what `fit`, `evaluate` and `predict` compute, and what they say when they cannot."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt

Array = np.ndarray
N, INPUTS, HIDDEN, CLASSES = 50, 6, 8, 4
TOLERANCE = 2e-5  # float32, over a few epochs


@pytest.fixture
def data() -> dict[str, Array]:
    rng = np.random.default_rng(5)
    return {
        "x": rng.normal(size=(N, INPUTS)).astype(np.float32),
        "y": rng.integers(0, CLASSES, N),
        "w": rng.uniform(0, 2, N).astype(np.float32),
        "first": rng.normal(size=(INPUTS, HIDDEN)).astype(np.float32) / 2,
        "second": rng.normal(size=(HIDDEN, CLASSES)).astype(np.float32) / 2,
    }


def network(data: dict[str, Array], **compiled: Any) -> gt.Sequential:
    dense = gt.layers.Dense
    model = gt.Sequential(
        [gt.Input((INPUTS,)), dense(HIDDEN, activation="relu"), dense(CLASSES, name="answer")]
    )
    model.set_weights([data["first"], np.zeros(HIDDEN), data["second"], np.zeros(CLASSES)])
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(**{"optimizer": "sgd", "loss": loss, "metrics": ["accuracy"], **compiled})
    return model


class Reference:
    """The same network, trained by formulas written out in NumPy, in float64."""

    def __init__(self, data: dict[str, Array], rate: float) -> None:
        self.w1, self.w2 = data["first"].astype(float), data["second"].astype(float)
        self.b1, self.b2 = np.zeros(HIDDEN), np.zeros(CLASSES)
        self.rate = rate

    def forward(self, x: Array) -> tuple[Array, Array]:
        hidden = np.maximum(x @ self.w1 + self.b1, 0)
        z = hidden @ self.w2 + self.b2
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return hidden, e / e.sum(axis=1, keepdims=True)

    def losses(self, x: Array, y: Array) -> Array:
        return -np.log(self.forward(x)[1][np.arange(len(y)), y])

    def accuracy(self, x: Array, y: Array) -> float:
        return float((self.forward(x)[1].argmax(axis=1) == y).mean())

    def step(self, x: Array, y: Array, w: Array) -> None:
        hidden, p = self.forward(x)
        dz = (p - np.eye(CLASSES)[y]) * w[:, None] / len(x)
        dh = (dz @ self.w2.T) * (hidden > 0)
        self.w2 -= self.rate * hidden.T @ dz
        self.b2 -= self.rate * dz.sum(axis=0)
        self.w1 -= self.rate * x.T @ dh
        self.b1 -= self.rate * dh.sum(axis=0)

    def epoch(self, x: Array, y: Array, w: Array, batch: int) -> tuple[float, float]:
        """Loss (weighted) and accuracy (not) over an epoch, each batch before its own step."""
        total, right = 0.0, 0.0
        for i in range(0, len(x), batch):
            part = slice(i, i + batch)
            total += float((self.losses(x[part], y[part]) * w[part]).sum())
            right += self.accuracy(x[part], y[part]) * len(x[part])
            self.step(x[part], y[part], w[part])
        return total / len(x), right / len(x)


def test_history_and_weights_are_those_of_the_formulas(data: dict[str, Array]) -> None:
    """The last batch is smaller, the validation set is the tail, weights reach the loss alone."""
    model, reference = network(data), Reference(data, 0.01)
    history = model.fit(
        data["x"], data["y"], batch_size=16, epochs=3, shuffle=False, validation_split=0.25,
        sample_weight=data["w"], verbose=0,
    ).history  # fmt: skip
    cut = int(N * 0.75)
    x, y, w = data["x"].astype(float), data["y"], data["w"].astype(float)
    for epoch in range(3):
        loss, accuracy = reference.epoch(x[:cut], y[:cut], w[:cut], 16)
        assert history["loss"][epoch] == pytest.approx(loss, rel=TOLERANCE)
        assert history["accuracy"][epoch] == pytest.approx(accuracy)
        val_loss = float((reference.losses(x[cut:], y[cut:]) * w[cut:]).mean())
        assert history["val_loss"][epoch] == pytest.approx(val_loss, rel=TOLERANCE)
        expected = reference.accuracy(x[cut:], y[cut:])
        assert history["val_accuracy"][epoch] == pytest.approx(expected)
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    np.testing.assert_allclose(model.get_weights()[0], reference.w1, atol=TOLERANCE)
    np.testing.assert_allclose(model.get_weights()[3], reference.b2, atol=TOLERANCE)


def test_class_weight_is_a_sample_weight_by_class(data: dict[str, Array]) -> None:
    by_class, by_sample = network(data), network(data)
    weights = np.where(data["y"] == 0, 3.0, np.where(data["y"] == 2, 0.5, 1.0))
    by_class.fit(data["x"], data["y"], shuffle=False, class_weight={0: 3.0, 2: 0.5}, verbose=0)
    by_sample.fit(data["x"], data["y"], shuffle=False, sample_weight=weights, verbose=0)
    for a, b in zip(by_class.get_weights(), by_sample.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="not both"):
        by_class.fit(data["x"], data["y"], class_weight={0: 1.0}, sample_weight=weights)


def test_validation_may_have_its_own_data_batches_and_epochs(data: dict[str, Array]) -> None:
    model = network(data)
    seen: list[int] = []
    count = gt.callbacks.LambdaCallback(on_test_batch_end=lambda batch, logs: seen.append(batch))
    history = model.fit(
        data["x"], data["y"], epochs=5, verbose=0, callbacks=[count], validation_freq=2,
        validation_data=(data["x"][:9], data["y"][:9], data["w"][:9]), validation_batch_size=4,
    ).history  # fmt: skip
    assert len(history["loss"]) == 5 and len(history["val_loss"]) == 2
    assert seen == [0, 1, 2] * 2


def test_evaluate_returns_a_number_a_list_or_a_dict(data: dict[str, Array]) -> None:
    x, y = data["x"], data["y"]
    model, reference = network(data), Reference(data, 0.01)
    loss = float(reference.losses(x.astype(float), y).mean())
    accuracy = reference.accuracy(x, y)
    values = model.evaluate(x, y, batch_size=7, verbose=0)
    assert values == [pytest.approx(loss, rel=TOLERANCE), pytest.approx(accuracy)]
    assert model.evaluate(x, y, verbose=0, return_dict=True) == dict(
        zip(["loss", "accuracy"], [pytest.approx(v, rel=TOLERANCE) for v in values], strict=True)
    )
    alone = network(data, metrics=None).evaluate(x, y, verbose=0)
    assert isinstance(alone, float) and alone == pytest.approx(loss, rel=TOLERANCE)
    weighted = network(data, metrics=None, weighted_metrics=["accuracy"])
    right = reference.forward(x)[1].argmax(axis=1) == y
    assert weighted.evaluate(x, y, sample_weight=data["w"], verbose=0)[1] == pytest.approx(
        np.average(right, weights=data["w"])
    )


@pytest.mark.parametrize("batch_size", [None, 1, 16, N, 1000])
def test_predict_is_the_model_on_everything(data: dict[str, Array], batch_size: int | None) -> None:
    model = network(data)
    out = model.predict(data["x"], batch_size, verbose=0)
    assert out.shape == (N, CLASSES) and out.dtype == np.float32 and out.flags.writeable
    np.testing.assert_allclose(out, model(data["x"], training=False).numpy(), atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(data["x"][:3]), out[:3], atol=1e-6)


def test_predict_needs_no_compile_and_builds_the_model() -> None:
    model = gt.Sequential([gt.layers.Dense(3)])
    assert model.predict(np.zeros((5, 2)), verbose=0).shape == (5, 3)


def test_pixels_may_stay_bytes() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (20, 4, 4, 1), dtype=np.uint8), rng.integers(0, 2, 20)
    results = []
    for pixels in (x, x.astype(np.float32)):
        gt.utils.set_random_seed(1)
        model = gt.Sequential([gt.layers.Flatten(), gt.layers.Dense(2)])
        model.compile("sgd", gt.losses.SparseCategoricalCrossentropy(from_logits=True))
        results.append(model.fit(pixels, y, epochs=2, verbose=0).history)
    assert results[0] == results[1]


def test_one_batch_at_a_time(data: dict[str, Array]) -> None:
    x, y = data["x"][:8], data["y"][:8]
    batches, fitted = network(data), network(data)
    before = batches.test_on_batch(x, y)
    assert batches.train_on_batch(x, y) == before
    assert batches.optimizer is not None and batches.optimizer.iterations == 1
    fitted.fit(x, y, verbose=0)
    after = batches.test_on_batch(x, y, return_dict=True)
    assert after == {"loss": pytest.approx(fitted.evaluate(x, y, verbose=0)[0]),
                     "accuracy": after["accuracy"]}  # fmt: skip
    assert after["loss"] < before[0]
    with pytest.raises(ValueError, match="received 9 at index 1"):
        batches.train_on_batch(x[:2], np.array([0, 9]))


def train_seeded(data: dict[str, Array], seed: int) -> tuple[Any, list[Array]]:
    gt.utils.set_random_seed(seed)
    dense = gt.layers.Dense
    model = gt.Sequential([dense(16, activation="relu"), gt.layers.Dropout(0.5), dense(CLASSES)])
    model.compile("adam", gt.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(data["x"], data["y"], 8, epochs=3, validation_split=0.2, verbose=0)
    return history.history, model.get_weights()


def test_seed_repeats_a_run_bit_for_bit(data: dict[str, Array]) -> None:
    (first, weights), (second, again) = train_seeded(data, 7), train_seeded(data, 7)
    assert first == second
    for a, b in zip(weights, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert train_seeded(data, 8)[0] != first


def test_run_that_was_saved_goes_on_bit_for_bit(data: dict[str, Array], tmp_path: Path) -> None:
    def fresh() -> gt.Sequential:
        gt.utils.set_random_seed(3)
        dense = gt.layers.Dense
        model = gt.Sequential(
            [gt.Input((INPUTS,)), dense(8), gt.layers.Dropout(0.3), dense(CLASSES)]
        )
        model.compile("adam", gt.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    whole, half = fresh(), fresh()
    half.fit(data["x"], data["y"], 16, epochs=2, verbose=0)
    half.save(tmp_path / "half.gt")
    whole = fresh()
    whole.fit(data["x"], data["y"], 16, epochs=4, verbose=0)
    resumed = gt.load_model(tmp_path / "half.gt")
    resumed.fit(data["x"], data["y"], 16, epochs=4, initial_epoch=2, verbose=0)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_epochs_of_later_fits_have_orders_of_their_own(data: dict[str, Array]) -> None:
    gt.utils.set_random_seed(0)
    orders: list[list[int]] = []

    class Watching(gt.Sequential):
        def train_step(self, data: Any) -> dict[str, Any]:
            orders[-1].extend(data[0][:, 0].tolist())
            return super().train_step(data)

    model = Watching([gt.layers.Dense(1)])
    model.compile("sgd", "mse")
    for _ in range(3):
        orders.append([])
        model.fit(np.arange(20.0)[:, None] / 20, np.zeros(20), 4, verbose=0)
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_frozen_layers_stay_and_thawed_ones_move_on(data: dict[str, Array]) -> None:
    model = network(data, optimizer=gt.optimizers.Adam(0.01))
    x, y = data["x"], data["y"]
    model.fit(x, y, verbose=0)
    before = model.get_weights()
    model.layers[0].trainable = False
    model.fit(x, y, verbose=0)
    middle = model.get_weights()
    np.testing.assert_array_equal(middle[0], before[0])
    assert not np.array_equal(middle[2], before[2])
    model.layers[0].trainable = True
    model.fit(x, y, verbose=0)
    assert not np.array_equal(model.get_weights()[0], middle[0])
    model.trainable = False
    with pytest.warns(UserWarning, match="no trainable weights"):
        model.fit(x, y, verbose=0)


def test_frozen_layers_do_not_keep_a_run_from_being_resumed(
    data: dict[str, Array], tmp_path: Path
) -> None:
    x, y = data["x"], data["y"]
    model = network(data, optimizer=gt.optimizers.Adam(0.01))
    model.layers[0].trainable = False
    model.train_on_batch(x, y)
    model.layers[0].trainable = True
    model.fit(x, y, verbose=0)
    model.layers[1].trainable = False
    model.save(tmp_path / "frozen.gt")
    again = gt.load_model(tmp_path / "frozen.gt")
    for m in (model, again):
        m.layers[1].trainable = True
        m.fit(x, y, 16, epochs=1, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_interrupt_keeps_finished_epochs_and_a_consistent_model(data: dict[str, Array]) -> None:
    class Interrupt(gt.callbacks.Callback):
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if len(self.model.history.epoch) == 2 and batch == 1:
                raise KeyboardInterrupt

    model = network(data)
    with pytest.raises(KeyboardInterrupt):
        model.fit(data["x"], data["y"], 16, epochs=5, verbose=0, callbacks=[Interrupt()])
    assert model.history is not None and model.history.epoch == [0, 1]
    assert [len(v) for v in model.history.history.values()] == [2, 2]
    assert model.optimizer is not None and model.optimizer.iterations == 2 * 4 + 1
    assert np.isfinite(model.evaluate(data["x"], data["y"], verbose=0)).all()
    model.fit(data["x"], data["y"], 16, epochs=5, initial_epoch=2, verbose=0)
    assert model.history.epoch == [2, 3, 4]


def test_loss_that_is_not_finite_is_explained_once(data: dict[str, Array]) -> None:
    model = network(data, optimizer=gt.optimizers.SGD(1e30))
    with pytest.warns(UserWarning, match="The loss became") as caught, np.errstate(all="ignore"):
        model.fit(data["x"], data["y"], 16, epochs=3, verbose=0)
    (warning,) = [w for w in caught if "The loss became" in str(w.message)]
    text = str(warning.message)
    assert "epoch 1 at batch 2" in text and "(it is 1e+30)" in text and "clipnorm" in text
    assert warning.filename == __file__


def test_inputs_that_are_not_finite_are_found_before_training(data: dict[str, Array]) -> None:
    x = data["x"].copy()
    x[7, 3] = np.nan
    with pytest.warns(UserWarning, match=r"x holds 1 values.*nan at index \(7, 3\)") as caught:
        network(data).fit(x, data["y"], epochs=0, verbose=0)
    assert sum("x holds" in str(w.message) for w in caught) == 1


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_compile_and_targets_are_asked_for(data: dict[str, Array], method: str) -> None:
    model = gt.Sequential([gt.layers.Dense(CLASSES)])
    with pytest.raises(ValueError, match=rf"Sequential.{method}\(\).*call compile"):
        getattr(model, method)(data["x"], data["y"])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=rf"{method}\(\) received no targets y.*MeanSquaredError"):
        getattr(model, method)(data["x"])


@pytest.mark.parametrize(
    ("loss", "y", "words"),
    [
        ("sparse_categorical_crossentropy", np.arange(N) % 5, ["received 4 at index 4", "answer"]),
        ("sparse_categorical_crossentropy", np.eye(CLASSES)[np.zeros(N, int)], ["one-hot"]),
        ("categorical_crossentropy", np.zeros(N, int), ["class numbers", "answer"]),
        ("mse", np.zeros(N), ["(50, 4)", "(50,)", "Dense 'answer'"]),
        ("mse", np.zeros((N, 3)), ["(50, 3)", "units"]),
        ("binary_crossentropy", np.full((N, CLASSES), 2), ["from 0 to 1"]),
    ],
)
def test_targets_are_checked_before_the_first_step(
    data: dict[str, Array], loss: str, y: Array, words: list[str]
) -> None:
    model = network(data, loss=loss, metrics=None)
    before = model.get_weights()
    with pytest.raises(ValueError) as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data["x"], y, verbose=0)
    for word in words:
        assert word in str(caught.value)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_validation_targets_are_checked_too(data: dict[str, Array]) -> None:
    with pytest.raises(ValueError, match="received 9 at index 0"):
        network(data).fit(
            data["x"], data["y"], validation_data=(data["x"][:1], np.array([9])), verbose=0
        )
    with pytest.raises(ValueError, match=r"validation_data must be \(x, y\)"):
        network(data).fit(data["x"], data["y"], validation_data=data["x"])


def test_forgotten_softmax_is_warned_of(data: dict[str, Array]) -> None:
    model = network(data, loss="sparse_categorical_crossentropy", metrics=None)
    with pytest.warns(UserWarning, match=r"from_logits=True\).*softmax") as caught:
        model.evaluate(data["x"], data["y"], verbose=0)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"batchsize": 3}, TypeError, "no argument 'batchsize'. Did you mean 'batch_size'"),
        ({"epochs": -1}, ValueError, "epochs must be an integer that is not negative"),
        ({"epochs": 1.5}, TypeError, "epochs must be an integer"),
        ({"verbose": 7}, ValueError, "verbose must be"),
        ({"validation_split": 2.0}, ValueError, "between 0 and 1"),
        ({"validation_freq": 0}, ValueError, "validation_freq must be a positive integer"),
        ({"callbacks": [3]}, TypeError, "callbacks must be Callback objects"),
    ],
)
def test_settings_of_fit_are_checked(
    data: dict[str, Array], settings: dict[str, Any], error: Any, words: str
) -> None:
    with pytest.raises(error, match=re.escape(words)):
        network(data).fit(data["x"], data["y"], **settings)


def test_model_must_return_one_tensor_of_samples(data: dict[str, Array]) -> None:
    class Total(gt.Model):
        def call(self, x: gt.Tensor) -> Any:
            return gt.ops.sum(x)

    model = Total()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"axis 0 is that of the samples.*returned shape \(\)"):
        model.fit(data["x"], data["y"], verbose=0)


def test_real_digits_are_learned() -> None:
    (x, y), (x_test, y_test) = gt.datasets.mnist_sample.load_data()
    gt.utils.set_random_seed(0)
    model = gt.Sequential(
        [
            gt.layers.Flatten(),
            gt.layers.Dense(64, activation="relu"),
            gt.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x / np.float32(255), y, epochs=4, verbose=0)
    _, accuracy = model.evaluate(x_test / np.float32(255), y_test, verbose=0)
    assert accuracy > 0.88
