"""Where no gradient flows."""

from __future__ import annotations

from ..graph import Node
from ..lowering import Lowering, OpLowering, lowers


@lowers("stopped")
class Stopped(OpLowering):
    """The same values, through which no gradient flows."""

    passes_back = False

    def forward(self, low: Lowering, node: Node) -> None:
        low.values[node.output] = low.values[node.inputs[0]]
