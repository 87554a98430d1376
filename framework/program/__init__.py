"""A training step as a flat list of kernel calls: made once, then run without the interpreter.

trace         a model's own call, run on placeholders (`traced`)
models        the graph of a model, and what is to be said of it
graph         what a model computes, as data
rewrite       the same with less work
formulas      ops of single elements, compiled from their own source; `updating`: of optimizers
losses        what a loss computes joins the graph
islands       what stays on the tape, as do `taped_losses`
watching      whether all is as it was; `readings`: what code of users reads, `notes`: what it notes
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
