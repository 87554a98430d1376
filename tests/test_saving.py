"""Saving and loading: what comes back, and what survives a crash."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

import gradtape as gt
from gradtape.layers import Conv2D, Dense, Dropout, Flatten, Input, Layer
from gradtape.saving import archive

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 6, 6, 1))


def net(units=4, filters=2):
    return gt.Sequential(
        [
            Input((6, 6, 1)),
            Conv2D(filters, 3, activation="relu"),
            Flatten(),
            Dropout(0.5),
            Dense(units, "softmax"),
        ]
    )


@gt.saving.register_keras_serializable("tests")
class Scale(Layer):
    def __init__(self, start, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape):
        start = gt.initializers.Constant(self.start)
        self.factor = self.add_weight((input_shape[-1],), start, name="factor")

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {**super().get_config(), "start": self.start}


class Unregistered(Scale):
    pass


@gt.saving.register_keras_serializable("tests")
class Subclassed(gt.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = [Dense(3), Scale(2.0)]

    def call(self, x):
        for layer in self.hidden:
            x = layer(x)
        return x


@gt.saving.register_keras_serializable("tests")
def cube(x):
    return x * x * x


# What comes back


@pytest.mark.parametrize(
    "name", ["net.npz", "NET.NPZ", "net", "01-0.25", "nét model", "net.weights.npz"]
)
def test_a_model_comes_back_whole_under_any_file_name(tmp_path, name):
    model = net()
    model.save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    again = gt.load_model(str(tmp_path / name))
    assert np.array_equal(again(X).numpy(), model(X).numpy())
    assert gt.saving.serialize(again) == gt.saving.serialize(model)
    assert [v.trainable for v in again.weights] == [True] * 4
    assert all(v.data.flags.writeable for v in again.variables)


def test_the_same_model_is_the_same_file_bit_for_bit(tmp_path):
    model = net()
    model.save(tmp_path / "a")
    model.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_numpy_reads_the_file(tmp_path):
    model = net()
    model.save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as file:
        kernel = file["variables/dense/kernel"]
        config = json.loads(file["config.json"])
    assert np.array_equal(kernel, model.layers[-1].kernel.data)
    assert config["model"]["class_name"] == "models>Sequential"


def test_training_goes_on_where_it_was(tmp_path):
    gt.utils.set_random_seed(1)
    model = net()
    y = RNG.integers(0, 4, 3)
    model.compile(gt.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    for _ in range(3):
        model.train_on_batch(X, y)
    model.save(tmp_path / "net")
    gt.utils.set_random_seed(2)  # as in another process
    again = gt.load_model(tmp_path / "net")
    for _ in range(3):
        assert again.train_on_batch(X, y) == model.train_on_batch(X, y)
    assert again.optimizer.iterations == 6
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_loading_without_compiling(tmp_path):
    model = net()
    model.compile("sgd", "mse")
    model.save(tmp_path / "net")
    assert gt.load_model(tmp_path / "net").optimizer is not None
    assert gt.load_model(tmp_path / "net", compile=False).optimizer is None


def test_an_unbuilt_model_comes_back_unbuilt(tmp_path):
    gt.Sequential([Flatten(), Dense(3)]).save(tmp_path / "net")
    model = gt.load_model(tmp_path / "net")
    assert not model.built
    assert model(X).shape == (3, 3)


def test_float64_and_frozen_layers_come_back(tmp_path):
    model = gt.Sequential(
        [Input((3,), dtype="float64"), Dense(2, dtype="float64", trainable=False)]
    )
    model.save(tmp_path / "net")
    again = gt.load_model(tmp_path / "net")
    assert again.weights[0].dtype == np.float64
    assert again.trainable_weights == []
    assert np.array_equal(again.get_weights()[0], model.get_weights()[0])


def test_loading_draws_no_weights(tmp_path, monkeypatch):
    model = net()
    model.save(tmp_path / "net")
    monkeypatch.setattr(gt.initializers.VarianceScaling, "__call__", None)
    assert np.array_equal(gt.load_model(tmp_path / "net")(X).numpy(), model(X).numpy())


def test_classes_and_functions_of_ones_own(tmp_path):
    model = gt.Sequential([Input((3,)), Scale(3.0), Dense(2, activation=cube)])
    model.save(tmp_path / "net")
    again = gt.load_model(tmp_path / "net")
    x = RNG.normal(size=(2, 3))
    assert np.array_equal(again(x).numpy(), model(x).numpy())
    assert again.layers[0].start == 3.0
    assert again.layers[1].activation is cube


def test_a_subclassed_model_comes_back(tmp_path):
    model = Subclassed()
    x = RNG.normal(size=(2, 5))
    y = model(x)
    model.save(tmp_path / "net")
    again = gt.load_model(tmp_path / "net")
    assert type(again) is Subclassed
    assert np.array_equal(again(x).numpy(), y.numpy())


def test_unregistered_classes_are_passed_by_name(tmp_path):
    gt.Sequential([Input((3,)), Unregistered(3.0)]).save(tmp_path / "net")
    with pytest.raises(ValueError, match=r"Unknown layer 'Unregistered'.*custom_objects"):
        gt.load_model(tmp_path / "net")
    custom = {"Unregistered": Unregistered}
    assert type(gt.load_model(tmp_path / "net", custom).layers[0]) is Unregistered
    with gt.saving.custom_object_scope(custom):
        assert type(gt.load_model(tmp_path / "net").layers[0]) is Unregistered


def test_what_cannot_be_saved_says_so_and_writes_nothing(tmp_path):
    model = gt.Sequential([Input((3,)), Dense(2, activation=lambda x: x)])
    with pytest.raises(TypeError, match="lambda cannot be saved"):
        model.save(tmp_path / "net")
    assert os.listdir(tmp_path) == []


# Weights alone


def test_weights_fit_the_same_model_made_anew(tmp_path):
    model, other = net(), net()
    model.save_weights(tmp_path / "w")
    assert model.layers[0].name != other.layers[0].name
    before = [v.data for v in other.weights]
    other.load_weights(tmp_path / "w")
    assert np.array_equal(other(X).numpy(), model(X).numpy())
    assert all(v.data is b for v, b in zip(other.weights, before, strict=True))


def test_weights_do_not_hold_random_states(tmp_path):
    model = net()
    model.save_weights(tmp_path / "w")
    with archive.opened(tmp_path / "w") as file:
        assert not any("random_state" in name for name in file.headers)


def test_weights_are_also_read_from_a_models_file(tmp_path):
    model, other = net(), net()
    model.save(tmp_path / "net")
    other.load_weights(tmp_path / "net")
    assert np.array_equal(other(X).numpy(), model(X).numpy())
    with pytest.raises(ValueError, match="holds weights only"):
        model.save_weights(tmp_path / "w")
        gt.load_model(tmp_path / "w")


def test_every_mismatch_is_named_and_nothing_is_changed(tmp_path):
    net(units=5, filters=3).save_weights(tmp_path / "w")
    model = net()
    model.add(Dense(2))
    before = model.get_weights()
    with pytest.raises(ValueError, match="does not fit the model") as error:
        model.load_weights(tmp_path / "w")
    message = str(error.value)
    path = model.layers[0].kernel.path
    assert f"conv2d/kernel ({path}) has shape (3, 3, 1, 2), in the file (3, 3, 1, 3)" in message
    assert "dense/bias" in message
    assert "dense_1/kernel" in message
    assert "is not in the file" in message
    assert message.count("\n") == 6
    for one, other in zip(model.get_weights(), before, strict=True):
        assert np.array_equal(one, other)


def test_surplus_weights_and_other_dtypes_are_mismatches(tmp_path):
    gt.Sequential([Input((3,)), Dense(2), Dense(2)]).save_weights(tmp_path / "more")
    model = gt.Sequential([Input((3,)), Dense(2)])
    with pytest.raises(ValueError, match="dense_1/kernel is in the file only"):
        model.load_weights(tmp_path / "more")
    model.save_weights(tmp_path / "w")
    double = gt.Sequential([Input((3,)), Dense(2, dtype="float64")])
    with pytest.raises(ValueError, match="is float64, in the file float32"):
        double.load_weights(tmp_path / "w")


def test_an_unbuilt_model_has_no_weights_to_save_or_load(tmp_path):
    model = gt.Sequential([Dense(2)])
    for method in (model.save_weights, model.load_weights):
        with pytest.raises(ValueError, match=r"no weights yet. Call model.build\(input_shape\)"):
            method(tmp_path / "w")


# Writing


def test_a_crash_while_writing_costs_nothing(tmp_path, monkeypatch):
    path = tmp_path / "net"
    net().save(path)
    before = path.read_bytes()

    def crash(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", crash)
    with pytest.raises(OSError, match="disk full"):
        net(units=7).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["net"]


def test_overwriting_can_be_refused(tmp_path):
    model = net()
    model.save(tmp_path / "net")
    model.save(tmp_path / "net")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save(tmp_path / "net", overwrite=False)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        model.save_weights(tmp_path / "net", overwrite=False)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="its folder does not exist"):
        net().save(tmp_path / "no" / "net")


@pytest.mark.skipif(os.name != "posix", reason="links and modes as POSIX has them")
def test_links_and_permissions_stay(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"")
    target.chmod(0o640)
    link.symlink_to(target)
    net().save(link)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert gt.load_model(target).built


def test_weights_that_do_not_fit_can_be_skipped(tmp_path):
    path = tmp_path / "weights"
    make = lambda units: gt.Sequential(  # noqa: E731
        [gt.Input((3,)), Dense(4, name="same"), Dense(units, name="other")]
    )
    source, model = make(2), make(5)
    source.save_weights(path)
    before = model.get_weights()
    with pytest.warns(UserWarning, match=r"shape \(4, 5\), in the file \(4, 2\)"):
        model.load_weights(path, skip_mismatch=True)
    after = model.get_weights()
    assert np.array_equal(after[0], source.get_weights()[0])
    assert np.array_equal(after[2], before[2])
