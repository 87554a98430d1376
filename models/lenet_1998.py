"""LeNet-5 to the letter of the 1998 paper (LeCun, Bottou, Bengio and Haffner, "Gradient-based
learning applied to document recognition", section II-B): what ``LeNet5(original=True)`` is made of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import gradtape as gt

from .digit_codes import EuclideanRBF

register = gt.saving.register_keras_serializable(package="gradtape.models")

#: Table I: which maps of S2 (rows) each map of C3 (columns) sees.
TABLE_I = """
    X...XXX..XXXX.XX
    XX...XXX..XXXX.X
    XXX...XXX..X.XXX
    .XXX..XXXX..X.XX
    ..XXX..XXXX.XX.X
    ...XXX..XXXX.XXX
"""


@register
def squash(x: gt.Tensor) -> gt.Tensor:
    """The paper's sigmoid, ``1.7159 tanh(2/3 x)`` (appendix A): it maps 1 to 1 and -1 to -1."""
    return 1.7159 * gt.ops.tanh(2 / 3 * x)


def uniform(fan_in: int) -> gt.initializers.Initializer:
    """Initial weights as the paper draws them: uniformly between -2.4 / fan_in and 2.4 / fan_in."""
    return gt.initializers.RandomUniform(-2.4 / fan_in, 2.4 / fan_in)


@register
class Subsampling(gt.layers.Layer):
    """S2 and S4: ``squash(coefficient * sum + bias)`` of each 2x2 window, both learned per map."""

    def build(self, input_shape: Any) -> None:
        maps = (input_shape[-1],)
        self.coefficient = self.add_weight(maps, uniform(4), name="coefficient")
        self.bias = self.add_weight(maps, "zeros", name="bias")

    def call(self, x: gt.Tensor) -> gt.Tensor:
        return squash(self.coefficient * (4 * gt.ops.average_pool(x, pool_size=2)) + self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *sides, maps = input_shape
        return (batch, *(None if n is None else n // 2 for n in sides), maps)

    def multiply_adds(self, input_shape: Any, output_shape: Any) -> int:
        """One product with a coefficient for each window."""
        return math.prod(output_shape[1:])

    def window(self, input_shape: Any, output_shape: Any) -> gt.layers.Window:
        return gt.layers.Window((2, 2), (2, 2), (0, 0))


@register
class TableConvolution(gt.layers.Layer):
    """C3: a 5x5 convolution and `squash`, in which a map sees only what table I marks.

    There are 5x5 weights for each of the 60 marks, and none elsewhere.
    """

    def build(self, input_shape: Any) -> None:
        marks = np.array([[c == "X" for c in row] for row in TABLE_I.split()])
        if input_shape[-1] != len(marks):
            raise ValueError(f"C3 sees {len(marks)} maps of S2, received {input_shape}.")
        draw, fan_in = uniform(1), (25 * marks.sum(axis=0))[marks.nonzero()[1]]
        shape = (5, 5, len(fan_in))
        self.kernel = self.add_weight(shape, lambda s, t: draw(s, t) / fan_in, name="kernel")
        self.bias = self.add_weight(marks.shape[1:], "zeros", name="bias")
        self._shape = (5, 5, *marks.shape)
        self._places = np.eye(marks.size, dtype=self.dtype)[marks.ravel()]  # (60, 96)

    def call(self, x: gt.Tensor) -> gt.Tensor:
        kernel = gt.ops.reshape(gt.ops.matmul(self.kernel, self._places), shape=self._shape)
        return squash(gt.ops.conv(x, kernel) + self.bias)

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, *sides, _ = input_shape
        return (batch, *(None if n is None else n - 4 for n in sides), self.bias.size)

    def multiply_adds(self, input_shape: Any, output_shape: Any) -> int:
        """Every weight once for each position: none for what table I does not mark."""
        return self.kernel.size * math.prod(output_shape[1:-1])

    def window(self, input_shape: Any, output_shape: Any) -> gt.layers.Window:
        return gt.layers.Window((5, 5), (1, 1), (0, 0))


def layers_of_1998(input_shape: Sequence[int], classes: int, padding: int) -> list[Any]:
    """The layers of LeNet-5, with 60,000 parameters to train at 32x32x1."""

    def convolution(filters: int, inputs: int, name: str, padding: int = 0) -> gt.layers.Layer:
        start = uniform(25 * inputs)
        return gt.layers.Conv2D(
            filters, 5, padding=padding, activation=squash, kernel_initializer=start, name=name
        )

    return [
        gt.Input(tuple(input_shape)),
        convolution(6, input_shape[-1], "C1", padding),  # 28x28x6
        Subsampling(name="S2"),  # 14x14x6
        TableConvolution(name="C3"),  # 10x10x16
        Subsampling(name="S4"),  # 5x5x16
        convolution(120, 16, "C5"),  # 1x1x120
        gt.layers.Flatten(name="flatten"),
        gt.layers.Dense(84, squash, kernel_initializer=uniform(120), name="F6"),
        EuclideanRBF(classes, name="output"),
    ]
