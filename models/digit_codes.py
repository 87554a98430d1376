"""The output of the original LeNet-5: radial basis functions around pictures of the digits, and the
loss that goes with them (LeCun et al., 1998, sections II-B and II-C).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gradtape as gt

register = gt.saving.register_keras_serializable(package="gradtape.models")

#: The digits in figure 3, 7x12 each, as later implementations have read them off the print.
FIGURE_3 = """
    .#####. ...##.. .#####. ####### .#####. .#####. ..####. ####### .#####. .#####.
    ....... ..###.. ....... .....## ....... ....... .##.... .....## ##...## ##..###
    ..###.. .####.. .#####. ....##. ....... ####### ##..... .....## ##...## ##...##
    .##.##. ...##.. ##...## ...##.. .##..## ##..... ##..... ....##. ##...## ##...##
    ##...## ...##.. #....## ..####. .##..## ##..... ######. ...##.. .#####. ##..###
    ##...## ...##.. ....##. .....## ###..## .####.. ###..## ...##.. ##...## .######
    ##...## ...##.. ..###.. .....## ##...## ..####. ##...## ..##... ##...## .....##
    ##...## ...##.. .##.... .....## ##...## .....## ##...## ..##... ##...## .....##
    .##.##. ...##.. ##..... ##...## ##..### ##...## ###..## ..##... ##...## ....##.
    ..###.. .###### ####### .#####. .###### .#####. .#####. ..##... .#####. .####..
    ....... ....... ....... ....... .....## ....... ....... ....... ....... .......
    ....... ....... ....... ....... .....## ....... ....... ....... ....... .......
"""


def digit_codes() -> np.ndarray:
    """The ten digits as rows of 84 numbers: 1 where figure 3 is black, -1 where it is white."""
    rows = [line.split() for line in FIGURE_3.split("\n") if line.strip()]
    black = [[pixel == "#" for row in rows for pixel in row[digit]] for digit in range(10)]
    return np.where(black, 1.0, -1.0)


@register
class EuclideanRBF(gt.layers.Layer):
    """The output, ``-sum_j (x_j - code_ij)^2`` (equation 7): minus the paper's penalty of class i,
    so that as everywhere the largest number is the answer. The codes are fixed unless `trainable`.
    """

    def __init__(self, classes: int = 10, trainable: bool = False, **kwargs: Any) -> None:
        super().__init__(trainable=trainable, **kwargs)
        if not 1 <= classes <= 10:
            raise ValueError(f"There are codes for 1 to 10 digits, received classes={classes}.")
        self.classes = classes

    def build(self, input_shape: Any) -> None:
        codes = gt.initializers.Constant(digit_codes()[: self.classes])
        self.codes = self.add_weight((self.classes, input_shape[-1]), codes, name="codes")

    def call(self, x: gt.Tensor) -> gt.Tensor:
        return -gt.ops.sum((gt.ops.expand_dims(x, axis=1) - self.codes) ** 2, axis=-1)


@register
class RBFPenalty(gt.losses.SparseCategoricalCrossentropy):
    """The paper's loss of the outputs -y and class D: ``y_D + log(exp(-j) + sum_i exp(-y_i))``.

    This is equation 9, the criterion that also pushes wrong classes away, as long as their penalty
    is about j or less; without j it is equation 8, the penalty of the right class alone. Equation 9
    is the cross-entropy with one more class, of no digit at all, whose penalty is always j.

    Args:
        j: a positive constant, which the paper leaves open; None for equation 8.
    """

    def __init__(self, j: float | None = 1.0, name: str = "rbf_penalty", **kwargs: Any) -> None:
        super().__init__(name=name, **{**kwargs, "from_logits": True})
        self.j = j

    def call(self, y_true: gt.Tensor, y_pred: gt.Tensor) -> gt.Tensor:
        if self.j is None:
            labels = gt.ops.reshape(y_true, shape=(len(y_pred), 1))
            return -gt.ops.take_along_axis(y_pred, labels, axis=-1)[:, 0]
        none = np.full((len(y_pred), 1), -self.j, y_pred.dtype)
        return super().call(y_true, gt.ops.concatenate([y_pred, none], axis=-1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "j": self.j}
