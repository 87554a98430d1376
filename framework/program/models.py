"""Graphs of models, and what is to be said of them."""

from __future__ import annotations

from typing import Any

from .graph import Graph, NotNative
from .rewrite import rewritten
from .trace import BATCH, Trace


def graph_of(model: Any, samples: Any, training: bool = True) -> Graph:
    """The graph of a model for samples of this shape.

    Args:
        model: with weights.
        samples: the shape of a sample, or a list of them, one for each input.
        training: whether layers behave as in training.

    Raises:
        NotNative: the model cannot be traced, or leaves too much to the tape.
        ShapeError: a layer does not take its input.
    """
    trace = Trace(samples, BATCH, training)
    trace.run(model)
    return finished(trace)


def finished(trace: Trace) -> Graph:
    """What programs are made of.

    Raises:
        NotNative: too little of it would be native.
    """
    graph = rewritten(trace.graph)
    graph.check_worth()
    return graph


def reasons(model: Any, samples: Any) -> list[tuple[str, str | None]]:
    """For each layer of a model its name, and why it is not native (None if it is)."""
    return [(name, why) for name, _, why in explained(model, samples)]


def explained(model: Any, samples: Any) -> list[tuple[str, list[str], str | None]]:
    """For each layer its name, its ops, and why it is not native (None if it is)."""
    trace = Trace(samples, BATCH, lenient=True)
    try:
        trace.run(model)
        finished(trace)
    except NotNative as error:
        trace.reasons.append((model.name, [], f"eager: {error}"))
    return trace.reasons
