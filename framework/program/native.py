"""`Native`: the programs of one model, chosen by what they hold for, made when first needed.

A program holds for a batch size, a dtype, a set of trained variables, a wiring, a loss and a kind
of optimizer. Whatever it does not cover is left to the eager step, which is always right.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..tape import grad_mode
from .graph import Graph, NotNative, flat_layers, graph_of, reasons
from .losses import LossPlan
from .optimizing import Update, has_kernel, key_of
from .step import Step

Array = np.ndarray
#: Programs that a model keeps.
KEPT = 12


def enabled() -> bool:
    """Whether programs are used: not without compiled kernels, nor with GRADTAPE_NATIVE=0."""
    if os.environ.get("GRADTAPE_NATIVE", "1") == "0":
        return False
    import numba

    return not numba.config.DISABLE_JIT


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
        self._graphs: dict[Any, tuple[list[_Seen], Graph | str]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a model makes its own programs: these hold addresses."""
        return {"model": self.model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["model"])  # type: ignore[misc]

    def train(
        self,
        x: Any,
        y: Any,
        sample_weight: Any,
        loss: Any,
        optimizer: Any,
        variables: list[Any],
        check: bool = True,
    ) -> tuple[np.float32, Array] | None:
        """Learn from a batch: the loss and the predictions; None if that has to be done eagerly.

        Args:
            x, y, sample_weight: the batch.
            loss: a `Loss`.
            optimizer: an `Optimizer`.
            variables: those to train.
            check: whether the targets still have to be checked against the predictions.

        Raises:
            ShapeError, TypeError, ValueError: targets that do not fit (with `check`).
        """
        if optimizer is None or not variables or not _usual(variables):
            return None
        if not optimizer.built or any([v not in optimizer._place for v in variables]):
            return None  # the first eager step builds it
        return self._run(x, y, sample_weight, loss, (optimizer, variables), check)

    def trainable(self, x: Any) -> list[Any] | None:
        """The variables to train, without a walk through the model; None if that is needed."""
        known = self._graphs.get((np.shape(x)[1:], True))
        if known is None or isinstance(known[1], str):
            return None
        if not all([seen.same() for seen in known[0]]):
            return None
        return [v for v in known[1].variables if v.trainable] if self.model.trainable else []

    def test(
        self, x: Any, y: Any, sample_weight: Any, loss: Any, check: bool = True
    ) -> tuple[np.float32, Array] | None:
        """Judge a batch: the loss and the predictions; None if that has to be done eagerly."""
        return self._run(x, y, sample_weight, loss, None, check)

    def predict(self, x: Any) -> Array | None:
        """The predictions for a batch; None if that has to be done eagerly."""
        done = self._run(x, None, None, None, None, False)
        return None if done is None else done[1]

    def _run(
        self, x: Any, y: Any, weight: Any, loss: Any, training: Any, check: bool
    ) -> tuple[np.float32, Array] | None:
        x = _input(x)
        if x is None or not len(x) or grad_mode.anomaly:
            return None
        if loss is not None and y is None:
            return None
        if weight is not None and np.size(weight) != len(x):
            return None
        step = self._step(x, loss, training)
        if isinstance(step, str):
            self.reason = step
            return None
        if step.loss is not None and not step.loss.accepts(y, len(x)):
            self.reason = f"targets of shape {np.shape(y)} are not those that the loss takes"
            return None
        self.reason = None
        if check and loss is not None:
            loss.check(y, (len(x), *step.output_shape))
        labels = None if y is None else np.asarray(y)
        value, predictions = step.run(x, labels, None if weight is None else np.asarray(weight))
        return np.float32(value or 0.0), predictions

    def _step(self, x: Array, loss: Any, training: Any) -> Step | str:
        graph = self._graph(x.shape[1:], training is not None)
        if isinstance(graph, str):
            return graph
        # Identities are safe in the key: what they stand for is kept in the entry.
        trained = (key_of(training[0]), *sorted(map(id, training[1]))) if training else None
        key = (x.shape, x.dtype.char, id(graph), id(loss), trained)
        found = self._steps.get(key)
        if found is not None and found.holds():
            self._steps.move_to_end(key)
            return found.step
        made = self._make(graph, x, loss, training)
        self._steps[key] = _Entry(made, [_Seen(loss)] if loss is not None else [], training)
        while len(self._steps) > KEPT:
            self._steps.popitem(last=False)
        return made

    def _make(self, graph: Graph, x: Array, loss: Any, training: Any) -> Step | str:
        try:
            if training is None:
                return Step(graph, len(x), x.dtype, loss)
            if any(v.regularizer is not None for v in training[1]):
                raise NotNative("a regularizer has no lowering")
            return Step(graph, len(x), x.dtype, loss, Update(*training))
        except NotNative as error:
            return str(error)

    def _graph(self, sample: tuple[int, ...], training: bool) -> Graph | str:
        """The graph for samples of this shape: the same object as long as no layer changed."""
        known = self._graphs.get((sample, training))
        if known is not None and all([seen.same() for seen in known[0]]):
            return known[1]
        graph: Graph | str
        try:
            graph = graph_of(self.model, sample, training)
        except (NotNative, ShapeError) as error:  # the eager step will refuse the shape
            graph = str(error)
        if known is None or not (
            isinstance(graph, Graph)
            and isinstance(known[1], Graph)
            and graph.signature() == known[1].signature()
        ):
            known = ([], graph)
        watched = [_Seen(layer) for layer in flat_layers(self.model)]
        self._graphs[(sample, training)] = (watched, known[1])
        return known[1]

    def explain(self, sample: tuple[int, ...], loss: Any = None, optimizer: Any = None) -> str:
        """What runs natively, and what does not and why: a layer a line, then loss and optimizer.

        Args:
            sample: the shape of one sample.
            loss, optimizer: those to train with, if they are to be looked at.
        """
        found = reasons(self.model, sample)
        covered = all([why is None for _, why in found])
        regularized = any([v.regularizer is not None for v in self.model.trainable_variables])
        if loss is not None and covered:
            found.append(("loss", self._reason_against(loss, sample)))
        if optimizer is not None and covered:
            why = "a regularizer has no lowering" if regularized else None
            if why is None and not has_kernel(optimizer):
                why = "native up to the gradients; the parameters are moved in NumPy"
            found.append(("optimizer", why))
        if self.reason is not None:
            found.append(("last batch", f"eager: {self.reason}"))
        width = max((len(name) for name, _ in found), default=0)
        lines = [f"{name:{width}}  {why or 'native'}" for name, why in found]
        if loss is not None:
            stays = regularized or any([why for name, why in found if name != "optimizer"])
            lines.append(f"A training step runs {'eagerly' if stays else 'natively'}.")
        return "\n".join(lines)

    def _reason_against(self, loss: Any, sample: tuple[int, ...]) -> str | None:
        """Why a loss is not native on this model, or None."""
        try:
            LossPlan(loss, graph_of(self.model, sample))
        except NotNative as error:
            return str(error)
        return None


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


def _usual(variables: list[Any]) -> bool:
    """Whether nobody listens to the gradients of these variables."""
    return not any([v._hooks for v in variables])


class _Seen:
    """An object, and what its attributes were."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing
        self.model = "_layers" in vars(thing)
        self.before = self._of_model() if self.model else dict(vars(thing))

    def _of_model(self) -> dict[str, Any]:
        now = {k: v for k, v in vars(self.thing).items() if k not in _CHANGES}
        now["_layers"] = tuple(now["_layers"])
        return now

    def same(self) -> bool:
        """Whether they are the same still."""
        try:
            now = self._of_model() if self.model else vars(self.thing)
            return now == self.before
        except (ValueError, TypeError):  # arrays that cannot be compared: not the same ones
            return False


#: Attributes of a model that change while it trains and mean nothing for what it computes.
_CHANGES = frozenset(
    (
        *("_round", "history", "stop_training", "stop_evaluating", "stop_predicting"),
        *("_native", "optimizer", "loss", "_scores", "_recipe"),
    )
)


class _Entry:
    """A program, or why there is none, and what has to stay as it was."""

    def __init__(self, step: Step | str, seen: list[_Seen], training: Any) -> None:
        self.step, self.seen, self.training = step, seen, training

    def holds(self) -> bool:
        return all([s.same() for s in self.seen]) and (
            isinstance(self.step, str) or self.step.fresh()
        )
