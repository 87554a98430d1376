"""`Native`: the programs of one model, chosen by what they hold for, made when first needed.

A program holds for a batch size, a dtype, a set of trained variables, a wiring, a loss and a kind
of optimizer. Whatever it does not cover is left to the eager step, which is always right.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tape import grad_mode
from ..autograd.tree import tree_leaves
from ..config.settings import wants_programs
from ..errors import ShapeError
from .graph import Graph, NotNative, factors_of
from .islands import Unexpected
from .models import explained, finished, graph_of
from .optimizing import Update, has_kernel, key_of
from .step import Judged, Outcome, Step
from .taped_losses import TapedLoss, reason_for_tape
from .trace import BATCH, PATIENCE, Trace, is_plain
from .watching import Watch, layers_of

Array = np.ndarray
#: A `scores.Row`: loss or None, factor, y, weight.
Row = Any
#: Programs that a model keeps at most, and the bytes that their memory may take together.
KEPT = 12
KEPT_BYTES = 2 << 30


def enabled() -> bool:
    """Whether programs are used: not without compiled kernels, nor with GRADTAPE_NATIVE=0."""
    import numba

    return wants_programs() and not numba.config.DISABLE_JIT


class Native:
    """What a model can do natively.

    Args:
        model: whose layers, loss and optimizer are looked at in every call, so that a change is
            picked up.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.reason: str | None = None
        self._steps: OrderedDict[Any, _Entry] = OrderedDict()
        self._graphs: OrderedDict[Any, _Known] = OrderedDict()
        self._finished: OrderedDict[Any, Graph] = OrderedDict()  # by their signatures
        self._lock = threading.RLock()  # one batch at a time: a program has one memory
        self._thread = _Thread()

    @property
    def last(self) -> Step | None:
        """The program that did the last batch of this thread, if one did."""
        return self._thread.last

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a model makes its own programs: these hold addresses."""
        return {"model": self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["model"])  # type: ignore[misc]

    def train(
        self,
        x: Any,
        rows: list[Row],
        optimizer: Any,
        variables: list[Any] | None,
        check: bool = True,
    ) -> Outcome | None:
        """Learn from a batch; None if that has to be done eagerly.

        Args:
            x: the inputs of the model, as it takes them.
            rows: for each output its loss, what that counts, its targets and sample weights.
            optimizer: an `Optimizer`.
            variables: those to train; None: those of the model.
            check: whether the targets still have to be checked against the predictions.

        Raises:
            ShapeError, TypeError, ValueError: targets that do not fit (with `check`).
        """
        with self._lock:
            xs = self._inputs(x)
            if xs is None or optimizer is None or not optimizer.built:
                return None
            found = self._graph(xs, True)
            if variables is None:
                variables = found.trained(self.model)
            if not variables or any([v._hooks for v in variables]):  # somebody listens to gradients
                return None
            if any([v not in optimizer._place for v in variables]):
                return None  # the eager step builds it anew
            return self._run(found, xs, rows, variables, optimizer, check)

    def test(self, x: Any, rows: list[Row], check: bool = True) -> Outcome | None:
        """Judge a batch; None if that has to be done eagerly. See `train`."""
        with self._lock:
            xs = self._inputs(x)
            if xs is None:
                return None
            found = self._graph(xs, False)
            return self._run(found, xs, rows, found.trained(self.model), None, check)

    def predict(self, x: Any) -> Any:
        """The predictions for a batch; None if that has to be done eagerly."""
        with self._lock:
            xs = self._inputs(x)
            if xs is None:
                return None
            done = self._run(self._graph(xs, False), xs, None, [], None, False)
            return None if done is None else done.outputs

    def _inputs(self, x: Any) -> list[Array] | None:
        """The samples of each input, as programs take them."""
        self._thread.last = None
        topology = getattr(self.model, "_topology", None)
        if grad_mode.anomaly:
            return None
        try:
            given = [x] if topology is None else topology.listed(x, tree_leaves, "")
        except ShapeError:  # the eager step will refuse them
            return None
        arrays = [_input(value) for value in given]
        if any([a is None for a in arrays]):
            return None
        xs = [a for a in arrays if a is not None]
        return xs if len(xs[0]) and len({len(a) for a in xs}) == 1 else None

    def _run(
        self,
        found: _Known,
        xs: list[Array],
        rows: list[Row] | None,
        variables: list[Any],
        optimizer: Any,
        check: bool,
    ) -> Outcome | None:
        if any([row.loss is not None and row.y is None for row in rows or ()]):
            return None  # the eager step says so
        entry = self._entry(found, xs, rows, variables, optimizer)
        step = entry.step
        if isinstance(step, str):
            self.reason = step
            return None
        if rows is not None and check:
            for row, shape in zip(rows, step.output_shapes, strict=True):
                if row.loss is not None:
                    row.loss.check(row.y, (len(xs[0]), *shape))
        targets = [row.y for row in rows or ()] or [None] * len(step.losses)
        weights = [row.weight for row in rows or ()] or [None] * len(step.losses)
        if not step.accepts(targets, weights):  # no kernel takes them, but the loss may
            entry = self._entry(found, xs, rows, variables, optimizer, taped=True)
            step = entry.step
            if isinstance(step, str):
                self.reason = step
                return None
        self.reason = None
        ys, weights = ([_array(v) for v in values] for values in (targets, weights))
        if not step.pauses:
            self._thread.last = step
            return step.outcome(xs, ys, weights)
        states = [(v, v.data.copy()) for v in self.model.non_trainable_variables]
        try:
            return step.outcome(xs, ys, weights)
        except Unexpected as error:  # before anything was learned
            for variable, values in states:
                variable.assign(values)
            for island in step.islands:
                island.undo()
            entry.step = self.reason = str(error)  # for good, or each step would run twice
            return None

    def _entry(
        self,
        found: _Known,
        xs: list[Array],
        rows: list[Row] | None,
        variables: list[Any],
        optimizer: Any,
        taped: bool = False,
    ) -> _Entry:
        graph = found.graph
        if isinstance(graph, str):
            return _Entry(graph, [], None)
        # Identities are safe in the key: what they stand for is kept in the entry.
        judged = tuple((id(row.loss), row.factor) for row in rows or ())
        regularized = [v for v in variables if v.regularizer is not None] if judged else []
        trained = (
            (key_of(optimizer), *sorted(map(id, variables))) if optimizer is not None else None
        )
        sizes = [(a.shape, a.dtype.char) for a in xs]
        penalties = [(id(v), id(v.regularizer)) for v in regularized]
        key = (*sizes, id(graph), judged, taped, trained, *penalties)
        known = self._steps.get(key)
        if known is not None and known.holds():
            self._steps.move_to_end(key)
            return known
        changes = 0 if known is None else known.changes + 1
        if changes > PATIENCE:  # losses that are others from batch to batch
            taped = taped or not all([row.loss is None or is_plain(row.loss) for row in rows or ()])
        made = self._make(graph, xs, rows, variables, optimizer, regularized, taped)
        if isinstance(made, Step):
            made.lock = self._lock
        plans = [] if isinstance(made, str) else made.losses  # those on the tape look every time
        asked = [isinstance(p, TapedLoss) or (p is not None and p.trace.again) for p in plans]
        asked = asked or [False] * len(rows or ())
        watched = [row.loss for row, t in zip(rows or (), asked, strict=False) if not t]
        watched = [loss for loss in watched if loss is not None]
        watched += [v.regularizer for v in regularized]
        entry = self._steps[key] = _Entry(made, watched, (optimizer, variables, graph), changes)
        self._steps.move_to_end(key)
        _forget(self._steps, lambda entry: entry.size)
        return entry

    @staticmethod
    def _make(
        graph: Graph,
        xs: list[Array],
        rows: list[Row] | None,
        variables: list[Any],
        optimizer: Any,
        regularized: list[Any],
        taped: bool,
    ) -> Step | str:
        try:
            judged = None
            if rows is not None:
                judged = [Judged(row.loss, row.factor, taped) for row in rows]
            if judged is not None and len(judged) != len(graph.results):
                raise NotNative("the model returns more outputs than it was compiled for")
            update = None
            if optimizer is not None and rows is not None:
                pairs = zip(graph.results, rows, strict=True)
                seen = [value for value, row in pairs if row.loss is not None]
                reached = graph.behind(seen + [value for value, _ in graph.activity])
                moved = [v for v in variables if v in reached or v.regularizer is not None]
                if missing := [v.path for v in variables if v not in set(moved)]:
                    optimizer._report(missing, len(variables))
                update = Update(optimizer, moved)
            dtypes = [a.dtype for a in xs]
            return Step(graph, len(xs[0]), dtypes, judged, update, regularized=regularized)
        except NotNative as error:
            return str(error)

    def _graph(self, xs: list[Array], training: bool) -> _Known:
        """The graph for samples of these shapes: the same object as long as nothing changed."""
        samples, batch = [a.shape[1:] for a in xs], len(xs[0])
        dtypes = [a.dtype for a in xs]
        kind: Any = (*samples, *dtypes, training)
        key = kind
        known = self._graphs.get(key) or self._graphs.get(key := (*key, batch))
        failures = 0 if known is None else known.failures
        if known is not None and known.holds():
            self._graphs.move_to_end(key)
            if not known.trace.again or isinstance(known.graph, str):
                return known
            trace = known.trace
        else:
            self._graphs.pop(key, None)
            plain = all([is_plain(layer) for layer in layers_of(self.model)])
            key = kind if plain else (*kind, batch)
            known = None
            shapes = samples if len(samples) > 1 else samples[0]
            trace = Trace(shapes, BATCH if plain else batch, training, dtypes=dtypes)
        graph: Graph | str
        try:
            if not trace.run(self.model) and known is not None:
                return known
            graph = self._same_or(finished(trace), trace)
        except (NotNative, ShapeError) as error:  # the eager step will refuse the shape
            graph = str(error)
            failures += 1
            watch = Watch(layers_of(self.model))
        else:
            watch = Watch(trace.watched)
        made = _Known(trace, graph, watch, self.model.weights, failures)
        self._graphs[key] = made
        self._graphs.move_to_end(key)
        _forget(self._graphs, lambda _: 0)
        return made

    def _same_or(self, graph: Graph, trace: Trace) -> Graph:
        """A graph from before that computes the same, so that its programs hold, or this one."""
        signature = graph.signature()
        if signature not in self._finished:
            self._finished[signature] = graph
            trace.blame()
        self._finished.move_to_end(signature)
        _forget(self._finished, lambda _: 0)
        return self._finished[signature]

    def explain(
        self, samples: Any, losses: list[tuple[str, Any]] | None = None, optimizer: Any = None
    ) -> str:
        """What runs natively, and what does not and why: a layer a line, then loss and optimizer.

        Args:
            samples: the shape of one sample; of several inputs a list of them.
            losses: for each output what to call its loss, and the loss or None, if they are to be
                looked at.
            optimizer: the one to train with, likewise.
        """
        told = explained(self.model, samples)
        ops = {name: ", ".join(made) for name, made, _ in told}
        found = [(name, why) for name, _, why in told]
        stays = False
        try:
            graph: Graph | None = graph_of(self.model, samples)
        except NotNative:
            graph, stays = None, True
        if losses is not None and graph is not None:
            for value, (name, loss) in zip(graph.results, losses, strict=True):
                if loss is not None:
                    found.append((name, reason_for_tape(loss, graph.shapes[value])))
        if optimizer is not None and graph is not None:
            for v in self.model.trainable_variables:
                if v.regularizer is not None and factors_of(v.regularizer) is None:
                    name = type(v.regularizer).__name__
                    found.append((v.path, f"native, but for its regularizer, {name}"))
            why = None
            if not has_kernel(optimizer):
                why = "native up to the gradients; the parameters are moved in NumPy"
            found.append(("optimizer", why))
        if self.reason is not None:
            found.append(("last batch", f"eager: {self.reason}"))
        width = max((len(name) for name, _ in found), default=0)
        wide = max((len(made) for made in ops.values()), default=0)
        lines = [
            f"{name:{width}}  {ops.get(name, ''):{wide}}  {why or 'native'}" for name, why in found
        ]
        if losses is not None:
            how = (
                "natively, but for what is said above" if any([w for _, w in found]) else "natively"
            )
            lines.append(f"A training step runs {'eagerly' if stays else how}.")
        return "\n".join(lines)


def _input(x: Any) -> Array | None:
    """The samples as an array that a program takes: float32, or uint8 as it came."""
    array = getattr(x, "data", x) if not isinstance(x, np.ndarray) else x
    if not isinstance(array, np.ndarray) or array.ndim < 2 or getattr(x, "requires_grad", False):
        return None
    if array.dtype.kind == "f":
        return np.ascontiguousarray(array, np.float32)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    return None


def _array(values: Any) -> Array | None:
    return None if values is None else np.asarray(values)


class _Thread(threading.local):
    last: Step | None = None


class _Known(NamedTuple):
    """A trace, and the graph of it, or why there is none; what has to stay as it was; all weights
    of the model; how often there was no graph."""

    trace: Trace
    graph: Graph | str
    watch: Watch
    weights: list[Any]
    failures: int

    def holds(self) -> bool:
        """Whether to go by it again; code that was followed in vain often enough is no more."""
        hopeless = isinstance(self.graph, str) and self.failures > PATIENCE
        return hopeless or self.watch.same()

    def trained(self, model: Any) -> list[Any]:
        """The variables that are trained, without a walk through the model."""
        return [v for v in self.weights if v.trainable] if model.trainable else []


class _Entry:
    """A program, or why there is none, what has to stay as it was or at least alive, and how often
    it did not."""

    def __init__(self, step: Step | str, watched: list[Any], alive: Any, changes: int = 0) -> None:
        self.step, self.alive, self.changes = step, (watched, alive), changes
        self.watch = Watch(watched, [] if alive is None or alive[0] is None else [type(alive[0])])

    def holds(self) -> bool:
        return self.watch.same() and (isinstance(self.step, str) or self.step.fresh())

    @property
    def size(self) -> int:
        """The bytes of its memory."""
        return 0 if isinstance(self.step, str) else self.step.program.arena.nbytes


def _forget(kept: OrderedDict[Any, Any], size: Callable[[Any], int]) -> None:
    """Drop what was used longest ago, down to `KEPT` entries and `KEPT_BYTES`; one stays."""
    while len(kept) > 1 and (len(kept) > KEPT or sum(map(size, kept.values())) > KEPT_BYTES):
        kept.popitem(last=False)
