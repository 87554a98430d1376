"""Models with a `call` of their own: what they own, save, show and refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)


class Net(gt.Model):
    """Layers in an attribute, a list, a dict and a model; one of them used twice."""

    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units, activation="tanh")
        self.blocks = [layers.Dense(units), [layers.Dense(units)]]
        self.heads = {"a": layers.Dense(2)}
        self.body = gt.Sequential([layers.BatchNormalization()])

    def call(self, x: Any, training: bool | None = None) -> Any:
        x = self.first(x)
        x = x + self.blocks[0](x)
        x = self.blocks[1][0](self.blocks[1][0](x))
        return self.heads["a"](self.body(x, training=training))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


X = RNG.normal(size=(6, 4)).astype("f")


def test_layers_are_found_in_lists_dicts_and_models() -> None:
    net = Net()
    net(X)
    assert net.layers == [net.first, net.blocks[0], net.blocks[1][0], net.heads["a"], net.body]
    assert net.count_params() == (4 * 3 + 3) + 2 * (3 * 3 + 3) + (3 * 2 + 2) + 4 * 3
    assert net.get_layer(index=1) is net.blocks[0]
    assert len(net.trainable_weights) == 10 and len(net.non_trainable_weights) == 2


def test_training_reaches_the_call_and_the_layers_in_it() -> None:
    net = Net()
    net(X)
    before = net.body.layers[0].moving_mean.data.copy()
    net(X, training=False)
    np.testing.assert_array_equal(net.body.layers[0].moving_mean.data, before)
    net(X, training=True)
    assert (net.body.layers[0].moving_mean.data != before).all()


def test_a_call_without_training_is_enough() -> None:
    class Plain(gt.Model):
        def __init__(self) -> None:
            super().__init__()
            self.drop = layers.Dropout(0.5, seed=1)

        def call(self, x: Any) -> Any:
            return self.drop(x)

    x = np.ones((10, 10), "f")
    assert (Plain()(x, training=True).numpy() == 0).any()
    assert (Plain()(x).numpy() == 1).all()


def test_weights_and_models_are_saved_and_loaded(tmp_path: Any) -> None:
    net, other = Net(name="net"), Net()
    net(X, training=True)
    other.build((None, 4))
    net.save_weights(tmp_path / "w.npz")
    other.load_weights(tmp_path / "w.npz")
    np.testing.assert_array_equal(net(X).numpy(), other(X).numpy())
    net.save(tmp_path / "m.npz")
    again = gt.load_model(tmp_path / "m.npz", custom_objects={"Net": Net})
    assert isinstance(again, Net) and again.name == "net"
    np.testing.assert_array_equal(net(X).numpy(), again(X).numpy())


def test_an_unbuilt_model_has_no_weights_to_save(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="has no weights yet"):
        Net().save_weights(tmp_path / "w.npz")


def test_the_summary_needs_a_built_model_for_its_shapes() -> None:
    lines: list[str] = []
    net = Net(name="net")
    net.summary(print_fn=lines.append)
    assert "0 (unbuilt)" in lines[0]
    net.build((None, 4))
    net.summary(print_fn=lines.append)
    assert "Total params: 59" in lines[1] and "unbuilt" not in lines[1]
    assert net.output_shape == (None, 2)


@pytest.mark.parametrize("how", ["data", "symbolic", "fit", "build"])
def test_a_subclass_without_call_says_so(how: str) -> None:
    class Empty(gt.Model):
        pass

    net = Empty()
    net.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"Empty must define call\(self, inputs\)"):
        if how == "data":
            net(X)
        elif how == "symbolic":
            net(gt.Input((3,)))
        elif how == "fit":
            net.fit(X, X, verbose=0)
        else:
            net.build((None, 4))


def test_a_constructor_without_super_says_so() -> None:
    class Forgotten(gt.Model):
        def __init__(self) -> None:
            self.dense = layers.Dense(2)

    with pytest.raises(TypeError, match=r"Forgotten.__init__ must call super\(\).__init__\(\)"):
        Forgotten()(X)


def test_a_first_call_that_fails_leaves_the_model_unbuilt() -> None:
    class Picky(gt.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x: Any) -> Any:
            if x.shape[1] != 4:
                raise ValueError("only four")
            return self.dense(x)

    net = Picky()
    with pytest.raises(ValueError, match="only four"):
        net(np.ones((2, 5)))
    assert not net.built
    net(X)
    assert net.built and net.input_shape == (None, 4)


class Two(gt.Model):
    """Several inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = layers.Dense(1), layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        x, y = inputs["x"], inputs["y"]
        return {"sum": self.a(x) + self.a(y), "pair": self.b(layers.concatenate([x, y]))}


def test_a_subclass_may_take_and_return_dicts() -> None:
    net, inputs = Two(), {"x": X, "y": -X}
    targets = {"sum": np.ones((6, 1)), "pair": np.zeros((6, 2))}
    net.compile("sgd", {"sum": "mse", "pair": "mae"}, metrics={"pair": ["mse"]})
    history = net.fit(inputs, targets, epochs=3, batch_size=4, verbose=0).history
    assert list(history) == ["loss", "sum_loss", "pair_loss", "pair_mse"]
    assert history["loss"][-1] < history["loss"][0]
    predicted = net.predict(inputs, batch_size=4, verbose=0)
    np.testing.assert_allclose(predicted["pair"], net(inputs)["pair"].numpy(), rtol=1e-6)
    assert net.output_shape == {"sum": (None, 1), "pair": (None, 2)}
    symbolic = net({"x": gt.Input((4,)), "y": gt.Input((4,))})
    assert {k: t.shape for k, t in symbolic.items()} == net.output_shape


@gt.saving.register_keras_serializable("test_subclassing")
class Wide(gt.layers.Dense):
    """A layer of the package, made with other arguments."""

    def __init__(self, units: int, times: int = 2, **kwargs: Any) -> None:
        super().__init__(units * times, **kwargs)


@gt.saving.register_keras_serializable("test_subclassing")
class Fixed(gt.layers.Conv2D):
    """A layer of the package that takes fewer."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(4, 3, padding="same", name=name)


def test_a_subclass_of_a_layer_is_made_again_from_what_it_was_made_with(tmp_path: Path) -> None:
    for layer, shape in ((Wide(3, times=2, activation="relu"), (2, 4)), (Fixed(), (1, 4, 4, 1))):
        x = np.ones(shape, np.float32)
        model = gt.Sequential([layer])
        answer = model.predict(x, verbose=0)
        model.save(tmp_path / "model.npz")
        again = gt.load_model(tmp_path / "model.npz")
        np.testing.assert_array_equal(again.predict(x, verbose=0), answer)
        assert again.layers[0].get_config() == layer.get_config()
    assert Wide(3, activation="relu").get_config()["units"] == 3
