"""LeNet-5, the convolutional net that read the cheques (LeCun, Bottou, Bengio and Haffner,
"Gradient-based learning applied to document recognition", 1998, figure 2), and a wider relative.
"""

from __future__ import annotations

from typing import Any

import gradtape as gt

from ._sizes import image_shape
from .lenet_1998 import layers_of_1998


def LeNet5(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    activation: Any = "tanh",
    classifier_activation: Any = "softmax",
    original: bool = False,
    name: str = "lenet5",
) -> gt.Sequential:
    """LeNet-5: 61,706 parameters at its size, 32x32x1, and at 28x28x1, which it pads by 2.

    As it is taught: means instead of the trainable subsampling of the paper, a C3 that sees all
    maps of S2, and a dense output instead of radial basis functions. With `original` it has all
    three, and 60,000 parameters to train: 156 (C1) + 12 + 1,516 + 32 + 48,120 + 10,164 (F6). Its
    outputs are minus the paper's penalties; train it with ``gt.models.RBFPenalty()``.

    Args:
        input_shape: ``(height, width, channels)``; from 32x32 on nothing is padded.
        classes: the length of the output.
        activation: of the hidden layers.
        classifier_activation: of the output; ``None`` returns logits.
        original: the net of 1998 to the letter, with the activations and output it had.
        name: of the model.

    Raises:
        ValueError: the input is smaller than 28x28, or `original` and more than ten classes.
    """
    shape = image_shape(name, input_shape, 28)
    padding = 2 if min(shape[:2]) < 32 else 0
    if original:
        return gt.Sequential(layers_of_1998(shape, classes, padding), name=name)
    layers = gt.layers
    return gt.Sequential(
        [
            gt.Input(shape),
            layers.Conv2D(6, 5, padding=padding, activation=activation, name="C1"),  # 28x28x6
            layers.AveragePooling2D(2, name="S2"),  # 14x14x6
            layers.Conv2D(16, 5, activation=activation, name="C3"),  # 10x10x16
            layers.AveragePooling2D(2, name="S4"),  # 5x5x16
            layers.Conv2D(120, 5, activation=activation, name="C5"),  # 1x1x120
            layers.Flatten(name="flatten"),
            layers.Dense(84, activation=activation, name="F6"),
            layers.Dense(classes, activation=classifier_activation, name="output"),
        ],
        name=name,
    )


def LeNet1998(
    input_shape: tuple[int, int, int] = (28, 28, 1), classes: int = 10, name: str = "lenet1998"
) -> gt.Sequential:
    """LeNet-5 to the letter of 1998, ``LeNet5(original=True)``: 60,000 parameters to train.

    Its outputs are minus the paper's penalties; train it with ``gt.models.RBFPenalty()``.
    """
    return LeNet5(input_shape, classes, original=True, name=name)


def LeNetGluon(
    input_shape: tuple[int, int, int] | None = (28, 28, 1),
    classes: int = 10,
    activation: Any = "tanh",
    classifier_activation: Any = "softmax",
    name: str = "lenetgluon",
) -> gt.Sequential:
    """The wider LeNet of the Gluon lectures: 431,080 parameters at 28x28x1.

    Args:
        input_shape: ``(height, width, channels)``; None infers it from the first data.
        classes: the length of the output.
        activation: of the hidden layers.
        classifier_activation: of the output; ``None`` returns logits.
        name: of the model.

    Raises:
        ValueError: the input is smaller than 16x16.
    """
    if input_shape is not None:
        image_shape(name, input_shape, 16)
    layers = gt.layers
    return gt.Sequential(
        [
            *([gt.Input(input_shape)] if input_shape else []),
            layers.Conv2D(20, 5, activation=activation),  # 24x24x20
            layers.AveragePooling2D(2),  # 12x12x20
            layers.Conv2D(50, 5, activation=activation),  # 8x8x50
            layers.AveragePooling2D(2),  # 4x4x50
            layers.Flatten(),
            layers.Dense(500, activation=activation),
            layers.Dense(classes, activation=classifier_activation),
        ],
        name=name,
    )
