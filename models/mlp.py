"""The multilayer perceptron: dense layers, which see all pixels and know nothing of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradtape as gt


def MLP(
    input_shape: Sequence[int] = (28, 28, 1),
    classes: int = 10,
    hidden: int | Sequence[int] = 256,
    activation: Any = "relu",
    classifier_activation: Any = "softmax",
    name: str = "mlp",
) -> gt.Sequential:
    """A multilayer perceptron: ``(n + 1) hidden + (hidden + 1) classes`` parameters for n pixels.

    Its hidden weights start as He et al. (2015) draw them for ReLU.

    Args:
        input_shape: of one sample, of any rank.
        classes: the length of the output.
        hidden: units of the hidden layer, or of several in order.
        activation: of the hidden layers.
        classifier_activation: of the output; ``None`` returns logits.
        name: of the model.
    """
    layers = gt.layers
    units = [hidden] if isinstance(hidden, int) else list(hidden)
    return gt.Sequential(
        [
            gt.Input(tuple(input_shape)),
            layers.Flatten(name="flatten"),
            *(
                layers.Dense(
                    n, activation=activation, kernel_initializer="he_normal", name=f"hidden{i}"
                )
                for i, n in enumerate(units, start=1)
            ),
            layers.Dense(classes, activation=classifier_activation, name="output"),
        ],
        name=name,
    )
