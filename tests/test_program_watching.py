"""What a program was made from: a change anywhere in it is seen, and only then is it made anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.program.watching import Watch, frozen, patched

Array = np.ndarray
L = gt.layers
_RNG = np.random.default_rng(0)
X, Y = _RNG.normal(size=(20, 6, 5, 2)).astype(np.float32), _RNG.integers(0, 3, 20)


def net(regularizer: Any = None) -> Any:
    gt.utils.set_random_seed(1)
    layers = [
        L.Rescaling([1.0, 2.0], offset=np.array([0.5, -0.5])),
        L.Conv2D(4, 3, activation="relu", kernel_regularizer=regularizer),
        L.BatchNormalization(),
        L.LeakyReLU(0.3),
        L.Flatten(),
        L.Dense(3, activity_regularizer=gt.regularizers.L2(0.01)),
    ]
    return gt.Sequential([gt.Input((6, 5, 2)), *layers])


def trained(change: Callable[[Any], Any], eager: bool) -> list[Array]:
    """Losses, predictions and weights around a change, on programs or without."""
    model = net(gt.regularizers.L1(0.01))
    loss = gt.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(gt.optimizers.SGD(0.05, momentum=0.9), loss)
    if eager:
        model._native = False
    losses = [model.train_on_batch(X, Y), model.test_on_batch(X, Y)]
    model.predict(X, verbose=0)
    change(model)
    losses += [model.train_on_batch(X, Y), model.test_on_batch(X, Y)]
    losses += model.fit(X, Y, 10, epochs=2, shuffle=False, verbose=0).history["loss"]
    return [np.array(losses), model.predict(X, verbose=0), *model.get_weights()]


def _set(path: str, value: Any) -> Callable[[Any], None]:
    """Set ``layer.attribute[.attribute]``, the layer by its number."""
    number, *names, last = path.split(".")

    def change(model: Any) -> None:
        thing = model.layers[int(number)]
        for name in names:
            thing = getattr(thing, name)
        setattr(thing, last, value)

    return change


def _scale_in_place(model: Any) -> None:
    model.layers[0].scale[0] = 9.0


def _offset_in_place(model: Any) -> None:
    model.layers[0].offset[1] = 3.0


def _call_of_a_layer(model: Any) -> None:
    model.layers[3].call = lambda x: 3.0 * x


def _freeze(model: Any) -> None:
    model.layers[1].trainable = False


def _freeze_a_variable(model: Any) -> None:
    model.layers[1].kernel.trainable = False


def _loss_in_place(model: Any) -> None:
    model._scores.loss.from_logits = False
    model._scores.loss.ignore_class = 1


def _regularizer_of_a_variable(model: Any) -> None:
    model.layers[1].kernel.regularizer.l1 = 0.5


def _optimizer_in_place(model: Any) -> None:
    model.optimizer.momentum, model.optimizer.nesterov = 0.5, True
    model.optimizer.clipnorm, model.optimizer.weight_decay = 0.1, 0.01


def _update_of_an_optimizer(model: Any) -> None:
    usual = model.optimizer.update
    model.optimizer.update = lambda w, g, *rest: usual(w, 2 * g, *rest)


def _call_of_a_loss(model: Any) -> None:
    model._scores.loss.call = lambda y, p: gt.ops.sum(p * p, axis=-1)


CHANGES: dict[str, Callable[[Any], Any]] = {
    "an element of a list": _scale_in_place,
    "an element of an array": _offset_in_place,
    "a setting": _set("2.epsilon", 0.5),
    "a slope": _set("3.negative_slope", 0.9),
    "an activation": _set("1.activation", gt.activations.tanh),
    "an activation of one's own": _set("5.activation", lambda x: gt.ops.sin(x)),
    "an activity regularizer in place": _set("5.activity_regularizer.l2", 0.5),
    "call of a layer": _call_of_a_layer,
    "a layer that is frozen": _freeze,
    "a variable that is frozen": _freeze_a_variable,
    "a loss in place": _loss_in_place,
    "call of a loss": _call_of_a_loss,
    "a regularizer in place": _regularizer_of_a_variable,
    "an optimizer in place": _optimizer_in_place,
    "update of an optimizer": _update_of_an_optimizer,
}


@pytest.mark.filterwarnings("ignore:SparseCategoricalCrossentropy expects probabilities")
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_counts_natively_as_it_does_eagerly(change: str) -> None:
    native, eager = (trained(CHANGES[change], eager) for eager in (False, True))
    for got, expected in zip(native, eager, strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-5)
    unchanged = trained(lambda model: None, True)
    assert not np.allclose(unchanged[1], eager[1], atol=1e-3), "the change changes nothing"


@pytest.mark.parametrize("name", ["call", "__call__"])
def test_a_method_replaced_in_a_class_counts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = net()
    before = model.predict(X, verbose=0)
    usual = getattr(L.LeakyReLU, name)

    def twice(self: Any, *args: Any, **kwargs: Any) -> Any:
        return 2.0 * usual(self, *args, **kwargs)

    monkeypatch.setattr(L.LeakyReLU, name, twice)
    changed = model.predict(X, verbose=0)
    np.testing.assert_allclose(changed, model(X).numpy(), rtol=1e-4, atol=1e-5)
    assert not np.allclose(changed, before, atol=1e-3)
    monkeypatch.undo()
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)


def test_patched_names_what_was_replaced() -> None:
    layer = L.Dense(2)
    assert patched(layer) is None and patched(gt.losses.MeanSquaredError()) is None
    layer.call = lambda x: x
    assert patched(layer) == "call"


def test_nothing_is_made_anew_while_nothing_changes() -> None:
    model = net()
    model.compile("adam", gt.losses.SparseCategoricalCrossentropy(from_logits=True))
    kept: list[Any] = []
    for _ in range(3):
        model.train_on_batch(X, Y)
        model.test_on_batch(X, Y)
        model.predict(X, verbose=0)
        made = [entry.step for entry in model._native._steps.values()]
        assert len(made) == 3 and len(model._native._graphs) == 2
        before, kept = kept, made
        assert not before or all(a is b for a, b in zip(before, made, strict=True))


class Thing:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


def _append(thing: Any) -> None:
    thing.numbers["deep"][0].append(3)


def _array(thing: Any) -> None:
    thing.array[1] = np.inf


def _inner(thing: Any) -> None:
    thing.inner.rate = 0.1


def _another(thing: Any) -> None:
    thing.array = np.zeros(3)


def _added(thing: Any) -> None:
    thing.more = 1


@pytest.mark.parametrize("change", [_append, _array, _inner, _another, _added])
def test_a_watch_sees_changes_at_any_depth(change: Callable[[Any], None]) -> None:
    array = np.array([1.0, np.nan, 2.0])
    thing = Thing(numbers={"deep": ([1, 2],)}, array=array, inner=Thing(rate=0.2))
    thing.inner.outer = thing  # and does not go round in circles
    watch = Watch([thing])
    assert watch.same()
    change(thing)
    assert not watch.same()


def test_frozen_values_count_by_content() -> None:
    value = {"a": [np.arange(3.0), (1, 2)]}
    before = frozen(value)
    assert before == frozen({"a": [np.arange(3.0), (1, 2)]})
    value["a"][0][1] = 5
    assert before != frozen(value)
