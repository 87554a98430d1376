"""ResNet: blocks that learn what to add to their input (He, Zhang, Ren and Sun, "Deep residual
learning for image recognition", 2015, table 1 and section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradtape as gt

from ._sizes import image_shape, scaled


def _conv(x: Any, filters: int, size: int, strides: int, name: str, relu: bool = True) -> Any:
    """Convolution (padded, He's initial weights), batch normalization, ReLU."""
    layers = gt.layers
    x = layers.Conv2D(
        filters, size, strides, padding=size // 2, use_bias=False,
        kernel_initializer="he_normal", name=name,
    )(x)  # fmt: skip
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x) if relu else x


def _shortcut(x: Any, filters: int, strides: int, option: str, name: str) -> Any:
    """The input of a block in the shape of its output (section 3.3, "identity vs. projection")."""
    layers = gt.layers
    if x.shape[-1] == filters and strides == 1:
        return x
    if option == "B":  # a projection
        return _conv(x, filters, 1, strides, f"{name}_projection", relu=False)
    # Option A: every other pixel, and zeros for the channels that are new.
    x = layers.MaxPooling2D(1, strides, name=f"{name}_subsample")(x)
    zeros = layers.Rescaling(0.0, name=f"{name}_zeros")(x)
    return layers.Concatenate(name=f"{name}_identity")([x, zeros])


def _basic(x: Any, filters: int, strides: int, option: str, name: str) -> Any:
    """Figure 5, left: two 3x3 convolutions."""
    y = _conv(x, filters, 3, strides, f"{name}_a")
    y = _conv(y, filters, 3, 1, f"{name}_b", relu=False)
    y = gt.layers.Add(name=f"{name}_add")([y, _shortcut(x, filters, strides, option, name)])
    return gt.layers.Activation("relu", name=name)(y)


def _bottleneck(x: Any, filters: int, strides: int, option: str, name: str) -> Any:
    """Figure 5, right: 1x1 to fewer channels, 3x3, and 1x1 to four times as many."""
    y = _conv(x, filters, 1, strides, f"{name}_a")
    y = _conv(y, filters, 3, 1, f"{name}_b")
    y = _conv(y, 4 * filters, 1, 1, f"{name}_c", relu=False)
    y = gt.layers.Add(name=f"{name}_add")([y, _shortcut(x, 4 * filters, strides, option, name)])
    return gt.layers.Activation("relu", name=name)(y)


def ResNet(
    blocks: Sequence[int],
    bottleneck: bool = False,
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    shortcut: str = "B",
    classifier_activation: Any = "softmax",
    width: float = 1.0,
    name: str = "resnet",
) -> gt.Model:
    """Four stages behind a 7x7 convolution (table 1), or three behind a 3x3 (section 4.2).

    The first stage has 64 filters, of three 16; each next one twice as many, at half the size.

    Args:
        blocks: how many residual blocks each of the three or four stages has.
        bottleneck: three convolutions in a block instead of two.
        input_shape: ``(height, width, channels)``.
        classes: the length of the output.
        shortcut: what a block adds where the shape changes: ``"A"``, its input with zeros for the
            new channels, or ``"B"``, a projection.
        classifier_activation: of the output; ``None`` returns logits.
        width: multiplies the filters of all layers.
        name: of the model.

    Raises:
        ValueError: the input is smaller than one step of the last stage, or an unknown shortcut.
    """
    large = len(blocks) == 4
    image = gt.Input(image_shape(name, input_shape, 32 if large else 4))
    if shortcut not in ("A", "B") or (shortcut == "A" and bottleneck):
        raise ValueError(
            f"{name}: shortcut must be 'A' (without bottleneck) or 'B', received {shortcut!r}."
        )
    filters = scaled(64 if large else 16, width)
    if large:
        x = _conv(image, filters, 7, 2, "conv1")  # 112x112x64
        x = gt.layers.MaxPooling2D(3, 2, padding=1, name="pool1")(x)  # 56x56x64
    else:
        x = _conv(image, filters, 3, 1, "conv1")  # 32x32x16
    for stage, count in enumerate(blocks):
        for i in range(count):
            strides = 2 if stage > 0 and i == 0 else 1
            block = _bottleneck if bottleneck else _basic
            x = block(x, filters * 2**stage, strides, shortcut, f"conv{stage + 2}_{i + 1}")
    x = gt.layers.GlobalAveragePooling2D(name="mean")(x)
    x = gt.layers.Dense(classes, classifier_activation, name="output")(x)
    return gt.Model(image, x, name=name)


def ResNet18(
    input_shape: Sequence[int] = (224, 224, 3), classes: int = 1000, **settings: Any
) -> gt.Model:
    """Table 1, 18 layers: 11,689,512 parameters. See `ResNet` for the settings."""
    return ResNet((2, 2, 2, 2), False, input_shape, classes, **{"name": "resnet18", **settings})


def ResNet34(
    input_shape: Sequence[int] = (224, 224, 3), classes: int = 1000, **settings: Any
) -> gt.Model:
    """Table 1, 34 layers: 21,797,672 parameters. See `ResNet` for the settings."""
    return ResNet((3, 4, 6, 3), False, input_shape, classes, **{"name": "resnet34", **settings})


def ResNet50(
    input_shape: Sequence[int] = (224, 224, 3), classes: int = 1000, **settings: Any
) -> gt.Model:
    """Table 1, 50 layers: 25,557,032 parameters. See `ResNet` for the settings."""
    return ResNet((3, 4, 6, 3), True, input_shape, classes, **{"name": "resnet50", **settings})


def ResNet20(
    input_shape: Sequence[int] = (32, 32, 3), classes: int = 10, **settings: Any
) -> gt.Model:
    """Section 4.2, n = 3, option A: 269,722 parameters. See `ResNet` for the settings."""
    settings = {"name": "resnet20", "shortcut": "A", **settings}
    return ResNet((3, 3, 3), False, input_shape, classes, **settings)


def ResNet32(
    input_shape: Sequence[int] = (32, 32, 3), classes: int = 10, **settings: Any
) -> gt.Model:
    """Section 4.2, n = 5, option A: 464,154 parameters. See `ResNet` for the settings."""
    settings = {"name": "resnet32", "shortcut": "A", **settings}
    return ResNet((5, 5, 5), False, input_shape, classes, **settings)


def ResNet56(
    input_shape: Sequence[int] = (32, 32, 3), classes: int = 10, **settings: Any
) -> gt.Model:
    """Section 4.2, n = 9, option A: 853,018 parameters. See `ResNet` for the settings."""
    settings = {"name": "resnet56", "shortcut": "A", **settings}
    return ResNet((9, 9, 9), False, input_shape, classes, **settings)
