"""Analysis: the papers' counts, receptive fields against gradients, memory, and no allocation."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import gradtape as gt

layers = gt.layers


def field_of(model: gt.Model, position: tuple[int, ...]) -> list[tuple[int, int]]:
    """The first and last pixel along each axis with a gradient, for one output of the model."""
    shape = tuple(model.input_shape[1:])
    x = gt.tensor(np.random.default_rng(0).normal(size=(1, *shape)), requires_grad=True)
    model(x, training=False)[(0, *position)].sum().backward()
    assert x.grad is not None
    seen = np.abs(x.grad.numpy()[0]).sum(axis=-1).nonzero()
    return [(int(axis.min()), int(axis.max())) for axis in seen]


def plain(stack: list[Any], shape: tuple[int, ...]) -> gt.Sequential:
    """A model in float64 whose kernels have no zeros."""
    return gt.Sequential([gt.Input(shape, dtype="float64"), *stack])


def conv(filters: int, size: Any, **settings: Any) -> Any:
    kind = layers.Conv1D if settings.pop("rank", 2) == 1 else layers.Conv2D
    return kind(filters, size, kernel_initializer="ones", dtype="float64", **settings)


STACKS: dict[str, Callable[[], gt.Sequential]] = {
    "same": lambda: plain([conv(2, 3, padding="same"), conv(1, 5, padding="same")], (15, 16, 1)),
    "strides": lambda: plain([conv(1, 3, strides=2), conv(1, 3, strides=(1, 2))], (15, 19, 2)),
    "dilation": lambda: plain([conv(1, 3, dilation_rate=(2, 3)), conv(1, 2)], (14, 15, 1)),
    "padding": lambda: plain([conv(1, 4, padding=((2, 1), (0, 3)), strides=2)], (12, 11, 1)),
    "pooling": lambda: plain(
        [layers.AveragePooling2D(3, 2, padding="same", dtype="float64"), conv(1, 3)], (13, 12, 1)
    ),
    "zeros and cropping": lambda: plain(
        [
            layers.ZeroPadding2D(((2, 0), (1, 1)), dtype="float64"),
            conv(1, 3),
            layers.Cropping2D(((1, 0), (0, 2)), dtype="float64"),
        ],
        (9, 9, 1),
    ),
    "one axis": lambda: plain([conv(1, 3, rank=1), conv(1, 3, rank=1, padding="causal")], (12, 1)),
    "depthwise": lambda: plain(
        [
            layers.DepthwiseConv2D(3, depthwise_initializer="ones", dtype="float64"),
            layers.SeparableConv2D(
                2, 2, depthwise_initializer="ones", pointwise_initializer="ones", dtype="float64"
            ),
        ],
        (9, 8, 2),
    ),
}


@pytest.mark.parametrize("name", STACKS)
def test_the_receptive_field_is_where_the_gradient_is(name: str) -> None:
    model = STACKS[name]()
    field = gt.analysis(model)[-1].receptive_field
    assert field is not None
    lengths = model.output_shape[1:-1]
    places = [
        tuple(0 for _ in lengths),
        tuple(n // 2 for n in lengths),
        tuple(n - 1 for n in lengths),
    ]
    for place in places:
        assert list(field.at(*place)) == field_of(model, place)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.UpSampling2D(2, dtype="float64"),
        lambda: layers.UpSampling2D(2, interpolation="bilinear", dtype="float64"),
        lambda: layers.Conv2DTranspose(1, 4, 2, "same", kernel_initializer="ones", dtype="float64"),
        lambda: layers.Conv2DTranspose(
            1, 3, 3, kernel_initializer="ones", dtype="float64", name="x3"
        ),
    ],
)
@pytest.mark.parametrize("strides", [1, 2])
def test_what_enlarges_sees_no_more_than_is_said(layer: Any, strides: int) -> None:
    """Windows that start between pixels: the field covers all of them, and hardly more."""
    model = plain([conv(1, 3, strides=strides), layer(), conv(1, 2)], (11, 11, 1))
    field = gt.analysis(model)[-1].receptive_field
    assert field is not None
    enlarged = Fraction(strides, 3 if model.layers[1].name.startswith("x3") else 2)
    assert field.stride == (enlarged, enlarged)
    for i in range(model.output_shape[1]):
        for (first, last), (low, high) in zip(field_of(model, (i, i)), field.at(i, i), strict=True):
            assert low <= first <= last <= high
            assert high - low <= last - first + 3


def test_branches_see_from_the_first_to_the_last_pixel_of_any() -> None:
    x = gt.Input((15, 15, 1), dtype="float64")
    narrow = conv(2, 1)(x)
    wide = conv(2, 3, padding="same")(conv(2, 5, padding="same")(x))
    joined = gt.layers.Concatenate(dtype="float64")([narrow, wide])
    model = gt.Model(x, conv(1, 3)(gt.layers.Add(dtype="float64")([joined, joined])))
    field = gt.analysis(model)[-1].receptive_field
    assert field is not None
    assert field.size == (9, 9)
    assert list(field.at(6, 6)) == field_of(model, (6, 6))


def test_flattening_keeps_the_field_and_loses_the_order() -> None:
    found = gt.analysis(gt.models.LeNet5((32, 32, 1)))
    fields = {row.name: row.receptive_field for row in found}
    assert (fields["S4"].size, fields["S4"].stride) == ((16, 16), (4, 4))
    assert (fields["flatten"].size, fields["flatten"].stride) == ((32, 32), (0, 0))
    assert fields["F6"].at(0, 0) == ((0, 31), (0, 31))


@pytest.mark.parametrize(
    ("net", "layer", "size"),
    [("resnet18", "conv5_2", 435), ("vgg16", "conv5_3", 196), ("vgg16", "pool5", 212)],
)
def test_known_receptive_fields(net: str, layer: str, size: int) -> None:
    """Araujo et al. (2019), table 1, and the same arithmetic by hand for VGG-16."""
    field = gt.analysis(without_weights(net))[layer].receptive_field
    assert field is not None and field.size == (size, size)


def without_weights(net: str) -> gt.Model:
    with gt.layers.base.placeholder_weights():
        return gt.models.build(net)


@pytest.mark.parametrize(
    ("net", "billions"),
    [
        ("alexnet", 1.135),
        ("vgg16", 15.47),  # Canziani et al. (2016) and many since
        ("resnet18", 1.814),
        ("resnet50", 3.858),  # "3.8 billion FLOPs", He et al. (2015), table 1
        ("googlenet", 1.583),  # "1.5 billion multiply-adds", Szegedy et al. (2015)
    ],
)
def test_known_multiply_adds(net: str, billions: float) -> None:
    totals = gt.analysis(without_weights(net)).totals
    assert totals.multiply_adds / 1e9 == pytest.approx(billions, abs=0.001)


@pytest.mark.parametrize(
    ("layer", "shape", "products"),
    [
        (lambda: layers.Dense(7), (5,), 5 * 7),
        (lambda: layers.Dense(7), (4, 5), 4 * 5 * 7),
        (lambda: layers.Conv2D(6, (3, 2), strides=2, groups=2), (9, 8, 4), 4 * 4 * 6 * 6 * 2),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (5, 5, 3), 9 * 9 * 3 * 2),
        (lambda: layers.SeparableConv2D(7, 3), (5, 5, 3), 9 * (9 * 3 + 3 * 7)),
        (lambda: layers.LocallyConnected2D(2, 3), (5, 5, 3), 9 * 9 * 3 * 2),
        (lambda: layers.Conv2DTranspose(5, 3, strides=2), (4, 4, 2), 16 * 9 * 2 * 5),
        (lambda: layers.MaxPooling2D(), (4, 4, 2), 0),
        (lambda: layers.BatchNormalization(), (4, 4, 2), 0),
    ],
)
def test_multiply_adds_of_a_layer(layer: Any, shape: tuple[int, ...], products: int) -> None:
    assert gt.analysis(gt.Sequential([gt.Input(shape), layer()]))[-1].multiply_adds == products


def test_channels_first_counts_and_sees_the_same() -> None:
    def model(order: str, shape: tuple[int, ...]) -> gt.Sequential:
        stack = [
            layers.Conv2D(4, 3, 2, data_format=order),
            layers.MaxPooling2D(2, data_format=order),
            layers.Activation("relu"),
        ]
        return gt.Sequential([gt.Input(shape), *stack])

    last = gt.analysis(model("channels_last", (9, 11, 3)))
    first = gt.analysis(model("channels_first", (3, 9, 11)))
    for a, b in zip(last, first, strict=True):
        assert (a.multiply_adds, a.receptive_field) == (b.multiply_adds, b.receptive_field)
    assert last.totals == first.totals


def test_memory_is_counted_for_the_batch_and_the_optimizer() -> None:
    model = gt.Sequential(
        [gt.Input((4, 4, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)]
    )
    totals = gt.analysis(model, batch_size=10).totals
    assert totals.activation_bytes == 10 * 4 * (16 + 8 + 0 + 3)
    assert totals.parameter_bytes == totals.gradient_bytes == 4 * (20 + 27)
    assert totals.optimizer_bytes == 2 * totals.parameter_bytes  # Adam
    assert totals.training_bytes == totals.activation_bytes + 4 * totals.parameter_bytes
    assert gt.analysis(model, optimizer="sgd").totals.optimizer_bytes == 0
    model.compile(gt.optimizers.SGD(momentum=0.9), "mse")
    assert gt.analysis(model).totals.optimizer_bytes == totals.parameter_bytes
    model.layers[0].trainable = False
    assert gt.analysis(model).totals.gradient_bytes == 4 * 27


def test_float64_takes_twice_the_memory() -> None:
    model = plain([conv(2, 3)], (4, 4, 1))
    assert gt.analysis(model)[-1].activation_bytes == 8 * 8


def test_nothing_is_allocated_for_a_model_that_is_not_built() -> None:
    model = gt.Sequential([layers.Flatten(), layers.Dense(1000)])
    tracemalloc.start()
    found = gt.analysis(model, (1000, 1000, 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.totals.parameter_bytes == 4 * (3_000_000 * 1000 + 1000)
    assert peak < 1e6
    assert not model.built


def test_a_layer_called_twice_has_its_parameters_once_and_its_cost_twice() -> None:
    x = gt.Input((6, 6, 2))
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    found = gt.analysis(gt.Model(x, shared(shared(x))))
    one, two = [row for row in found if row.name == "shared"]
    assert (one.parameters, two.parameters) == (38, 0)
    assert one.multiply_adds == two.multiply_adds == 36 * 9 * 4
    assert found.totals.parameters == 38
    assert two.receptive_field is not None and two.receptive_field.size == (5, 5)


def test_models_that_are_layers_are_looked_into() -> None:
    body = gt.Sequential([gt.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Conv2D(2, 3)], name="b")
    x = gt.Input((8, 8, 1))
    found = gt.analysis(gt.Model(x, layers.Conv2D(1, 3)(body(x))))
    assert [row.depth for row in found] == [0, 0, 1, 1, 0]
    nested, inner = found["b"], [row for row in found if row.depth == 1]
    assert nested.multiply_adds == sum(row.multiply_adds for row in inner)
    assert nested.parameters == sum(row.parameters for row in inner) == body.count_params()
    assert nested.activation_bytes == sum(row.activation_bytes for row in inner)
    assert found[-1].receptive_field.size == (7, 7)  # type: ignore[union-attr]
    assert found.totals.multiply_adds == nested.multiply_adds + found[-1].multiply_adds


class Residual(gt.Model):
    """A subclass whose `call` connects layers and ops."""

    def __init__(self) -> None:
        super().__init__()
        self.one = layers.Conv2D(2, 3, padding="same")
        self.answer = layers.Dense(3)

    def call(self, x: Any) -> Any:
        h = gt.ops.relu(self.one(x)) + x
        return self.answer(layers.Flatten()(h))


def test_subclasses_are_traced_and_left_as_they_were() -> None:
    model = Residual()
    found = gt.analysis(model, (5, 5, 2))
    assert found[-1].parameters == 153
    assert not model.built
    model(np.ones((1, 5, 5, 2)))
    again = gt.analysis(model)
    assert again.totals == found.totals
    assert again[-3].receptive_field.size == (3, 3)  # type: ignore[union-attr]  (the sum)
    with pytest.raises(AttributeError, match="has no output"):
        _ = model.one.output


def test_two_inputs_have_a_field_each() -> None:
    a, b = gt.Input((6, 6, 1), name="a"), gt.Input((6, 6, 1), name="b")
    h = layers.Add()([layers.Conv2D(1, 3, padding="same")(a), b])
    fields = gt.analysis(gt.Model([a, b], h))[-1].receptive_fields
    assert {name: field.size for name, field in fields.items()} == {"a": (3, 3), "b": (1, 1)}


def test_another_input_shape_than_that_of_the_model() -> None:
    model = gt.Sequential([gt.Input((None, None, 1)), layers.Conv2D(4, 3), layers.Conv2D(1, 3)])
    with pytest.raises(ValueError, match="open length"):
        gt.analysis(model)
    assert gt.analysis(model, (6, 7, 1))[-1].output_shape == (None, 2, 3, 1)
    assert gt.analysis(model, (None, 6, 7, 1)).totals == gt.analysis(model, (6, 7, 1)).totals


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: gt.analysis(gt.Sequential([layers.Dense(1)])), "pass input_shape"),
        (lambda: gt.analysis(gt.models.LeNet5(), batch_size=0), "batch_size must be"),
        (lambda: gt.analysis(gt.models.LeNet5(), optimizer="adma"), "Did you mean .*'adam'"),
    ],
)
def test_what_cannot_be_analysed_says_why(ask: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ask()


def test_a_layer_that_does_not_exist() -> None:
    with pytest.raises(KeyError, match="C1"):
        gt.analysis(gt.models.LeNet5())["C9"]


def table(model: gt.Model, **settings: Any) -> str:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **settings)
    return lines[0]


def test_the_summary_prints_the_analysis() -> None:
    text = table(gt.models.LeNet5(), line_length=100, batch_size=128)
    (row,) = [line for line in text.splitlines() if line.startswith("C3 ")]
    assert row.split()[-6:] == ["240,000", "14x14", "/2", "-2", "800.00", "KB"]
    assert "Multiply-adds: 416,520 for one sample" in text
    assert "batches of 128, at least: 5.28 MB" in text


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (100, {"Multiply-adds", "Receptive field", "Memory"}),
        (90, {"Multiply-adds", "Receptive field"}),
        (75, {"Multiply-adds"}),
        (60, set()),
    ],
)
def test_a_narrow_summary_leaves_columns_out(width: int, columns: set[str]) -> None:
    lines = table(gt.models.LeNet5(), line_length=width).splitlines()
    heading = lines[2]
    assert {c for c in ("Multiply-adds", "Receptive field", "Memory") if c in heading} == columns
    assert len(lines[1]) == width
    assert max(len(line) for line in lines[:12]) <= width
