"""`Scores`: the loss and the metrics that `compile` was given, over the batches of a round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..autograd.tensor import Tensor
from ..losses import as_loss
from ..losses.crossentropy import CrossentropyByShape
from ..metrics import Mean, Metric, as_metric
from ..metrics.accuracy import counts

Array = np.ndarray
Logs = dict[str, Any]
Shape = tuple[int, ...]


class Row(NamedTuple):
    """An output of a batch: its loss or None, what that counts, targets, weights of samples."""

    loss: Any
    factor: float
    y: Any
    weight: Any


class Scores:
    """What training makes small and what it watches.

    Args:
        loss: an identifier as for `gradtape.losses.get`, or None.
        metrics: identifiers as for `gradtape.metrics.get`, or ``"accuracy"``.
        weighted_metrics: more of them, which count each sample with its weight.
        loss_weight: a factor for the loss.

    Attributes:
        loss: a `Loss`, or None.
        total: the running mean of the loss.

    Raises:
        TypeError, ValueError: something that names no loss or metric, or a loss without reduction.
    """

    def __init__(
        self,
        loss: Any,
        metrics: Sequence[Any] | None,
        weighted_metrics: Sequence[Any] | None,
        loss_weight: float = 1.0,
    ) -> None:
        for key, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
            if given is not None and not isinstance(given, (list, tuple)):
                raise TypeError(
                    f"{key} must be a list, as in ['accuracy'], received {given!r} of type "
                    f"{type(given).__name__}."
                )
        self.loss: Any = as_loss(loss) if loss is not None else None
        self.loss_weight = loss_weight
        if self.loss is not None and self.loss.reduction in (None, "none"):
            raise ValueError(
                f"A model cannot be trained on {self.loss!r} with reduction={self.loss.reduction}: "
                "one number is needed. Leave reduction at its default."
            )
        self.total = Mean("loss")
        self._identifiers = [(m, False) for m in metrics or ()]
        self._identifiers += [(m, True) for m in weighted_metrics or ()]
        self._metrics: list[tuple[Metric, str, bool]] = []
        for identifier, _ in self._identifiers:  # refuse unknown names now, not when data comes
            as_metric(identifier, (1,), (1,))

    def check(self, y: Any, y_pred: Any, samples: int, output: str) -> None:
        """Refuse targets that do not fit the predictions for some of them.

        Args:
            y: all targets.
            y_pred: the predictions for a few samples.
            samples: how many there are.
            output: what the predictions are called in an error.
        """
        shape = (samples, *y_pred.shape[1:])
        if self.loss is not None:
            self.loss.check(y, shape, output)
        if y is not None:
            self.resolve(y.shape, shape)

    def judged(self, y_pred: Any, output: str) -> list[tuple[Any, Array, str]]:
        """The losses, each with the predictions it judges and what to call them."""
        return [] if self.loss is None else [(self.loss, y_pred.data, output)]

    def by_output(self, y: Any, sample_weight: Any) -> list[Row]:
        """For each output its loss, what that counts, its targets and its sample weights."""
        return [Row(self.loss, self.loss_weight, y, sample_weight)]

    def remember(self, losses: list[Any]) -> None:
        """Keep what the loss of each output was for a batch, for `track`."""

    def resolve(self, true: Shape, predicted: Shape) -> None:
        """Make the metrics, now that shapes of targets and predictions say what "accuracy" is."""
        if isinstance(self.loss, CrossentropyByShape):
            self.loss = self.loss.chosen(true, predicted)
        if len(self._metrics) == len(self._identifiers):
            return
        names: set[str] = set()
        for identifier, weighted in self._identifiers:
            metric = as_metric(identifier, true, predicted)
            name, number = metric.name, 0
            if weighted and name in names:
                name = f"weighted_{name}"
            while name in names:
                number += 1
                name = f"{metric.name}_{number}"
            names.add(name)
            self._metrics.append((metric, name, weighted))

    @property
    def losses(self) -> list[Any]:
        """The losses, one for each output that has one."""
        return [] if self.loss is None else [self.loss]

    @property
    def metrics(self) -> list[Metric]:
        """The running mean of the loss, and the metrics as soon as they are made."""
        return [self.total, *(metric for metric, _, _ in self._metrics)]

    def reset(self) -> None:
        """Forget every batch."""
        for metric in self.metrics:
            metric.reset_state()

    def track(self, loss: Tensor | float, samples: int) -> None:
        """Add the loss of a batch, which counts with the number of its samples."""
        value = float(loss.data if isinstance(loss, Tensor) else loss)
        self.total.add(value * samples, samples)

    def update(self, y: Any, y_pred: Array, sample_weight: Any = None) -> None:
        """Add a batch to the metrics."""
        if y is not None:
            self.resolve(np.shape(y), y_pred.shape)
        for metric, _, weighted in self._metrics:
            if weighted:
                metric.update_state(y, y_pred, sample_weight)
            else:
                metric.update_state(y, y_pred)

    def only_counts(self) -> bool:
        """Whether there are metrics, and all are the same however samples are put into batches.

        That is so where each sample is right or wrong, and no weight is involved.
        """
        found = [not weighted and counts(metric) for metric, _, weighted in self._metrics]
        return bool(found) and all(found)

    def result(self) -> dict[str, Any]:
        """Loss and metrics by name."""
        logs: dict[str, Any] = {"loss": self.total.result()}
        for metric, name, _ in self._metrics:
            value = metric.result()
            logs.update(value if isinstance(value, dict) else {name: value})
        return logs


def numbers_of(logs: Any, method: str) -> Logs:
    """Logs with Python floats in place of tensors and NumPy numbers."""
    if not isinstance(logs, dict):
        raise TypeError(
            f"{method}() must return a dict of logs, as in {{'loss': 0.1}}, received {logs!r}."
        )
    return {k: v if type(v) is float else _number(k, v, method) for k, v in logs.items()}


def _number(name: str, value: Any, method: str) -> Any:
    values = value.data if isinstance(value, Tensor) else np.asarray(value)
    if values.dtype.kind not in "biuf":
        raise TypeError(
            f"{method}() must return numbers, received {value!r} for {name!r}. Does result() of a "
            "metric return one?"
        )
    return float(values.item()) if values.size == 1 else values.copy()  # a metric may go on in it


def flat(logs: Logs) -> Any:
    """Logs as `evaluate` returns them: a list of the values, or the only one."""
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
