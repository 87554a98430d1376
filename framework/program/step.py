"""Training, testing and predicting on one batch by a program, and what must hold for it."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..kernels import pointwise, shards
from ..kernels.simd import SHARD
from .build import COUNT, Buffer, Phase
from .graph import Graph, NotNative, rearranged
from .losses import LossPlan
from .lowering import Lowering
from .optimizing import Update
from .penalties import ActivityPenalty, WeightPenalties
from .program import Program, groups_of, pitch_of
from .rewrite import with_losses
from .taped_losses import TapedLoss, plan_of

Array = np.ndarray


class Outcome(NamedTuple):
    """What a step found.

    Attributes:
        loss: the whole loss, or None without one.
        outputs: predictions (batch, ...), arranged as the model returns them.
        losses: the loss of each output by itself, None where there is none.
    """

    loss: np.float32 | None
    outputs: Any
    losses: list[np.float32 | None]


class Judged(NamedTuple):
    """How an output is judged: a `Loss` or None, what it counts in the whole loss, and whether it
    is computed on the tape even if it has a kernel."""

    loss: Any
    factor: float = 1.0
    taped: bool = False


class Step:
    """A program for batches of one size: predictions, and optionally the loss and an update.

    Args:
        graph: the model; see `graph_of`.
        batch: samples in a batch.
        pixels: dtype of the input, float32 or uint8; of several inputs a list.
        loss: the loss to compute, or None; of several outputs a `Judged` for each.
        update: how to train, or None.
        workers: threads. Default: one per core.
        guard: canary elements around buffers (tests).
        regularized: the variables whose regularizers belong to the loss.

    Raises:
        NotNative: something is not covered.
    """

    def __init__(
        self,
        graph: Graph,
        batch: int,
        pixels: Any = np.float32,
        loss: Any = None,
        update: Update | None = None,
        workers: int | None = None,
        guard: int = 0,
        regularized: Sequence[Any] = (),
    ) -> None:
        judged = loss if isinstance(loss, list) else [Judged(loss)] * len(graph.results)
        self.batch, self.update = batch, update
        self.graph = graph = self._with_losses(graph, judged)
        self.dtypes = [np.dtype(p) for p in (pixels if isinstance(pixels, list) else [pixels])]
        #: Held during a run: a program has one memory. All those of a model share one lock.
        self.lock = threading.RLock()
        self.variables = list(dict.fromkeys([*graph.variables, *regularized]))
        self._arrays = [v.data for v in self.variables]
        size = update.size if update else 0
        widths = [d.itemsize for d in self.dtypes]
        low = Lowering(graph, batch, update.offsets if update else {}, size, widths)
        phase = low.build.begin(per_shard=True)
        low.gather()
        low.forward()
        self.output_shapes = [graph.shapes[value] for value in graph.results]
        self._predictions = [self._scatter(low, value) for value in graph.results]
        self._emit_losses(low, regularized if loss is not None else ())
        if update is not None:
            low.backward()
            self._clear_slots(low, phase)
        groups, pitch = groups_of(batch), pitch_of(size, guard)
        slots = (groups - 1) * pitch + size  # elements, from the first to the end of the last
        self.penalties.emit(low, update.offsets if update else None, slots)
        if update is not None:
            update.emit(low.build, groups, pitch)
        self._prepare(low)
        self._inputs, self._drawn = low.inputs, low.drawn
        #: Whether the loss of the only output is the whole loss.
        self._alone = self.factors == [1] and not (self.activities or regularized or low.islands)
        #: The layers that run on the tape.
        self.islands = list(low.islands.values())
        #: Whether Python takes part, which may do what the program was not made for.
        self.pauses = bool(self.islands) or any(isinstance(p, TapedLoss) for p in self.losses)
        self.samples = low.samples
        self.program = Program(low.build, batch, size, workers, guard)
        #: The forms of targets and weights that were last found to fit.
        self._accepted: list[Any] = []
        #: The predictions of each output, where they lie in the arena after a run.
        self._views = [
            self.program.view(buffer).reshape(-1)[: batch * math.prod(s)].reshape(batch, *s)
            for buffer, s in zip(self._predictions, self.output_shapes, strict=True)
        ]
        self._put_targets = [
            None if plan is None else plan.place(self.program) for plan in self.losses
        ]
        for activity in self.activities:
            activity.place(self.program)

    @staticmethod
    def _scatter(low: Lowering, value: int) -> Buffer:
        size = math.prod(low.graph.shapes[value])
        out = low.build.buffer(size * SHARD, "predictions", "batch")
        low.build.note = "predictions"
        low.build.emit(shards.scatter, out, low.values[value], COUNT, size)
        return out

    def _with_losses(self, graph: Graph, judged: list[Judged]) -> Graph:
        """A graph that computes the losses as well, as far as they are no matter of the tape."""
        self.factors = [factor for _, factor, _ in judged]
        self.losses = [
            None if loss is None else plan_of(loss, graph, value, taped, self.batch)
            for value, (loss, _, taped) in zip(graph.results, judged, strict=True)
        ]
        plans = [
            (plan, value)
            for plan, value in zip(self.losses, graph.results, strict=True)
            if isinstance(plan, LossPlan)
        ]

        def join(made: Graph) -> None:
            for plan, value in plans:
                plan.join(made, value)

        made = with_losses(graph, join)
        for place, (plan, _) in enumerate(plans):
            plan.moved(made, place)
        return made

    def _emit_losses(self, low: Lowering, regularized: Sequence[Any]) -> None:
        """What makes up the loss, and the gradients of the values it looks at."""
        graph, trains = self.graph, self.update is not None
        judges = any(plan is not None for plan in self.losses)
        self.activities = [ActivityPenalty(*given) for given in graph.activity if judges]
        self.penalties = WeightPenalties(list(regularized))
        for plan, factor in zip(self.losses, self.factors, strict=True):
            if plan is not None:
                low.factor = factor
                plan.emit(low, trains and low.needs_gradient(plan.value))
        low.factor = 1.0
        for activity in self.activities:
            activity.emit(low)
        if trains and not low.gradients and not regularized:
            raise NotNative("nothing that is trained reaches the loss")

    @staticmethod
    def _clear_slots(low: Lowering, phase: Phase) -> None:
        """The first thing a group does: zeros in its slot."""
        assert low.slot is not None
        low.build.emit(pointwise.fill, low.slot, low.slot.size, 0)
        phase.per_group.append(low.build.phases[-1].tasks[0].pop())

    @staticmethod
    def _prepare(low: Lowering) -> None:
        """The phase before the shards, if some weights are wanted in another form."""
        phase = low.build.begin(per_shard=False)
        low.prepare()
        low.build.phases.pop()
        # A layer that is called twice wants the same form twice.
        tasks = {tuple((i.kernel, i.arguments) for i in task): task for task in phase.tasks}
        phase.tasks = list(tasks.values())
        if phase.tasks[0]:
            low.build.phases.insert(0, phase)

    def fresh(self) -> bool:
        """Whether all variables are still where the program was made for, and the losses do what
        they did."""
        there = all([v.data is a for v, a in zip(self.variables, self._arrays, strict=True)])
        return there and all([plan is None or plan.same() for plan in self.losses])

    def accepts(self, targets: list[Any], weights: list[Any]) -> bool:
        """Whether targets and weights of all outputs have the forms that their losses take."""
        return all(
            [
                plan is None or (y is not None and plan.accepts(y, self.batch, weight))
                for plan, y, weight in zip(self.losses, targets, weights, strict=True)
            ]
        )

    def run(self, x: Any, y: Any = None, sample_weight: Any = None) -> tuple[Any, Any]:
        """One batch; see `outcome`.

        Args:
            x: (batch, ...), contiguous, of the dtype the program is made for; of several inputs a
                list.
            y: targets, as `LossPlan.accepts` them; of several outputs a list.
            sample_weight: (batch,) or None; of several outputs a list.

        Returns:
            The loss (None without one), and the predictions (batch, ...).
        """
        targets = y if isinstance(y, list) else [y] * len(self.losses)
        weights = sample_weight if isinstance(sample_weight, list) else None
        weights = weights or [sample_weight] * len(self.losses)
        found = self.outcome(x if isinstance(x, list) else [x], targets, weights)
        return found.loss, found.outputs

    def outcome(self, xs: list[Array], ys: list[Any], weights: list[Any]) -> Outcome:
        """One batch.

        Args:
            xs: of each input (batch, ...), contiguous, of its dtype.
            ys: of each output the targets, as `LossPlan.accepts` them, or None without a loss.
            weights: of each output (batch,) or None.

        Raises:
            ValueError: an argument of another shape or dtype.
        """
        with self.lock:
            return self._run(xs, ys, weights)

    def _run(self, xs: list[Array], ys: list[Any], weights: list[Any]) -> Outcome:
        for x, shape, dtype in zip(xs, self.samples, self.dtypes, strict=True):
            if x.shape != (self.batch, *shape) or x.dtype != dtype:
                raise ValueError(
                    f"This program takes {(self.batch, *shape)} {dtype}, received {x.shape} "
                    f"{x.dtype}."
                )
        forms = [(_form(y), _form(w)) for y, w in zip(ys, weights, strict=True)]
        if forms != self._accepted and not self.accepts(ys, weights):
            shapes = ", ".join(str(np.shape(y)) for y in ys)
            raise ValueError(f"The targets do not fit the loss, shape {shapes}.")
        self._accepted = forms
        for buffer, x in zip(self._inputs, xs, strict=True):
            self.program.point(buffer, x)
        drawn = [(buffer, draw()) for buffer, draw in self._drawn]
        for buffer, mask in drawn:
            self.program.point(buffer, mask)
        kept: list[Any] = [drawn]
        for put, y, weight in zip(self._put_targets, ys, weights, strict=True):
            if put is not None:
                kept.append(put(y, weight))
        penalty = self.penalties.ask(self.update is not None)
        if self.update is not None:
            self.update.set()
        self.program.run()
        if self.update is not None:
            self.update.finish()
        return self._outcome(penalty)

    def _outcome(self, penalty: float) -> Outcome:
        """Copies of what the last run left in the arena."""
        program = self.program
        losses = [None if plan is None else plan.total(program) for plan in self.losses]
        whole = None
        if self._alone:
            whole = losses[0]
        elif any(value is not None for value in losses):
            parts = [
                np.float32(factor) * value
                for factor, value in zip(self.factors, losses, strict=True)
                if value is not None
            ]
            penalty += self.penalties.total(program)
            penalty += sum(activity.total(program) for activity in self.activities)
            penalty += sum(island.total() for island in self.islands)
            whole = np.float32(sum(parts) + penalty)
        copies = iter([output.copy() for output in self._views])
        return Outcome(whole, rearranged(self.graph.outputs, copies), losses)


def _form(values: Any) -> Any:
    """What it depends on whether targets or weights fit: None, or shape and dtype."""
    return None if values is None else (values.shape, values.dtype)
