"""Network in network: 1x1 convolutions between the others, and a mean instead of dense layers (Lin,
Chen and Yan, "Network in network", 2014, figure 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradtape as gt

from ._sizes import image_shape, scaled

#: The three mlpconv layers for CIFAR-10: the size of the first convolution, and filters of it and
#: of the two 1x1 convolutions behind it; the last of all is as deep as there are classes.
MLPCONV = ((5, (192, 160, 96)), (5, (192, 192, 192)), (3, (192, 192)))


def NiN(
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    dropout: float = 0.5,
    classifier_activation: Any = "softmax",
    width: float = 1.0,
    name: str = "nin",
) -> gt.Sequential:
    """Network in network for CIFAR-10: 966,986 parameters at three channels.

    The paper leaves the sizes open; they are those of the net its authors published. Weights start
    as He et al. (2015) draw them for ReLU, which follows every convolution, the last one included:
    its biases start at 1, for a score that starts at 0 everywhere would never get a gradient.

    Args:
        input_shape: ``(height, width, channels)``.
        classes: the length of the output.
        dropout: the rate between the mlpconv layers.
        classifier_activation: of the output; ``None`` returns logits.
        width: multiplies the filters of all layers but the last.
        name: of the model.

    Raises:
        ValueError: the input is smaller than 4x4.
    """
    shape = image_shape(name, input_shape, 4)
    layers = gt.layers
    stack: list[Any] = [gt.Input(shape)]
    last = len(MLPCONV), len(MLPCONV[-1][1])
    for i, (size, filters) in enumerate(MLPCONV, start=1):
        depths = [scaled(n, width) for n in filters]
        if i == len(MLPCONV):
            depths.append(classes)
        for j, depth in enumerate(depths):
            stack.append(
                layers.Conv2D(
                    depth,
                    size if j == 0 else 1,
                    padding="same",
                    activation="relu",
                    kernel_initializer="he_normal",
                    bias_initializer="ones" if (i, j) == last else "zeros",
                    name=f"conv{i}" if j == 0 else f"cccp{i}_{j}",
                )
            )
        if i < len(MLPCONV):
            pool = layers.MaxPooling2D if i == 1 else layers.AveragePooling2D
            stack += [
                pool(3, 2, padding="same", name=f"pool{i}"),  # 16x16, then 8x8
                layers.Dropout(dropout, name=f"dropout{i}"),
            ]
    stack += [
        layers.GlobalAveragePooling2D(name="mean"),
        layers.Activation(classifier_activation or "linear", name="output"),
    ]
    return gt.Sequential(stack, name=name)
