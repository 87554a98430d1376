"""The zoo: the papers' and lectures' tables, gradients end to end, files, and what is refused."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native_nets import THOROUGH

import gradtape as gt
from gradtape.autograd.backward import run_backward
from gradtape.layers.base import placeholder_weights
from gradtape.models.googlenet import TABLE_1


def densenet(depth: int, growth: int, classes: int = 10) -> int:
    """The parameters of a plain DenseNet for 32x32x3, added up layer by layer."""
    channels, total = 16, 9 * 3 * 16
    for block in range(3):
        for _ in range((depth - 4) // 3):
            total += 2 * channels + 9 * channels * growth
            channels += growth
        if block < 2:
            total += 2 * channels + channels**2
    return total + 2 * channels + (channels + 1) * classes


def small_googlenet(classes: int = 10) -> int:
    """The parameters of a quarter of table 1 behind 48 maps, normalized instead of biased."""
    channels, total = 48, 9 * 3 * 48 + 2 * 48
    for filters in TABLE_1.values():
        if filters is not None:
            one, reduce3, three, reduce5, five, projection = (n // 4 for n in filters)
            total += channels * (one + reduce3 + reduce5 + projection)
            total += 9 * reduce3 * three + 25 * reduce5 * five + 2 * sum(filters) // 4
            channels = one + three + five + projection
    return total + (channels + 1) * classes


#: Parameters that are trained, at the default input shape and classes unless said otherwise.
PARAMETERS: list[tuple[str, dict[str, Any], int]] = [
    ("mlp", {}, (784 + 1) * 256 + (256 + 1) * 10),
    ("mlp", {"hidden": [100, 50], "classes": 3}, 785 * 100 + 101 * 50 + 51 * 3),
    ("lenet5", {}, 61_706),
    ("lenet5", {"original": True}, 60_000),
    ("lenet1998", {}, 60_000),
    ("lenetgluon", {}, 431_080),
    ("alexnet", {}, 62_378_344),
    ("alexnet", {"groups": 2}, 60_965_224),
    ("alexnet", {"input_shape": (224, 224, 3)}, 62_378_344),
    ("alexnetsmall", {}, 1_848_906),
    ("vgg11", {}, 132_863_336),
    ("vgg13", {}, 133_047_848),
    ("vgg16", {}, 138_357_544),
    ("vgg19", {}, 143_667_240),
    ("vgg16", {"batch_norm": True}, 138_357_544 + 4224),  # a scale, and a shift for each bias
    ("vggsmall", {}, 3_838_282),
    ("resnet18", {}, 11_689_512),
    ("resnet34", {}, 21_797_672),
    ("resnet50", {}, 25_557_032),
    ("resnet20", {}, 269_722),
    ("resnet32", {}, 464_154),
    ("resnet56", {}, 853_018),
    ("resnet20", {"shortcut": "B"}, 269_722 + 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64),
    ("googlenet", {}, 6_998_552),
    ("googlenet", {"auxiliary": True}, 13_378_280),
    ("googlenetsmall", {}, small_googlenet()),
    ("nin", {}, 966_986),
    ("densenetsmall", {}, densenet(22, 12)),
    ("densenetsmall", {"depth": 40}, densenet(40, 12)),
]

#: What the figures and tables of the papers say of the output of each stage.
STAGES: dict[str, dict[str, tuple[int, ...]]] = {
    "alexnet": {
        "C1": (55, 55, 96),
        "S2": (27, 27, 96),
        "C3": (27, 27, 256),
        "S4": (13, 13, 256),
        "C5": (13, 13, 384),
        "C6": (13, 13, 384),
        "C7": (13, 13, 256),
        "S8": (6, 6, 256),
        "F9": (4096,),
        "F10": (4096,),
        "output": (1000,),
    },
    "alexnetsmall": {
        "C1": (32, 32, 64),
        "C3": (16, 16, 128),
        "C5": (8, 8, 192),
        "C7": (8, 8, 128),
        "S8": (4, 4, 128),
        "F9": (512,),
        "F10": (256,),
    },
    "vgg16": {
        "conv1_2": (224, 224, 64),
        "pool1": (112, 112, 64),
        "conv2_2": (112, 112, 128),
        "conv3_3": (56, 56, 256),
        "conv4_3": (28, 28, 512),
        "conv5_3": (14, 14, 512),
        "pool5": (7, 7, 512),
        "fc6": (4096,),
        "fc7": (4096,),
        "output": (1000,),
    },
    "vgg19": {"conv3_4": (56, 56, 256), "conv5_4": (14, 14, 512), "pool5": (7, 7, 512)},
    "vggsmall": {"pool1": (16, 16, 64), "pool2": (8, 8, 128), "pool3": (4, 4, 256), "fc4": (512,)},
    "resnet18": {
        "conv1": (112, 112, 64),
        "conv2_2": (56, 56, 64),
        "conv3_2": (28, 28, 128),
        "conv4_2": (14, 14, 256),
        "conv5_2": (7, 7, 512),
        "mean": (512,),
    },
    "resnet34": {"conv2_3": (56, 56, 64), "conv4_6": (14, 14, 256), "conv5_3": (7, 7, 512)},
    "resnet50": {
        "conv1": (112, 112, 64),
        "pool1": (56, 56, 64),
        "conv2_3": (56, 56, 256),
        "conv3_4": (28, 28, 512),
        "conv4_6": (14, 14, 1024),
        "conv5_3": (7, 7, 2048),
        "mean": (2048,),
        "output": (1000,),
    },
    "resnet20": {
        "conv1": (32, 32, 16),
        "conv2_3": (32, 32, 16),
        "conv3_3": (16, 16, 32),
        "conv4_3": (8, 8, 64),
        "mean": (64,),
        "output": (10,),
    },
    "resnet56": {"conv2_9": (32, 32, 16), "conv3_9": (16, 16, 32), "conv4_9": (8, 8, 64)},
    "googlenet": {
        "conv1": (112, 112, 64),
        "pool1": (56, 56, 64),
        "conv2": (56, 56, 192),
        "pool2": (28, 28, 192),
        "inception_3a": (28, 28, 256),
        "inception_3b": (28, 28, 480),
        "pool3": (14, 14, 480),
        "inception_4a": (14, 14, 512),
        "inception_4b": (14, 14, 512),
        "inception_4c": (14, 14, 512),
        "inception_4d": (14, 14, 528),
        "inception_4e": (14, 14, 832),
        "pool4": (7, 7, 832),
        "inception_5a": (7, 7, 832),
        "inception_5b": (7, 7, 1024),
        "mean": (1024,),
        "output": (1000,),
    },
    "googlenetsmall": {
        "pool2": (16, 16, 48),
        "inception_3b": (16, 16, 120),
        "inception_4e": (8, 8, 208),
        "inception_5b": (4, 4, 256),
    },
    "nin": {
        "cccp1_2": (32, 32, 96),
        "pool1": (16, 16, 96),
        "pool2": (8, 8, 192),
        "cccp3_2": (8, 8, 10),
        "mean": (10,),
    },
    "densenetsmall": {
        "conv0": (32, 32, 16),
        "dense1_6_all": (32, 32, 16 + 6 * 12),
        "transition1_pool": (16, 16, 88),
        "dense2_6_all": (16, 16, 88 + 6 * 12),
        "transition2_pool": (8, 8, 160),
        "dense3_6_all": (8, 8, 160 + 6 * 12),
        "mean": (232,),
    },
}

#: Every net small and narrow enough to be differentiated numerically in no time.
NARROW: dict[str, tuple[str, dict[str, Any]]] = {
    "MLP": ("mlp", {"hidden": 8}),
    "LeNet5": ("lenet5", {}),
    "LeNet5 of 1998": ("lenet1998", {}),
    "LeNetGluon": ("lenetgluon", {"input_shape": (16, 16, 1)}),
    "AlexNet": ("alexnet", {"input_shape": (67, 67, 3), "groups": 2, "width": 1 / 48}),
    "AlexNetSmall": ("alexnetsmall", {"input_shape": (8, 8, 1), "width": 1 / 16}),
    "VGG11": ("vgg11", {"input_shape": (32, 32, 3), "width": 1 / 32}),
    "VGG13": ("vgg13", {"input_shape": (32, 32, 3), "width": 1 / 32}),
    "VGG16": ("vgg16", {"input_shape": (32, 32, 3), "width": 1 / 32, "batch_norm": True}),
    "VGG19": ("vgg19", {"input_shape": (32, 32, 3), "width": 1 / 32}),
    "VGGSmall": ("vggsmall", {"input_shape": (8, 8, 3), "width": 1 / 16}),
    "ResNet18": ("resnet18", {"input_shape": (33, 33, 3), "width": 1 / 16}),
    "ResNet34": ("resnet34", {"input_shape": (33, 33, 3), "width": 1 / 16}),
    "ResNet50": ("resnet50", {"input_shape": (33, 33, 3), "width": 1 / 16}),
    "ResNet20": ("resnet20", {"input_shape": (8, 8, 3), "width": 1 / 8}),
    "ResNet32": ("resnet32", {"input_shape": (8, 8, 3), "width": 1 / 8, "shortcut": "B"}),
    "ResNet56": ("resnet56", {"input_shape": (8, 8, 3), "width": 1 / 8}),
    "GoogLeNet": ("googlenet", {"input_shape": (65, 65, 3), "width": 1 / 16, "auxiliary": True}),
    "GoogLeNetSmall": ("googlenetsmall", {"input_shape": (8, 8, 3), "width": 1 / 16}),
    "NiN": ("nin", {"input_shape": (8, 8, 3), "width": 1 / 16}),
    "DenseNetSmall": (
        "densenetsmall",
        {"input_shape": (8, 8, 3), "depth": 10, "growth": 3, "dropout": 0.2},
    ),
}


#: Thousands of ReLUs are nearer to their kinks than any larger step.
STEP = 1e-8


def narrow(net: str, dtype: str = "float32") -> gt.Model:
    """The net at the size of `NARROW`, without dropout."""
    name, settings = NARROW[net]
    gt.utils.set_random_seed(1)
    model = gt.models.build(
        name, **({} if name.startswith("lenet") else {"classes": 4}), **settings
    )
    if dtype != "float32":
        plain = json.dumps(gt.saving.serialize(model)).replace('"float32"', f'"{dtype}"')
        model = gt.saving.deserialize(json.loads(plain), "model", "models")
    for layer in model.layers:
        if isinstance(layer, gt.layers.Dropout):
            layer.rate = 0
    return model


def images(model: gt.Model, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, *model.input_shape[1:]))


def many(outputs: Any) -> list[gt.Tensor]:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


@pytest.mark.parametrize(("name", "settings", "count"), PARAMETERS)
def test_parameters_are_the_papers_to_the_unit(name, settings, count):
    with placeholder_weights():
        model = gt.models.build(name, **settings)
    assert sum(v.size for v in model.trainable_weights) == count


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_has_the_papers_shape(name):
    with placeholder_weights():
        model = gt.models.build(name)
    shapes = {n: model.get_layer(n).output_shape for n in STAGES[name]}
    assert shapes == {n: (None, *shape) for n, shape in STAGES[name].items()}


def test_the_auxiliary_heads_of_googlenet_see_4a_and_4d():
    with placeholder_weights():
        model = gt.models.GoogLeNet(auxiliary=True)
    assert model.get_layer("auxiliary1_pool").output_shape == (None, 4, 4, 512)
    assert model.get_layer("auxiliary2_pool").output_shape == (None, 4, 4, 528)
    assert [tuple(shape) for shape in model.output_shape] == [(None, 1000)] * 3


def test_alexnet_makes_55_of_224_and_of_227():
    with placeholder_weights():
        for size in (224, 227):
            model = gt.models.AlexNet((size, size, 3))
            assert model.get_layer("C1").output_shape == (None, 55, 55, 96)


@pytest.mark.parametrize("net", NARROW)
def test_gradients_are_the_differences_of_the_whole_net(net):
    model = narrow(net, "float64")
    variables = model.trainable_weights
    rng = np.random.default_rng(0)
    for variable in variables:  # away from the zeros that biases and shifts start from
        variable.assign(variable.numpy() + rng.uniform(-0.05, 0.05, variable.shape))
    x = images(model, 3)
    outputs = many(model(x, training=True))
    cotangents = [gt.as_tensor(rng.uniform(-1, 1, y.shape)) for y in outputs]
    gradients = run_backward(outputs, cotangents, variables)
    values = [v.numpy().copy() for v in variables]

    def loss(directions: list[np.ndarray | None], step: float) -> float:
        for variable, value, direction in zip(variables, values, directions, strict=True):
            variable.assign(value if direction is None else value + step * direction)
        with gt.no_grad():
            found = many(model(x, training=True))
        return sum(
            float((y.numpy() * g.numpy()).sum()) for y, g in zip(found, cotangents, strict=True)
        )

    everything = [rng.uniform(-1, 1, v.shape) for v in variables]
    some = rng.choice(len(variables), min(3, len(variables)), replace=False)
    some = some if THOROUGH else some[:1]
    alone = [[d if i == k else None for i, d in enumerate(everything)] for k in some]
    for directions in [everything, *alone]:
        difference = (loss(directions, STEP) - loss(directions, -STEP)) / (2 * STEP)
        parts = [
            float((g.numpy() * d).sum())
            for g, d in zip(gradients, directions, strict=True)
            if d is not None
        ]
        assert difference == pytest.approx(
            sum(parts), rel=1e-6, abs=1e-6 * (1 + max(map(abs, parts)))
        )


@pytest.mark.parametrize("net", NARROW)
def test_a_saved_net_answers_alike(net, tmp_path):
    model = narrow(net)
    x = images(model, 2)
    model.save(tmp_path / "net")
    again = gt.load_model(tmp_path / "net")
    assert again.name == model.name
    for a, b in zip(many(model(x)), many(again(x)), strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("net", ["VGG16", "ResNet20", "GoogLeNetSmall", "NiN", "DenseNetSmall"])
def test_a_net_learns_eight_images(net):
    model = narrow(net)
    x, y = images(model, 8), np.arange(8) % 4
    model.compile(gt.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    losses = model.fit(x, y, batch_size=8, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_googlenet_is_trained_through_its_auxiliary_heads():
    model = narrow("GoogLeNet")
    x, y = images(model, 8), np.arange(8) % 4
    model.compile("adam", ["sparse_categorical_crossentropy"] * 3, loss_weights=[1, 0.3, 0.3])
    logs = model.fit(x, [y, y, y], batch_size=8, epochs=1, verbose=0).history
    heads = (logs[f"{n}_loss"][0] for n in ("output", "auxiliary1", "auxiliary2"))
    assert logs["loss"][0] == pytest.approx(np.dot([1, 0.3, 0.3], list(heads)), rel=1e-4)


SMALLEST = {
    "lenet5": 28,
    "lenet1998": 28,
    "lenetgluon": 16,
    "alexnet": 67,
    "alexnetsmall": 8,
    "vgg11": 32,
    "vgg13": 32,
    "vgg16": 32,
    "vgg19": 32,
    "vggsmall": 8,
    "resnet18": 32,
    "resnet34": 32,
    "resnet50": 32,
    "resnet20": 4,
    "resnet32": 4,
    "resnet56": 4,
    "googlenet": 32,
    "googlenetsmall": 8,
    "nin": 4,
    "densenetsmall": 4,
}


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_image_that_fits_is_named(name):
    n = SMALLEST[name]
    with placeholder_weights():
        assert gt.models.build(name, input_shape=(n, n, 3)).built
    with pytest.raises(ValueError, match=rf"{n}x{n} or more, received .*\({n - 1}, 999, 3\)"):
        gt.models.build(name, input_shape=(n - 1, 999, 3))
    with pytest.raises(ValueError, match=rf"{n}x{n} or more"):
        gt.models.build(name, input_shape=(999, n - 1, 3))


def test_auxiliary_heads_need_larger_images():
    with placeholder_weights():
        assert gt.models.GoogLeNet((65, 65, 3), auxiliary=True).built
    with pytest.raises(ValueError, match="65x65 or more"):
        gt.models.GoogLeNet((64, 64, 3), auxiliary=True)


@pytest.mark.parametrize("name", SMALLEST)
def test_channels_first_is_recognised_and_other_shapes_are_refused(name):
    with pytest.raises(ValueError, match=r"Channels come last: did you mean \(224, 200, 3\)"):
        gt.models.build(name, input_shape=(3, 224, 200))
    with pytest.raises(ValueError, match=r"\(height, width, channels\), received \(224, 224\)"):
        gt.models.build(name, input_shape=(224, 224))
    with pytest.raises(ValueError, match="one or more channels, received"):
        gt.models.build(name, input_shape=(224, 224, 0))


@pytest.mark.parametrize("net", [n for n in NARROW if n != "MLP"])
def test_images_with_other_channels_are_refused_in_words(net):
    model = narrow(net)
    height, width, channels = model.input_shape[1:]
    with pytest.raises(ValueError, match=r"channels|axis 3|axis -1") as error:
        model(np.zeros((2, height, width, channels + 1), np.float32))
    assert f"(2, {height}, {width}, {channels + 1})" in str(error.value)


def test_settings_that_make_no_net_are_refused():
    with pytest.raises(ValueError, match="depth must be 7, 10, 13"):
        gt.models.DenseNetSmall(depth=20)
    with pytest.raises(ValueError, match=r"shortcut must be 'A' .* received 'C'"):
        gt.models.ResNet20(shortcut="C")
    with pytest.raises(ValueError, match="without bottleneck"):
        gt.models.ResNet50(shortcut="A")
    with pytest.raises(ValueError, match="classes=11"):
        gt.models.LeNet5(original=True, classes=11)
    with pytest.raises(TypeError, match="depth"):
        gt.models.VGG16(depth=3)


@pytest.mark.parametrize("name", gt.models.ZOO)
def test_every_net_takes_a_shape_and_classes_and_is_named(name):
    parameters = list(inspect.signature(gt.models.ZOO[name]).parameters)
    assert parameters[:2] == ["input_shape", "classes"]
    with placeholder_weights():
        model = gt.models.build(name, classes=7)
        assert model.output_shape == (None, 7)
        assert model.name == name
        small = {net: settings for net, settings in NARROW.values()}[name]
        assert gt.models.build(name, **small, name="mine").name == "mine"


@pytest.mark.parametrize(
    "net", ["AlexNetSmall", "NiN", "ResNet20", "GoogLeNetSmall", "DenseNetSmall"]
)
def test_without_classifier_activation_a_net_returns_logits(net):
    name, settings = NARROW[net]
    probabilities = gt.models.build(name, **settings)
    logits = gt.models.build(name, **settings, classifier_activation=None)
    logits.set_weights(probabilities.get_weights())
    x = images(probabilities, 2)
    answers = np.exp(logits(x).numpy())
    answers /= answers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers, probabilities(x).numpy(), rtol=1e-4, atol=1e-6)


def test_every_net_of_the_zoo_is_tested_here():
    assert {name for name, _, _ in PARAMETERS} == set(gt.models.ZOO)
    assert {name for name, _ in NARROW.values()} == set(gt.models.ZOO)
    assert set(SMALLEST) == set(gt.models.ZOO) - {"mlp"}


def test_every_file_of_the_zoo_is_short_enough_to_lie_beside_the_paper():
    files = sorted(Path(gt.models.__file__).parent.glob("*.py"))
    assert len(files) > 8
    lengths = {f.name: len(f.read_text(encoding="utf-8").splitlines()) for f in files}
    assert {name: n for name, n in lengths.items() if n >= 150} == {}
