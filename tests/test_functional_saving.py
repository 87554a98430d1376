"""Functional models as plain data, in files, and what is refused of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape import layers

RNG = np.random.default_rng(0)


def residual_block() -> gt.Model:
    x = gt.Input((6, 6, 3), name="image")
    y = layers.Conv2D(3, 3, padding="same", activation="tanh", name="conv")(x)
    y = layers.Add(name="sum")([x, y])
    y = layers.GlobalAveragePooling2D(name="pool")(y)
    return gt.Model(x, layers.Dense(2, name="answer")(y), name="block")


def everything() -> gt.Model:
    a, b = gt.Input((4, 4, 2), name="a"), gt.Input((3,), name="b")
    encoder = gt.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(3)], name="encoder")
    inner_in = gt.Input((3,))
    inner = gt.Model(inner_in, layers.Add()([inner_in, layers.Dense(3)(inner_in)]), name="inner")
    shared = layers.Dense(3, name="shared")
    conv = layers.Conv2D(3, 2, name="conv")(a)
    pooled = layers.GlobalMaxPooling2D()(layers.BatchNormalization()(conv))
    x = layers.concatenate([shared(encoder(b)), shared(inner(pooled)), shared(inner(b))])
    y = gt.ops.tanh(x[:, 2:]) * np.linspace(0, 1, 7, dtype="f")
    return gt.Model(
        {"a": a, "b": b}, {"wide": layers.Dense(4, name="p")(y), "one": y[:, :1]}, name="everything"
    )


def test_a_model_comes_back_from_a_file(tmp_path: Any) -> None:
    model = everything()
    data = {"a": RNG.normal(size=(2, 4, 4, 2)), "b": RNG.normal(size=(2, 3))}
    model(data, training=True)  # moving statistics that are not those of a new layer
    model.save(tmp_path / "m.npz")
    again = gt.load_model(tmp_path / "m.npz")
    for name, expected in model(data).items():
        np.testing.assert_array_equal(again(data)[name].numpy(), expected.numpy())
    assert [v.name for v in again.layers] == [v.name for v in model.layers]
    assert again.count_params() == model.count_params() and again.name == "everything"
    assert again.get_config() == model.get_config()


def test_weights_fit_the_same_model_made_again(tmp_path: Any) -> None:
    model, other = everything(), everything()
    model.save_weights(tmp_path / "w.npz")
    other.load_weights(tmp_path / "w.npz")
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_run_goes_on_after_loading(tmp_path: Any) -> None:
    gt.utils.set_random_seed(1)
    model, x = residual_block(), RNG.normal(size=(8, 6, 6, 3)).astype("f")
    y = RNG.normal(size=(8, 2))
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0, shuffle=False)
    model.save(tmp_path / "m.npz")
    again = gt.load_model(tmp_path / "m.npz")
    for m in (model, again):
        m.fit(x, y, epochs=2, initial_epoch=1, verbose=0, shuffle=False)
    np.testing.assert_array_equal(model(x).numpy(), again(x).numpy())


def test_a_frozen_model_comes_back_frozen() -> None:
    x = gt.Input((2,))
    model = gt.Model(x, layers.Dense(2)(x), trainable=False)
    assert model.trainable_weights == []
    assert gt.Model.from_config(model.get_config()).trainable_weights == []


def config_with(change: Any) -> dict[str, Any]:
    config = json.loads(json.dumps(gt.saving.serialize(residual_block())))["config"]
    change(config)
    return config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c["calls"].reverse(), "form a cycle"),
        (lambda c: c["calls"][0].update(inputs=[{"tensor": [1, 0]}]), "form a cycle"),
        (lambda c: c["calls"][0].update(inputs=[{"tensor": [0, 3]}]), "output 3 of call 0"),
        (lambda c: c["calls"][0].update(layer=99), "there is no layer 99"),
        (lambda c: c["calls"][0].update(inputs=[{"code": "exit()"}]), "which nothing stands for"),
    ],
)
def test_damaged_configurations_are_refused(change: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        gt.Model.from_config(config_with(change))


def test_a_call_with_what_cannot_be_written_down_says_so() -> None:
    class Odd(layers.Layer):
        def call(self, x: Any, how: Any = None) -> Any:
            return x

    x = gt.Input((2,))
    model = gt.Model(x, Odd()(x, how=object()))
    with pytest.raises(TypeError, match=r"<object .* cannot be saved"):
        model.get_config()


def test_a_file_of_an_earlier_version_loads_once_it_is_trusted(tmp_path: Path) -> None:
    """It does not say what ops return, and an op could be asked for an array of any size."""
    saved = Path(__file__).parent / "saved" / "functional_0.1.npz"
    with pytest.raises(ValueError, match=r"does not say what 'add' returns.*safe_mode=False"):
        gt.load_model(saved)
    x = np.random.default_rng(0).normal(size=(6, 8, 8, 3)).astype(np.float32)
    expected = np.load(saved.with_name("functional_0.1_predictions.npy"))
    model = gt.load_model(saved, safe_mode=False)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-7)
    assert model.optimizer.iterations == 2
    model.save(tmp_path / "again.npz")
    again = gt.load_model(tmp_path / "again.npz")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
