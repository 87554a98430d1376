"""GoogLeNet's inception (Szegedy et al., "Going deeper with convolutions", 2015, table 1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradtape as gt

from ._sizes import image_shape, scaled

#: Table 1: filters of #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj. None: max pooling.
TABLE_1: dict[str, tuple[int, ...] | None] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "pool3": None,
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "pool4": None,
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class _Builder:
    """How all convolutions of one net are made: its width, and whether it normalizes batches."""

    def __init__(self, width: float, batch_norm: bool) -> None:
        self.width, self.batch_norm = width, batch_norm

    def conv(self, x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
        """Convolution (padded, He's initial weights), batch normalization if wanted, ReLU."""
        x = gt.layers.Conv2D(
            scaled(filters, self.width), size, strides, padding=size // 2,
            activation=None if self.batch_norm else "relu", use_bias=not self.batch_norm,
            kernel_initializer="he_normal", name=name,
        )(x)  # fmt: skip
        if not self.batch_norm:
            return x
        x = gt.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
        return gt.layers.Activation("relu", name=f"{name}_relu")(x)

    def inception(self, x: Any, filters: tuple[int, ...], name: str) -> Any:
        """Figure 2b: four branches, joined along the channels."""
        one, reduce3, three, reduce5, five, projection = filters
        a = self.conv(x, one, 1, f"{name}_1x1")
        b = self.conv(self.conv(x, reduce3, 1, f"{name}_3x3_reduce"), three, 3, f"{name}_3x3")
        c = self.conv(self.conv(x, reduce5, 1, f"{name}_5x5_reduce"), five, 5, f"{name}_5x5")
        x = gt.layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
        d = self.conv(x, projection, 1, f"{name}_pool_proj")
        return gt.layers.Concatenate(name=f"inception_{name}")([a, b, c, d])

    def auxiliary(self, x: Any, classes: int, activation: Any, name: str) -> Any:
        """Section 5: a classifier on the side, which keeps the gradient alive half-way down."""
        layers = gt.layers
        x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)  # 4x4
        x = layers.Flatten(name=f"{name}_flatten")(self.conv(x, 128, 1, f"{name}_conv"))
        units = scaled(1024, self.width)
        x = layers.Dense(units, "relu", kernel_initializer="he_normal", name=f"{name}_fc")(x)
        x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
        return layers.Dense(classes, activation, name=name)(x)

    def modules(self, x: Any) -> dict[str, Any]:
        """Everything from 3a on: the output of each module by its name in table 1."""
        outputs = {}
        for name, filters in TABLE_1.items():
            if filters is None:
                x = gt.layers.MaxPooling2D(3, 2, padding="same", name=name)(x)
            else:
                x = self.inception(x, filters, name)
            outputs[name] = x
        return outputs


def _answer(x: Any, dropout: float, classes: int, activation: Any) -> Any:
    x = gt.layers.GlobalAveragePooling2D(name="mean")(x)
    x = gt.layers.Dropout(dropout, name="dropout")(x)
    return gt.layers.Dense(classes, activation, name="output")(x)


def GoogLeNet(
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    auxiliary: bool = False,
    batch_norm: bool = False,
    dropout: float = 0.4,
    classifier_activation: Any = "softmax",
    width: float = 1.0,
    name: str = "googlenet",
) -> gt.Model:
    """GoogLeNet: 6,998,552 parameters, 13,378,280 with the auxiliary heads.

    Weights start as He et al. (2015) draw them for ReLU.

    Args:
        input_shape: ``(height, width, channels)``.
        classes: the length of each output.
        auxiliary: also return the answers of the heads on 4a and 4d, whose losses count 0.3 each
            in the paper; they are for training only.
        batch_norm: normalize after each convolution, which then has no bias. Not in the paper.
        dropout: the rate before the output.
        classifier_activation: of the outputs; ``None`` returns logits.
        width: multiplies the filters and units of all layers but the outputs.
        name: of the model.

    Raises:
        ValueError: the input is smaller than 32x32, or with auxiliary heads than 65x65.
    """
    image = gt.Input(image_shape(name, input_shape, 65 if auxiliary else 32))
    layers, net = gt.layers, _Builder(width, batch_norm)
    x = net.conv(image, 64, 7, "conv1", strides=2)  # 112x112x64
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)  # 56x56x64
    x = layers.LocalResponseNormalization(name="norm1")(x)
    x = net.conv(x, 64, 1, "conv2_reduce")
    x = net.conv(x, 192, 3, "conv2")  # 56x56x192
    x = layers.LocalResponseNormalization(name="norm2")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool2")(x)  # 28x28x192
    outputs = net.modules(x)
    answers = [_answer(outputs["5b"], dropout, classes, classifier_activation)]
    for name_, x in (("auxiliary1", outputs["4a"]), ("auxiliary2", outputs["4d"])):
        if auxiliary:
            answers.append(net.auxiliary(x, classes, classifier_activation, name_))
    return gt.Model(image, answers if auxiliary else answers[0], name=name)


def GoogLeNetSmall(
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    batch_norm: bool = True,
    dropout: float = 0.4,
    classifier_activation: Any = "softmax",
    width: float = 0.25,
    name: str = "googlenetsmall",
) -> gt.Model:
    """The modules of table 1, a quarter as wide, behind one 3x3 convolution: for 32x32.

    Args: as of `GoogLeNet`. The smallest input is 8x8.
    """
    image = gt.Input(image_shape(name, input_shape, 8))
    net = _Builder(width, batch_norm)
    x = net.conv(image, 192, 3, "conv2")  # 32x32x48
    x = gt.layers.MaxPooling2D(3, 2, padding="same", name="pool2")(x)  # 16x16x48
    x = _answer(net.modules(x)["5b"], dropout, classes, classifier_activation)
    return gt.Model(image, x, name=name)
