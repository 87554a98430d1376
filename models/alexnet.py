"""AlexNet, which won ImageNet 2012 (Krizhevsky, Sutskever and Hinton, "ImageNet classification with
deep convolutional neural networks", 2012, figure 2), and a small relative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradtape as gt

from ._sizes import image_shape, scaled


def AlexNet(
    input_shape: Sequence[int] = (227, 227, 3),
    classes: int = 1000,
    groups: int = 1,
    normalization: bool = True,
    dropout: float = 0.5,
    classifier_activation: Any = "softmax",
    width: float = 1.0,
    name: str = "alexnet",
) -> gt.Sequential:
    """AlexNet: 62,378,344 parameters at 227x227x3, 60,965,224 in two groups.

    The figure says 224, from which no 11x11 convolution of stride 4 makes 55: images of that height
    or width are padded by 2. Weights start as He et al. (2015) draw them for ReLU; the paper drew
    from N(0, 0.01) and started half of the biases at 1.

    Args:
        input_shape: ``(height, width, channels)``.
        classes: the length of the output.
        groups: 2 splits C3, C6 and C7 over what were two graphics cards in 2012.
        normalization: the local response normalization (section 3.3) after C1 and C3.
        dropout: the rate after each hidden dense layer.
        classifier_activation: of the output; ``None`` returns logits.
        width: multiplies the filters and units of all layers but the output.
        name: of the model.

    Raises:
        ValueError: the input is smaller than 67x67.
    """
    shape = image_shape(name, input_shape, 67)
    layers = gt.layers

    def convolution(filters: int, size: int, name: str, **settings: Any) -> gt.layers.Layer:
        return layers.Conv2D(
            scaled(filters, width, groups), size, activation="relu",
            kernel_initializer="he_normal", name=name, **settings,
        )  # fmt: skip

    def local_response(name: str) -> list[gt.layers.Layer]:
        return [layers.LocalResponseNormalization(name=name)] if normalization else []

    return gt.Sequential(
        [
            gt.Input(shape),
            convolution(96, 11, "C1", strides=4, padding=2 if 224 in shape[:2] else 0),  # 55x55x96
            *local_response("N1"),
            layers.MaxPooling2D(3, 2, name="S2"),  # 27x27x96
            convolution(256, 5, "C3", padding="same", groups=groups),  # 27x27x256
            *local_response("N3"),
            layers.MaxPooling2D(3, 2, name="S4"),  # 13x13x256
            convolution(384, 3, "C5", padding="same"),  # 13x13x384
            convolution(384, 3, "C6", padding="same", groups=groups),  # 13x13x384
            convolution(256, 3, "C7", padding="same", groups=groups),  # 13x13x256
            layers.MaxPooling2D(3, 2, name="S8"),  # 6x6x256
            *_classifier((scaled(4096, width),) * 2, dropout, classes, classifier_activation, 9),
        ],
        name=name,
    )


def AlexNetSmall(
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    dropout: float = 0.5,
    classifier_activation: Any = "softmax",
    width: float = 1.0,
    name: str = "alexnetsmall",
) -> gt.Sequential:
    """AlexNet's five convolutions and three dense layers, at the scale of 32x32 images.

    Args: as of `AlexNet`. The smallest input is 8x8.
    """
    shape = image_shape(name, input_shape, 8)
    layers = gt.layers

    def convolution(filters: int, name: str) -> gt.layers.Layer:
        return layers.Conv2D(
            scaled(filters, width), 3, padding="same", activation="relu",
            kernel_initializer="he_normal", name=name,
        )  # fmt: skip

    return gt.Sequential(
        [
            gt.Input(shape),
            convolution(64, "C1"),  # 32x32x64
            layers.MaxPooling2D(2, name="S2"),  # 16x16x64
            convolution(128, "C3"),  # 16x16x128
            layers.MaxPooling2D(2, name="S4"),  # 8x8x128
            convolution(192, "C5"),  # 8x8x192
            convolution(128, "C6"),  # 8x8x128
            convolution(128, "C7"),  # 8x8x128
            layers.MaxPooling2D(2, name="S8"),  # 4x4x128
            *_classifier(
                (scaled(512, width), scaled(256, width)), dropout, classes, classifier_activation, 9
            ),
        ],
        name=name,
    )


def _classifier(
    hidden: Sequence[int], dropout: float, classes: int, activation: Any, first: int
) -> list[gt.layers.Layer]:
    """Dense layers with dropout (numbered from `first`), and the output."""
    layers = gt.layers
    stack: list[gt.layers.Layer] = [layers.Flatten(name="flatten")]
    for i, units in enumerate(hidden, start=first):
        stack += [
            layers.Dense(units, "relu", kernel_initializer="he_normal", name=f"F{i}"),
            layers.Dropout(dropout, name=f"D{i}"),
        ]
    return [*stack, layers.Dense(classes, activation, name="output")]
