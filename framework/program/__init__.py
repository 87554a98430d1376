"""A training step as a flat list of kernel calls: made once, then run without the interpreter.

graph         what a model computes, as data
translations  from layers to nodes of a graph, a family of layers a file
lowering      from a graph to instructions, a family of ops a file
build         instructions on named buffers
memory        where buffers lie
program       instructions with addresses, for one batch size
threads       who runs them
step          training, testing, predicting
"""

from __future__ import annotations

from . import (  # noqa: F401  (they register)
    activating,
    channelwise,
    convolving,
    islands,
    joining,
    local,
    moving,
    noise,
    normalizing,
    pooling,
    products,
    scaling,
    standardizing,
    translations,
)
from .graph import NotNative, graph_of, reasons
from .native import Native, enabled
from .optimizing import Update
from .step import Judged, Step
from .threads import set_threads
from .warmup import warmup, warmup_eager
from .winograd import set_winograd

__all__ = [
    "Judged",
    "Native",
    "NotNative",
    "Step",
    "Update",
    "enabled",
    "graph_of",
    "reasons",
    "set_threads",
    "set_winograd",
    "warmup",
    "warmup_eager",
]
