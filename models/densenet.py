"""DenseNet: every layer of a block sees the maps of all layers before it (Huang, Liu, van der
Maaten and Weinberger, "Densely connected convolutional networks", 2017, figures 1 and 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradtape as gt

from ._sizes import image_shape


def DenseNetSmall(
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    depth: int = 22,
    growth: int = 12,
    dropout: float = 0.0,
    classifier_activation: Any = "softmax",
    name: str = "densenetsmall",
) -> gt.Model:
    """The paper's plain DenseNet for 32x32 (section 3, "implementation details"), less deep.

    With ``depth=40, growth=12`` it is the smallest of the paper's table 2. Weights start as He et
    al. (2015) draw them for ReLU, as in the paper.

    Args:
        input_shape: ``(height, width, channels)``.
        classes: the length of the output.
        depth: layers with weights: 4 more than a multiple of 3.
        growth: the maps each layer adds, ``k`` in the paper.
        dropout: the rate after each convolution but the first; the paper's is 0.2 where images are
            not augmented.
        classifier_activation: of the output; ``None`` returns logits.
        name: of the model.

    Raises:
        ValueError: the input is smaller than 4x4, or a depth that makes no three equal blocks.
    """
    image = gt.Input(image_shape(name, input_shape, 4))
    if depth < 7 or (depth - 4) % 3:
        raise ValueError(f"{name}: depth must be 7, 10, 13, ... (3 n + 4), received {depth}.")
    layers = gt.layers

    def normalized(x: Any, name: str) -> Any:
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
        return layers.Activation("relu", name=f"{name}_relu")(x)

    def convolution(x: Any, filters: int, size: int, name: str) -> Any:
        x = layers.Conv2D(
            filters, size, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
        )(x)
        return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x

    x = layers.Conv2D(
        16, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name="conv0"
    )(image)
    for block in (1, 2, 3):
        for i in range(1, (depth - 4) // 3 + 1):
            label = f"dense{block}_{i}"
            new = convolution(normalized(x, label), growth, 3, label)
            x = layers.Concatenate(name=f"{label}_all")([x, new])
        if block < 3:
            label = f"transition{block}"
            x = convolution(normalized(x, label), x.shape[-1], 1, label)
            x = layers.AveragePooling2D(2, name=f"{label}_pool")(x)  # 16x16, then 8x8
    x = layers.GlobalAveragePooling2D(name="mean")(normalized(x, "last"))
    x = layers.Dense(classes, classifier_activation, name="output")(x)
    return gt.Model(image, x, name=name)
