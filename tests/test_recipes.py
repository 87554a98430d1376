"""Recipes of `gradtape train`: one that fits every net, each part of which an option overrides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradtape as gt
from gradtape.__main__ import main
from gradtape.cli import recipes
from gradtape.cli.augmenting import Augmentation

QUICK = ["train", "mlp", "--limit", "40", "--epochs", "1", "--no-picture", "--out", "run"]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)


def options() -> dict[str, Any]:
    return json.loads(Path("run/recipe.json").read_text())["options"]


def test_every_net_of_the_zoo_has_a_recipe() -> None:
    assert recipes.RECIPES.keys() == gt.models.ZOO.keys()


@pytest.mark.parametrize("net", recipes.RECIPES)
def test_a_recipe_names_what_exists(net: str) -> None:
    recipe = recipes.RECIPES[net]
    optimizer = gt.optimizers.get(recipe.optimizer)
    assert "momentum" in optimizer.get_config() or not recipe.momentum
    assert recipe.schedule in recipes.SCHEDULES
    assert set(recipe.augment) <= {*recipes.AUGMENTATIONS, "auto"}


def test_a_net_is_found_however_it_is_spelled() -> None:
    assert recipes.recipe_for("ResNet-20") is recipes.RECIPES["resnet20"]


@pytest.mark.parametrize("data", recipes.SUITABLE)
def test_what_suits_a_data_set_exists(data: str) -> None:
    assert data in gt.datasets.__all__
    assert set(recipes.SUITABLE[data]) <= recipes.AUGMENTATIONS.keys()


@pytest.mark.parametrize("name", recipes.AUGMENTATIONS)
def test_an_augmentation_changes_images_and_keeps_them_images(name: str) -> None:
    kind, settings = recipes.AUGMENTATIONS[name]
    images = np.random.default_rng(0).random((8, 9, 10, 3), np.float32)
    changed = getattr(gt.layers, kind)(**settings)(images, training=True).numpy()
    assert changed.shape == images.shape
    assert not np.array_equal(changed, images)
    assert changed.min() >= 0 and changed.max() <= 1


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [2, 2, 2]), ("cosine", [2, 1, 0]), ("warmup_cosine", [0, 1.08, 0])],
)
def test_schedules_end_where_they_should(schedule: str, rates: list[float]) -> None:
    rate = recipes.learning_rate(2.0, schedule, 100)
    at = [rate(step) if callable(rate) else rate for step in (0, 50, 100)]
    assert at == pytest.approx(rates, abs=0.005)


def test_fit_learns_from_changed_images_and_the_model_stays_as_it_is() -> None:
    seen: list[np.ndarray] = []

    class Watching(gt.Sequential):
        def train_step(self, data: Any) -> Any:
            seen.append(data[0])
            return super().train_step(data)

    model = Watching([gt.Input((6, 6, 1)), gt.layers.Flatten(), gt.layers.Dense(2)])
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).random((8, 6, 6, 1), np.float32)
    before = model.predict(x, verbose=0)
    model.fit(
        x, np.zeros((8, 2)), epochs=2, shuffle=False, verbose=0, batch_size=8,
        callbacks=[Augmentation(["shift", "flip"])],
    )  # fmt: skip
    model.fit(x, np.zeros((8, 2)), shuffle=False, verbose=0, batch_size=8)
    assert [type(layer).__name__ for layer in model.layers] == ["Flatten", "Dense"]
    first, second, after = seen
    assert not np.array_equal(first, x) and not np.array_equal(second, x)
    assert not np.array_equal(first, second)
    assert np.array_equal(after, x)
    assert before.shape == model.predict(x, verbose=0).shape


def test_auto_changes_images_only_where_a_net_would_learn_them_by_heart() -> None:
    def auto(epochs: int, parameters: int, images: int) -> tuple[str, ...]:
        return recipes.augmentation_names(["auto"], "fashion_mnist", epochs, parameters, images)

    assert auto(10, 61_706, 60_000) == ()  # LeNet-5
    assert auto(20, 270_810, 60_000) == ("flip", "shift")  # ResNet-20
    assert auto(30, 61_706, 4_000) == ("flip", "shift")
    asked = recipes.augmentation_names(["zoom", "auto"], "fashion_mnist", 1, 1, 60_000)
    assert asked == ("zoom",)


def test_the_recipe_is_used_and_written_down(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(QUICK) == 0
    recipe, used = recipes.RECIPES["mlp"], options()
    for name in ("batch_size", "optimizer", "learning_rate", "weight_decay", "schedule"):
        assert used[name] == getattr(recipe, name)
    assert used["augment"] == list(recipes.SUITABLE["mnist_sample"])
    said = capsys.readouterr().out
    assert "cosine learning rate 0.001" in said and "shift, turn and zoom" in said


def test_options_override_the_recipe() -> None:
    asked = {
        "--batch-size": 8, "--optimizer": "sgd", "--learning-rate": 0.5, "--momentum": 0.25,
        "--weight-decay": 0.125, "--schedule": "constant",
    }  # fmt: skip
    words = [str(word) for pair in asked.items() for word in pair]
    assert main([*QUICK, *words, "--augment", "none"]) == 0
    used = options()
    assert {f"--{k.replace('_', '-')}": used[k] for k in used}.items() >= asked.items()
    assert used["augment"] == []
    optimizer = gt.load_model("run/model.npz").optimizer
    assert isinstance(optimizer, gt.optimizers.SGD)
    assert (optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay) == (
        0.5,
        0.25,
        0.125,
    )


def test_another_optimizer_brings_its_own_step() -> None:
    """The recipe's learning rate and weight decay belong to the recipe's optimizer."""
    arguments = ["train", "resnet20", "--limit", "8", "--epochs", "1", "--no-picture"]
    assert main([*arguments, "--optimizer", "adam", "--out", "run"]) == 0
    assert options()["learning_rate"] == gt.optimizers.Adam().learning_rate
    assert options()["momentum"] == options()["weight_decay"] == 0


def test_a_validation_split_leaves_the_test_set_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (x, y), _ = gt.datasets.load("mnist_sample")
    hidden = np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8)
    monkeypatch.setattr(gt.datasets, "load", lambda name: ((x, y), hidden))
    assert main([*QUICK, "--validation-split", "0.25"]) == 0
    assert "30 images to learn from, 10 held out (the end of the training images)" in (
        capsys.readouterr().out
    )
    model = gt.load_model("run/model.npz")
    loss, _ = model.evaluate(x[30:40, ..., None].astype("float32") / 255, y[30:40], verbose=0)
    history = json.loads(Path("run/history.json").read_text())
    assert loss == pytest.approx(history["val_loss"][-1], rel=1e-5)


def test_small_images_get_zeros_around_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """VGG11 halves its images five times, so it needs 32 pixels."""
    narrow = gt.models.VGG11
    monkeypatch.setitem(gt.models.ZOO, "vgg11", lambda **settings: narrow(**settings, width=0.02))
    words = ["train", "vgg11", "--limit", "4", "--epochs", "1", "--no-picture", "--out", "run"]
    assert main(words) == 0
    assert gt.load_model("run/model.npz").input_shape == (None, 32, 32, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--augment", "shfit"], "'shift'"),
        (["--schedule", "cosin"], "invalid choice"),
        (["--validation-split", "1"], "from 0 to below 1"),
        (["--momentum", "-1"], "from 0 to below 1"),
    ],
)
def test_options_that_mean_nothing(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([*QUICK, *words])
    assert said in capsys.readouterr().err
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--momentum", "0.9"], "adam has no momentum"),
        (["--validation-split", "0.001"], "leaves nothing"),
        (["--data", "mnist_sampel"], "'mnist_sample'"),
    ],
)
def test_options_that_do_not_fit_each_other(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, *words]) == 2
    assert said in capsys.readouterr().err
    assert not Path("run").exists()


def test_images_that_are_too_small_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "alexnet", "--limit", "4", "--out", "run"]) == 2
    assert "67x67" in capsys.readouterr().err
