"""Lowerings of activations."""

from __future__ import annotations

from ..kernels import loss, pointwise
from ..kernels.native import Kernel
from .graph import Node
from .lowering import Lowering, OpLowering, lowers


class _Pointwise(OpLowering):
    """An activation whose gradient is known from its output."""

    reads_output = True
    there: Kernel
    back: Kernel

    def forward(self, low: Lowering, node: Node) -> None:
        x = low.values[node.inputs[0]]
        low.build.emit(self.there, low.output_in_place(node), x, low.size(node.output))

    def backward(self, low: Lowering, node: Node) -> None:
        g, y = low.gradients[node.output], low.values[node.output]
        low.build.emit(self.back, g, g, y, low.size(node.output))
        low.pass_on(node.inputs[0], g)


@lowers("tanh")
class Tanh(_Pointwise):
    there, back = pointwise.tanh, pointwise.tanh_back


@lowers("sigmoid")
class Sigmoid(_Pointwise):
    there, back = pointwise.sigmoid, pointwise.sigmoid_back


@lowers("relu")
class Relu(_Pointwise):
    there, back = pointwise.relu, pointwise.relu_back


@lowers("softmax")
class Softmax(OpLowering):
    """Over the classes of a sample."""

    reads_output = True

    def forward(self, low: Lowering, node: Node) -> None:
        classes = low.graph.shapes[node.output][-1]
        low.build.emit(loss.softmax, low.output(node), low.values[node.inputs[0]], classes)

    def backward(self, low: Lowering, node: Node) -> None:
        g, y = low.gradients[node.output], low.values[node.output]
        classes = low.graph.shapes[node.output][-1]
        low.build.emit(loss.softmax_back, g, g, y, classes)
        low.pass_on(node.inputs[0], g)
