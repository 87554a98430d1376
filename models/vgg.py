"""VGG: nothing but 3x3 convolutions and 2x2 pooling, deep (Simonyan and Zisserman, "Very deep
convolutional networks for large-scale image recognition", 2015, table 1), and a small relative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradtape as gt

from ._sizes import image_shape, scaled

#: Columns of table 1: the filters of each block's convolutions. A block ends in max pooling.
A = ([64], [128], [256] * 2, [512] * 2, [512] * 2)
B = ([64] * 2, [128] * 2, [256] * 2, [512] * 2, [512] * 2)
D = ([64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3)
E = ([64] * 2, [128] * 2, [256] * 4, [512] * 4, [512] * 4)


def VGG(
    blocks: Sequence[Sequence[int]] = D,
    dense: Sequence[int] = (4096, 4096),
    input_shape: Sequence[int] = (224, 224, 3),
    classes: int = 1000,
    batch_norm: bool = False,
    dropout: float = 0.5,
    classifier_activation: Any = "softmax",
    width: float = 1.0,
    name: str = "vgg",
) -> gt.Sequential:
    """Blocks of 3x3 convolutions, each ending in 2x2 max pooling, and a dense classifier; ReLU.

    Weights before a ReLU start as He et al. (2015) draw them, which trains all depths at once; the
    paper drew from N(0, 0.01) and grew deep nets from shallow ones.

    Args:
        blocks: the filters of each convolution, block by block.
        dense: the units of the hidden dense layers.
        input_shape: ``(height, width, channels)``.
        classes: the length of the output.
        batch_norm: normalize after each convolution, which then has no bias. Not in the paper.
        dropout: the rate after each hidden dense layer.
        classifier_activation: of the output; ``None`` returns logits.
        width: multiplies the filters and units of all layers but the output.
        name: of the model.

    Raises:
        ValueError: the input is too small to be halved by every block.
    """
    layers = gt.layers
    stack: list[Any] = [gt.Input(image_shape(name, input_shape, 2 ** len(blocks)))]
    for i, block in enumerate(blocks, start=1):
        for j, filters in enumerate(block, start=1):
            stack += _convolution(scaled(filters, width), f"conv{i}_{j}", batch_norm)
        stack.append(layers.MaxPooling2D(2, name=f"pool{i}"))
    stack.append(layers.Flatten(name="flatten"))
    for i, n in enumerate(dense, start=len(blocks) + 1):
        units = scaled(n, width)
        stack += [
            layers.Dense(units, "relu", kernel_initializer="he_normal", name=f"fc{i}"),
            layers.Dropout(dropout, name=f"dropout{i}"),
        ]
    stack.append(layers.Dense(classes, classifier_activation, name="output"))
    return gt.Sequential(stack, name=name)


def _convolution(filters: int, name: str, batch_norm: bool) -> list[Any]:
    """A 3x3 convolution and ReLU, with batch normalization between them if wanted."""
    layers = gt.layers
    kernel = layers.Conv2D(
        filters,
        3,
        padding="same",
        activation=None if batch_norm else "relu",
        use_bias=not batch_norm,
        kernel_initializer="he_normal",
        name=name,
    )
    if not batch_norm:
        return [kernel]
    return [
        kernel,
        layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn"),
        layers.Activation("relu", name=f"{name}_relu"),
    ]


def VGG11(
    input_shape: Sequence[int] = (224, 224, 3), classes: int = 1000, **settings: Any
) -> gt.Sequential:
    """Column A of table 1: 132,863,336 parameters. See `VGG` for the settings."""
    return VGG(A, (4096, 4096), input_shape, classes, **{"name": "vgg11", **settings})


def VGG13(
    input_shape: Sequence[int] = (224, 224, 3), classes: int = 1000, **settings: Any
) -> gt.Sequential:
    """Column B of table 1: 133,047,848 parameters. See `VGG` for the settings."""
    return VGG(B, (4096, 4096), input_shape, classes, **{"name": "vgg13", **settings})


def VGG16(
    input_shape: Sequence[int] = (224, 224, 3), classes: int = 1000, **settings: Any
) -> gt.Sequential:
    """Column D of table 1: 138,357,544 parameters. See `VGG` for the settings."""
    return VGG(D, (4096, 4096), input_shape, classes, **{"name": "vgg16", **settings})


def VGG19(
    input_shape: Sequence[int] = (224, 224, 3), classes: int = 1000, **settings: Any
) -> gt.Sequential:
    """Column E of table 1: 143,667,240 parameters. See `VGG` for the settings."""
    return VGG(E, (4096, 4096), input_shape, classes, **{"name": "vgg19", **settings})


def VGGSmall(
    input_shape: Sequence[int] = (32, 32, 3), classes: int = 10, **settings: Any
) -> gt.Sequential:
    """For 32x32: blocks of 2x64, 2x128 and 3x256, then 512 units. See `VGG` for the settings."""
    return VGG(D[:3], (512,), input_shape, classes, **{"name": "vggsmall", **settings})
