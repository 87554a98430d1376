"""Clones: the same layers, connected the same way, with weights of their own or other layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers
from gradtape.models import clone_model, model_from_json

X = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def sequential() -> Any:
    return gt.Sequential([gt.Input((6,)), layers.Dense(5, "relu"), layers.Dense(2)])


def shared() -> Any:
    a, b = gt.Input((6,), name="a"), gt.Input((6,), name="b")
    dense = layers.Dense(3, "tanh", name="shared")
    inner = gt.Sequential([gt.Input((3,)), layers.Dense(3, name="deep")], name="inner")
    return gt.Model([a, b], layers.add([inner(dense(a)), dense(b)]))


def given(model: Any) -> Any:
    return X if len(model.inputs) == 1 else [X, X[::-1]]


@pytest.mark.parametrize("make", [sequential, shared])
def test_a_clone_is_the_same_net_with_weights_of_its_own(make: Any) -> None:
    model = make()
    clone = clone_model(model)
    assert type(clone) is type(model)
    assert [type(v) for v in clone.layers] == [type(v) for v in model.layers]
    assert not {id(w) for w in clone.weights} & {id(w) for w in model.weights}
    assert not np.array_equal(clone(given(model)).numpy(), model(given(model)).numpy())
    clone.set_weights(model.get_weights())
    assert np.array_equal(clone(given(model)).numpy(), model(given(model)).numpy())


def test_a_clone_function_may_put_other_layers_in_place() -> None:
    def linear(layer: Any) -> Any:
        config = layer.get_config()
        return type(layer).from_config({**config, "activation": "linear"})

    model = sequential()
    clone = clone_model(model, clone_function=linear)
    clone.set_weights(model.get_weights())
    (w1, b1), (w2, b2) = (layer.get_weights() for layer in model.layers)
    assert np.allclose(clone(X).numpy(), (X @ w1 + b1) @ w2 + b2, atol=1e-5)


def test_a_clone_function_may_share_layers() -> None:
    model = shared()
    clone = clone_model(model, clone_function=lambda layer: layer)
    assert {id(w) for w in clone.weights} == {id(w) for w in model.weights}


def test_models_inside_are_cloned_layer_by_layer_if_asked() -> None:
    seen: list[str] = []

    def note(layer: Any) -> Any:
        seen.append(layer.name)
        return type(layer).from_config(layer.get_config())

    clone_model(shared(), clone_function=note)
    assert "inner" in seen and "deep" not in seen
    seen.clear()
    clone_model(shared(), clone_function=note, recursive=True)
    assert "deep" in seen and "inner" not in seen


def test_a_clone_can_be_built_on_given_inputs() -> None:
    one = gt.Input((6,), name="mine")
    assert clone_model(sequential(), input_tensors=one).inputs[0].call.layer.name == "mine"
    two = [gt.Input((6,), name="p"), gt.Input((6,), name="q")]
    assert [t.call.layer.name for t in clone_model(shared(), input_tensors=two).inputs] == [*"pq"]
    with pytest.raises(ValueError, match="needs 2 input tensors"):
        clone_model(shared(), input_tensors=one)


class Own(gt.Model):
    def __init__(self, units: int = 3, **settings: Any) -> None:
        super().__init__(**settings)
        self.units = units
        self.dense = layers.Dense(units)

    def get_config(self) -> Any:
        return {**super().get_config(), "units": self.units}

    def call(self, x: Any) -> Any:
        return self.dense(x)


def test_what_cannot_be_cloned_says_so() -> None:
    assert clone_model(Own(4)).units == 4
    with pytest.raises(ValueError, match="only its call"):
        clone_model(Own(), clone_function=lambda layer: layer)
    with pytest.raises(TypeError, match="expects a model"):
        clone_model(layers.Dense(3))
    with pytest.raises(TypeError, match="must return a layer"):
        clone_model(sequential(), clone_function=lambda layer: None)


@pytest.mark.parametrize("make", [sequential, shared])
def test_a_model_comes_back_from_json(make: Any) -> None:
    model = make()
    text = model.to_json(indent=1)
    again = model_from_json(text)
    assert again.to_json(indent=1) == text
    with pytest.raises(ValueError, match="to_json"):
        model_from_json(text[:-2])
    with pytest.raises(ValueError, match="Tense"):
        model_from_json(text.replace("Dense", "Tense"))


@pytest.mark.parametrize("make", [sequential, shared])
def test_a_clone_of_a_compiled_model_is_compiled_in_the_same_way(make: Any) -> None:
    """As in Keras; and unlike there, also with functions that cannot be written down."""
    model = make()
    assert not clone_model(model).compiled
    model.compile(
        gt.optimizers.Adam(0.25), lambda y, p: (y - p) ** 2, metrics=[gt.metrics.MeanSquaredError()]
    )
    y = X[:, : model(given(model)).shape[-1]]
    model.fit(given(model), y, epochs=2, verbose=0)
    clone = clone_model(model)
    assert clone.compiled and clone.optimizer is not model.optimizer
    assert (int(clone.optimizer.iterations), int(model.optimizer.iterations)) == (0, 2)
    assert float(clone.optimizer.learning_rate) == 0.25
    clone.fit(given(clone), y, verbose=0)
    assert (int(clone.optimizer.iterations), int(model.optimizer.iterations)) == (1, 2)
    assert not {id(m) for m in clone.metrics} & {id(m) for m in model.metrics}
