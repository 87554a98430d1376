"""Steps that learn nothing, or not everything: programs say and do what the eager step does."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt

Array = np.ndarray
L = gt.layers
X = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(20, 1)).astype(np.float32)


class Detaching(L.Layer):
    """Computes, but keeps the gradient to itself."""

    def call(self, x: Any) -> Any:
        return gt.tensor(np.tanh(x.numpy()))


class Half(L.Layer):
    """Has two weights and uses one of them."""

    def build(self, input_shape: Any) -> None:
        self.used = self.add_weight((input_shape[-1],), "ones", name="used")
        self.unused = self.add_weight((2,), "ones", name="unused")

    def call(self, x: Any) -> Any:
        return x * self.used


def _off_the_tape(y_true: Any, y_pred: Any) -> Any:
    return np.mean((np.asarray(y_true) - y_pred.numpy()) ** 2, axis=-1)


def chain(*middle: Any, loss: Any = "mse", optimizer: Any = None) -> Any:
    layers = [gt.Input((6,)), L.Dense(4, activation="tanh"), *middle, L.Dense(3), L.Dense(1)]
    model = gt.Sequential(layers)
    model.compile(optimizer or gt.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01), loss)
    return model


def two_outputs(loss: Any, loss_weights: Any = None) -> Any:
    x = gt.Input((6,))
    h = L.Dense(4, activation="tanh")(x)
    model = gt.Model(x, [L.Dense(1)(h), L.Dense(1)(h)])
    model.compile(gt.optimizers.SGD(0.1, momentum=0.9), loss, loss_weights=loss_weights)
    return model


def _frozen() -> Any:
    model = chain()
    model.trainable = False
    return model


def _no_optimizer() -> Any:
    model = chain()
    model.compile(None, "mse")
    return model


CASES: dict[str, Callable[[], Any]] = {
    "loss off the tape": lambda: chain(loss=_off_the_tape),
    "one loss of two off the tape": lambda: two_outputs([_off_the_tape, "mse"]),
    "no loss for one output": lambda: two_outputs([None, "mse"]),
    "both losses off the tape": lambda: two_outputs(_off_the_tape),
    "a layer that detaches": lambda: chain(Detaching()),
    "a Lambda that detaches": lambda: chain(L.Lambda(lambda x: gt.tensor(x.numpy() * 2))),
    "a weight that is not used": lambda: chain(Half()),
    "all frozen": _frozen,
    "no optimizer": _no_optimizer,
    "learning rate 0": lambda: chain(optimizer=gt.optimizers.Adam(0.0)),
    "loss weights 0": lambda: two_outputs("mse", [0.0, 0.0]),
    "one loss weight 0": lambda: two_outputs("mse", [0.0, 1.0]),
}


def outcome(make: Callable[[], Any], eager: bool, method: str, weight: float = 1.0) -> Any:
    """What training says, raises and leaves behind."""
    gt.utils.set_random_seed(1)
    model = make()
    if eager:
        model._native = False
    y = [Y, Y] if len(model.outputs) == 2 else Y
    given = np.full(len(X), weight, np.float32)
    raised = None
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            if method == "fit":
                model.fit(X, y, 10, epochs=2, sample_weight=given, shuffle=False, verbose=0)
            else:
                for _ in range(2):
                    model.train_on_batch(X, y, sample_weight=given)
        except ValueError as error:
            raised = str(error)
    messages = {re.sub(r"_\d+", "", str(w.message)) for w in said}
    return raised, sorted(messages), model.get_weights()


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
@pytest.mark.parametrize("case", CASES)
def test_programs_say_and_do_what_the_eager_step_does(case: str, method: str) -> None:
    native, eager = (outcome(CASES[case], eager, method) for eager in (False, True))
    assert native[:2] == eager[:2]
    for got, expected in zip(native[2], eager[2], strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("case", "raises", "says"),
    [
        ("loss off the tape", "No variable has a gradient", ""),
        ("one loss of two off the tape", "", "does not depend on"),
        ("both losses off the tape", "No variable has a gradient", ""),
        ("a layer that detaches", "", "does not depend on"),
        ("a Lambda that detaches", "", "does not depend on"),
        ("a weight that is not used", "", "does not depend on .*unused"),
        ("all frozen", "", "no trainable weights"),
        ("no optimizer", r"no optimizer.*compile\(optimizer=", ""),
        ("learning rate 0", "", ""),
        ("loss weights 0", "", ""),
    ],
)
def test_what_cannot_be_meant_is_said_and_what_can_is_not(
    case: str, raises: str, says: str
) -> None:
    raised, said, _ = outcome(CASES[case], False, "fit")
    for expected, got in ((raises, raised or ""), (says, " ".join(said))):
        assert re.search(expected, got) and bool(expected) == bool(got), got


def test_samples_that_all_weigh_nothing_are_legal() -> None:
    for eager in (False, True):
        raised, said, weights = outcome(lambda: chain(optimizer="sgd"), eager, "fit", weight=0.0)
        assert raised is None and not said
        gt.utils.set_random_seed(1)
        for got, expected in zip(weights, chain().get_weights(), strict=True):
            np.testing.assert_array_equal(got, expected)


class Forgets(gt.Sequential):
    applies = False

    def train_step(self, data: Any) -> Any:
        x, y = data
        with gt.GradientTape() as tape:
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        if self.applies:
            self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


@pytest.mark.parametrize("applies", [False, True])
def test_a_step_of_ones_own_that_forgets_to_apply_is_noticed(applies: bool) -> None:
    model = Forgets([gt.Input((6,)), L.Dense(1)])
    model.applies = applies
    model.compile("sgd", "mse")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(X, Y, epochs=2, verbose=0)
    messages = [str(w.message) for w in said]
    assert len(messages) == (not applies)
    assert all("Forgets has changed no weight" in message for message in messages)


def test_a_step_of_ones_own_that_returns_nothing_is_refused() -> None:
    class Silent(gt.Sequential):
        def train_step(self, data: Any) -> Any:
            super().train_step(data)

    model = Silent([gt.Input((6,)), L.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="must return a dict of logs"):
        model.fit(X, Y, verbose=0)
