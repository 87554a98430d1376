"""What brings inputs to scale: by numbers for each place along some axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...kernels import scaling
from ...kernels.simd import bits_of
from ..build import Buffer, Ref
from ..graph import Node, NotNative, Shape
from ..lowering import Lowering, OpLowering, lowers, traces
from ..trace import Trace
from ..traced import Traced
from .products import learned

#: Axes that the kernels go over.
AXES = 4


@traces("brought_to_scale")
def _brought_to_scale(
    t: Trace, x: Any, mean: Any, variance: Any, kept: tuple[bool, ...], least: float, invert: bool
) -> Traced:
    roles = {"mean": mean, "variance": variance}
    variables = {k: learned(v, "brought_to_scale")[0] for k, v in roles.items()}
    numbers = {"kept": tuple(kept[1:]), "least": least, "invert": invert}
    return t.add("rescale", (x,), x.sample, variables, **numbers)


def steps_of(shape: Shape, kept: tuple[bool, ...]) -> list[tuple[int, int]] | None:
    """Axes of a sample, and the step of coefficients that lie along the kept ones.

    Neighbours that step as one are one axis; None if there are more than `AXES` then.
    """
    axes: list[tuple[int, int]] = []
    step = 1
    for n, keeps in zip(reversed(shape), reversed(kept), strict=True):
        if n == 1:
            continue
        here = step if keeps else 0
        if axes and here == axes[-1][0] * axes[-1][1]:
            axes[-1] = (axes[-1][0] * n, axes[-1][1])
        else:
            axes.append((n, here))
        step *= n if keeps else 1
    axes += [(1, 0)] * (AXES - len(axes))
    return axes[::-1] if len(axes) == AXES else None


@lowers("rescale")
class Rescale(OpLowering):
    """``(x - minus) times + plus``, with numbers of its own for each place along some axes."""

    @staticmethod
    def _axes(low: Lowering, node: Node) -> list[int]:
        axes = steps_of(low.graph.shapes[node.output], node.settings["kept"])
        if axes is None:
            raise NotNative(f"{node.layer!r} scales by numbers for {node.settings['kept']}")
        return [n for n, _ in axes] + [step for _, step in axes]

    @staticmethod
    def _coefficients(low: Lowering, node: Node) -> list[Ref]:
        """minus, times and plus."""
        kept, shape = node.settings["kept"], low.graph.shapes[node.output]
        count = math.prod(n for n, k in zip(shape, kept, strict=True) if k)
        if node.variables:
            buffer = low.packed((node, "coefficients"), 3 * count)
        else:
            numbers = np.array([[0.0] * count, node.settings["times"], node.settings["plus"]])
            buffer = low.build.constant(np.ascontiguousarray(numbers, np.float32))
        return [buffer.at(i * count, count) for i in range(3)]

    def prepare(self, low: Lowering, node: Node) -> None:
        if node.variables:
            mean, variance = (low.variable(node.variables[k]) for k in ("mean", "variance"))
            out = self._coefficients(low, node)[0].buffer
            low.build.task()
            low.build.emit(
                scaling.coefficients,
                out, mean, variance, mean.size, int(node.settings["invert"]),
                bits_of(node.settings["least"]),
            )  # fmt: skip

    def forward(self, low: Lowering, node: Node) -> None:
        x, numbers = low.values[node.inputs[0]], self._coefficients(low, node)
        low.build.emit(scaling.affine, low.output(node), x, *numbers, *self._axes(low, node))

    def backward(self, low: Lowering, node: Node) -> None:
        g, times = low.gradients[node.output], self._coefficients(low, node)[1]

        def emit(out: Buffer) -> None:
            low.build.emit(scaling.affine_back, out, g, times, *self._axes(low, node))

        low.give(node.inputs[0], emit)
