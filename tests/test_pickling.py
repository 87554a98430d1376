"""Everything public can be pickled and copied: by reference, or with its state."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.autograd.tape import OPS

PLACES = (
    "activations", "callbacks", "constraints", "datasets", "initializers", "layers", "losses",
    "metrics", "models", "optimizers", "optimizers.schedules", "random", "regularizers", "saving",
    "autograd.tree", "utils",
)  # fmt: skip
#: Arguments that make an object of most classes.
ARGUMENTS: tuple[tuple[Any, ...], ...] = (
    (), (2,), (2, 3), ((2, 1),), (0.1,), (0.1, 0.2), (0.1, 10, 0.5), ([1], [0.1, 0.2]), (2, [0, 1])
)  # fmt: skip
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 8, 8, 1)).astype(np.float32), np.arange(32) % 4


def copies(thing: Any) -> list[Any]:
    """By every protocol since the one that knows classes of the present kind, and by deepcopy."""
    texts = [pickle.dumps(thing, protocol) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    return [*map(pickle.loads, texts), copy.deepcopy(thing)]


def public(place: str) -> dict[str, Any]:
    """What belongs to gradtape among the names of one of its modules."""
    module: Any = gt
    for part in place.split("."):
        module = getattr(module, part)
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {
        name: thing
        for name, thing in found.items()
        if str(getattr(thing, "__module__", "")).startswith("gradtape")
        and not inspect.ismodule(thing)
    }


@pytest.mark.parametrize("name", OPS)
def test_an_op_is_pickled_and_copied_by_reference(name: str) -> None:
    assert all(one is OPS[name] for one in [*copies(OPS[name]), copy.copy(OPS[name])])


@pytest.mark.parametrize("place", PLACES)
def test_public_names_are_pickled_by_reference(place: str) -> None:
    for name, thing in public(place).items():
        if inspect.isfunction(thing) or isinstance(thing, type):
            assert all(one is thing for one in copies(thing)), name


def made(cls: type) -> Any:
    for arguments in ARGUMENTS:
        try:
            return cls(*arguments)
        except (TypeError, ValueError, AttributeError):
            continue
    return None


@pytest.mark.parametrize(
    "place",
    [
        "callbacks", "constraints", "initializers", "layers", "losses", "metrics", "optimizers",
        "optimizers.schedules", "regularizers",
    ],
)  # fmt: skip
def test_objects_of_public_classes_are_pickled_with_their_state(place: str) -> None:
    classes = [c for c in public(place).values() if isinstance(c, type)]
    objects = [thing for thing in map(made, classes) if thing is not None]
    assert len(objects) > 0.7 * len(classes)
    for thing in objects:
        for one in copies(thing):
            assert type(one) is type(thing) and one is not thing
            if hasattr(thing, "get_config"):
                assert repr(one.get_config()) == repr(thing.get_config())


def test_tensors_variables_and_generators_keep_their_values() -> None:
    for thing in (gt.tensor([1.0, 2.0], requires_grad=True), gt.Variable([3.0, 4.0], name="w")):
        for one in copies(thing):
            assert np.array_equal(one.numpy(), thing.numpy())
            assert one.requires_grad and type(one) is type(thing)
            one[...] = 0
            assert thing.numpy().all()
    for one in copies(gt.random.generator("here", seed=1)):
        assert one.random() == gt.random.generator("here", seed=1).random()


class Subclass(gt.Model):
    def __init__(self) -> None:
        super().__init__()
        self.flat = gt.layers.Flatten()
        self.answer = gt.layers.Dense(4, activation=gt.activations.softmax)

    def call(self, x: Any) -> Any:
        return self.answer(self.flat(x))


def chain() -> gt.Model:
    layers = gt.layers
    conv = layers.Conv2D(3, 3, activation="relu", kernel_regularizer="l2")
    return gt.Sequential(
        [
            gt.Input((8, 8, 1)), conv, layers.BatchNormalization(), layers.Dropout(0.3),
            layers.Flatten(), layers.Dense(4, activation="softmax"),
        ]
    )  # fmt: skip


def graph() -> gt.Model:
    inputs = gt.Input((8, 8, 1))
    h = gt.layers.Conv2D(3, 3, activation="gelu")(inputs)
    h = gt.layers.Flatten()(h * 2 + gt.ops.tanh(h))
    return gt.Model(inputs, gt.layers.Dense(4, activation="softmax")(h))


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("make", [chain, graph, Subclass])
def test_a_model_is_copied_at_every_stage_and_trains_on_alike(
    make: Callable[[], Any], eagerly: bool
) -> None:
    model = make()
    assert all(type(one) is type(model) for one in copies(model))
    rate = gt.optimizers.schedules.CosineDecay(0.01, 100)
    model.compile(
        gt.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"],
        run_eagerly=eagerly,
    )  # fmt: skip
    assert all(one.compiled for one in copies(model))
    model.fit(X, Y, verbose=0)
    others = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    before = model.get_weights()
    for one in (*others, model):
        assert all(map(np.array_equal, one.get_weights(), before))
        gt.utils.set_random_seed(3)
        one.fit(X, Y, epochs=2, verbose=0)
    for one in others:
        assert all(map(np.array_equal, one.get_weights(), model.get_weights()))
        assert not np.array_equal(one.get_weights()[0], before[0])
        assert int(one.optimizer.iterations) == int(model.optimizer.iterations)


def test_what_was_pickled_before_the_modules_had_rooms_is_found() -> None:
    path = Path(__file__).parent / "saved" / "before_rooms.pickle"
    before = pickle.loads(path.read_bytes())
    model = before["model"]
    answer = model.predict(np.ones((1, 4, 4, 1)), verbose=0)
    np.testing.assert_allclose(answer, before["answer"], rtol=1e-6)
    model.fit(np.ones((4, 4, 4, 1)), np.ones((4, 2)), verbose=0)
    assert type(before["sequential"]) is gt.Sequential
    assert type(before["tensor"]) is gt.Tensor and type(before["variable"]) is gt.Variable
    assert import_module("gradtape.tape").OPS is OPS
    assert import_module("gradtape.proof").prove is gt.prove
    assert callable(gt.tensor) and callable(gt.checkpoint)  # no module took their names
