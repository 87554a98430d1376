"""Scores of a model with several outputs: a loss and metrics for each, and their weighted sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor, as_tensor, wrap
from ..autograd.tree import tree_leaves, tree_map
from ..config.checked import Finite, argument, kind_of
from ..errors import ArgumentError
from .scores import Row, Scores

Array = np.ndarray


class OutputScores(Scores):
    """What training makes small and what it watches, output by output.

    Args:
        loss: one for all outputs, or a list, or a dict by name; None for an output without.
        metrics, weighted_metrics: a list with the metrics of each output, or a dict by name.
        loss_weights: a factor for each loss, as a list or a dict by name. Default: 1.
        names: of the outputs; None if only data will tell.

    Raises:
        TypeError, ValueError: something that names no loss or metric, or no output.
    """

    def __init__(
        self,
        loss: Any,
        metrics: Any = None,
        weighted_metrics: Any = None,
        loss_weights: Any = None,
        names: list[str] | None = None,
    ) -> None:
        super().__init__(None, None, None)
        self._given = (loss, metrics, weighted_metrics, loss_weights)
        self.names: list[str] = []
        self.parts: list[Scores] = []
        if names is not None:
            self.name_outputs(names)

    def name_outputs(self, names: list[str]) -> None:
        """Make the scores of every output, now that these are known."""
        loss, metrics, weighted_metrics, loss_weights = self._given
        self.names = names
        losses = self._each(loss, "loss") if is_by_output(loss) else [loss] * len(names)
        self.parts = [
            Scores(*given)
            for given in zip(
                losses,
                [_listed(m) for m in self._each(metrics, "metrics")],
                [_listed(m) for m in self._each(weighted_metrics, "weighted_metrics")],
                strict=True,
            )
        ]
        weights = self._each(loss_weights, "loss_weights")
        self.weights = [_factor(w) for w in weights]
        self.loss = Losses(self) if any(p.loss is not None for p in self.parts) else None

    def _each(self, given: Any, what: str) -> list[Any]:
        """One entry per output of what `compile` was given."""
        known = ", ".join(self.names)
        if given is None:
            return [None] * len(self.names)
        if isinstance(given, dict):
            unknown = [name for name in given if name not in self.names]
            if unknown:
                raise ValueError(
                    f"{what} names {unknown[0]!r}, which is no output of the model. Its outputs: "
                    f"{known}."
                )
            return [given.get(name) for name in self.names]
        if not isinstance(given, (list, tuple)) or len(given) != len(self.names):
            got = f"{len(given)}" if isinstance(given, (list, tuple)) else repr(given)
            raise ValueError(
                f"{what} of a model with {len(self.names)} outputs ({known}) is a list with one "
                f"entry for each, or a dict by their names; received {got}."
            )
        return list(given)

    def listed(self, values: Any, what: str) -> list[Any]:
        """Targets, predictions or weights in the order of the outputs, None where there are none.

        Raises:
            ValueError: not one for each output.
        """
        if values is None:
            return [None] * len(self.names)
        if isinstance(values, dict):
            return self._each(values, what)
        if isinstance(values, (list, tuple)):
            values = list(values)
            if len(values) == len(self.names):
                return values
        elif what == "sample_weight" or len(self.names) == 1:
            return [values] * len(self.names)
        received = f"{len(values)} of them" if isinstance(values, list) else "one array"
        raise ValueError(
            f"The model has {len(self.names)} outputs ({', '.join(self.names)}), so {what} must be "
            f"a list with an array for each, or a dict by their names; received {received}."
        )

    def rows(self, y: Any, y_pred: Any, weight: Any) -> Iterable[tuple[Scores, str, Any, Any, Any]]:
        """For each output its scores, name, targets, predictions and weights."""
        if not self.parts:
            self.name_outputs(names_of(y_pred))
        return zip(
            self.parts,
            self.names,
            self.listed(y, "y"),
            list(tree_leaves(y_pred)),
            self.listed(weight, "sample_weight"),
            strict=True,
        )

    # As `Scores`

    def by_output(self, y: Any, sample_weight: Any) -> list[Row]:
        """For each output its loss, what that counts, its targets and its sample weights."""
        targets, weights = self.listed(y, "y"), self.listed(sample_weight, "sample_weight")
        return [
            Row(part.loss, factor, *rest)
            for part, factor, *rest in zip(self.parts, self.weights, targets, weights, strict=True)
        ]

    def remember(self, losses: list[Any]) -> None:
        if self.loss is not None:
            self.loss.last = [None if v is None else wrap(np.asarray(v)) for v in losses]

    def check(self, y: Any, y_pred: Any, samples: int, output: str) -> None:
        """Refuse targets that do not fit the outputs."""
        for part, name, y_one, p_one, _ in self.rows(y, y_pred, None):
            if y_one is not None or part.loss is not None:
                need_targets(y_one, part.loss, f"output {name!r}")
                part.check(y_one, p_one, samples, f"output {name!r}")

    def judged(self, y_pred: Any, output: str) -> list[tuple[Any, Array, str]]:
        rows = self.rows(None, y_pred, None)
        return [j for part, name, _, p, _ in rows for j in part.judged(p, f"output {name!r}")]

    @property
    def losses(self) -> list[Any]:
        """The losses, one for each output that has one."""
        return [part.loss for part in self.parts if part.loss is not None]

    @property
    def metrics(self) -> list[Any]:
        """The running means of the losses, and the metrics as soon as they are made."""
        scored = [p.total for p in self._scored()]
        return [self.total, *scored, *(m for p in self.parts for m in p.metrics[1:])]

    def _scored(self) -> list[Scores]:
        """The parts whose loss is shown by itself: all, or none if there is only one."""
        parts = [part for part in self.parts if part.loss is not None]
        return parts if len(parts) > 1 else []

    def track(self, loss: Tensor | float, samples: int) -> None:
        super().track(loss, samples)
        if self.loss is not None:
            for part, value in zip(self.parts, self.loss.last, strict=True):
                if value is not None:
                    part.track(value, samples)

    def update(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        for part, _, y_one, p_one, weight in self.rows(y, y_pred, sample_weight):
            part.update(y_one, p_one, weight)

    def result(self) -> dict[str, Any]:
        """Loss and metrics by name, those of an output with its name before them."""
        logs: dict[str, Any] = {"loss": self.total.result()}
        scored = self._scored()
        results = [part.result() for part in self.parts]
        for part, name, result in zip(self.parts, self.names, results, strict=True):
            own = result.pop("loss")
            if any(part is p for p in scored):
                logs[f"{name}_loss"] = own
        for name, result in zip(self.names, results, strict=True):
            logs |= {f"{name}_{key}": value for key, value in result.items()}
        return logs


class Losses:
    """The losses of all outputs as one. Attributes: `last`: what each was for the last batch."""

    reduction = "sum_over_batch_size"

    def __init__(self, scores: OutputScores) -> None:
        self._scores = scores
        self.last: list[Any] = []

    def __call__(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        return self._sum(y, y_pred, sample_weight, checked=False)

    def compute(self, y: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The weighted sum, for targets that were checked."""
        return self._sum(y, y_pred, sample_weight, checked=True)

    def _sum(self, y: Any, y_pred: Any, sample_weight: Any, checked: bool) -> Tensor:
        total: Any = None
        self.last = []
        rows = self._scores.rows(y, y_pred, sample_weight)
        for (part, name, y_one, p_one, weight), factor in zip(
            rows, self._scores.weights, strict=True
        ):
            if part.loss is None:
                self.last.append(None)
                continue
            need_targets(y_one, part.loss, f"output {name!r}")
            value = (part.loss.compute if checked else part.loss)(y_one, p_one, weight)
            self.last.append(value)
            weighted = value if factor == 1 else value * factor
            total = weighted if total is None else total + weighted
        return as_tensor(total)


def scores_for(
    loss: Any, metrics: Any, weighted_metrics: Any, loss_weights: Any, names: list[str] | None
) -> Scores:
    """The scores of a model with these outputs (None: only data will tell)."""
    given = (loss, metrics, weighted_metrics, loss_weights)
    nested = any(isinstance(m, dict) or _is_nested(m) for m in (metrics, weighted_metrics))
    if names is None and not (is_by_output(loss) or nested):
        if loss_weights is None:
            return Scores(loss, metrics, weighted_metrics)
    elif names is not None and len(names) == 1:
        only = names[0]
        loss, weight = (_only(v, only) for v in (loss, loss_weights))
        metrics, weighted_metrics = (
            _only(m, only) if isinstance(m, dict) or _is_nested(m) else m
            for m in (metrics, weighted_metrics)
        )
        metrics, weighted_metrics = (
            [m] if isinstance(given_as, dict) and not isinstance(m, (list, tuple)) else m
            for m, given_as in zip((metrics, weighted_metrics), given[1:3], strict=True)
        )
        return Scores(loss, metrics, weighted_metrics, _factor(weight))
    return OutputScores(*given, names)


def _factor(weight: Any) -> float:
    """What a loss counts.

    Raises:
        ArgumentError: that is no number.
    """
    if isinstance(weight, str):
        raise ArgumentError(
            f"compile: loss_weights must be numbers, received {weight!r}. They are its third "
            f"argument: write metrics=[{weight!r}] for a metric."
        )
    return 1.0 if weight is None else argument("compile", "loss_weights", weight, kind_of(Finite))


def _only(given: Any, name: str) -> Any:
    """The entry of the one output, out of a list or dict of one."""
    if not is_by_output(given):
        return given
    if isinstance(given, dict):
        if set(given) != {name}:
            raise ValueError(f"The model has one output, {name!r}, received names {[*given]}.")
        return given[name]
    if len(given) != 1:
        raise ValueError(f"The model has one output, received {len(given)} entries: {given!r}.")
    return given[0]


def is_by_output(given: Any) -> bool:
    """Whether this is a list or dict of entries, rather than one or its configuration."""
    return isinstance(given, (list, tuple)) or (
        isinstance(given, dict) and "class_name" not in given
    )


def by_entry(given: Any, meaning: Callable[[Any], Any]) -> Any:
    """What `compile` was given, with the meaning of each entry in its place."""
    if not is_by_output(given):
        return meaning(given)
    if isinstance(given, dict):
        return {name: by_entry(entry, meaning) for name, entry in given.items()}
    return type(given)([by_entry(entry, meaning) for entry in given])


def _is_nested(metrics: Any) -> bool:
    return isinstance(metrics, (list, tuple)) and any(
        m is None or isinstance(m, (list, tuple)) for m in metrics
    )


def _listed(metrics: Any) -> Any:
    return metrics if metrics is None or isinstance(metrics, (list, tuple)) else [metrics]


def names_of(outputs: Any) -> list[str]:
    """What outputs are called in logs if nothing else is known: keys, or ``output_1`` and so on."""
    if isinstance(outputs, dict):
        return list(outputs)
    return [f"output_{i + 1}" for i, _ in enumerate(tree_leaves(outputs))]


def need_targets(y: Any, loss: Any, where: str) -> None:
    """Refuse a loss without targets."""
    if y is None and loss is not None:
        raise ValueError(
            f"There are no targets y for {where}, which {type(loss).__name__} compares it with. "
            "Pass y, or y=x to reproduce the inputs."
        )


def samples_in(values: Any) -> int:
    """The length of the first axis."""
    return len(values if isinstance(values, Tensor) else next(tree_leaves(values)))


def arrays_of(outputs: Any) -> Any:
    """The same structure with arrays for tensors."""
    if isinstance(outputs, Tensor):
        return outputs.data
    if isinstance(outputs, dict):
        return {k: arrays_of(v) for k, v in outputs.items()}
    return [arrays_of(v) for v in outputs]


class Outputs:
    """The predictions of many batches, put together.

    Args:
        room: how many samples there will be; None if only the end will tell.
    """

    def __init__(self, room: int | None) -> None:
        self._room = room
        self._parts: list[Any] = []
        self._whole: Any = None
        self._filled = 0

    def add(self, outputs: Any) -> None:
        """Take in the arrays of a batch, which may be overwritten later."""
        if self._room is None:
            self._parts.append(tree_map(np.copy, outputs))
            return
        if self._whole is None:
            room = self._room
            self._whole = tree_map(lambda y: np.empty((room, *y.shape[1:]), y.dtype), outputs)
        start, count = self._filled, 0
        for whole, some in zip(tree_leaves(self._whole), tree_leaves(outputs), strict=True):
            count = len(some)
            whole[start : start + count] = some
        self._filled += count

    def whole(self) -> Any:
        """Everything, in the structure of a batch; None if there was no batch."""
        if self._room is None:
            if not self._parts:
                return None
            columns = zip(*map(tree_leaves, self._parts), strict=True)
            joined = iter([np.concatenate(column) for column in columns])
            return tree_map(lambda _: next(joined), self._parts[0])
        if self._filled == self._room:
            return self._whole
        return tree_map(lambda y: y[: self._filled], self._whole)
