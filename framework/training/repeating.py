"""`Repeater`: one batch after the other by the same program, without asking again whether it holds.

A step by a native program first makes sure that nothing has changed since the program was made:
layers, wiring, loss, optimizer. Between two batches of an epoch nothing can change unless somebody
else's code runs, so where none does, the question is asked once an epoch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.data import ArrayData, Batch
from ..data.feeding import Data
from .scores import Scores
from .steps import Steps

#: Batches that metrics which only count see at once.
TOGETHER = 8
#: What a subclass or a model may do in its own way, by the kind of step.
_STEPS = {
    "train": ("train_step", "compute_loss", "compute_metrics"),
    "test": ("test_step", "compute_loss", "compute_metrics"),
    "predict": ("predict_step", "__call__"),
}


class Repeater:
    """The programs that have run in this epoch, by the size of the batch.

    Args:
        model: whose steps they are.
        kind: ``"train"``, ``"test"`` or ``"predict"``.
        data: where the batches come from.
        watched: whether somebody looks on between two batches, and so may change something.
    """

    def __init__(self, model: Any, kind: str, data: Data, watched: bool) -> None:
        self._model = model
        self._steps: dict[int, Any] = {}
        usual = all(
            getattr(type(model), name) is getattr(Steps, name, getattr(type(model), name))
            and name not in vars(model)
            for name in _STEPS[kind]
        )
        self._scores: Scores = model._scores
        scored = kind == "predict" or (type(self._scores) is Scores and not model._own_metrics())
        self._on = usual and scored and not watched and isinstance(data, ArrayData)
        self._waiting: list[tuple[Any, Any]] = []
        self._may_wait = self._on and kind != "predict" and self._scores.only_counts()

    def learn(self) -> None:
        """Remember the program that has just done a step, if one has."""
        native = self._model._native
        if self._on and native:
            step = native.last
            if step is not None:
                self._steps[step.batch] = step

    def run(self, batch: Batch) -> tuple[Any, Any] | None:
        """Loss and predictions of a batch; None if it needs a step with all its questions."""
        x, y, sample_weight = batch
        step = self._steps.get(len(x)) if self._steps else None
        if step is None or not isinstance(x, np.ndarray):
            return None
        return step.run(np.ascontiguousarray(x, step.dtypes[0]), y, sample_weight)

    def judge(self, batch: Batch) -> float | None:
        """`run`, and all of it into the metrics: the loss, or None."""
        done = self.run(batch)
        if done is None:
            return None
        loss, predictions = done
        self._scores.track(loss, len(predictions))
        if self._may_wait:
            self._waiting.append((batch[1], predictions))
            if len(self._waiting) == TOGETHER:
                self.catch_up()
        else:
            self._scores.update(batch[1], predictions, batch[2])
        return loss

    def catch_up(self) -> None:
        """Put what waits into the metrics."""
        if self._waiting:
            targets, predictions = map(np.concatenate, zip(*self._waiting, strict=True))
            self._waiting.clear()
            self._scores.update(targets, predictions)

    def logs(self) -> dict[str, Any]:
        """Loss and metrics so far."""
        self.catch_up()
        return self._model.get_metrics_result()
