"""A training step as a flat list of kernel calls: made once, then run without the interpreter.

trace         a model's own call, run on placeholders
graph         what it computes, as data
rewrite       the same with less work
ops           how ops become nodes, and nodes instructions, a family a file
lowering      a graph on its way to instructions
build         instructions on named buffers
memory        where buffers lie
program       instructions with addresses, for one batch size
threads       who runs them
step          training, testing, predicting
"""

from __future__ import annotations

from . import islands, ops  # noqa: F401  (they register)
from .graph import NotNative
from .models import graph_of, reasons
from .native import Native, enabled
from .ops.winograd import set_winograd
from .optimizing import Update
from .step import Judged, Step
from .threads import set_threads
from .warmup import warmup, warmup_eager

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
